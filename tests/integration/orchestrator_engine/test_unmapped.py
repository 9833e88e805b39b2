"""What a marketplace has no value for is found before a job starts."""

from __future__ import annotations

import json
import uuid

import grpc
import pytest
from stoflow.catalog.v1 import reference_service_pb2
from stoflow.catalog.v1.mapping_pb2 import MappingKey
from stoflow.catalog.v1.reference_pb2 import REFERENCE_ATTRIBUTE_BRAND, REFERENCE_ATTRIBUTE_COLOR
from stoflow.jobs.v1 import batch_service_pb2

from stoflow_service_kit.grpc_channel import rich_error
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import step

SCHEMA = json.dumps({"properties": {"mappings": {"required": ["brand", "color", "size"]}}})


async def test_unmapped_values_are_named_until_they_are_mapped(shop: Shop) -> None:
    """A job is refused with every unmapped word by field; once all are mapped the task gets the values."""
    connector = await shop.open(step("only"), requires_product=True, product_schema=SCHEMA)
    product_id = await shop.stubs.create_product(shop.tenant_id, brand="Levi's", colors=["Navy", "red"])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shop.create_job(product_id)
    error = rich_error(caught.value)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PRODUCT_REFUSED")
    assert [violation.field for violation in error.violations] == [
        "product.mappings.brand",
        "product.mappings.color",
        "product.mappings.size",
    ]
    assert "Levi's" in error.violations[0].description
    batch = batch_service_pb2.CreateBatchRequest(
        request_id=str(uuid.uuid4()),
        tenant_id=shop.tenant_id,
        account_id=shop.account_id,
        product_ids=[product_id],
        action="publish",
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shop.stubs.batches.CreateBatch(batch)
    fields = [violation.field for violation in rich_error(caught.value).violations]
    assert "product_ids[0].mappings.brand" in fields
    assert await shop.query("SELECT 1 FROM public.live_jobs WHERE tenant_id = %s", shop.tenant_id) == []

    sized = await shop.stubs.create_product(
        shop.tenant_id, brand="LEVIS", colors=["Navy", "red"], size="one of a kind"
    )
    entry = reference_service_pb2.ImportMappingsRequest.Entry
    await shop.stubs.reference.ImportMappings(
        reference_service_pb2.ImportMappingsRequest(
            request_id=str(uuid.uuid4()),
            marketplace=shop.marketplace,
            mappings=[
                entry(key=MappingKey(attribute=REFERENCE_ATTRIBUTE_BRAND, key="levis"), value="53"),
                entry(key=MappingKey(attribute=REFERENCE_ATTRIBUTE_COLOR, key="navy"), value="27"),
                entry(key=MappingKey(attribute=REFERENCE_ATTRIBUTE_COLOR, key="red"), value="7"),
            ],
        )
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shop.create_job(sized)
    (violation,) = rich_error(caught.value).violations
    assert (violation.field, "'one of a kind'" in violation.description) == ("product.mappings.size", True)

    fitting = await shop.stubs.create_product(
        shop.tenant_id, brand="LEVIS", colors=["Navy", "red"], size="M", overrides=[]
    )
    await shop.query(
        "INSERT INTO public.marketplace_mappings (marketplace, attribute, key, value, source)"
        " VALUES (%s, 'size', 'm', '4', 'operator') RETURNING 1",
        shop.marketplace,
    )
    await shop.create_job(fitting)
    _, granted = await connector.receive_and_start()
    snapshot = granted.assignment.product
    assert dict(snapshot.mappings) == {"brand": "53", "color": "27", "size": "4"}
    assert list(snapshot.value_lists["color"].values) == ["27", "7"]
