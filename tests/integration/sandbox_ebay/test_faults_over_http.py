"""Faults on demand, seen from a real connection to a real process."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from stoflow_sandbox.marketplaces.control import AsyncSandboxControl, SandboxControl, SandboxControlError
from tests.integration.sandbox_ebay.ebay_client import INVENTORY, EbayClient

OFFER = f"{INVENTORY}/offer"
# A child that sends one request and waits for ever for its answer.
SENDER = """
import sys, httpx
method, url, token, body = sys.argv[1:]
headers = {"Authorization": "Bearer " + token, "Accept-Language": "en-US", "Content-Language": "en-US",
           "Content-Type": "application/json"}
httpx.request(method, url, headers=headers, content=body, timeout=None)
"""


def seller_of(ebay: EbayClient) -> str:
    return ebay.seller.username


def in_background(call: Callable[[], httpx.Response]) -> "tuple[threading.Thread, list[httpx.Response]]":
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()
    return thread, answers


def start_sender(ebay: EbayClient, sku: str) -> "subprocess.Popen[bytes]":
    url = f"{ebay.http.base_url}{OFFER}".replace("//sell", "/sell")
    arguments = ["POST", url, ebay.token, json.dumps(ebay.offer_body(sku))]
    return subprocess.Popen([sys.executable, "-c", SENDER, *arguments])


def kill(process: "subprocess.Popen[bytes]") -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_429_has_retry_after_and_no_effect(ebay: EbayClient, control: SandboxControl) -> None:
    """A status rule answers instead of the marketplace, as often as it says and no longer."""
    ebay.put_item("A1")
    control.add_fault(
        "status", seller=seller_of(ebay), path=OFFER, status=429, retry_after_seconds=7, times=1
    )

    refused, accepted = ebay.create_offer("A1"), ebay.create_offer("A1")

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    assert refused.json()["errors"][0]["errorId"] == 2001
    assert accepted.status_code == 201


def test_500_after_the_effect(ebay: EbayClient, control: SandboxControl) -> None:
    """With apply=before the offer exists although the answer is a 500, and the log says both."""
    ebay.put_item("A1")
    rule = control.add_fault("status", seller=seller_of(ebay), path=OFFER, status=500, apply="before")

    assert ebay.create_offer("A1").status_code == 500

    (entry,) = control.requests(rule_id=rule)
    assert (entry["status"], entry["effect_applied"]) == (500, True)
    assert ebay.create_offer("A1").json()["errors"][0]["errorId"] == 25002


@pytest.mark.parametrize(
    ("kind", "offers"), [("timeout_before_effect", {}), ("timeout_after_effect", {"A1": 1})]
)
def test_timeout_before_and_after_the_effect(
    ebay: EbayClient, control: SandboxControl, kind: str, offers: dict[str, int]
) -> None:
    """The client waits in vain; whether the offer exists is the kind's choice, and the log names the end."""
    ebay.put_item("A1")
    rule = control.add_fault(kind, seller=seller_of(ebay), path=OFFER)

    with pytest.raises(httpx.ReadTimeout):
        ebay.create_offer("A1", timeout=0.3)

    (entry,) = control.requests(rule_id=rule, wait_count=1)
    assert (entry["outcome"], entry["status"]) == ("client_gone", None)
    assert control.created(seller_of(ebay))["offers"] == offers


@pytest.mark.parametrize(("kind", "offers"), [("reset_before_effect", {}), ("reset_after_effect", {"A1": 1})])
def test_reset_before_and_after_the_effect(
    ebay: EbayClient, control: SandboxControl, kind: str, offers: dict[str, int]
) -> None:
    """The connection breaks without an answer."""
    ebay.put_item("A1")
    control.add_fault(kind, seller=seller_of(ebay), path=OFFER)

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        ebay.create_offer("A1")

    assert control.created(seller_of(ebay))["offers"] == offers


def test_effect_appears_after_the_client_gave_up(ebay: EbayClient, control: SandboxControl) -> None:
    """A late effect is not there at the timeout, comes afterwards, and has a log entry of its own."""
    ebay.put_item("A1")
    control.add_fault("late_effect", seller=seller_of(ebay), path=OFFER, delay_seconds=0.8)

    with pytest.raises(httpx.ReadTimeout):
        ebay.create_offer("A1", timeout=0.2)
    probe = ebay.call("GET", OFFER, params={"sku": "A1"})
    (late,) = control.requests(seller=seller_of(ebay), kind="late_effect", wait_count=1, timeout=5)

    assert probe.status_code == 404
    assert (late["effect_applied"], late["status"]) == (True, 201)
    assert late["created"][0]["kind"] == "offer.created"
    assert control.requests(seller=seller_of(ebay), operation="createOffer")[0]["seq"] == late["late_for"]
    assert control.created(seller_of(ebay))["offers"] == {"A1": 1}


def test_late_duplicate_is_refused_like_any_other(ebay: EbayClient, control: SandboxControl) -> None:
    """When the client's second try was first, the late offer meets 25002 and changes nothing."""
    ebay.put_item("A1")
    control.add_fault("late_effect", seller=seller_of(ebay), path=OFFER, delay_seconds=0.5, status=503)

    assert ebay.create_offer("A1").status_code == 503
    assert ebay.create_offer("A1").status_code == 201
    (late,) = control.requests(seller=seller_of(ebay), kind="late_effect", wait_count=1, timeout=5)

    assert (late["effect_applied"], late["error_ids"]) == (False, [25002])
    assert control.created(seller_of(ebay))["offers"] == {"A1": 1}


def test_held_answer_is_released_on_demand(ebay: EbayClient, control: SandboxControl) -> None:
    """While the answer is held the effect is there already; after the release the client gets the real
    answer.
    """
    offer_id = ebay.stage("A1")
    rule = control.add_fault("hold", seller=seller_of(ebay), path=f"{OFFER}/*/publish")
    thread, answers = in_background(lambda: ebay.publish(offer_id))

    hit = control.wait_for_hit(rule, 5)
    listings = control.created(seller_of(ebay))["listings"]
    released = control.release(rule)
    thread.join()

    assert hit["held"] == hit["hits"]
    assert listings == {"A1": 1}
    assert released == 1
    assert answers[0].json().keys() == {"listingId"}


@pytest.mark.parametrize(("apply", "after", "status"), [("after", {"A1": 1}, 201), ("never", {}, 503)])
def test_hold_can_apply_on_release_or_never(
    ebay: EbayClient, control: SandboxControl, apply: str, after: dict[str, int], status: int
) -> None:
    """apply=after waits with the effect for the release; apply=never answers 503 without one."""
    ebay.put_item("A1")
    rule = control.add_fault("hold", seller=seller_of(ebay), path=OFFER, apply=apply)
    thread, answers = in_background(lambda: ebay.create_offer("A1"))
    control.wait_for_hit(rule, 5)
    during = control.created(seller_of(ebay))["offers"]

    control.release(rule)
    thread.join()

    assert during == {}
    assert control.created(seller_of(ebay))["offers"] == after
    assert answers[0].status_code == status


def test_client_killed_on_receipt_leaves_one_offer(ebay: EbayClient, control: SandboxControl) -> None:
    """A SIGKILL of the client at the hit is seen, and its successor finds the offer by 25002."""
    ebay.put_item("A1")
    rule = control.add_fault("hold", seller=seller_of(ebay), path=OFFER)
    sender = start_sender(ebay, "A1")
    control.wait_for_hit(rule, 10)
    kill(sender)

    (entry,) = control.requests(rule_id=rule, wait_count=1)
    successor = ebay.create_offer("A1").json()["errors"][0]

    assert (entry["outcome"], entry["effect_applied"]) == ("client_gone", True)
    assert successor["parameters"] == [{"name": "offerId", "value": entry["created"][0]["id"]}]
    assert control.created(seller_of(ebay))["offers"] == {"A1": 1}


def test_request_of_a_killed_client_can_still_take_effect(ebay: EbayClient, control: SandboxControl) -> None:
    """With apply=after the marketplace obeys on release, although its client is dead."""
    ebay.put_item("A1")
    rule = control.add_fault("hold", seller=seller_of(ebay), path=OFFER, apply="after")
    sender = start_sender(ebay, "A1")
    control.wait_for_hit(rule, 10)
    kill(sender)
    before = control.created(seller_of(ebay))["offers"]

    control.release(rule)
    (entry,) = control.requests(rule_id=rule, wait_count=1)

    assert before == {}
    assert (entry["effect_applied"], entry["outcome"]) == (True, "client_gone")


def test_hold_gives_up_at_its_limit(ebay: EbayClient, control: SandboxControl) -> None:
    """An answer that nobody releases ends in a reset connection."""
    rule = control.add_fault("hold", seller=seller_of(ebay), apply="never", limit_seconds=0.2)

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        ebay.call("GET", f"{OFFER}/1")

    (entry,) = control.requests(rule_id=rule, wait_count=1)
    assert entry["outcome"] == "given_up"


def test_latency_and_malformed_body(ebay: EbayClient, control: SandboxControl) -> None:
    """An answer can come late, and it can come broken."""
    ebay.put_item("A1")
    control.add_fault("latency", seller=seller_of(ebay), method="PUT", delay_seconds=0.3)
    started = time.monotonic()
    assert ebay.put_item("A1").status_code == 204
    assert time.monotonic() - started >= 0.3

    control.add_fault("malformed_body", seller=seller_of(ebay), path=OFFER)
    broken = ebay.create_offer("A1")
    assert broken.status_code == 201
    with pytest.raises(ValueError, match=r".*"):
        broken.json()
    assert control.created(seller_of(ebay))["offers"] == {"A1": 1}


def test_faults_of_one_seller_do_not_touch_another(
    ebay: EbayClient, control: SandboxControl, http: httpx.Client
) -> None:
    """A rule for a seller leaves every other seller alone."""
    other = control.seed_seller(f"{seller_of(ebay)}-other", client_id="app", client_secret="hush")
    control.add_fault("status", seller=seller_of(ebay), status=500, times=None)

    assert EbayClient(http, other).put_item("A1").status_code == 201
    assert ebay.call("GET", f"{INVENTORY}/inventory_item/A1").status_code == 500


def test_token_endpoint_can_fail_too(ebay: EbayClient, control: SandboxControl) -> None:
    """Rules match the token endpoint, by the seller whose refresh token is presented."""
    control.add_fault("status", seller=seller_of(ebay), path="/identity/**", status=503)

    assert ebay.refresh().status_code == 503
    assert ebay.refresh().status_code == 200


def test_waiting_for_a_hit_times_out(control: SandboxControl) -> None:
    """A rule that nothing hits answers 408 when time is up."""
    rule = control.add_fault("hold", seller="nobody")

    with pytest.raises(SandboxControlError) as raised:
        control.wait_for_hit(rule, 0.1)

    assert raised.value.status == 408


def test_wrong_control_calls_name_every_violation(control: SandboxControl) -> None:
    """A malformed rule or seed is refused with all that is wrong."""
    with pytest.raises(SandboxControlError) as rule:
        control.add_fault("explode", colour="red")
    with pytest.raises(SandboxControlError) as seed:
        control.seed_seller("", client_id="", client_secret="", marketplaces=["MARS"])

    assert len(rule.value.violations) == 2
    assert len(seed.value.violations) == 4


async def test_hundred_held_answers_at_once(ebay: EbayClient, sandbox_url: str) -> None:
    """A hundred connections are held while others are served, and one release answers them all."""
    async with (
        AsyncSandboxControl(sandbox_url) as control,
        httpx.AsyncClient(
            base_url=sandbox_url, limits=httpx.Limits(max_connections=200), timeout=30
        ) as client,
    ):
        rule = await control.add_fault(
            "hold", seller=seller_of(ebay), path=f"{INVENTORY}/location", times=None
        )
        held = [
            asyncio.create_task(client.get(f"{INVENTORY}/location", headers=ebay.headers)) for _ in range(100)
        ]
        await control.wait_for_hit(rule, 20, hits=100)
        other = await client.get(f"{INVENTORY}/inventory_item", headers=ebay.headers)
        released = await control.release(rule)
        answers = await asyncio.gather(*held)
        await control.remove_fault(rule)

    assert other.status_code == 200
    assert released == 100
    assert {answer.status_code for answer in answers} == {200}


def test_racing_publishes_make_one_listing(ebay: EbayClient, control: SandboxControl) -> None:
    """Eight publishes of one offer at once all answer the same listing number."""
    offer_id = ebay.stage("A1")

    with ThreadPoolExecutor(8) as pool:
        numbers = set(pool.map(lambda _: ebay.publish(offer_id).json()["listingId"], range(8)))

    assert len(numbers) == 1
    assert control.created(seller_of(ebay))["listings"] == {"A1": 1}


def test_client_that_leaves_before_its_body_is_not_logged(
    ebay: EbayClient, control: SandboxControl, sandbox_url: str
) -> None:
    """A request whose body never came whole has no effect and no entry."""
    host, port = sandbox_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            f"PUT {INVENTORY}/inventory_item/A1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ebay.token}\r\n"
        )
        connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{{".encode())

    assert ebay.call("GET", f"{INVENTORY}/inventory_item/A1").status_code == 404
    assert not control.requests(seller=seller_of(ebay), method="PUT")
