"""The connector as a whole: what it registers, and what it reads from its environment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stoflow_connector_ebay.bootstrap import PLAN_VERSION, make_definition
from stoflow_connector_ebay.settings import EbaySettings
from stoflow_service_kit.settings import load_settings

VARIABLES = {
    "ORCHESTRATOR_ADDRESS": "127.0.0.1:50051",
    "NATS_URL": "nats://127.0.0.1:4222",
    "EBAY_CLIENT_ID": "StoFlow",
    "EBAY_CLIENT_SECRET": "very-secret-value",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


def settings(**changes: Any) -> EbaySettings:
    return EbaySettings(**changes)


def test_manifest_lists_the_steps_of_publish_in_order() -> None:
    """Publish asks, uploads each image, writes the item, makes the offer, publishes it; the last two are ONCE."""
    manifest = make_definition(settings()).manifest()
    action = next(one for one in manifest.actions if one.name == "publish")
    assert (manifest.marketplace, action.name, action.requires_product) == ("ebay", "publish", True)
    assert [(task.name, task.for_each, task.once.name) for task in action.tasks] == [
        ("preflight", "", ""),
        ("upload_image", "images", ""),
        ("put_inventory_item", "", ""),
        ("create_offer", "", "offer"),
        ("publish_offer", "", "listing"),
    ]
    assert json.loads(action.product_schema)["properties"]["product"]
    assert manifest.default_mappings


def test_update_and_delete_have_no_effect_that_must_happen_once() -> None:
    """Whatever update and delete do may be repeated; what an update does beyond its comparison is appended."""
    actions = {action.name: action for action in make_definition(settings()).manifest().actions}
    assert not any(task.HasField("once") for name in ("update", "delete") for task in actions[name].tasks)
    assert [(task.name, task.follow_up) for task in actions["update"].tasks] == [
        ("plan_update", False),
        ("upload_image", True),
        ("update_price_quantity", True),
        ("merge_inventory_item", True),
        ("merge_offer", True),
    ]
    assert [task.name for task in actions["delete"].tasks] == ["end_listing"]


def test_earlier_jobs_find_their_steps() -> None:
    """A job that an earlier manifest planned runs here: all of that manifest's steps exist still."""
    definition = make_definition(settings())
    assert "1" in definition.supported_versions
    steps = {spec.name for spec in definition.handlers_by_action["publish"].create_tasks()}
    assert {"upload_image", "put_inventory_item", "create_offer", "publish_offer"} <= steps


def test_once_steps_may_last_longer_than_their_settling() -> None:
    """An attempt that waits for its effect to settle still has time for its own requests."""
    manifest = make_definition(settings(ebay_settle_seconds=60, ebay_request_timeout_seconds=10)).manifest()
    for task in manifest.actions[0].tasks[3:]:
        assert task.once.settle.seconds == 60
        assert task.start_to_close_timeout.seconds >= 60 + 5 * 10


def test_other_times_are_another_version() -> None:
    """A manifest version names one content for ever, so other times are registered as another version."""
    usual = make_definition(settings())
    other = make_definition(settings(ebay_settle_seconds=2.5))
    assert usual.version == PLAN_VERSION
    assert other.version != usual.version
    assert list(other.supported_versions) == [*usual.supported_versions, PLAN_VERSION]
    assert other.manifest().version == f"{PLAN_VERSION}+timeout.15.settle.2.5"


def test_definition_is_the_same_each_time() -> None:
    """Two replicas with the same settings register byte-identical manifests."""
    first = make_definition(settings()).manifest().SerializeToString(deterministic=True)
    assert make_definition(settings()).manifest().SerializeToString(deterministic=True) == first


def test_addresses_default_to_the_live_api() -> None:
    """Without addresses the connector speaks to eBay itself."""
    found = settings()
    assert (found.ebay_api_url, found.ebay_media_url) == ("https://api.ebay.com", "https://apim.ebay.com")


def test_every_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing and malformed variables are all named with what they expect, and the process ends with 2."""
    monkeypatch.delenv("EBAY_CLIENT_ID")
    monkeypatch.setenv("EBAY_API_URL", "ftp://nowhere")
    monkeypatch.setenv("EBAY_SETTLE_SECONDS", "soon")
    monkeypatch.setenv("EBAY_REQUEST_TIMEOUT_SECONDS", "0")
    with pytest.raises(SystemExit) as caught:
        load_settings(EbaySettings)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    for name in ("EBAY_CLIENT_ID", "EBAY_API_URL", "EBAY_SETTLE_SECONDS", "EBAY_REQUEST_TIMEOUT_SECONDS"):
        assert name in said
    assert "very-secret-value" not in said


def test_secret_is_not_shown() -> None:
    """Settings that are printed do not show the application's secret."""
    assert "very-secret-value" not in repr(settings())
