r"""Writes a copy of this extension that may act: for one gateway, on the sites and image addresses that are named.

    python connector-vinted/extension/configure.py --gateway wss://gateway.example/browser \
        --site https://www.vinted.example --images https://stoflow.example --output build/extension

The copy can be loaded unpacked, or zipped and signed. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

SOURCE = Path(__file__).resolve().parent
COPIED = ("icons", "pages", "tab", "worker")
LOOPBACK = {"127.0.0.1", "localhost"}


def origin(text: str) -> str:
    parts = urlsplit(text)
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not is_secure or not parts.netloc or parts.path.strip("/") or parts.query:
        raise argparse.ArgumentTypeError(f"{text}: expected https://host, or http:// on this machine")
    return f"{parts.scheme}://{parts.netloc}"


def gateway(text: str) -> str:
    parts = urlsplit(text)
    is_secure = parts.scheme == "wss" or (parts.scheme == "ws" and parts.hostname in LOOPBACK)
    if not is_secure:
        raise argparse.ArgumentTypeError(f"{text}: expected wss://, or ws:// on this machine")
    return text


def pattern(of_origin: str) -> str:
    """Returns the match pattern of an origin."""
    return f"{of_origin}/*"


def configure(
    output: Path, gateway_url: str, sites: list[str], images: list[str], page: dict[str, str]
) -> None:
    """Writes the copy; an older one in its place is removed."""
    manifest = json.loads((SOURCE / "manifest.json").read_text())
    config = json.loads((SOURCE / "config.json").read_text())
    config |= {"gateway_url": gateway_url, "site_origins": sites, "image_origins": images}
    config["page"] |= page
    manifest["host_permissions"] = sorted({pattern(one) for one in [*sites, *images]})
    manifest["content_scripts"] = [{"matches": sorted({pattern(one) for one in sites}), "js": ["tab/tab.js"]}]
    if output.exists():
        if not (output / "manifest.json").exists():
            raise SystemExit(f"{output}: exists and is no extension")
        shutil.rmtree(output)
    output.mkdir(parents=True)
    for folder in COPIED:
        shutil.copytree(SOURCE / folder, output / folder)
    (output / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gateway", required=True, type=gateway, help="address of the connector's gateway")
    parser.add_argument(
        "--site", required=True, type=origin, action="append", help="origin of a site; repeatable"
    )
    parser.add_argument(
        "--images", default=[], type=origin, action="append", help="origin of the photos; repeatable"
    )
    parser.add_argument("--csrf-token", help="CSS selector of the element whose content is the CSRF token")
    parser.add_argument("--user-id", help="CSS selector of the element whose content is the user's number")
    parser.add_argument("--user-login", help="CSS selector of the element whose content is the user's name")
    parser.add_argument("--output", required=True, type=Path)
    given = parser.parse_args()
    page = {name: getattr(given, name) for name in ("csrf_token", "user_id", "user_login")}
    selectors = {name: value for name, value in page.items() if value}
    configure(given.output, given.gateway, given.site, given.images, selectors)


if __name__ == "__main__":
    main()
