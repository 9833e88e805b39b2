"""`make new-connector`: what it makes works as made, and what is in the way is said before anything is written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from scripts.new_connector import (
    Names,
    NewConnectorError,
    enter,
    main,
    make_connector,
    name_problems,
    render,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The parts of a checkout that a connector is made in."""
    root = tmp_path / "a checkout"
    for folder in ("templates", "sandbox/src"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "tests").mkdir()
    for file in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(ROOT / file, root / file)
    return root


def content_of(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def run_in(root: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=root,
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def test_generated_connector_passes_its_tests_as_generated(checkout: Path) -> None:
    """Conformance, rules and actions against its own sandbox pass; two dashes in a name are no hindrance."""
    make_connector(checkout, "my-second-shop")
    path = os.pathsep.join([str(checkout / "connector-my-second-shop/src"), str(checkout / "sandbox/src")])
    done = run_in(checkout, "pytest", "tests", "-q", "-p", "no:cacheprovider", PYTHONPATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed.group(1)) >= 16
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("name", ["depop", "zz-top", "a-shop-with-a-long-name1"])
def test_generated_code_keeps_the_rules_of_the_workspace(checkout: Path, name: str) -> None:
    """Format and lint pass whatever the name's length and place in the alphabet."""
    files = [str(path) for path in make_connector(checkout, name) if path.suffix == ".py"]
    assert len(files) > 25
    for check in (["check"], ["format", "--check"]):
        done = run_in(checkout, "ruff", *check, "--no-cache", *files)
        assert done.returncode == 0, done.stdout


def test_every_list_of_packages_names_every_connector() -> None:
    """Whatever list of pyproject.toml names one connector names them all, and so does the generator's result."""
    text = (ROOT / "pyproject.toml").read_text()
    folders = [path.parent for path in ROOT.glob("*/pyproject.toml")]
    folders += [path.parent for path in ROOT.glob("examples/*/pyproject.toml")]
    names = [path.name.removeprefix("connector-") for path in folders if path.name.startswith("connector-")]
    assert {"ebay", "etsy", "vinted"} <= set(names)
    entered = enter(text, Names("some-shop"))
    tomllib.loads(entered)
    counts = Counter(re.findall(r"\bstoflow_connector_([a-z0-9_]+)", entered))
    paths = Counter(re.findall(r'connector-([a-z0-9-]+)/src"', entered))
    assert {name: counts[name] for name in (*names, "some_shop")} == dict.fromkeys(
        (*names, "some_shop"), counts["ebay"]
    )
    assert {name: paths[name] for name in (*names, "some-shop")} == dict.fromkeys(
        (*names, "some-shop"), paths["ebay"]
    )
    assert counts["ebay"] >= 5


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Depop", "no marketplace's name"),
        ("de pop", "no marketplace's name"),
        ("2nd", "no marketplace's name"),
        ("-shop", "no marketplace's name"),
        ("shop--two", "no marketplace's name"),
        ("my_shop", "no marketplace's name"),
        ("x" * 25, "no marketplace's name"),
        ("", "no marketplace's name"),
        ("../../elsewhere", "no marketplace's name"),
        ("ebay", "already"),
        ("sdk", "reserved"),
        ("base", "reserved"),
        ("class", "word of Python"),
        ("gateway", "reserved"),
    ],
)
def test_bad_name_is_refused_with_the_reason(name: str, reason: str) -> None:
    """A name that is malformed, taken or reserved gives one sentence that says so."""
    assert any(reason in problem for problem in name_problems(ROOT, name))


def test_second_run_refuses_and_changes_nothing(checkout: Path) -> None:
    """A connector that is there already is left as it is, to the last byte."""
    make_connector(checkout, "depop")
    before = content_of(checkout)
    with pytest.raises(NewConnectorError, match="already: connector-depop"):
        make_connector(checkout, "depop")
    assert content_of(checkout) == before


def test_one_file_in_the_way_is_named_and_nothing_is_written(checkout: Path) -> None:
    """A file that would be overwritten is named, and no other file is written."""
    taken = checkout / "tests" / "conformance" / "test_depop.py"
    taken.parent.mkdir(parents=True)
    taken.write_text("# somebody's own")
    before = content_of(checkout)
    with pytest.raises(NewConnectorError, match=re.escape("tests/conformance/test_depop.py")):
        make_connector(checkout, "depop")
    assert content_of(checkout) == before


def test_no_placeholder_is_left() -> None:
    """Rendered files name the marketplace wherever the template has a placeholder."""
    for path, content in render(ROOT, Names("depop")).items():
        assert not re.search(r"\$\{|PACKAGE|NAME\b", f"{path} {content.replace('NAME=depop', '')}"), path


def test_help_and_errors_tell_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    """--help names the guide; a bad name ends with exit code 1 and one line on stderr, no traceback."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "docs/adding-a-marketplace.md" in capsys.readouterr().out
    assert main(["Depop"]) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("new-connector: 'Depop' is no marketplace's name")
    assert shown.out == ""
