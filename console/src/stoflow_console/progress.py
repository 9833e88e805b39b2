"""How far a command has come, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import Progress as RichProgress
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

T = TypeVar("T")


class Progress:
    """Counts what passes; shows nothing where nobody looks."""

    def __init__(self, *, is_shown: bool) -> None:
        self._bar = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.completed} {task.description}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not is_shown,
        )
        self._task = self._bar.add_task("rows", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def follow(self, items: Iterable[T]) -> Iterator[T]:
        """Yields the items and counts them."""
        for item in items:
            yield item
            self._bar.advance(self._task)

    def begin(self, what: str, total: int) -> Callable[[], None]:
        """Begins to count something else; returns what counts one."""
        task = self._bar.add_task(what, total=total)
        return lambda: self._bar.advance(task)
