"""Expands a manifest's action into the tasks of a job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf import json_format
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from stoflow.connector.v1.manifest_pb2 import ActionSpec, Manifest, TaskSpec
from stoflow.connector.v1.task_pb2 import ProductSnapshot

from stoflow_orchestrator.engine.intake import PlannedTask, plan_task
from stoflow_orchestrator.engine.pool import unavailable_when_unreachable
from stoflow_orchestrator.repositories import connector as connector_repository
from stoflow_orchestrator.services.json_schema import schema_violations
from stoflow_orchestrator.services.vocabulary import content_words
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError, NotFoundError

# A manifest plans within this time after its registration; reading it for every job would double the reads.
MANIFEST_CACHE_SECONDS = 1.0
UNMAPPED_RULE = "unmapped"


@dataclass(frozen=True, slots=True)
class _Cached:
    manifest: Manifest
    until: float


class Planner:
    """Knows the manifest that plans each marketplace's new jobs."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._cache: dict[str, _Cached] = {}

    async def get_manifest(self, marketplace: str) -> Manifest:
        """Returns the manifest that plans the marketplace's new jobs.

        Raises:
            NotFoundError: MARKETPLACE_NOT_FOUND.
            UnavailableError: The database cannot be reached.
        """
        cached = self._cache.get(marketplace)
        if cached is not None and cached.until > self._clock.monotonic():
            return cached.manifest
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection:
                stored = await connector_repository.find_planning_manifest(connection, marketplace)
        if stored is None:
            raise NotFoundError(
                f"No connector has registered the marketplace {marketplace!r}; start its connector first.",
                reason="MARKETPLACE_NOT_FOUND",
                metadata={"marketplace": marketplace},
            )
        manifest = Manifest.FromString(stored)
        self._cache[marketplace] = _Cached(manifest, self._clock.monotonic() + MANIFEST_CACHE_SECONDS)
        return manifest

    def forget(self, marketplace: str) -> None:
        """Makes the next job read the manifest again."""
        self._cache.pop(marketplace, None)


def find_action(manifest: Manifest, name: str) -> ActionSpec:
    """Returns an action of a manifest.

    Raises:
        InvalidArgumentError: ACTION_NOT_FOUND.
    """
    for action in manifest.actions:
        if action.name == name:
            return action
    known = ", ".join(sorted(action.name for action in manifest.actions))
    violation = FieldViolation("action", f"{manifest.display_name} has no action {name!r}; it has: {known}")
    raise InvalidArgumentError([violation], reason="ACTION_NOT_FOUND")


def check_options(action: ActionSpec, options: dict[str, Any]) -> None:
    """Checks a job's options against the action's schema.

    Raises:
        InvalidArgumentError: OPTIONS_INVALID, with every violation.
    """
    if violations := option_violations(action, options):
        raise InvalidArgumentError(violations, reason="OPTIONS_INVALID")


def option_violations(action: ActionSpec, options: dict[str, Any]) -> list[FieldViolation]:
    """Lists what is wrong with a job's options."""
    return schema_violations(action.options_schema, options, "options")


def check_product(
    action: ActionSpec, snapshot: ProductSnapshot, others: Sequence[FieldViolation] = ()
) -> None:
    """Checks whether the marketplace would take the product, as far as the action's schema tells.

    Args:
        action: What is to be done.
        snapshot: The product.
        others: What else is wrong with it.

    Raises:
        InvalidArgumentError: PRODUCT_REFUSED, with every violation.
    """
    violations = [*product_violations(action.product_schema, snapshot, "product"), *others]
    if violations:
        raise InvalidArgumentError(violations, reason="PRODUCT_REFUSED")


def product_violations(schema: str, snapshot: ProductSnapshot, field: str) -> list[FieldViolation]:
    """Lists what the marketplace would refuse of a product.

    Args:
        schema: The action's product schema; empty when it has none.
        snapshot: The product.
        field: Path of the product in the request.
    """
    if not schema:
        return []
    value = json_format.MessageToDict(snapshot, always_print_fields_with_no_presence=True)
    violations = schema_violations(schema, value, field)
    return [_explain_missing(violation, snapshot, f"{field}.mappings.") for violation in violations]


def _explain_missing(violation: FieldViolation, snapshot: ProductSnapshot, prefix: str) -> FieldViolation:
    """Says of a mapped value that is missing which word of the product is not translated."""
    if violation.rule != "required" or not violation.field.startswith(prefix):
        return violation
    attribute = violation.field.removeprefix(prefix)
    words = [w.word for w in content_words(snapshot.product.content) if w.attribute == attribute]
    if not words:
        return replace(
            violation, description=f"the marketplace asks for it, and the product has no {attribute}"
        )
    named = ", ".join(map(repr, words))
    return FieldViolation(
        violation.field,
        f"the marketplace has no value for the {attribute} {named}: add a mapping",
        UNMAPPED_RULE,
    )


def plan_tasks(action: ActionSpec, snapshot: ProductSnapshot | None) -> tuple[PlannedTask, ...]:
    """Expands the action's steps, in order; a step that fans out over images makes a task for each.

    Steps that only results append are left out.

    Raises:
        InvalidArgumentError: PRODUCT_REFUSED, for a product that leaves nothing to do.
    """
    tasks = tuple(task for spec in action.tasks if not spec.follow_up for task in _expand(spec, snapshot))
    if not tasks:
        violation = FieldViolation(
            "product.product.images", f"the action {action.name} needs at least one image"
        )
        raise InvalidArgumentError([violation], reason="PRODUCT_REFUSED")
    return tasks


def _expand(spec: TaskSpec, snapshot: ProductSnapshot | None) -> Iterator[PlannedTask]:
    if not spec.for_each:
        yield plan_task(spec, None)
        return
    images = snapshot.product.images if snapshot is not None else ()
    for index in range(len(images)):
        yield plan_task(spec, index)
