"""The statistics of the demo's tenant, once they count what happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from stoflow.stats.v1.stats_service_pb2 import GetMarketplaceStatsRequest, MarketplaceJobStats

from stoflow_sandbox.demo.api import Api
from stoflow_sandbox.demo.errors import NotCountedError

ACTION = "publish"
POLL_SECONDS = 0.1


async def wait_until_counted(
    api: Api, tenant_id: int, marketplaces: Iterable[str], timeout_seconds: float
) -> list[MarketplaceJobStats]:
    """Returns the figures once every marketplace has a successful publish.

    Raises:
        NotCountedError: Some had none when time was up.
    """
    deadline = time.monotonic() + timeout_seconds
    expected = set(marketplaces)
    while True:
        stats = await _get_stats(api, tenant_id)
        missing = expected - {one.marketplace for one in stats if one.success_count > 0}
        if not missing:
            return stats
        if time.monotonic() > deadline:
            raise NotCountedError(
                f"the statistics count no successful publish on {', '.join(sorted(missing))} "
                f"within {timeout_seconds:g} s"
            )
        await asyncio.sleep(POLL_SECONDS)


async def _get_stats(api: Api, tenant_id: int) -> list[MarketplaceJobStats]:
    request = GetMarketplaceStatsRequest(tenant_id=tenant_id, action=ACTION)
    return list((await api.stats.GetMarketplaceStats(request)).stats)


def describe(stats: MarketplaceJobStats) -> str:
    """Returns one row for a person."""
    text = f"{stats.total_count} run(s): {stats.success_count} succeeded, {stats.failure_count} failed"
    if stats.HasField("success_rate"):
        text += f", success rate {stats.success_rate:.0%}"
    if stats.HasField("mean_run_duration"):
        text += f", mean duration {stats.mean_run_duration.ToNanoseconds() / 1e9:.2f} s"
    return text
