"""ARCHITECTURE.md and the decision records against the code: whatever they name exists."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from google.protobuf.descriptor import FileDescriptor
from sqlalchemy import Table

from stoflow_orchestrator.lifecycle import JOB_ARROWS, TASK_ARROWS
from stoflow_orchestrator.migrations import runner
from stoflow_orchestrator.models.base import PublicBase, TenantBase
from stoflow_stats_service.models import Base as StatsBase

ROOT = Path(__file__).resolve().parents[3]
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
DOCUMENTS = [ARCHITECTURE, *RECORDS]
# Where a path that does not begin at the root may begin.
SOURCES = sorted(
    path.parent
    for folder in ("orchestrator", "stats-service", "sandbox", "libs/*", "connector-*")
    for path in ROOT.glob(f"{folder}/src/*")
    if path.is_dir()
)
PACKAGES = sorted(path for source in SOURCES for path in source.glob("stoflow_*"))

_CODE = re.compile(r"`([^`\n]+)`")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TABLE = re.compile(r"`(public|user_\{id\}|stats)\.([a-z_]+)`")
# Two humps at least, so that words like PENDING or Python stay out.
_NAME = re.compile(r"\b[A-Z][a-z0-9]+(?:[A-Z][A-Za-z0-9]*)+\b")
_LINK = re.compile(r"\]\(([^)\s]+)\)")

# Names of others that look like ours.
FOREIGN_NAMES = {
    "PostgreSQL", "JetStream", "GitHub", "StoFlow", "OpenAPI", "OAuth", "FastAPI", "WebSocket", "KiB", "MiB",
    # google.rpc
    "ErrorInfo", "BadRequest", "RetryInfo", "PreconditionFailure",
}  # fmt: skip


@cache
def read(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def prose(document: Path) -> str:
    """Returns the text without its fenced blocks."""
    return _BLOCK.sub("", read(document))


def diagrams(document: Path, kind: str) -> Iterator[str]:
    """Yields the Mermaid diagrams of a kind, without their first line."""
    for language, content in _BLOCK.findall(read(document)):
        if language == "mermaid" and content.split(maxsplit=1)[0] == kind:
            yield content.split("\n", 1)[1]


@cache
def tables() -> dict[str, Table]:
    """Returns every table by its name in the documents."""
    assert runner.MODELS, "importing the runner imports the models"
    schemas = {"public": PublicBase, "user_{id}": TenantBase, "stats": StatsBase}
    return {
        f"{schema}.{table.name}": table
        for schema, base in schemas.items()
        for table in base.metadata.tables.values()
    }


@cache
def contract() -> list[FileDescriptor]:
    """Returns every file of the contract."""
    generated = ROOT / "protos" / "gen"
    return [
        importlib.import_module(".".join(path.relative_to(generated).with_suffix("").parts)).DESCRIPTOR
        for path in sorted((generated / "stoflow").rglob("*_pb2.py"))
    ]


def services() -> dict[str, set[str]]:
    """Returns the methods of each service of the contract."""
    return {
        name: {method.name for method in service.methods}
        for file in contract()
        for name, service in file.services_by_name.items()
    }


@cache
def known_names() -> set[str]:
    """Returns the names of classes, messages, enums, services and methods."""
    names = set(FOREIGN_NAMES)
    for file in contract():
        names |= {*file.message_types_by_name, *file.enum_types_by_name}
    for service, methods in services().items():
        names |= {service, *methods}
    for package in PACKAGES:
        for path in package.rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    return names


def is_path(code: str) -> bool:
    """Whether a piece of code in the text is meant as a path of the repository."""
    if any(sign in code for sign in " {}():") or code.startswith("/"):
        return False
    return "/" in code or code.endswith((".py", ".proto"))


def exists(path: str) -> bool:
    places = [ROOT, *SOURCES, *PACKAGES, *(package / "runtime" for package in PACKAGES)]
    return any((place / path).exists() for place in places)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_named_exists(document: Path) -> None:
    """A file or folder that a document names is there, from the root or from a package's sources."""
    named = {code for code in _CODE.findall(prose(document)) if is_path(code)}
    assert sorted(path for path in named if not exists(path)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    """A relative link leads to a file, and one within the document to a heading."""
    headings = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in read(document).splitlines()
        if line.startswith("#")
    }
    for target in _LINK.findall(prose(document)):
        path, _, anchor = target.partition("#")
        if path:
            assert (document.parent / path).exists(), target
        else:
            assert anchor in headings, target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_table_named_exists(document: Path) -> None:
    """A table that a document names, with its schema, is known to SQLAlchemy."""
    named = {f"{schema}.{name}" for schema, name in _TABLE.findall(prose(document))}
    assert sorted(named - tables().keys()) == []


def test_diagrams_of_tables_name_real_tables_and_columns() -> None:
    """Each entity of the ER diagrams is a table, and each attribute one of its columns."""
    by_name = {table.name: table for table in tables().values()}
    seen: set[str] = set()
    for diagram in diagrams(ARCHITECTURE, "erDiagram"):
        for left, right in re.findall(r"^ *(\w+) [|}o]{2}(?:--|\.\.)[|{o]{2} (\w+) :", diagram, re.MULTILINE):
            seen |= {left, right}
        for entity, body in re.findall(r"^ *(\w+) \{\n(.*?)^ *\}$", diagram, re.MULTILINE | re.DOTALL):
            seen.add(entity)
            drawn = {line.split()[1] for line in body.splitlines()}
            assert sorted(drawn - set(by_name[entity].columns.keys())) == [], entity
    assert sorted(seen - by_name.keys()) == []
    assert "live_jobs" in seen


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_rpc_and_class_named_exists(document: Path) -> None:
    """A name in capitals and humps, in prose or diagram, is a method, message or service, or a class of ours."""
    named = set(_NAME.findall(read(document)))
    assert sorted(named - known_names()) == []


def test_table_of_services_tells_the_truth() -> None:
    """Each line of the contract's table names methods that its service has."""
    rows = re.findall(r"^\| `(\w+Service)` \| ([\w, ]+) \|$", read(ARCHITECTURE), re.MULTILINE)
    assert len(rows) >= 7
    for service, methods in rows:
        assert sorted(set(methods.split(", ")) - services()[service]) == [], service


@pytest.mark.parametrize(("heading", "arrows"), [("Job", JOB_ARROWS), ("Task", TASK_ARROWS)])
def test_diagrams_of_states_list_every_arrow(heading: str, arrows: dict[tuple[str, str], str]) -> None:
    """The life cycles are drawn as lifecycle.py has them: no arrow is missing and none is invented."""
    section = read(ARCHITECTURE).split(f"\n### {heading}\n", 1)[1]
    drawn = re.findall(r"^ *(\w+) --> (\w+): (\w+)$", section.split("```")[1], re.MULTILINE)
    assert sorted(drawn) == sorted(
        (str(state), str(target), str(event)) for (state, event), target in arrows.items()
    )


def test_decision_records_have_their_four_parts_and_numbers_without_gaps() -> None:
    """Each record tells context, one quotable decision, consequences and alternatives, under its own number."""
    assert [path.name[:4] for path in RECORDS] == [f"{n:04}" for n in range(1, len(RECORDS) + 1)]
    for record in RECORDS:
        text = read(record)
        assert text.startswith(f"# {record.name[:4]} ")
        parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences", "Alternatives"], record.name
        decision = text.split("## Decision\n", 1)[1].split("## ", 1)[0]
        assert len(re.findall(r"(?:^> .*\n)+", decision, re.MULTILINE)) == 1, record.name


def test_decisions_that_the_code_names_exist() -> None:
    """A comment that points at a decision points at a record."""
    numbers = {path.name[:4] for path in RECORDS}
    for package in PACKAGES:
        for path in package.rglob("*.py"):
            named = set(re.findall(r"\bdecision (\d{4})\b", path.read_text(encoding="utf-8")))
            assert sorted(named - numbers) == [], path
