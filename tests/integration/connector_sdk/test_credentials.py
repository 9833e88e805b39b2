import asyncio
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from stoflow_connector_sdk import (
    AuthRequiredError,
    RefreshedTokens,
    RetryableError,
    TaskContext,
    TaskResult,
)
from stoflow_connector_sdk.testing import InMemoryOrchestrator, run_against
from tests.integration.connector_sdk.scripted import ScriptedService, make_definition

ACCOUNT = str(uuid.uuid4())


@dataclass
class Refresher:
    """A marketplace's token endpoint that rotates refresh tokens: each works once."""

    valid: str = "refresh-token-0"
    delay_seconds: float = 0.1
    error: Exception | None = None
    used: list[str] = field(default_factory=list)

    async def refresh(self, refresh_token: str) -> RefreshedTokens:
        self.used.append(refresh_token)
        await asyncio.sleep(self.delay_seconds)
        if self.error is not None:
            raise self.error
        if refresh_token != self.valid:
            raise AuthRequiredError(f"{refresh_token} was used before")
        self.valid = f"refresh-token-{len(self.used)}"
        expire_time = datetime.now(UTC) + timedelta(hours=2)
        return RefreshedTokens(f"access-token-{len(self.used)}", expire_time, self.valid)


def make_service(tokens: list[str]) -> ScriptedService:
    async def use(task: TaskContext) -> TaskResult:
        tokens.append(await task.get_access_token())
        return TaskResult()

    return ScriptedService(use)


def add_account(orchestrator: InMemoryOrchestrator, expires_in_seconds: float) -> None:
    orchestrator.add_account(
        ACCOUNT,
        access_token="access-token-0",
        refresh_token="refresh-token-0",
        expires_in_seconds=expires_in_seconds,
    )


async def test_valid_token_is_fetched_once_for_many_tasks() -> None:
    """A token that is good for long is asked for once and used by every task of the account."""
    tokens: list[str] = []
    definition = make_definition(make_service(tokens), refresher=Refresher())
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        add_account(orchestrator, 7200)
        jobs = [orchestrator.submit(definition.manifest(), "work", account_id=ACCOUNT) for _ in range(20)]
        for job in jobs:
            await orchestrator.wait_for(job)
    assert tokens == ["access-token-0"] * 20
    assert orchestrator.servicer.calls["GetCredentials"] == 1


async def test_one_process_refreshes_once_for_all_its_tasks() -> None:
    """Tasks that need a token at the same time share one refresh."""
    tokens: list[str] = []
    refresher = Refresher()
    definition = make_definition(make_service(tokens), refresher=refresher)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        add_account(orchestrator, -1)
        jobs = [orchestrator.submit(definition.manifest(), "work", account_id=ACCOUNT) for _ in range(10)]
        for job in jobs:
            await orchestrator.wait_for(job)
    assert tokens == ["access-token-1"] * 10
    assert refresher.used == ["refresh-token-0"]
    assert orchestrator.vault.accounts[ACCOUNT].refresh_token == "refresh-token-1"


async def test_two_processes_refresh_once_through_the_grant() -> None:
    """Of two connectors one gets the grant, and the other waits for its tokens."""
    tokens: list[str] = []
    refresher = Refresher(delay_seconds=0.3)
    definition = make_definition(make_service(tokens), refresher=refresher)
    async with (
        InMemoryOrchestrator() as orchestrator,
        run_against(orchestrator, definition, slots=1),
        run_against(orchestrator, definition, slots=1),
    ):
        add_account(orchestrator, -1)
        jobs = [orchestrator.submit(definition.manifest(), "work", account_id=ACCOUNT) for _ in range(2)]
        for job in jobs:
            await orchestrator.wait_for(job)
        askers = {request.instance_id for request in orchestrator.servicer.requests["GetCredentials"]}
    assert len(askers) == 2
    assert tokens == ["access-token-1"] * 2
    assert refresher.used == ["refresh-token-0"]
    assert orchestrator.vault.grants == 1


async def test_refused_token_is_refreshed_before_its_time() -> None:
    """A token that the marketplace refuses although it looks good is not handed out again."""
    tokens: list[str] = []

    async def use(task: TaskContext) -> TaskResult:
        tokens.append(await task.get_access_token())
        tokens.append(await task.get_access_token(refused=tokens[-1]))
        tokens.append(await task.get_access_token())
        return TaskResult()

    definition = make_definition(ScriptedService(use), refresher=Refresher())
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        add_account(orchestrator, 7200)
        await orchestrator.wait_for(orchestrator.submit(definition.manifest(), "work", account_id=ACCOUNT))
    assert tokens == ["access-token-0", "access-token-1", "access-token-1"]


async def test_refused_refresh_needs_the_seller() -> None:
    """When the marketplace refuses the refresh token the account must be connected again, also for later tasks."""
    refresher = Refresher(error=AuthRequiredError("refresh-token-0 is revoked", http_status=400))
    definition = make_definition(make_service([]), refresher=refresher)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        add_account(orchestrator, -1)
        jobs = [orchestrator.submit(definition.manifest(), "make", account_id=ACCOUNT) for _ in range(2)]
        for job in jobs:
            await orchestrator.wait_for(job)
        saved = orchestrator.servicer.requests["SaveCredentials"]
    assert [job.state for job in jobs] == ["WAITING", "WAITING"]
    failures = [job.tasks[0].accepted[0].failure for job in jobs]
    assert [failure.error_class for failure in failures] == [3, 3]
    # Nothing was sent to the marketplace on behalf of the effect.
    assert [failure.effect_outcome for failure in failures] == [1, 1]
    assert refresher.used == ["refresh-token-0"]
    assert orchestrator.vault.accounts[ACCOUNT].is_reconnect_required
    assert "refresh-token-0" not in saved[0].refused.message + str(failures)


@pytest.mark.parametrize("error", [RetryableError("timed out"), ValueError("no JSON")])
async def test_refresh_without_an_answer_gives_the_grant_back(error: Exception) -> None:
    """A refresh that did not work leaves the grant free, so that the next attempt tries again at once."""
    tokens: list[str] = []
    refresher = Refresher(delay_seconds=0, error=error)
    definition = make_definition(make_service(tokens), refresher=refresher)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        add_account(orchestrator, -1)
        job = orchestrator.submit(definition.manifest(), "work", account_id=ACCOUNT)
        await orchestrator.wait_until(lambda: bool(job.tasks[0].accepted))
        refresher.error = None
        await orchestrator.wait_for(job)
    assert job.state == "COMPLETED"
    assert job.tasks[0].accepted[0].failure.error_class == 1
    assert tokens[-1].startswith("access-token-")
    assert not orchestrator.vault.accounts[ACCOUNT].is_reconnect_required


async def test_refresh_is_saved_although_its_task_is_gone() -> None:
    """A rotated token is not lost with the task that asked for it."""
    refresher = Refresher(delay_seconds=0.4)
    service = make_service([])
    definition = make_definition(service, refresher=refresher)
    async with (
        InMemoryOrchestrator(heartbeat_seconds=0.05) as orchestrator,
        run_against(orchestrator, definition) as runtime,
    ):
        add_account(orchestrator, -1)
        job = orchestrator.submit(definition.manifest(), "work", account_id=ACCOUNT)
        await orchestrator.wait_until(lambda: bool(refresher.used))
        orchestrator.cancel(job)
        job.tasks[0].state = "PENDING"
        await orchestrator.wait_until(lambda: runtime.active_count == 0)
        await orchestrator.wait_until(lambda: orchestrator.servicer.calls["SaveCredentials"] == 1)
    assert service.steps[0].lease.is_lost
    assert orchestrator.vault.accounts[ACCOUNT].refresh_token == "refresh-token-1"


async def test_lost_answer_to_the_save_is_repeated() -> None:
    """Tokens are saved until the orchestrator says so."""
    tokens: list[str] = []
    definition = make_definition(make_service(tokens), refresher=Refresher())
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        add_account(orchestrator, -1)
        orchestrator.fail_next("SaveCredentials")
        job = orchestrator.submit(definition.manifest(), "work", account_id=ACCOUNT)
        await orchestrator.wait_for(job)
    assert job.state == "COMPLETED"
    assert tokens == ["access-token-1"]


async def test_connector_without_a_refresher_says_so() -> None:
    """A marketplace without OAuth that is asked for an expired token fails in words."""
    definition = make_definition(make_service([]))
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        add_account(orchestrator, -1)
        job = orchestrator.submit(definition.manifest(), "work", account_id=ACCOUNT, max_retries=0)
        await orchestrator.wait_for(job)
    assert job.tasks[0].accepted[0].failure.code == "NO_TOKEN_REFRESHER"


async def test_lost_grant_takes_what_the_other_one_saved() -> None:
    """When the grant went to another meanwhile, that one's tokens are used and ours are dropped."""
    tokens: list[str] = []
    refresher = Refresher(delay_seconds=0.3)
    definition = make_definition(make_service(tokens), refresher=refresher)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        add_account(orchestrator, -1)
        job = orchestrator.submit(definition.manifest(), "work", account_id=ACCOUNT)
        await orchestrator.wait_until(lambda: bool(refresher.used))
        account = orchestrator.vault.accounts[ACCOUNT]
        account.grant_id, account.access_token = "another", "access-token-of-the-other"
        account.expires_at += 7200
        await orchestrator.wait_for(job)
    assert tokens == ["access-token-of-the-other"]


async def test_refresh_that_outlasts_its_grant_is_given_up() -> None:
    """A refresh is not waited for past its grant, because then another process may refresh."""
    definition = make_definition(make_service([]), refresher=Refresher(delay_seconds=30))
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        orchestrator.vault.grant_seconds = 0.2
        add_account(orchestrator, -1)
        job = orchestrator.submit(definition.manifest(), "work", account_id=ACCOUNT, max_retries=0)
        await orchestrator.wait_for(job)
    assert job.tasks[0].accepted[0].failure.code == "REFRESH_TIMEOUT"


async def test_absent_orchestrator_is_waited_for_only_as_long_as_the_lease() -> None:
    """A task that can get no token before its lease ends fails then, with nothing sent."""
    service = make_service([])
    definition = make_definition(service, refresher=Refresher())
    async with (
        InMemoryOrchestrator(lease_seconds=0.5, heartbeat_seconds=30) as orchestrator,
        run_against(orchestrator, definition),
    ):
        add_account(orchestrator, 7200)
        orchestrator.fail_next("GetCredentials", times=1000)
        job = orchestrator.submit(definition.manifest(), "make", account_id=ACCOUNT, max_retries=0)
        await orchestrator.wait_for(job)
    failure = job.tasks[0].accepted[0].failure
    assert (failure.error_class, failure.effect_outcome) == (1, 1)
    assert "gave no token" in failure.message
