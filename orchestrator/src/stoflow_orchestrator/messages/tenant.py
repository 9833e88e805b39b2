"""Rows of public.tenants as messages."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row
from stoflow.tenants.v1.tenant_pb2 import Tenant

from stoflow_orchestrator.messages.times import to_timestamp
from stoflow_orchestrator.migrations.runner import tenant_schema


def tenant_message(row: Row[Any]) -> Tenant:
    """Converts a tenant."""
    return Tenant(
        tenant_id=row.tenant_id,
        display_name=row.display_name,
        schema_name=tenant_schema(row.tenant_id),
        create_time=to_timestamp(row.create_time),
    )
