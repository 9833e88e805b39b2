"""The connector of the storm's marketplace, on the SDK like any other: `python -m tests.chaos.storm.connector`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from pydantic import Field

from stoflow_connector_sdk import (
    Absent,
    ConnectorDefinition,
    ConnectorSettings,
    DirectAPIJobHandler,
    Found,
    ListingChange,
    ListingState,
    MarketplaceHttpClient,
    Once,
    PermanentError,
    ProbeResult,
    TaskContext,
    TaskResult,
    TaskSpec,
    effect_after,
    raise_for_common_status,
    run_connector,
)
from stoflow_service_kit.settings import HttpUrl, load_settings
from tests.chaos.storm.marketplace import LATE_SECONDS

MARKETPLACE = "storm"
ACTION = "publish"
DRAFT = "draft"
LISTING = "listing"
REQUEST_TIMEOUT_SECONDS = 1.5
# From a failure's report, which may come at once, to the end of the request's time, and what may still appear then.
SETTLE_SECONDS = REQUEST_TIMEOUT_SECONDS + LATE_SECONDS + 0.5
_STEP_SECONDS = 30.0


class StormSettings(ConnectorSettings):
    """Beside every connector's own."""

    storm_url: HttpUrl = Field(description="http://host:port of the marketplace")


class StormService:
    """Two things that must happen once, and two steps that may be repeated."""

    def __init__(self, client: MarketplaceHttpClient) -> None:
        self._client = client

    async def check(self, task: TaskContext) -> TaskResult:
        return await self._touch(task)

    async def create_draft(self, task: TaskContext) -> TaskResult:
        return _made(await self._create(task, DRAFT))

    async def find_draft(self, task: TaskContext) -> ProbeResult:
        remote_id = await self._find(task, DRAFT)
        return Found(_made(remote_id)) if remote_id else Absent()

    async def describe(self, task: TaskContext) -> TaskResult:
        return await self._touch(task)

    async def publish(self, task: TaskContext) -> TaskResult:
        return _listed(await self._create(task, LISTING))

    async def find_listing(self, task: TaskContext) -> ProbeResult:
        remote_id = await self._find(task, LISTING)
        return Found(_listed(remote_id)) if remote_id else Absent()

    async def _touch(self, task: TaskContext) -> TaskResult:
        await self._send(task, "POST", "/touches", json={"name": _name(task)})
        return TaskResult({"step": task.name})

    async def _create(self, task: TaskContext, effect: str) -> str:
        body = {
            "key": _key(task, effect),
            "name": _name(task),
            "deadline": time.time() + REQUEST_TIMEOUT_SECONDS,
        }
        answer = await self._send(task, "POST", "/things", json=body)
        return str(answer["id"])

    async def _find(self, task: TaskContext, effect: str) -> str:
        params = {"key": _key(task, effect), "name": _name(task)}
        answer = await self._send(task, "GET", "/things", params=params)
        return str(answer["ids"][0]) if answer["ids"] else ""

    async def _send(
        self, task: TaskContext, method: str, path: str, **content: object
    ) -> dict[str, list[str]]:
        response = await self._client.request(method, path, **content)  # type: ignore[arg-type]
        raise_for_common_status(response)
        if response.status_code >= 400:
            raise PermanentError(
                "The marketplace refuses this.",
                effect=effect_after(response.request),
                http_status=response.status_code,
            )
        return response.json() if response.content else {}


def _name(task: TaskContext) -> str:
    # Not the ids, which differ from run to run: the same seed is to befall the same products.
    return f"{task.tenant_id}/{task.product.content.title}/{task.name}"


def _key(task: TaskContext, effect: str) -> str:
    return f"{task.account_id}/{task.product.product_id}/{effect}"


def _made(remote_id: str) -> TaskResult:
    return TaskResult({"id": remote_id}, remote_id=remote_id)


def _listed(remote_id: str) -> TaskResult:
    change = ListingChange(remote_id=remote_id, state=ListingState.LISTING_STATE_LIVE)
    return TaskResult({"id": remote_id}, remote_id=remote_id, listing=change)


class StormHandler(DirectAPIJobHandler):
    """Four steps, two of them with an effect that must happen once."""

    action = ACTION
    requires_product = True
    default_max_retries = 4

    def __init__(self, service: StormService) -> None:
        self._service = service

    def get_service(self) -> StormService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return [
            TaskSpec("check", _STEP_SECONDS),
            TaskSpec("create_draft", _STEP_SECONDS, once=Once(DRAFT, "find_draft", SETTLE_SECONDS)),
            TaskSpec("describe", _STEP_SECONDS),
            TaskSpec("publish", _STEP_SECONDS, once=Once(LISTING, "find_listing", SETTLE_SECONDS)),
        ]


def make_definition(settings: StormSettings) -> ConnectorDefinition:
    """Returns the connector."""
    client = MarketplaceHttpClient(settings.storm_url, timeout_seconds=REQUEST_TIMEOUT_SECONDS)
    return ConnectorDefinition(
        marketplace=MARKETPLACE,
        display_name="Storm",
        version="1",
        handlers=[StormHandler(StormService(client))],
        closers=[client.aclose],
    )


if __name__ == "__main__":
    sys.exit(run_connector(make_definition, load_settings(StormSettings)))
