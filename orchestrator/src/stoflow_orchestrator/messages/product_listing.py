"""Rows of a product's listings as connectors see them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row
from stoflow.catalog.v1.listing_pb2 import ListingState
from stoflow.connector.v1.task_pb2 import ProductListing

from stoflow_orchestrator.messages.listing import LISTING_STATE_PREFIX
from stoflow_service_kit.structs import fill_struct


def product_listing_message(row: Row[Any]) -> ProductListing:
    """Converts a listing."""
    message = ProductListing(
        remote_id=row.remote_id,
        site=row.site,
        state=ListingState.Value(LISTING_STATE_PREFIX + row.state),
        url=row.url,
        product_version=row.product_version,
    )
    if row.notes is not None:
        message.notes.SetInParent()
        fill_struct(message.notes, row.notes)
    return message
