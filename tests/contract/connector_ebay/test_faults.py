"""Whatever goes wrong on the way: the error's class and what it says of the effect are exact."""

from __future__ import annotations

import asyncio
import socket

import pytest

from stoflow_connector_sdk import (
    ConnectorError,
    EffectOutcome,
    LeaseTooShortError,
    RateLimitedError,
    RetryableError,
)
from tests.contract.connector_ebay.exchanges import Judge
from tests.contract.connector_ebay.publishing import REQUEST_TIMEOUT_SECONDS, Publishing

INVENTORY = "/sell/inventory/v1"
OFFER = f"{INVENTORY}/offer"
PUBLISH = f"{INVENTORY}/offer/*/publish"

# The ONCE steps: their name, the request that has the effect, the step before.
ONCE = [
    pytest.param("create_offer", OFFER, "put_inventory_item", id="offer"),
    pytest.param("publish_offer", PUBLISH, "create_offer", id="publish"),
]


async def fail(publishing: Publishing, step: str, *, probe: bool = False) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        await publishing.attempt(step, probe=probe)
    return caught.value


@pytest.mark.parametrize(("step", "path", "before"), ONCE)
async def test_rate_limit_says_when_and_that_nothing_happened(
    publishing: Publishing, step: str, path: str, before: str
) -> None:
    """429 is RATE_LIMITED with eBay's wait, and the effect certainly did not happen."""
    await publishing.until(before)
    publishing.fault("status", "POST", path, status=429, retry_after_seconds=17)
    error = await fail(publishing, step)
    assert type(error) is RateLimitedError
    assert (error.effect, error.retry_after_seconds) == (EffectOutcome.NOT_SENT, 17)


@pytest.mark.parametrize(("step", "path", "before"), ONCE)
@pytest.mark.parametrize("status", [500, 502, 503])
async def test_server_error_after_the_effect_is_found_by_the_probe(
    publishing: Publishing, step: str, path: str, before: str, status: int
) -> None:
    """5xx is RETRYABLE with an unknown effect; the next attempt finds the effect and makes no second one."""
    await publishing.until(before)
    publishing.fault("status", "POST", path, status=status, apply="before")
    error = await fail(publishing, step)
    assert type(error) is RetryableError
    assert (error.effect, error.http_status) == (EffectOutcome.UNKNOWN, status)
    made = publishing.created()
    result = await publishing.attempt(step, probe=True)
    assert result.remote_id
    assert publishing.created() == made == ((1, 0) if step == "create_offer" else (1, 1))


@pytest.mark.parametrize(("step", "path", "before"), ONCE)
@pytest.mark.parametrize("kind", ["timeout_after_effect", "reset_after_effect"])
async def test_lost_answer_is_found_by_the_probe(
    publishing: Publishing, step: str, path: str, before: str, kind: str
) -> None:
    """An answer that never comes leaves the effect unknown; the probe adopts it."""
    await publishing.until(before)
    publishing.fault(kind, "POST", path)
    error = await fail(publishing, step)
    assert type(error) is RetryableError
    assert error.effect is EffectOutcome.UNKNOWN
    result = await publishing.attempt(step, probe=True)
    assert result.remote_id
    assert publishing.created() == ((1, 0) if step == "create_offer" else (1, 1))


@pytest.mark.parametrize(("step", "path", "before"), ONCE)
@pytest.mark.parametrize("kind", ["timeout_before_effect", "reset_before_effect"])
async def test_request_that_had_no_effect_is_sent_again_after_settling(
    publishing: Publishing, step: str, path: str, before: str, kind: str
) -> None:
    """A lost request leaves the effect unknown; once probes prove its absence the step runs again."""
    await publishing.until(before)
    publishing.fault(kind, "POST", path)
    error = await fail(publishing, step)
    assert (type(error), error.effect) == (RetryableError, EffectOutcome.UNKNOWN)
    result = await publishing.attempt(step, probe=True)
    assert result.remote_id
    assert publishing.created() == ((1, 0) if step == "create_offer" else (1, 1))


@pytest.mark.parametrize(("step", "path", "before"), ONCE)
async def test_effect_that_appears_late_is_waited_for(
    publishing: Publishing, step: str, path: str, before: str
) -> None:
    """An effect that appears after its timeout is found by the second probe and not made twice."""
    await publishing.until(before)
    publishing.fault("late_effect", "POST", path, delay_seconds=REQUEST_TIMEOUT_SECONDS + 0.5)
    error = await fail(publishing, step)
    assert (type(error), error.effect) == (RetryableError, EffectOutcome.UNKNOWN)
    result = await publishing.attempt(step, probe=True)
    assert result.remote_id
    assert publishing.created() == ((1, 0) if step == "create_offer" else (1, 1))


@pytest.mark.parametrize(("step", "path", "before"), ONCE)
async def test_effect_later_than_settling_meets_ebays_own_fence(
    publishing: Publishing, step: str, path: str, before: str
) -> None:
    """An effect that appears after settling and a second request still leaves one offer and one listing."""
    await publishing.until(before)
    rule = publishing.fault("late_effect", "POST", path, delay_seconds=2.5)
    assert (await fail(publishing, step)).effect is EffectOutcome.UNKNOWN
    result = await publishing.attempt(step, probe=True)
    late = publishing.control.requests(kind="late_effect", rule_id=rule, wait_count=1, timeout=10)
    assert len(late) == 1
    assert result.remote_id
    assert publishing.created() == ((1, 0) if step == "create_offer" else (1, 1))


@pytest.mark.parametrize(("step", "path", "before"), ONCE)
async def test_refused_connection_had_no_effect(
    publishing: Publishing, step: str, path: str, before: str
) -> None:
    """When nobody listens at eBay's address nothing was sent."""
    await publishing.until(before)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        publishing.use(publishing.settings.model_copy(update={"ebay_api_url": url}))
        error = await fail(publishing, step)
        assert (type(error), error.effect) == (RetryableError, EffectOutcome.NOT_SENT)
        # What an earlier attempt sent stays unknown, whatever becomes of this one's probe.
        error = await fail(publishing, step, probe=True)
        assert (type(error), error.effect) == (RetryableError, EffectOutcome.UNKNOWN)


@pytest.mark.parametrize(("step", "path", "before"), ONCE)
async def test_half_an_answer_leaves_the_effect_unknown(
    publishing: Publishing, judge: Judge, step: str, path: str, before: str
) -> None:
    """A success that cannot be read is retried, and its effect is found by the probe."""
    await publishing.until(before)
    publishing.fault("malformed_body", "POST", path, apply="before")
    error = await fail(publishing, step)
    assert (type(error), error.effect, error.code) == (
        RetryableError,
        EffectOutcome.UNKNOWN,
        "MALFORMED_ANSWER",
    )
    operation = "createOffer" if step == "create_offer" else "publishOffer"
    assert judge.take(operation, "response"), "the checker must have seen the broken answer"
    assert (await publishing.attempt(step, probe=True)).remote_id
    assert publishing.created() == ((1, 0) if step == "create_offer" else (1, 1))


async def test_failed_look_before_publishing_had_no_effect(publishing: Publishing) -> None:
    """When the offer cannot be read first, nothing was published and the error says so."""
    await publishing.until("create_offer")
    publishing.fault("timeout_before_effect", "GET", f"{OFFER}/*")
    error = await fail(publishing, "publish_offer")
    assert (type(error), error.effect) == (RetryableError, EffectOutcome.NOT_SENT)


async def test_failed_probe_leaves_the_effect_unknown(publishing: Publishing) -> None:
    """A probe that fails proves nothing of what an earlier attempt sent."""
    await publishing.until("create_offer")
    publishing.fault("status", "GET", OFFER, status=500)
    error = await fail(publishing, "create_offer", probe=True)
    assert (type(error), error.effect) == (RetryableError, EffectOutcome.UNKNOWN)


async def test_gateways_not_found_is_not_believed(publishing: Publishing, judge: Judge) -> None:
    """A 404 that is not eBay's own says nothing of the offer: the effect stays unknown, no second is made."""
    await publishing.until("create_offer")
    publishing.fault("status", "GET", OFFER, status=404, content={"message": "no route"})
    error = await fail(publishing, "create_offer", probe=True)
    assert error.effect is EffectOutcome.UNKNOWN
    assert judge.take("getOffers", "response")
    assert publishing.created() == (1, 0)


async def test_adopted_offer_that_cannot_be_updated_is_known_to_exist(publishing: Publishing) -> None:
    """When eBay names the existing offer and updating it fails, the error says that the effect is done."""
    await publishing.until("create_offer")
    publishing.change(stock_quantity=9)
    publishing.fault("status", "PUT", f"{OFFER}/*", status=503)
    error = await fail(publishing, "create_offer")
    assert (type(error), error.effect) == (RetryableError, EffectOutcome.DONE)


async def test_refusal_of_what_is_live_already_is_adopted(publishing: Publishing) -> None:
    """When eBay refuses to publish and the offer turns out to be live, its listing is the result."""
    await publishing.until("create_offer")
    fault = {"errorId": 25019, "domain": "API_INVENTORY", "category": "REQUEST", "message": "Already."}
    publishing.fault("status", "POST", PUBLISH, status=400, content={"errors": [fault]}, apply="before")
    result = await publishing.attempt("publish_offer")
    assert list(publishing.state()["listings"]) == [result.remote_id]


async def test_refusal_that_cannot_be_looked_into_leaves_the_effect_unknown(publishing: Publishing) -> None:
    """When the look after a refusal fails, nobody knows whether the offer is live."""
    await publishing.until("create_offer")
    fault = {"errorId": 25019, "domain": "API_INVENTORY", "category": "REQUEST", "message": "Already."}
    publishing.fault("status", "POST", PUBLISH, status=400, content={"errors": [fault]}, apply="before")
    publishing.fault("status", "GET", f"{OFFER}/*", status=503, skip=1)
    error = await fail(publishing, "publish_offer")
    assert (type(error), error.effect) == (RetryableError, EffectOutcome.UNKNOWN)
    assert (await publishing.attempt("publish_offer", probe=True)).remote_id
    assert publishing.created() == (1, 1)


async def test_concurrent_access_is_retried(publishing: Publishing) -> None:
    """eBay's refusal of concurrent access to one SKU is retryable."""
    await publishing.until("put_inventory_item")
    fault = {"errorId": 25025, "domain": "API_INVENTORY", "category": "APPLICATION", "message": "Concurrent."}
    publishing.fault("status", "POST", OFFER, status=500, content={"errors": [fault]})
    error = await fail(publishing, "create_offer")
    assert (type(error), error.code) == (RetryableError, "25025")


@pytest.mark.parametrize(("step", "index"), [("upload_image", 0), ("put_inventory_item", None)])
@pytest.mark.parametrize("kind", ["timeout_after_effect", "reset_after_effect", "status"])
async def test_repeatable_steps_are_simply_repeated(
    publishing: Publishing, step: str, index: int | None, kind: str
) -> None:
    """A lost answer of a repeatable step is retryable, and the repetition succeeds."""
    if step == "put_inventory_item":
        await publishing.until("upload_image")
    path = f"{INVENTORY}/inventory_item/*" if index is None else "/commerce/media/v1_beta/**"
    publishing.fault(
        kind, "PUT" if index is None else "POST", path, **({"status": 500} if kind == "status" else {})
    )
    with pytest.raises(RetryableError):
        await publishing.attempt(step, item_index=index)
    await publishing.attempt(step, item_index=index)


async def test_media_rate_limit_is_a_rate_limit(publishing: Publishing) -> None:
    """eBay's limit on image uploads makes the task wait, and burns no retry."""
    publishing.renew(media_posts_per_5_seconds=2)
    await publishing.attempt("upload_image", item_index=0)
    await publishing.attempt("upload_image", item_index=1)
    with pytest.raises(RateLimitedError) as caught:
        await publishing.attempt("upload_image", item_index=2)
    assert caught.value.retry_after_seconds is not None
    assert caught.value.retry_after_seconds > 0


async def test_request_that_does_not_fit_the_lease_is_not_sent(publishing: Publishing, judge: Judge) -> None:
    """With less lease left than a request may take, nothing is sent, and the error says so."""
    await publishing.until("put_inventory_item")
    before = len(judge.exchanges)
    publishing.lease_seconds = REQUEST_TIMEOUT_SECONDS / 2
    error = await fail(publishing, "create_offer")
    assert (type(error), error.effect) == (LeaseTooShortError, EffectOutcome.NOT_SENT)
    assert len(judge.exchanges) == before


async def test_two_attempts_at_once_make_one_offer(publishing: Publishing) -> None:
    """A frozen attempt that wakes beside its successor ends on the same offer."""
    await publishing.until("put_inventory_item")
    results = await asyncio.gather(*(publishing.attempt("create_offer") for _ in range(4)))
    assert len({result.remote_id for result in results}) == 1
    assert publishing.created() == (1, 0)
