"""`demo`: everything is started, the story is told, everything is stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stoflow_sandbox.demo.console import Reporter
from stoflow_sandbox.demo.folders import temporary_folders
from stoflow_sandbox.demo.marketplaces import DemoMarketplace
from stoflow_sandbox.demo.ports import AnyPorts
from stoflow_sandbox.demo.report import Report, write_report
from stoflow_sandbox.demo.scenario import run_scenario, show_look_further
from stoflow_sandbox.demo.secrets_file import load_or_create
from stoflow_sandbox.demo.services import System
from stoflow_sandbox.demo.settings import DemoSettings
from stoflow_sandbox.demo.signals import run_interruptibly

LOGS_FOLDER = "demo-logs"


def run_demo(
    settings: DemoSettings,
    marketplaces: Sequence[DemoMarketplace],
    data: Path,
    report_file: Path,
    timeout_seconds: float,
    reporter: Reporter,
) -> bool:
    """Returns whether the product is live everywhere and the statistics count it; writes the report.

    Raises:
        ProcessError: A server or service did not start; its log is kept beside the report.
        DemoError: The story could not be told.
    """
    # An older report must not pass for this run's.
    report_file.unlink(missing_ok=True)
    kept_logs = report_file.parent / LOGS_FOLDER
    with temporary_folders(data, keep_logs_in=kept_logs) as folders:
        secrets = load_or_create(folders.secrets_file)
        with System(settings, folders, AnyPorts(), marketplaces, reporter, timeout_seconds) as addresses:
            report = run_interruptibly(
                lambda: run_scenario(addresses, marketplaces, secrets, reporter, timeout_seconds)
            )
            seconds = reporter.elapsed_seconds
            show_look_further(
                addresses, report, reporter, " (`make up` keeps everything running and prints these again)"
            )
    write_report(report_file, report.to_json(seconds))
    reporter.json(report.to_json(seconds))
    reporter.line()
    _conclude(report, report_file, seconds, reporter)
    return report.is_success


def _conclude(report: Report, report_file: Path, seconds: float, reporter: Reporter) -> None:
    if not report.is_success:
        states = ", ".join(f"{name}: {listing.state}" for name, listing in report.listings.items())
        reporter.error(f"not live everywhere ({states}), or not counted ({report.success_count})")
        return
    live = ", ".join(report.listings)
    reporter.good(
        f"Live on {live} and counted after {seconds:.1f} s; everything is stopped. Report: {report_file}"
    )
