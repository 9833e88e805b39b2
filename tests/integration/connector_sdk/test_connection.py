import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from stoflow.connector.v1.manifest_pb2 import Manifest

from stoflow_connector_sdk import (
    AuthRequiredError,
    ConnectedAccount,
    ConnectorDefinition,
    OAuthDescription,
    RefreshedTokens,
    RetryableError,
)
from stoflow_connector_sdk.testing import InMemoryOrchestrator, JobRecord, run_against
from tests.integration.connector_sdk.scripted import ScriptedService, make_definition

ACCOUNT = str(uuid.uuid4())
CODE = "authorization-code-4711"
OAUTH = OAuthDescription(
    authorize_url="https://shop.test/authorize",
    client_id="our-app",
    scopes=("orders", "listings"),
    pkce=True,
    extra_parameters={"prompt": "login"},
)


@dataclass
class Exchanger:
    """A marketplace's token endpoint that takes each code once."""

    errors: list[Exception] = field(default_factory=list)
    seller: str = "seller-1"
    delay_seconds: float = 0.0
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    spent: set[str] = field(default_factory=set)
    on_begin: Callable[[], None] = lambda: None

    async def exchange(self, code: str, redirect_uri: str, code_verifier: str) -> ConnectedAccount:
        self.asked.append((code, redirect_uri, code_verifier))
        if self.errors:
            raise self.errors.pop(0)
        if code in self.spent:
            raise AuthRequiredError(f"the code {code} was used before", code="invalid_grant", http_status=400)
        self.spent.add(code)
        self.on_begin()
        await asyncio.sleep(self.delay_seconds)
        tokens = RefreshedTokens("access-token-1", datetime.now(UTC) + timedelta(hours=2), "refresh-token-1")
        return ConnectedAccount(
            tokens=tokens,
            remote_account_id=self.seller,
            display_name="Good things",
            sites=["SHOP_US"],
            settings={"policy": "7"},
        )


def connecting_definition(exchanger: Exchanger) -> ConnectorDefinition:
    return replace(make_definition(ScriptedService()), oauth=OAUTH, code_exchanger=exchanger)


async def connect(
    orchestrator: InMemoryOrchestrator, manifest: Manifest, timeout_seconds: float = 20
) -> JobRecord:
    job = orchestrator.submit(manifest, "connect", account_id=ACCOUNT, max_retries=5)
    return await orchestrator.wait_for(job, timeout_seconds)


async def test_code_is_exchanged_and_saved_before_the_task_is_reported() -> None:
    """The connect job hands code, redirect URI and verifier to the exchanger and saves all that comes back at once."""
    exchanger = Exchanger()
    definition = connecting_definition(exchanger)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        orchestrator.add_authorization(
            ACCOUNT, code=CODE, redirect_uri="https://a.test/b", code_verifier="v" * 43
        )
        job = await connect(orchestrator, definition.manifest())
    assert job.state == "COMPLETED"
    assert exchanger.asked == [(CODE, "https://a.test/b", "v" * 43)]
    stored = orchestrator.vault.accounts[ACCOUNT]
    assert (stored.access_token, stored.refresh_token) == ("access-token-1", "refresh-token-1")
    assert stored.connected is not None
    assert stored.connected.remote_account_id == "seller-1"
    assert list(stored.connected.sites) == ["SHOP_US"]
    assert stored.connected.settings["policy"] == "7"


def test_manifest_says_how_sellers_authorize() -> None:
    """The consent page and the connect action are in the manifest; without an exchanger neither is."""
    manifest = connecting_definition(Exchanger()).manifest()
    assert manifest.oauth.authorize_url == OAUTH.authorize_url
    assert manifest.oauth.client_id == "our-app"
    assert list(manifest.oauth.scopes) == ["orders", "listings"]
    assert manifest.oauth.pkce
    assert dict(manifest.oauth.extra_parameters) == {"prompt": "login"}
    assert [action.name for action in manifest.actions][-1] == "connect"
    plain = make_definition(ScriptedService()).manifest()
    assert not plain.HasField("oauth")
    assert "connect" not in {action.name for action in plain.actions}


async def test_refused_code_fails_the_job_for_good_and_is_told() -> None:
    """A code that the marketplace refuses ends the job at once, tells the orchestrator, and the code is in no text."""
    exchanger = Exchanger(spent={CODE})
    definition = connecting_definition(exchanger)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        pending = orchestrator.add_authorization(ACCOUNT, code=CODE)
        job = await connect(orchestrator, definition.manifest())
    assert job.state == "FAILED"
    assert len(exchanger.asked) == 1
    (report,) = job.tasks[0].accepted
    assert report.failure.code == "invalid_grant"
    assert pending.refusal is not None
    assert CODE not in pending.refusal
    assert CODE not in report.failure.message
    assert ACCOUNT not in orchestrator.vault.accounts


async def test_exchange_that_did_not_answer_is_tried_again() -> None:
    """A marketplace that does not answer is asked again with the same code."""
    exchanger = Exchanger(errors=[RetryableError("no answer"), RuntimeError("broken")])
    definition = connecting_definition(exchanger)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        orchestrator.add_authorization(ACCOUNT, code=CODE)
        job = await connect(orchestrator, definition.manifest())
    assert job.state == "COMPLETED"
    assert [code for code, _, _ in exchanger.asked] == [CODE] * 3


async def test_lost_report_exchanges_the_code_once() -> None:
    """An attempt after one that saved its tokens and lost its lease finds the account connected and asks nobody."""
    exchanger = Exchanger()
    definition = connecting_definition(exchanger)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        orchestrator.add_authorization(ACCOUNT, code=CODE)
        orchestrator.fail_next("ReportTasks", times=3)
        job = orchestrator.submit(definition.manifest(), "connect", account_id=ACCOUNT)
        await orchestrator.wait_until(lambda: orchestrator.servicer.calls["SaveCredentials"] > 0)
        orchestrator.take_lease_away(job.tasks[0])
        await orchestrator.wait_for(job)
    assert job.state == "COMPLETED"
    assert len(exchanger.asked) == 1


async def test_lease_lost_during_the_exchange_loses_no_token() -> None:
    """An attempt interrupted between the marketplace's answer and the saving has its tokens saved all the same."""
    exchanger = Exchanger(delay_seconds=0.3)
    definition = connecting_definition(exchanger)
    async with (
        InMemoryOrchestrator(heartbeat_seconds=0.05) as orchestrator,
        run_against(orchestrator, definition),
    ):
        orchestrator.add_authorization(ACCOUNT, code=CODE)
        job = orchestrator.submit(definition.manifest(), "connect", account_id=ACCOUNT)
        await orchestrator.wait_until(lambda: bool(exchanger.asked))
        orchestrator.ledger.unavailable_seconds[job.tasks[0].task_id] = 0.5
        orchestrator.take_lease_away(job.tasks[0])
        await orchestrator.wait_for(job)
    assert job.state == "COMPLETED"
    assert len(exchanger.asked) == 1
    assert orchestrator.vault.accounts[ACCOUNT].access_token == "access-token-1"


async def test_another_sellers_consent_is_refused_for_good() -> None:
    """When another seller consents than the account's own, the job fails and the account's tokens stay."""
    definition = connecting_definition(Exchanger(seller="seller-2"))
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        before = orchestrator.add_account(
            ACCOUNT, access_token="old-token", refresh_token="old-refresh", expires_in_seconds=0
        )
        before.remote_account_id = "seller-1"
        orchestrator.add_authorization(ACCOUNT, code=CODE)
        job = await connect(orchestrator, definition.manifest())
    assert job.state == "FAILED"
    assert job.tasks[0].accepted[0].failure.code == "REMOTE_ACCOUNT_MISMATCH"
    assert orchestrator.vault.accounts[ACCOUNT] is before


async def test_without_a_code_the_job_fails_for_good() -> None:
    """A connect job without anything to exchange says that the seller must begin again."""
    exchanger = Exchanger()
    definition = connecting_definition(exchanger)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = await connect(orchestrator, definition.manifest())
    assert job.state == "FAILED"
    assert job.tasks[0].accepted[0].failure.code == "AUTHORIZATION_GONE"
    assert exchanger.asked == []


@pytest.mark.parametrize("sites", [["not a site"], ["SHOP_US", "SHOP_US"]])
async def test_answer_that_breaks_the_contract_fails_the_job(
    sites: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the orchestrator would refuse is a permanent failure that names the field, not an endless retry."""
    exchanger = Exchanger()
    exchange = exchanger.exchange

    async def with_wrong_sites(code: str, redirect_uri: str, code_verifier: str) -> ConnectedAccount:
        return replace(await exchange(code, redirect_uri, code_verifier), sites=sites)

    monkeypatch.setattr(exchanger, "exchange", with_wrong_sites)
    definition = connecting_definition(exchanger)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        orchestrator.add_authorization(ACCOUNT, code=CODE)
        job = await connect(orchestrator, definition.manifest())
    assert job.state == "FAILED"
    assert job.tasks[0].accepted[0].failure.code == "EXCHANGE_INVALID"


async def test_refusal_of_a_code_that_an_earlier_attempt_exchanged_is_no_failure() -> None:
    """An attempt whose code the marketplace refuses because the one before it has just saved its tokens completes."""
    exchanger = Exchanger(spent={CODE})
    definition = connecting_definition(exchanger)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        pending = orchestrator.add_authorization(ACCOUNT, code=CODE)
        exchange = exchanger.exchange

        async def after_the_first(code: str, redirect_uri: str, code_verifier: str) -> ConnectedAccount:
            pending.is_done = True
            return await exchange(code, redirect_uri, code_verifier)

        exchanger.exchange = after_the_first  # type: ignore[method-assign]
        job = await connect(orchestrator, definition.manifest())
    assert job.state == "COMPLETED"
