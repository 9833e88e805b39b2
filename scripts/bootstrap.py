"""Makes .venv from requirements.lock, with every tool and cache inside the checkout.

Run through scripts/bootstrap, which finds a Python. Standard library only: nothing is installed yet.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
STAMP = VENV / ".bootstrap.json"
TOOLS_STAMP = TOOLS / ".bootstrap.json"
UNFINISHED = CACHE / "bootstrap.unfinished"
LOCK = ROOT / "requirements.lock"
UV_REQUIREMENTS = ROOT / "scripts" / "uv-requirements.txt"
# Folders of packages; a connector is found by its folder's name, so that adding one changes nothing here.
PACKAGES = (
    "protos",
    "libs/service-kit",
    "libs/connector-sdk",
    "orchestrator",
    "connector-*",
    "examples/connector-*",
    "stats-service",
    "console",
    "sandbox",
)
# Settings of a caller's other environment that would send the installation elsewhere.
FOREIGN_VARIABLES = (
    "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "PIP_USER", "PIP_TARGET", "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV", "UV_PROJECT_ENVIRONMENT", "UV_SYSTEM_PYTHON", "UV_PYTHON",
)  # fmt: skip
# pip's option -> uv's environment variable: the machine's index settings are the same for both.
UV_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
}
OLDER_NAMES = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}


class BootstrapError(Exception):
    """Something outside this script must change first; the message says what."""


def find_packages() -> list[str]:
    """Returns the folder of each package; one without a pyproject.toml, such as a removed branch leaves, is none."""
    found = [path for pattern in PACKAGES for path in sorted(ROOT.glob(pattern))]
    return [path.relative_to(ROOT).as_posix() for path in found if (path / "pyproject.toml").is_file()]


def digest(*paths: Path) -> str:
    """Returns one hash over the contents of the files, in order."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes() + b"\0")
    return total.hexdigest()


def interpreter() -> dict[str, str]:
    """Names the interpreter an environment was made from; the same inside that environment."""
    return {"root": str(ROOT), "prefix": sys.base_prefix, "version": sys.version}


def wanted_tools() -> dict[str, str]:
    return interpreter() | {"uv": digest(UV_REQUIREMENTS)}


def wanted_environment() -> dict[str, str]:
    projects = [ROOT / folder / "pyproject.toml" for folder in find_packages()]
    return interpreter() | {"lock": digest(LOCK), "packages": digest(Path(__file__), *projects)}


def read_stamp(path: Path) -> dict[str, str]:
    """Returns what a finished installation was made from; empty when there is none."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        # Absent or half-written both mean the same: not finished.
        return {}
    return content if isinstance(content, dict) else {}


def is_finished() -> bool:
    return not UNFINISHED.exists() and read_stamp(STAMP) == wanted_environment()


def base_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
    return kept | {
        "UV_CACHE_DIR": str(CACHE / "uv"),
        "PIP_CACHE_DIR": str(CACHE / "pip"),
        "UV_PYTHON_DOWNLOADS": "never",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


class Bootstrap:
    """One run, holding the checkout's lock."""

    def __init__(self, lock_fd: int) -> None:
        self._lock_fd = lock_fd
        self._environment = base_environment()

    def run(self, *command: str | Path) -> None:
        # The child keeps the lock open: if this process is killed, its orphan still excludes the next run.
        result = subprocess.run(
            [str(part) for part in command],
            env=self._environment,
            cwd=ROOT,
            pass_fds=(self._lock_fd,),
            check=False,
        )
        if result.returncode != 0:
            name = " ".join(
                Path(part).name if Path(part).is_absolute() else str(part) for part in command[:4]
            )
            raise BootstrapError(
                f"`{name} …` failed with exit code {result.returncode} (its output is above)"
            )

    def make_tools(self) -> None:
        """Makes .tools with the one pinned uv, hash-checked."""
        if not UNFINISHED.exists() and read_stamp(TOOLS_STAMP) == wanted_tools():
            return
        require_venv_module()
        begin_changes()
        shutil.rmtree(TOOLS, ignore_errors=True)
        self.run(sys.executable, "-I", "-m", "venv", TOOLS)
        pip_environment = self._environment
        if "PIP_INDEX_URL" not in pip_environment:
            chosen = pip_environment.get("UV_DEFAULT_INDEX") or pip_environment.get("UV_INDEX_URL")
            if chosen:
                pip_environment["PIP_INDEX_URL"] = chosen
        self.run(
            TOOLS / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes",
            "--only-binary=:all:", "-r", UV_REQUIREMENTS,
        )  # fmt: skip
        TOOLS_STAMP.write_text(json.dumps(wanted_tools()))

    def use_pip_index(self) -> None:
        """Gives uv the index settings that pip has on this machine, unless uv has its own."""
        # As pip does: the best version of all indexes. Safe here because every file is checked by hash.
        self._environment.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
        for option, value in self.pip_settings().items():
            variable = UV_VARIABLES.get(option)
            if variable is None or not value.strip():
                continue
            if variable in self._environment or OLDER_NAMES.get(variable, variable) in self._environment:
                continue
            separator = "," if variable == "UV_FIND_LINKS" else " "
            self._environment[variable] = separator.join(value.split())

    def pip_settings(self) -> dict[str, str]:
        output = subprocess.run(
            [TOOLS / "bin" / "python", "-m", "pip", "config", "list"],
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
        for line in output.splitlines():
            key, _, value = line.partition("=")
            section, _, option = key.rpartition(".")
            if section in sections:
                sections[section][option] = str(ast.literal_eval(value))
        return sections["global"] | sections["install"] | sections[":env:"]

    def make_environment(self) -> None:
        """Brings .venv to what the lock and the packages' metadata say."""
        wanted, present = wanted_environment(), read_stamp(STAMP)
        rebuild = UNFINISHED.exists() or any(present.get(key) != wanted[key] for key in interpreter())
        begin_changes()
        STAMP.unlink(missing_ok=True)
        uv = TOOLS / "bin" / "uv"
        if rebuild:
            print("bootstrap: making .venv", flush=True)
            shutil.rmtree(VENV, ignore_errors=True)
            self.run(uv, "venv", "--quiet", "--no-project", "--python", sys.executable, VENV)
        python = VENV / "bin" / "python"
        if rebuild or present.get("lock") != wanted["lock"]:
            # --compile-bytecode: five services start side by side, and none should compile its imports.
            self.run(
                uv,
                "pip",
                "sync",
                "--quiet",
                "--require-hashes",
                "--compile-bytecode",
                "--python",
                python,
                LOCK,
            )
        editables = [
            argument for folder in find_packages() for argument in ("--editable", str(ROOT / folder))
        ]
        self.run(
            uv,
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--python",
            python,
            *editables,
        )
        STAMP.write_text(json.dumps(wanted))

    def compile_lock(self) -> None:
        """Writes requirements.lock and uv's own requirements; no index address gets into either."""
        for source, target in (
            (ROOT / "requirements.in", LOCK),
            (UV_REQUIREMENTS.with_suffix(".in"), UV_REQUIREMENTS),
        ):
            self.run(
                TOOLS / "bin" / "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11",
                "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-annotate",
                "--custom-compile-command", "make lock", source.relative_to(ROOT),
                "-o", target.relative_to(ROOT),
            )  # fmt: skip


def begin_changes() -> None:
    UNFINISHED.touch()


def has_module(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    # A folder left without its modules is found too, but has no origin.
    return spec is not None and spec.origin is not None


def require_venv_module() -> None:
    missing = [name for name in ("venv", "ensurepip") if not has_module(name)]
    if missing:
        raise BootstrapError(
            f"this Python ({sys.executable}) has no {' and no '.join(missing)} module; install it "
            "(Debian, Ubuntu: apt-get install python3-venv) or name another Python: "
            "PYTHON=/path/to/python make venv"
        )


def open_lock() -> int:
    """Waits until no other bootstrap works on this checkout."""
    CACHE.mkdir(exist_ok=True)
    fd = os.open(CACHE / "bootstrap.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("bootstrap: another one is at work in this checkout, waiting for it", flush=True)
        fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def main(arguments: list[str]) -> None:
    if arguments == ["--check"]:
        raise SystemExit(0 if is_finished() else 1)
    if arguments not in ([], ["lock"]):
        raise BootstrapError(f"unknown arguments {arguments}; usage: scripts/bootstrap [lock]")
    bootstrap = Bootstrap(open_lock())
    if not arguments and is_finished():
        return
    bootstrap.make_tools()
    bootstrap.use_pip_index()
    if arguments == ["lock"]:
        bootstrap.compile_lock()
    else:
        bootstrap.make_environment()
        UNFINISHED.unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BootstrapError as error:
        sys.exit(f"bootstrap: {error}")
    except KeyboardInterrupt:
        sys.exit("bootstrap: interrupted; run it again")
