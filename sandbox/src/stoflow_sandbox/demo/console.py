"""What a person sees: plain lines, coloured only on a terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

TITLE_WIDTH = 26
ERROR_PREFIX = "error: "


class Reporter:
    """Prints the steps of a run with the seconds since its start."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._started = time.monotonic()
        self._as_json = as_json
        # One line stays one line, however narrow the terminal or wide the pipe.
        self._console = Console(highlight=False, soft_wrap=True, quiet=as_json)
        self._errors = Console(highlight=False, soft_wrap=True, stderr=True)

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self._started

    def heading(self, text: str) -> None:
        self._console.print(f"\n[bold]{escape(text)}[/bold]")

    def step(self, title: str, text: str) -> None:
        """Prints that something was done."""
        self._console.print(
            f"[dim]{self.elapsed_seconds:7.2f} s[/dim]  [cyan]{escape(title):<{TITLE_WIDTH}}[/cyan] {escape(text)}"
        )

    def fields(self, rows: Iterable[tuple[str, str]]) -> None:
        for name, value in rows:
            self._console.print(f"  [dim]{escape(name):<{TITLE_WIDTH}}[/dim] {escape(value)}")

    def line(self, text: str = "") -> None:
        self._console.print(escape(text))

    def command(self, text: str) -> None:
        """Prints a command so that it can be copied as it stands."""
        self._console.out(f"  {text}", highlight=False)

    def good(self, text: str) -> None:
        self._console.print(f"[green]{escape(text)}[/green]")

    def error(self, text: str) -> None:
        self._errors.print(f"[red]{ERROR_PREFIX}[/red]{escape(text)}")

    def json(self, content: Mapping[str, Any]) -> None:
        """Prints one JSON object, when that was asked for in place of the lines."""
        if self._as_json:
            print(json.dumps(content, indent=2))
