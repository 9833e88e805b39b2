"""`python -m stoflow_sandbox`: the whole system on one machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from stoflow_sandbox.demo.console import Reporter
from stoflow_sandbox.demo.errors import DemoError
from stoflow_sandbox.demo.lasting import bring_down, bring_up, show_status
from stoflow_sandbox.demo.marketplaces import choose_marketplaces
from stoflow_sandbox.demo.once import run_demo
from stoflow_sandbox.demo.settings import DemoSettings
from stoflow_sandbox.demo.signals import SIGNAL_EXIT_BASE, raise_on_signals
from stoflow_sandbox.lifeline import ProcessError
from stoflow_service_kit.settings import load_settings

FAILED = 1
INTERRUPTED = SIGNAL_EXIT_BASE + signal.SIGINT
LOOPBACK_HOSTS = "127.0.0.1,localhost"

Data = Annotated[
    Path, typer.Option(help="Folder for data: temporary for `demo`, kept between runs for `up`.")
]
ReportFile = Annotated[Path, typer.Option("--report", help="File that receives the result as JSON.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Longest wait for any one thing, in seconds.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object in place of the lines.")]

With = Annotated[
    list[str] | None,
    typer.Option("--with", help="A marketplace that takes part beside the usual ones; may be repeated."),
]

DEFAULT_DATA = Path("var")
DEFAULT_REPORT = Path("build/demo.json")
DEFAULT_TIMEOUT_SECONDS = 60.0

app = typer.Typer(
    help=(
        "The whole system on one machine: PostgreSQL and NATS, the services, the marketplace sandboxes. "
        "DATABASE_URL and NATS_URL, when set, name servers that are used in place of new ones."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def demo(
    data: Data = DEFAULT_DATA,
    report: ReportFile = DEFAULT_REPORT,
    timeout: Timeout = DEFAULT_TIMEOUT_SECONDS,
    json: Json = False,
    with_: With = None,
) -> None:
    """Bring a product live on every marketplace sandbox, and stop everything again."""
    settings = load_settings(DemoSettings)
    _run(
        json,
        lambda reporter: run_demo(
            settings, choose_marketplaces(with_ or ()), data, report, timeout, reporter
        ),
    )


@app.command()
def up(
    data: Data = DEFAULT_DATA,
    report: ReportFile = DEFAULT_REPORT,
    timeout: Timeout = DEFAULT_TIMEOUT_SECONDS,
    json: Json = False,
    with_: With = None,
) -> None:
    """The same as demo, and stay up in the background; data is kept between runs."""
    load_settings(DemoSettings)
    _run(json, lambda reporter: bring_up(choose_marketplaces(with_ or ()), data, report, timeout, reporter))


@app.command()
def down(data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Stop what up started."""

    def stop(reporter: Reporter) -> bool:
        bring_down(data, reporter)
        return True

    _run(json, stop)


@app.command()
def status(data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Say whether it is up and where its parts answer; the exit code is 1 when it is not."""
    _run(json, lambda reporter: show_status(data, reporter))


def _run(as_json: bool, command: Callable[[Reporter], bool]) -> None:
    raise_on_signals(signal.SIGTERM, signal.SIGHUP)
    # A proxy of this machine is for the world outside; everything here is on loopback.
    os.environ["NO_PROXY"] = ",".join(filter(None, [os.environ.get("NO_PROXY"), LOOPBACK_HOSTS]))
    reporter = Reporter(as_json=as_json)
    try:
        is_success = command(reporter)
    except (DemoError, ProcessError) as error:
        reporter.error(str(error))
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt:
        reporter.error("interrupted; what was started is stopped")
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(0 if is_success else FAILED)


if __name__ == "__main__":
    app(prog_name="stoflow-sandbox")
