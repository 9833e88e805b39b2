"""Each package's metadata against its sources: whoever installs its wheel alone gets all that it imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest

from scripts.bootstrap import find_packages
from scripts.build_wheels import read_constraints

ROOT = Path(__file__).resolve().parents[3]
# Namespaces that several distributions share.
SHARED = {
    "stoflow": "stoflow-protos",
    "buf": "stoflow-protos",
    "google.protobuf": "protobuf",
    "google.rpc": "googleapis-common-protos",
    "google.api": "googleapis-common-protos",
}
# Used without an import: a driver behind SQLAlchemy's URL, what generated code needs, a plugin of pytest.
WITHOUT_IMPORT = {"psycopg", "grpcio", "protobuf", "pytest-asyncio"}
# stoflow_connector_sdk.conformance needs pytest, which only those have who test a connector; the extra brings it.
EXTRAS = {"libs/connector-sdk": "testing", "libs/service-kit": "database"}


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=~!; ]", name, maxsplit=1)[0]).lower()


@cache
def project(package: str) -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((ROOT / package / "pyproject.toml").read_text())["project"]
    return content


def declared(package: str) -> set[str]:
    """Returns the distributions that the package declares, with those of its extra."""
    extra = project(package).get("optional-dependencies", {}).get(EXTRAS.get(package, ""), [])
    return {normalize(line) for line in [*project(package)["dependencies"], *extra]}


def imported_modules(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            # `from google.rpc import status_pb2` and `from google import rpc` mean the same.
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "google")


@cache
def owners() -> dict[str, list[str]]:
    return {module: [normalize(name) for name in names] for module, names in packages_distributions().items()}


def owner(module: str) -> set[str]:
    """Returns the distributions of which one must be declared for the module; empty for Python's own."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return set()
    for prefix, name in SHARED.items():
        if module == prefix or module.startswith(f"{prefix}."):
            return {name}
    if top.startswith("stoflow_"):
        # Ours are installed as references to their folders, which name no module.
        return {normalize(top)}
    return set() if top == "google" else set(owners()[top])


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package / "src").rglob("*.py"))


@pytest.mark.parametrize("package", [name for name in find_packages() if name != "protos"])
def test_every_import_is_declared(package: str) -> None:
    """A package declares each distribution that it imports from; what another one happens to bring may go away."""
    own = normalize(project(package)["name"])
    missing: dict[str, str] = {}
    for path in sources(package):
        for module in imported_modules(path.read_text(encoding="utf-8")):
            needed = owner(module)
            if needed and own not in needed and not needed & declared(package):
                missing[" or ".join(sorted(needed))] = f"{path.relative_to(ROOT)} imports {module}"
    assert missing == {}


@pytest.mark.parametrize("package", [name for name in find_packages() if name not in {"protos", "sandbox"}])
def test_every_dependency_is_used(package: str) -> None:
    """A package declares nothing that it does not import, so that its image holds nothing without use."""
    used: set[str] = set()
    for path in sources(package):
        for module in imported_modules(path.read_text(encoding="utf-8")):
            used |= owner(module)
    assert sorted(declared(package) - used - WITHOUT_IMPORT) == []


def test_every_package_is_built() -> None:
    """Each folder with a package's metadata is among those that are installed and built, under its own name."""
    found = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("*/pyproject.toml")}
    found |= {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("libs/*/pyproject.toml")}
    found |= {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("examples/*/pyproject.toml")}
    assert found == set(find_packages())
    assert {normalize(project(package)["name"]) for package in find_packages()} == {
        distribution(project(package)["name"]).metadata["Name"] for package in find_packages()
    }


@pytest.mark.parametrize(
    "package",
    [name for name in find_packages() if not name.startswith("libs/") and name not in {"protos", "sandbox"}],
)
def test_every_service_has_a_program(package: str) -> None:
    """A service's wheel installs one program, whose module and function exist."""
    ((program, target),) = project(package)["scripts"].items()
    assert program in {project(package)["name"], "stoflow"}
    module, _, function = target.partition(":")
    tree = ast.parse((ROOT / package / "src" / Path(*module.split("."))).with_suffix(".py").read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_constraints_are_the_lock_without_hashes() -> None:
    """Every pin of the lock is a constraint, and none keeps a hash or a comment."""
    lock = (ROOT / "requirements.lock").read_text()
    constraints = read_constraints(lock)
    assert len(constraints) == len(re.findall(r"^[A-Za-z0-9]", lock, re.MULTILINE))
    assert not [line for line in constraints if "hash" in line or line.startswith("#") or "==" not in line]
    assert any(line.startswith("uvloop==") and "win32" in line for line in constraints)
