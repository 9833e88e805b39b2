"""Accounts on their way into connection, what marketplaces told of accounts, and when accounts are synchronized."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_orchestrator.models.base import BigInt, PublicBase, UuidKey


class AccountConnection(PublicBase):
    """A consent that a seller was asked for; gone once it is over, and with its account."""

    __tablename__ = "account_connections"
    __table_args__ = (
        CheckConstraint("status IN ('CONSENT', 'CODE', 'CONNECTED', 'REFUSED')", name="status"),
        # What is over holds no secret.
        CheckConstraint("(status IN ('CONSENT', 'CODE')) = (secret IS NOT NULL)", name="secret"),
        Index("ix_account_connections_expire_time", "expire_time"),
    )

    # Also the right to save what the code is exchanged for.
    connection_id: Mapped[UuidKey]
    tenant_id: Mapped[BigInt]
    account_id: Mapped[UUID] = mapped_column(unique=True)
    # The state itself is as secret as a password: whoever has it can bring a code of their own.
    state_sha256: Mapped[bytes] = mapped_column(unique=True)
    status: Mapped[str]
    redirect_uri: Mapped[str]
    # AES-256-GCM over JSON {state, consent_url, code_verifier, code}, bound to tenant and connection.
    secret: Mapped[bytes | None]
    expire_time: Mapped[datetime]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())


class ReceivedHint(PublicBase):
    """A notification of a marketplace that was taken; the same again is dropped."""

    __tablename__ = "received_hints"
    __table_args__ = (Index("ix_received_hints_receive_time", "receive_time"),)

    marketplace: Mapped[str] = mapped_column(primary_key=True)
    hint_id: Mapped[str] = mapped_column(primary_key=True)
    receive_time: Mapped[datetime] = mapped_column(server_default=func.now())


class AccountErasure(PublicBase):
    """That a seller's data were erased from an account: what stays of it, and names nobody."""

    __tablename__ = "account_erasures"
    __table_args__ = (
        Index("ix_account_erasures_unfinished", "erasure_id", postgresql_where=text("finish_time IS NULL")),
    )

    erasure_id: Mapped[UuidKey]
    tenant_id: Mapped[BigInt]
    account_id: Mapped[UUID]
    marketplace: Mapped[str]
    request_time: Mapped[datetime] = mapped_column(server_default=func.now())
    # When the last of its jobs was cancelled.
    finish_time: Mapped[datetime | None]


class AccountSync(PublicBase):
    """When an account's orders or listings are synchronized next, by its policy or because of a hint."""

    __tablename__ = "account_syncs"
    __table_args__ = (
        CheckConstraint("kind IN ('ORDERS', 'LISTINGS')", name="kind"),
        CheckConstraint("interval_seconds >= 60", name="interval"),
        Index("ix_account_syncs_due_time", "due_time"),
    )

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[BigInt]
    is_automatic: Mapped[bool]
    interval_seconds: Mapped[int]
    # Null when none is planned.
    due_time: Mapped[datetime | None]
    # The job's request_id derives from it; another with each sync that is planned.
    sync_id: Mapped[UUID]
    # Whether a hint asked for it: a sync that runs already may have read what was before.
    is_hinted: Mapped[bool]
