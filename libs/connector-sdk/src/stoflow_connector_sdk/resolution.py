"""Finds the service methods that a handler names, and says everything that is wrong with them."""

import inspect
import types
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from stoflow_connector_sdk.results import Absent, Found, ProbeResult, TaskResult, Unclear
from stoflow_connector_sdk.specs import TaskSpec
from stoflow_connector_sdk.task import TaskContext

if TYPE_CHECKING:
    from stoflow_connector_sdk.handlers import BaseJobHandler

ServiceMethod = Callable[[TaskContext], Awaitable[TaskResult]]
ProbeMethod = Callable[[TaskContext], Awaitable[ProbeResult]]


@dataclass(frozen=True, slots=True)
class ResolvedTask:
    """A step with the methods that carry it out."""

    spec: TaskSpec
    method: ServiceMethod
    probe: ProbeMethod | None
    adopt: ServiceMethod | None = None


def resolve(handler: "BaseJobHandler") -> tuple[dict[str, ResolvedTask], list[str]]:
    """Returns a handler's steps by name, and one sentence for each mistake; with mistakes the steps are
    partial.
    """
    owner = type(handler).__name__
    service = handler.get_service()
    problems: list[str] = []
    tasks: dict[str, ResolvedTask] = {}
    seen: set[str] = set()
    for spec in handler.create_tasks():
        if spec.name in seen:
            problems.append(f"{owner}: step {spec.name!r} is declared twice")
        seen.add(spec.name)
        name = handler.get_service_method_name(spec)
        found = problems_of_method(service, name, {TaskResult}, f"{owner}: step {spec.name!r}")
        if spec.once is not None:
            found += problems_of_method(
                service, spec.once.probe, {Found, Absent, Unclear}, f"{owner}: probe of step {spec.name!r}"
            )
        if spec.once is not None and spec.once.adopt:
            where = f"{owner}: adoption of step {spec.name!r}"
            found += problems_of_method(service, spec.once.adopt, {TaskResult}, where)
        if found:
            problems += found
            continue
        probe = getattr(service, spec.once.probe) if spec.once is not None else None
        adopt = getattr(service, spec.once.adopt) if spec.once is not None and spec.once.adopt else None
        tasks[spec.name] = ResolvedTask(
            spec,
            cast(ServiceMethod, getattr(service, name)),
            cast("ProbeMethod | None", probe),
            cast("ServiceMethod | None", adopt),
        )
    return tasks, problems


def problems_of_method(service: object, name: str, results: set[type], where: str) -> list[str]:
    """Returns what is wrong with a method: its absence, or parts of its signature."""
    label = f"{where}: {type(service).__name__}.{name}"
    method = getattr(service, name, None)
    if method is None:
        return [f"{label} does not exist"]
    if not inspect.iscoroutinefunction(method):
        return [f"{label} is not an async method"]
    try:
        hints = typing.get_type_hints(method)
    except Exception as error:  # noqa: BLE001 - whatever an annotation raises, the author must read it
        return [f"{label} has annotations that cannot be read: {error}"]
    problems = []
    parameters = list(inspect.signature(method).parameters.values())
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    if len(parameters) != 1 or parameters[0].kind not in positional:
        problems.append(f"{label} must take exactly one parameter besides self, the TaskContext")
    elif hints.get(parameters[0].name) is not TaskContext:
        problems.append(f"{label}: parameter {parameters[0].name!r} must be annotated TaskContext")
    returned = _members(hints.get("return", Any))
    if not returned or not returned <= results:
        wanted = " | ".join(sorted(result.__name__ for result in results))
        problems.append(f"{label} must be annotated to return {wanted}")
    return problems


def _members(annotation: Any) -> set[Any]:
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        return set(typing.get_args(annotation))
    return {annotation}
