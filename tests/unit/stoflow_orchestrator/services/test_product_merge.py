"""What an update by a mask makes of a product."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from stoflow.catalog.v1.product_pb2 import ProductContent

from stoflow_orchestrator.services.product_changes import merge_content
from tests.unit.stoflow_orchestrator.test_product_messages import contents

NAMES: list[Any] = sorted(ProductContent.DESCRIPTOR.fields_by_name)


def only(content: ProductContent, names: list[Any]) -> ProductContent:
    kept = ProductContent()
    kept.CopyFrom(content)
    for name in NAMES:
        if name not in names:
            kept.ClearField(name)
    return kept


@given(contents, contents, st.lists(st.sampled_from(NAMES), unique=True))
def test_named_fields_are_new_and_the_others_old(
    stored: ProductContent, wanted: ProductContent, names: list[Any]
) -> None:
    """Each field that the mask names is as wanted, absent ones too; each other is as stored; the inputs stay."""
    before = stored.SerializeToString(deterministic=True), wanted.SerializeToString(deterministic=True)
    merged = merge_content(stored, wanted, names)
    others = [name for name in NAMES if name not in names]
    assert only(merged, names) == only(wanted, names)
    assert only(merged, others) == only(stored, others)
    after = stored.SerializeToString(deterministic=True), wanted.SerializeToString(deterministic=True)
    assert after == before
