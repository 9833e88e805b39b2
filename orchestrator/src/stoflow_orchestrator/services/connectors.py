"""What connectors ask of the orchestrator: registration, leases, reports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import nats.errors
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1.manifest_pb2 import ROUTING_SESSION, Manifest
from stoflow.connector.v1.task_pb2 import TaskAssignment

from stoflow_orchestrator.engine.admission import Admission
from stoflow_orchestrator.engine.backoff import RetryPolicy
from stoflow_orchestrator.engine.commands import ReleaseTask, ReportTask, StartTask
from stoflow_orchestrator.engine.committer import Committer
from stoflow_orchestrator.engine.late_effects import keep_late_remote_id
from stoflow_orchestrator.engine.pool import unavailable_when_unreachable
from stoflow_orchestrator.engine.records import base_version
from stoflow_orchestrator.engine.routing import Router
from stoflow_orchestrator.lifecycle import JobState
from stoflow_orchestrator.messaging.hints import directives_subject
from stoflow_orchestrator.messaging.streams import DEFAULT_ROUTE, Streams, tasks_stream
from stoflow_orchestrator.repositories import connector as connector_repository
from stoflow_orchestrator.repositories import live as live_repository
from stoflow_orchestrator.repositories import session as session_repository
from stoflow_orchestrator.repositories.job import JobReader
from stoflow_orchestrator.services.image_addresses import ImageAddresses
from stoflow_orchestrator.services.planning import Planner
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_orchestrator.storable import storable_violations
from stoflow_service_kit.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    PreconditionViolation,
    UnavailableError,
)
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

# A registration outlives many heartbeats: losing it costs a connector its slots.
MIN_REGISTRATION_TTL = timedelta(seconds=15)
HEARTBEATS_A_LEASE = 3

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class ConnectorPolicy:
    """Times that every connector is told."""

    lease: timedelta
    retry: RetryPolicy

    @property
    def registration_ttl(self) -> timedelta:
        """How long a registration holds without a heartbeat."""
        return max(self.lease, MIN_REGISTRATION_TTL)

    @property
    def heartbeat_interval(self) -> timedelta:
        """How often a connector is to send heartbeats."""
        return self.lease / HEARTBEATS_A_LEASE


class ConnectorService:
    """The use cases of ConnectorService, but for credentials."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        committer: Committer,
        admission: Admission,
        streams: Streams,
        router: Router,
        planner: Planner,
        images: ImageAddresses,
        tenants: TenantDirectory,
        reader: JobReader,
        policy: ConnectorPolicy,
    ) -> None:
        self._pool = pool
        self._committer = committer
        self._admission = admission
        self._streams = streams
        self._router = router
        self._planner = planner
        self._images = images
        self._tenants = tenants
        self._reader = reader
        self._policy = policy

    async def register(self, request: rpc.RegisterConnectorRequest) -> rpc.RegisterConnectorResponse:
        """Stores the manifest and makes the instance's slots count."""
        manifest = request.manifest
        if violations := [*storable_violations(request), *manifest_violations(manifest)]:
            raise InvalidArgumentError(violations, reason="MANIFEST_INVALID")
        with unavailable_when_unreachable():
            versions = await self._store(request)
        session_actions = [a.name for a in manifest.actions if a.routing == ROUTING_SESSION]
        consumers = [DEFAULT_ROUTE]
        try:
            await self._streams.ensure_marketplace(manifest.marketplace)
            if session_actions:
                await self._streams.ensure_instance(manifest.marketplace, request.instance_id)
                consumers.append(request.instance_id)
        except nats.errors.Error as error:
            raise UnavailableError(
                "NATS does not answer; register again.", retry_after_seconds=1.0
            ) from error
        self._planner.forget(manifest.marketplace)
        self._router.learn_marketplace(manifest.marketplace, session_actions)
        with unavailable_when_unreachable():
            await self._admission.resume_supported(manifest.marketplace, versions)
        self._admission.stir([manifest.marketplace])
        response = rpc.RegisterConnectorResponse(
            stream=tasks_stream(manifest.marketplace),
            consumers=consumers,
            directives_subject=directives_subject(manifest.marketplace, UUID(request.instance_id)),
        )
        response.lease.FromTimedelta(self._policy.lease)
        response.heartbeat_interval.FromTimedelta(self._policy.heartbeat_interval)
        return response

    async def _store(self, request: rpc.RegisterConnectorRequest) -> list[str]:
        manifest = request.manifest
        async with self._pool.connection() as connection, connection.transaction():
            stored = await connector_repository.store_manifest(
                connection, manifest.marketplace, manifest.version, manifest.SerializeToString()
            )
            known = Manifest.FromString(stored)
            if known.oauth != manifest.oauth or known.HasField("oauth") != manifest.HasField("oauth"):
                # Our application's id at the marketplace is no content: it differs by environment.
                known.ClearField("oauth")
                if manifest.HasField("oauth"):
                    known.oauth.CopyFrom(manifest.oauth)
                await connector_repository.replace_manifest(
                    connection, manifest.marketplace, manifest.version, known.SerializeToString()
                )
            if known != manifest:
                raise AlreadyExistsError(
                    f"Version {manifest.version} of the {manifest.marketplace} manifest is registered with other "
                    "content; raise the version.",
                    reason="MANIFEST_CONFLICT",
                    metadata={"marketplace": manifest.marketplace, "version": manifest.version},
                )
            if manifest.default_mappings:
                mappings = {(m.attribute, m.key): m.value for m in manifest.default_mappings}
                await connector_repository.save_default_mappings(
                    connection,
                    manifest.marketplace,
                    [(attribute, key, value) for (attribute, key), value in mappings.items()],
                )
            supported = (manifest.version, *request.supported_versions)
            versions = list(dict.fromkeys(base_version(version) for version in supported))
            await connector_repository.register(
                connection,
                UUID(request.instance_id),
                manifest.marketplace,
                versions,
                request.slots,
                self._policy.registration_ttl,
            )
            await session_repository.save_route(
                connection,
                manifest.marketplace,
                [action.name for action in manifest.actions if action.routing == ROUTING_SESSION],
            )
        return versions

    async def start(self, request: rpc.StartTasksRequest) -> rpc.StartTasksResponse:
        """Decides each start by itself."""
        instance_id = UUID(request.instance_id)
        commands = [
            StartTask(
                instance_id=instance_id,
                tenant_id=start.command.tenant_id,
                job=UUID(start.command.job_id),
                task_id=UUID(start.command.task_id),
                dispatch=start.command.dispatch,
                lease_token=UUID(start.lease_token),
                lease=self._policy.lease,
            )
            for start in request.starts
        ]
        answers: list[rpc.TaskStartResult | Exception] = await self._committer.run_all(commands)
        results = _all_or_raise(answers)
        if all(r.decision == rpc.START_DECISION_UNAVAILABLE for r in results):
            await self._require_registered(instance_id)
        for start, result in zip(request.starts, results, strict=True):
            if result.decision == rpc.START_DECISION_GRANTED:
                self._sign_images(start.command.tenant_id, result.assignment)
        return rpc.StartTasksResponse(results=results)

    async def _require_registered(self, instance_id: UUID) -> None:
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection:
                cursor = await connector_repository.load_instances(connection, [instance_id])
                known = await connector_repository.read_instances(cursor)
        if not known:
            raise connector_not_registered(instance_id)

    def _sign_images(self, tenant_id: int, assignment: TaskAssignment) -> None:
        for image in assignment.product.product.images:
            image.url = self._images.sign(tenant_id, image.content_sha256)

    async def heartbeat(self, request: rpc.HeartbeatTasksRequest) -> rpc.HeartbeatTasksResponse:
        """Extends the registration and the leases."""
        instance_id = UUID(request.instance_id)
        leases = [(UUID(x.job_id), UUID(x.task_id), UUID(x.lease_token)) for x in request.leases]
        held: dict[UUID, JobState] = {}
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection, connection.transaction():
                if leases:
                    held = await live_repository.extend_leases(connection, leases, self._policy.lease)
                refreshed = await connector_repository.refresh(
                    connection, instance_id, request.slots, self._policy.registration_ttl
                )
        if refreshed is not None and refreshed[1]:
            self._admission.stir([refreshed[0]])
        return rpc.HeartbeatTasksResponse(
            results=[
                rpc.TaskHeartbeatResult(task_id=lease.task_id, directive=_directive(held.get(task_id)))
                for lease, (_, task_id, _) in zip(request.leases, leases, strict=True)
            ],
            must_register=refreshed is None,
            must_drain=refreshed is not None and refreshed[2],
        )

    async def report(self, request: rpc.ReportTasksRequest) -> rpc.ReportTasksResponse:
        """Decides each report by itself."""
        instance_id = UUID(request.instance_id)
        results: list[rpc.TaskReportResult | None] = []
        commands: list[ReportTask] = []
        for report in request.reports:
            problems = storable_violations(report)
            results.append(_invalid(report.task_id, problems) if problems else None)
            if not problems:
                commands.append(
                    ReportTask(
                        instance_id=instance_id,
                        tenant_id=report.tenant_id,
                        job=UUID(report.job_id),
                        task_id=UUID(report.task_id),
                        lease_token=UUID(report.lease_token),
                        report=report,
                        retry=self._policy.retry,
                        next_lease_token=UUID(report.next_lease_token) if report.next_lease_token else None,
                        lease=self._policy.lease,
                    )
                )
        answers: list[rpc.TaskReportResult | Exception] = await self._committer.run_all(commands)
        decided = _all_or_raise(answers)
        await self._recognize_archived(commands, decided)
        for command, result in zip(commands, decided, strict=True):
            if result.HasField("next"):
                self._sign_images(command.tenant_id, result.next.assignment)
        following = iter(decided)
        return rpc.ReportTasksResponse(results=[r if r is not None else next(following) for r in results])

    async def _recognize_archived(
        self, commands: Sequence[ReportTask], results: Sequence[rpc.TaskReportResult]
    ) -> None:
        # A report whose answer was lost may come again after its job was archived.
        stale = [
            (command, result)
            for command, result in zip(commands, results, strict=True)
            if result.decision == rpc.REPORT_DECISION_STALE_LEASE
        ]
        for tenant_id in {command.report.tenant_id for command, _ in stale}:
            mine = [(c, r) for c, r in stale if c.report.tenant_id == tenant_id]
            if not await self._tenants.is_known(tenant_id):
                continue
            with unavailable_when_unreachable():
                async with self._reader.snapshot(tenant_id) as snapshot:
                    tokens = await snapshot.find_accepted_tokens([c.task_id for c, _ in mine])
                    late = [c for c, _ in mine if c.report.success.remote_id and _is_news(c, tokens)]
                    keys = await snapshot.find_effect_keys([c.task_id for c in late]) if late else {}
            for command, result in mine:
                if tokens.get(command.task_id) == command.lease_token:
                    result.decision = rpc.REPORT_DECISION_ACCEPTED
                elif command.task_id in keys:
                    remote_id = command.report.success.remote_id
                    with unavailable_when_unreachable():
                        await keep_late_remote_id(self._pool, keys[command.task_id], remote_id)

    async def release(self, request: rpc.ReleaseTasksRequest) -> rpc.ReleaseTasksResponse:
        """Takes leases back without burning a retry."""
        instance_id = UUID(request.instance_id)
        if request.deregister:
            # First: the released tasks must not be counted on this instance again.
            with unavailable_when_unreachable():
                async with self._pool.connection() as connection, connection.transaction():
                    await connector_repository.deregister(connection, instance_id)
        commands = [
            ReleaseTask(instance_id, UUID(x.job_id), UUID(x.task_id), UUID(x.lease_token))
            for x in request.leases
        ]
        answers: list[Exception | None] = await self._committer.run_all(commands)
        _all_or_raise(answers)
        return rpc.ReleaseTasksResponse()


def connector_not_registered(instance_id: UUID) -> FailedPreconditionError:
    """Makes the error for an instance that is not known, or no longer."""
    message = "This connector instance is not registered, or its registration expired: register again."
    return FailedPreconditionError(
        message,
        reason="CONNECTOR_NOT_REGISTERED",
        metadata={"instance_id": str(instance_id)},
        preconditions=[PreconditionViolation("REGISTRATION", f"connectors/{instance_id}", message)],
    )


def _is_news(command: ReportTask, tokens: Mapping[UUID, UUID | None]) -> bool:
    return command.task_id in tokens and tokens[command.task_id] != command.lease_token


def manifest_violations(manifest: Manifest) -> list[FieldViolation]:
    """Lists what is wrong with a manifest beyond its fields' own rules."""
    violations = list(
        _schema_violations("manifest.account_settings_schema", manifest.account_settings_schema)
    )
    for index, action in enumerate(manifest.actions):
        path = f"manifest.actions[{index}]"
        violations += _schema_violations(f"{path}.options_schema", action.options_schema)
        violations += _schema_violations(f"{path}.product_schema", action.product_schema)
        for place, task in enumerate(action.tasks):
            if task.for_each and not action.requires_product:
                violations.append(
                    FieldViolation(f"{path}.tasks[{place}].for_each", "needs an action with requires_product")
                )
            if task.for_each and task.follow_up:
                violations.append(
                    FieldViolation(f"{path}.tasks[{place}].for_each", "a follow-up does not fan out")
                )
        if all(task.follow_up for task in action.tasks):
            violations.append(
                FieldViolation(f"{path}.tasks", "at least one step must be planned, not a follow-up")
            )
    return violations


def _schema_violations(field: str, schema: str) -> Iterable[FieldViolation]:
    if not schema:
        return
    try:
        Draft202012Validator.check_schema(json.loads(schema))
    except (ValueError, SchemaError) as error:
        detail = error.message if isinstance(error, SchemaError) else str(error)
        yield FieldViolation(field, f"is no JSON Schema (2020-12): {detail}")


def _directive(state: JobState | None) -> rpc.TaskDirective.ValueType:
    if state is None:
        return rpc.TASK_DIRECTIVE_LEASE_LOST
    if state is JobState.RUNNING:
        return rpc.TASK_DIRECTIVE_CONTINUE
    return rpc.TASK_DIRECTIVE_PAUSE if state is JobState.PAUSED else rpc.TASK_DIRECTIVE_CANCEL


def _invalid(task_id: str, problems: Sequence[FieldViolation]) -> rpc.TaskReportResult:
    return rpc.TaskReportResult(
        task_id=task_id,
        decision=rpc.REPORT_DECISION_INVALID,
        message="; ".join(f"{p.field}: {p.description}" for p in problems),
    )


def _all_or_raise(results: Sequence[ResultT | Exception]) -> list[ResultT]:
    # Every call of a connector may be repeated whole, so one item that could not be decided fails the call.
    for result in results:
        if isinstance(result, Exception):
            raise result
    return [result for result in results if not isinstance(result, Exception)]
