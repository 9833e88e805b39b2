import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stoflow.catalog.v1.product_pb2 import Product, ProductImage

from stoflow_connector_sdk import EffectGrant, StopRequestedError, TaskOutputs
from stoflow_connector_sdk.testing import FixedTokens, make_task_context
from stoflow_service_kit.clock import ManualClock, settle


def test_single_output_is_read_by_name_and_fanned_out_ones_as_a_list() -> None:
    """outputs[name] is the one output of a step; several of a step are listed in order."""
    outputs = TaskOutputs({"create": [{"id": "1"}], "upload": [{"url": "a"}, {"url": "b"}]})
    assert outputs["create"] == {"id": "1"}
    assert outputs.list("upload") == [{"url": "a"}, {"url": "b"}]
    assert outputs.list("missing") == []
    assert "create" in outputs
    assert "missing" not in outputs
    assert sorted(outputs) == ["create", "upload"]


@pytest.mark.parametrize("name", ["upload", "missing"])
def test_wrong_reading_of_outputs_is_refused(name: str) -> None:
    """Neither an absent step nor one with several outputs can be mistaken for a single output."""
    with pytest.raises(LookupError, match=name):
        TaskOutputs({"upload": [{}, {}]})[name]


def test_reference_depends_on_key_and_generation_alone() -> None:
    """Every attempt sends the same reference, and a new generation sends another."""
    reference = EffectGrant("account/product/site/listing", 1).reference
    assert reference == EffectGrant("account/product/site/listing", 1, settle_remaining_seconds=9).reference
    assert reference != EffectGrant("account/product/site/listing", 2).reference


@given(st.text(), st.integers(min_value=0, max_value=2**31 - 1))
def test_reference_fits_every_marketplace(key: str, generation: int) -> None:
    """A reference is twenty lower-case letters and digits, whatever the key."""
    reference = EffectGrant(key, generation).reference
    assert len(reference) == 20
    assert reference.isascii()
    assert reference.isalnum()
    assert reference == reference.lower()


def test_image_is_the_one_of_the_item() -> None:
    """A step that fans out works on the image of its index."""
    product = Product(images=[ProductImage(image_id="a"), ProductImage(image_id="b")])
    assert make_task_context(product_or_none=product, item_index=1).image.image_id == "b"


def test_missing_product_and_image_are_named() -> None:
    """Asking for a product or an image that the task does not have says what is missing."""
    with pytest.raises(LookupError, match="action 'sync' has no product"):
        _ = make_task_context(action="sync").product
    with pytest.raises(LookupError, match="does not fan out"):
        _ = make_task_context(product_or_none=Product()).image


async def test_wait_ends_with_the_time() -> None:
    """Waiting inside an attempt takes the given time on the task's clock."""
    clock = ManualClock()
    waiting = asyncio.create_task(make_task_context(clock=clock).wait(5))
    await clock.advance(4.9)
    assert not waiting.done()
    await clock.advance(0.2)
    await waiting


async def test_wait_ends_when_the_job_is_cancelled() -> None:
    """A cancelled job does not wait on, and the error says that nothing is known of the effect."""
    task = make_task_context(clock=ManualClock())
    waiting = asyncio.create_task(task.wait(5))
    await settle()
    task.state.request_stop("the job was cancelled")
    with pytest.raises(StopRequestedError, match="the job was cancelled"):
        await waiting
    assert task.is_stop_requested


async def test_wait_after_a_stop_ends_at_once() -> None:
    """A stop that came before the wait ends it too."""
    task = make_task_context(clock=ManualClock())
    task.state.request_stop("the job was paused")
    with pytest.raises(StopRequestedError):
        await task.wait(5)


async def test_token_comes_from_the_source() -> None:
    """A refused token brings the next one."""
    task = make_task_context(token_source=FixedTokens("old", "new"))
    assert await task.get_access_token() == "old"
    assert await task.get_access_token(refused="old") == "new"
