"""Steps of a history with their weights.

A machine has one rule that chooses among them: rules of their own would be switched on and off for whole histories by
hypothesis, and a history without its starts or without its reports tells little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., None])


@dataclass(frozen=True)
class Action:
    """A method of a machine that may be a step of a history."""

    name: str
    weight: int
    when: Callable[[Any], object]
    arguments: dict[str, Sequence[Any]]


def action(
    weight: int, when: Callable[[Any], object] = lambda _: True, **arguments: Sequence[Any]
) -> Callable[[Method], Method]:
    """Makes a method a step.

    Args:
        weight: How often it is chosen, compared with the others.
        when: Tells whether it makes sense now.
        arguments: What its arguments are chosen from.
    """

    def mark(method: Method) -> Method:
        method._action = Action(method.__name__, weight, when, arguments)  # type: ignore[attr-defined]
        return method

    return mark


def actions_of(machine: type) -> list[Action]:
    """Lists the steps of a machine's class."""
    members = (getattr(machine, name) for name in dir(machine))
    return [member._action for member in members if hasattr(member, "_action")]
