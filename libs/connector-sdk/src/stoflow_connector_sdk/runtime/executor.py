"""One attempt: the service method within its bounds, then the report."""

import asyncio
import traceback

import structlog
from stoflow.connector.v1.connector_service_pb2 import TaskStartResult
from stoflow.connector.v1.task_pb2 import TaskReport

from stoflow_connector_sdk.definition import ConnectorDefinition
from stoflow_connector_sdk.errors import ConnectorError, EffectOutcome, RetryableError
from stoflow_connector_sdk.handlers import BaseJobHandler
from stoflow_connector_sdk.redaction import remove_secrets
from stoflow_connector_sdk.results import TaskResult
from stoflow_connector_sdk.runtime.active import ActiveTask
from stoflow_connector_sdk.runtime.conversion import failure_report, success_report
from stoflow_connector_sdk.runtime.metrics import ConnectorMetrics
from stoflow_connector_sdk.runtime.reporter import Reporter
from stoflow_connector_sdk.task import EffectMode, TaskContext, set_current_task
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)


class Executor:
    """Runs attempts."""

    def __init__(
        self, definition: ConnectorDefinition, reporter: Reporter, metrics: ConnectorMetrics, clock: Clock
    ) -> None:
        self._handlers = definition.handlers_by_action
        self._reporter = reporter
        self._metrics = metrics
        self._clock = clock

    async def run(self, active: ActiveTask) -> TaskStartResult | None:
        """Carries out one attempt and delivers its report; returns the grant of the job's next task, if any."""
        context = active.context
        # The asyncio task has a context of its own, and the next attempt in it sets the same names.
        set_current_task(context)
        structlog.contextvars.bind_contextvars(
            tenant_id=context.tenant_id,
            job_id=context.job_id,
            task_id=context.task_id,
            attempt=context.attempt,
        )
        report = await self._attempt(active)
        if report is None:
            self._count(context, "ABANDONED")
            return None
        active.reported_at = self._clock.monotonic()
        return await self._reporter.deliver(active, report)

    async def _attempt(self, active: ActiveTask) -> TaskReport | None:
        """Returns the report; None when the lease is gone or given back and there is nothing to tell."""
        context = active.context
        try:
            report = success_report(context, await self._execute(active))
        except ConnectorError as error:
            return self._failure(context, error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if context.lease.is_lost or active.is_released:
                return None
            if task is not None and task.cancelling():
                raise
            # It came out of something the service waited for, and nobody cancelled this attempt.
            return self._unexpected(context, RuntimeError("the service's own work was cancelled"))
        except Exception as error:  # noqa: BLE001 - whatever a service raises becomes a report
            return self._unexpected(context, error)
        self._count(context, "SUCCESS")
        return report

    async def _execute(self, active: ActiveTask) -> TaskResult:
        context = active.context
        handler = self._handlers.get(context.action)
        if handler is None or context.name not in handler.resolved_tasks:
            raise _before_anything_was_sent(
                context,
                f"This connector has no step {context.name!r} of action {context.action!r}.",
                code="STEP_NOT_FOUND",
            )
        remaining = active.start_to_close_seconds - (self._clock.monotonic() - active.started_at)
        if remaining <= 0 or context.lease.is_lost:
            raise _before_anything_was_sent(
                context, "The attempt's time was over before it began.", code="START_TO_CLOSE_TIMEOUT"
            )
        return await _bounded(handler, active, remaining)

    def _failure(self, context: TaskContext, error: ConnectorError) -> TaskReport:
        log.info(
            "attempt_failed",
            action=context.action,
            step=context.name,
            error_class=error.error_class.name,
            effect=error.effect.name,
            code=error.code,
            error=remove_secrets(error.message),
        )
        self._count(context, error.error_class.name)
        return failure_report(context, error)

    def _unexpected(self, context: TaskContext, error: Exception) -> TaskReport:
        # Formatted here: a traceback's text may hold a token that only this process knows to be one.
        text = remove_secrets("".join(traceback.format_exception(error)))
        log.error("attempt_crashed", action=context.action, step=context.name, traceback=text)
        self._count(context, "RETRYABLE")
        return failure_report(
            context,
            RetryableError(
                f"The connector failed unexpectedly: {type(error).__name__}: {error}",
                effect=EffectOutcome.UNKNOWN,
                code="UNEXPECTED",
            ),
        )

    def _count(self, context: TaskContext, outcome: str) -> None:
        self._metrics.count_result(context.action, context.name, outcome)


async def _bounded(handler: BaseJobHandler, active: ActiveTask, seconds: float) -> TaskResult:
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            active.is_executing = True
            try:
                result = await handler.execute(active.context)
            finally:
                active.is_executing = False
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise RetryableError(
            f"The attempt took longer than {active.start_to_close_seconds:g} s.",
            effect=EffectOutcome.UNKNOWN,
            code="START_TO_CLOSE_TIMEOUT",
        ) from error
    if not isinstance(result, TaskResult):
        raise TypeError(
            f"{type(handler).__name__}: step {active.context.name!r} returned {type(result).__name__}"
        )
    return result


def _before_anything_was_sent(context: TaskContext, message: str, *, code: str) -> RetryableError:
    is_open = context.effect is not None and context.effect.mode is not EffectMode.EXECUTE
    # This attempt sent nothing, but an earlier one may have.
    return RetryableError(
        message, effect=EffectOutcome.UNKNOWN if is_open else EffectOutcome.NOT_SENT, code=code
    )
