"""Builds a wheel of every package into dist/, with the lock's versions as constraints for whoever installs one.

Nothing is fetched: the build backend is the locked one of this environment.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.bootstrap import find_packages

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
CONSTRAINTS = "constraints.txt"


class BuildError(Exception):
    """A package did not build; its own message is already on stderr."""


def read_constraints(lock: str) -> list[str]:
    """Returns the lock's pins, without the hashes that it has for the wheels of others.

    With hashes pip and uv would demand them of our own wheels as well, which nobody can lock before they are built.
    """
    joined = lock.replace("\\\n", " ")
    lines = [line.partition(" --hash")[0].strip() for line in joined.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def build(packages: Sequence[str], target: Path) -> list[Path]:
    """Builds the packages and writes the constraints; what was in the folder is removed.

    Returns:
        The wheels, in the packages' order.

    Raises:
        BuildError: A package did not build.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    wheels: list[Path] = []
    for package in packages:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
        done = subprocess.run(command, cwd=ROOT / package, stdout=subprocess.DEVNULL, check=False)
        made = sorted(set(target.glob("*.whl")) - set(wheels))
        if done.returncode or len(made) != 1:
            raise BuildError(f"{package} did not build")
        wheels += made
    (target / CONSTRAINTS).write_text("\n".join(read_constraints(LOCK.read_text())) + "\n")
    return wheels


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="Builds a wheel of every package.")
    parser.add_argument(
        "packages", nargs="*", help=f"folders of packages; by default {' '.join(find_packages())}"
    )
    parser.add_argument("--target", type=Path, default=ROOT / "dist", help="where to; emptied first")
    parsed = parser.parse_args(arguments)
    for wheel in build(parsed.packages or find_packages(), parsed.target.resolve()):
        print(wheel.name)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BuildError as error:
        sys.exit(f"build_wheels: {error}")
