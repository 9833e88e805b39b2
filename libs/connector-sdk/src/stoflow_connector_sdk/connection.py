"""The action "connect", the same for every marketplace with OAuth: exchanges the code and saves what it gives."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_sdk.credentials import CodeExchanger
from stoflow_connector_sdk.handlers import BaseJobHandler
from stoflow_connector_sdk.results import TaskResult
from stoflow_connector_sdk.specs import Priority, TaskSpec
from stoflow_connector_sdk.task import TaskContext

CONNECT_ACTION = "connect"
EXCHANGE_SECONDS = 60.0


class ConnectionService:
    """Brings an account into connection."""

    def __init__(self, exchanger: CodeExchanger) -> None:
        self._exchanger = exchanger

    async def exchange_code(self, task: TaskContext) -> TaskResult:
        """Exchanges the code that the seller's consent gave; what it gives is saved before the task is reported.

        Raises:
            PermanentError: The marketplace or the orchestrator refuses; the seller must begin again.
            RetryableError: The marketplace did not answer; the code is tried again.
        """
        authorization = await task.get_authorization()
        if authorization is not None:
            await task.connect_account(authorization, self._exchanger)
        return TaskResult()


class ConnectHandler(BaseJobHandler):
    """Declares the one step. A person waits for it, and codes live for minutes."""

    action: ClassVar[str] = CONNECT_ACTION
    default_priority: ClassVar[Priority] = Priority.CRITICAL
    default_max_retries: ClassVar[int] = 5
    expire_after_seconds: ClassVar[float] = 600

    def __init__(self, exchanger: CodeExchanger) -> None:
        self._service = ConnectionService(exchanger)

    def get_service(self) -> ConnectionService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return [TaskSpec("exchange_code", start_to_close_timeout_seconds=EXCHANGE_SECONDS + 30)]
