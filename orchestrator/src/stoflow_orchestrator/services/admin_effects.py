"""What must happen once: listed for operators, and settled by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from stoflow.admin.v1 import admin_pb2
from stoflow.admin.v1 import admin_service_pb2 as rpc

from stoflow_orchestrator.engine.commands import SettleEffect, SettleOutcome
from stoflow_orchestrator.engine.loading import load_for_commands
from stoflow_orchestrator.engine.pool import transaction, unavailable_when_unreachable
from stoflow_orchestrator.engine.publication import Publication
from stoflow_orchestrator.engine.writing import write_changes
from stoflow_orchestrator.messages.admin import effect_message
from stoflow_orchestrator.paging import decode_token, encode_token, fit_page, page_size, single_uuid
from stoflow_orchestrator.repositories import control as control_repository
from stoflow_orchestrator.repositories import effect_reading
from stoflow_orchestrator.repositories.mutation import Mutation
from stoflow_orchestrator.services.idempotency import describe_mutation, repeated_result
from stoflow_orchestrator.storable import check_storable
from stoflow_service_kit.errors import FailedPreconditionError, NotFoundError, PreconditionViolation

NO_TENANT = 0
FIRST = UUID(int=0)


class AdminEffects:
    """Lists and settles."""

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection[Any]], on_commit: Callable[[Publication], None]
    ) -> None:
        self._pool = pool
        self._on_commit = on_commit

    async def list(self, request: rpc.ListEffectsRequest) -> rpc.ListEffectsResponse:
        """Returns a page, oldest first.

        Raises:
            InvalidArgumentError: PAGE_TOKEN_INVALID.
        """
        after = decode_token(request, request.page_token, single_uuid) or FIRST
        size = page_size(request)
        state = admin_pb2.EffectState.Name(request.state or admin_pb2.EFFECT_STATE_UNRESOLVED)
        any_state = request.has_late_remote_ids and not request.state
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection:
                rows = await effect_reading.list_page(
                    connection,
                    tenant_id=request.tenant_id,
                    state="" if any_state else state.removeprefix("EFFECT_STATE_"),
                    needs_human=request.needs_human,
                    has_late=request.has_late_remote_ids,
                    after=after,
                    limit=size + 1,
                )
        effects = fit_page((effect_message(row) for row in rows), size)
        token = encode_token(request, [effects[-1].effect_id]) if len(effects) < len(rows) else ""
        return rpc.ListEffectsResponse(effects=effects, next_page_token=token)

    async def settle(self, request: rpc.SettleEffectRequest) -> admin_pb2.Effect:
        """Says what became of an effect; the job that waits for it goes on.

        Raises:
            NotFoundError: EFFECT_NOT_FOUND.
            FailedPreconditionError: EFFECT_STATE_INVALID.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        check_storable(request)
        effect_id = UUID(request.effect_id)
        mutation = describe_mutation(NO_TENANT, request.request_id, request, str(effect_id))
        with unavailable_when_unreachable():
            row = await self._get(effect_id)
            command = SettleEffect(effect_id, row.job_id, row.task_id, request.done.remote_id)
            publication = await self._carry_out(command, mutation)
            row = await self._get(effect_id)
        self._on_commit(publication)
        return effect_message(row)

    async def _get(self, effect_id: UUID) -> Any:
        async with self._pool.connection() as connection:
            row = await effect_reading.find(connection, effect_id)
        if row is None:
            raise NotFoundError(
                f"There is no effect {effect_id}.",
                reason="EFFECT_NOT_FOUND",
                metadata={"effect_id": str(effect_id)},
            )
        return row

    async def _carry_out(self, command: SettleEffect, mutation: Mutation) -> Publication:
        async with transaction(self._pool) as connection:
            changes = await load_for_commands(connection, [command])
            # After the job's lock, as everywhere.
            if (first := await control_repository.claim(connection, mutation)) is not None:
                repeated_result(mutation, first)
                return Publication()
            outcome = command.decide(changes)
            if outcome is SettleOutcome.NOT_LIVE:
                state = "DONE" if command.remote_id else "NOT_SENT"
                is_settled = await effect_reading.settle(
                    connection, command.effect_id, command.task_id, state, command.remote_id
                )
                outcome = SettleOutcome.DONE if is_settled else SettleOutcome.IS_SETTLED
            if outcome is not SettleOutcome.DONE:
                raise _refusal(command.effect_id, outcome)
            return await write_changes(connection, changes)


def _refusal(effect_id: UUID, outcome: SettleOutcome) -> FailedPreconditionError:
    message = (
        f"An attempt at effect {effect_id} runs just now; it will tell what became of it."
        if outcome is SettleOutcome.ATTEMPT_RUNS
        else f"Effect {effect_id} is settled."
    )
    return FailedPreconditionError(
        message,
        reason="EFFECT_STATE_INVALID",
        metadata={"effect_id": str(effect_id)},
        preconditions=[PreconditionViolation("EFFECT_STATE", f"effects/{effect_id}", message)],
    )
