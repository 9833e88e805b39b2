"""Rows of accounts as messages."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from sqlalchemy import Row
from stoflow.accounts.v1.account_pb2 import Account, AccountState, AccountStopReason

from stoflow_orchestrator.messages.times import to_timestamp

ACCOUNT_STATE_PREFIX = "ACCOUNT_STATE_"


def account_message(tenant_id: int, row: Row[Any]) -> Account:
    """Converts an account, which says nothing of its credentials."""
    message = Account(
        account_id=str(row.account_id),
        tenant_id=tenant_id,
        marketplace=row.marketplace,
        display_name=row.display_name,
        state=AccountState.Value(ACCOUNT_STATE_PREFIX + row.state),
        sites=row.sites,
        settings=ParseDict(row.settings, Struct()),
        create_time=to_timestamp(row.create_time),
        update_time=to_timestamp(row.update_time),
        remote_account_id=row.remote_account_id,
        stop_reason=stop_reason_of(row.state, row.stop_reason),
    )
    if row.rate_limit_time is not None:
        message.rate_limit_end_time.CopyFrom(to_timestamp(row.rate_limit_time))
    return message


def stop_reason_of(state: str, reason: str | None) -> AccountStopReason.ValueType:
    """Converts why a browser stopped an account; what it once said of one that is CONNECTED again counts no more."""
    if state == "CONNECTED" or not reason:
        return AccountStopReason.ACCOUNT_STOP_REASON_UNSPECIFIED
    return AccountStopReason.Value(f"ACCOUNT_STOP_REASON_{reason}")
