"""Makes a connector for another marketplace from templates/connector: `make new-connector NAME=depop`.

The package, a sandbox of a made-up marketplace for it, its part in the demo and its tests are copied, and the package
is entered in the lists of pyproject.toml. Nothing is written when anything is in the way.
"""

from __future__ import annotations

import argparse
import keyword
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = Path("templates") / "connector"
SUFFIX = ".tmpl"
SETTINGS = "pyproject.toml"
# A new package is entered wherever this one is.
NEIGHBOUR = "ebay"
# Within the rule of stoflow.connector.v1.Manifest.marketplace; short enough for the lines that hold it.
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_CHARACTERS = 24
# Import packages and modules that a connector's own would hide.
RESERVED = {
    "sdk": "stoflow_connector_sdk is the SDK",
    "base": "the demo's module `base` is every marketplace's",
}
MARKETPLACES = Path("sandbox/src/stoflow_sandbox/marketplaces")


class NewConnectorError(Exception):
    """The connector cannot be made; the message says everything that is in the way."""


@dataclass(frozen=True, slots=True)
class Names:
    """One marketplace's name in every form that the template needs."""

    name: str

    @property
    def package(self) -> str:
        return self.name.replace("-", "_")

    def values(self) -> Mapping[str, str]:
        words = [word.capitalize() for word in self.name.split("-")]
        return {
            "name": self.name,
            "package": self.package,
            "prefix": "".join(words),
            "label": " ".join(words),
            "env": self.package.upper(),
        }


def name_problems(root: Path, name: str) -> list[str]:
    """Returns one sentence for each thing that is wrong with a marketplace's name."""
    problems = []
    if not NAME.fullmatch(name) or len(name) > MAX_CHARACTERS:
        problems.append(
            f"{name!r} is no marketplace's name: up to {MAX_CHARACTERS} lower-case letters, digits and single "
            "dashes, beginning with a letter, as in `depop` or `my-shop`"
        )
        return problems
    package = Names(name).package
    if name in RESERVED:
        problems.append(f"{name!r} is reserved: {RESERVED[name]}")
    elif keyword.iskeyword(package) or package in sys.stdlib_module_names:
        problems.append(f"{name!r} is a word of Python, and so no name for a module")
    elif (root / MARKETPLACES / f"{package}.py").exists():
        problems.append(f"{name!r} is reserved: {MARKETPLACES / package}.py belongs to every sandbox")
    folders = [f"connector-{name}", f"examples/connector-{name}"]
    present = [folder for folder in folders if (root / folder).exists()]
    return problems + [f"there is a connector {name!r} already: {folder}" for folder in present]


def render(root: Path, names: Names) -> dict[Path, str]:
    """Returns the content of each file to write, by its path below the root."""
    folder = root / TEMPLATE
    rendered = {}
    for source in sorted(folder.rglob(f"*{SUFFIX}")):
        relative = str(source.relative_to(folder)).removesuffix(SUFFIX)
        target = relative.replace("NAME", names.name).replace("PACKAGE", names.package)
        rendered[Path(target)] = Template(source.read_text()).substitute(names.values())
    return rendered


def enter(settings: str, names: Names) -> str:
    """Returns the tool settings with the new package beside the neighbour in every list of packages."""
    for old, new in (
        (f"stoflow_connector_{NEIGHBOUR}", f"stoflow_connector_{names.package}"),
        (f"connector-{NEIGHBOUR}/src", f"connector-{names.name}/src"),
    ):
        # A line of its own; an element within a line; a layer beside others.
        settings = re.sub(rf'^( *)"{old}",\n', rf'\g<0>\1"{new}",\n', settings, flags=re.MULTILINE)
        settings = re.sub(rf'"{old}", ', rf'\g<0>"{new}", ', settings)
        settings = re.sub(rf"\b{old} \| ", rf"\g<0>{new} | ", settings)
    return settings


def make_connector(root: Path, name: str) -> list[Path]:
    """Writes everything and returns the files, relative to the root.

    Raises:
        NewConnectorError: The name is wrong, or something is there already; nothing was written.
    """
    problems = name_problems(root, name)
    if problems:
        raise NewConnectorError("\n".join(problems))
    names = Names(name)
    rendered = render(root, names)
    present = [str(path) for path in rendered if (root / path).exists()]
    if present:
        raise NewConnectorError("in the way, and left as it is: " + ", ".join(present))
    for path, content in rendered.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    settings = root / SETTINGS
    settings.write_text(enter(settings.read_text(), names))
    _tidy(root, [path for path in rendered if path.suffix == ".py"])
    return list(rendered)


def _tidy(root: Path, files: Sequence[Path]) -> None:
    """Sorts imports and breaks lines, which depend on how long the name is and where it stands in the alphabet."""
    ruff = Path(sys.executable).with_name("ruff")
    paths = [str(path) for path in files]
    subprocess.run([ruff, "check", "--quiet", "--select", "I", "--fix", *paths], cwd=root, check=True)
    subprocess.run([ruff, "format", "--quiet", *paths], cwd=root, check=True)


def next_steps(names: Names) -> str:
    """Returns what to do with a connector that was just made."""
    return f"""
connector-{names.name} is made. It passes its tests as it is:

  .venv/bin/python -m pytest tests/conformance/test_{names.package}.py tests/contract/connector_{names.package}

It sells on a made-up marketplace, played by sandbox/src/stoflow_sandbox/marketplaces/{names.package}:

  make up WITH={names.name}

To make it the real {names.values()["label"]}, follow docs/adding-a-marketplace.md from step 4 on.""".strip()


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0 made, 1 something is in the way."""
    parser = argparse.ArgumentParser(
        prog="make new-connector NAME=…",
        description="Makes a connector for another marketplace, which passes its tests as made.",
        epilog="The guide: docs/adding-a-marketplace.md",
    )
    parser.add_argument("name", metavar="NAME", help="the marketplace's name, such as depop or my-shop")
    name = parser.parse_args(arguments).name
    try:
        files = make_connector(ROOT, name)
    except NewConnectorError as error:
        print(f"new-connector: {error}", file=sys.stderr)
        return 1
    print("\n".join(f"  {path}" for path in files))
    print(next_steps(Names(name)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
