"""Browsers that act for accounts: who may, who does, and which actions need one."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_orchestrator.models.base import BigInt, PublicBase, UuidKey


class SessionRoute(PublicBase):
    """A marketplace some of whose actions go to the instance that holds the account's session."""

    __tablename__ = "session_routes"

    marketplace: Mapped[str] = mapped_column(primary_key=True)
    # Of the manifest registered last.
    actions: Mapped[list[str]] = mapped_column(ARRAY(Text()))


class AccountSession(PublicBase):
    """The one instance at which an account's browser is connected; its row outlives the sessions, for their epochs."""

    __tablename__ = "account_sessions"
    __table_args__ = (
        CheckConstraint("(instance_id IS NULL) = (expire_time IS NULL)", name="held_expires"),
        CheckConstraint("epoch > 0", name="epoch"),
    )

    account_id: Mapped[UuidKey]
    tenant_id: Mapped[BigInt]
    marketplace: Mapped[str]
    # Grows with every grant: what comes under a smaller one is late.
    epoch: Mapped[BigInt]
    # Null while nobody holds it.
    instance_id: Mapped[UUID | None]
    pairing_id: Mapped[UUID]
    # The marketplace's id of the user whom the account belongs to: the first one that it was acquired with.
    remote_user_id: Mapped[str]
    acquire_time: Mapped[datetime]
    expire_time: Mapped[datetime | None]


class PairingCode(PublicBase):
    """A short-lived code for which a browser gets a pairing, once."""

    __tablename__ = "pairing_codes"
    __table_args__ = (UniqueConstraint("code_sha256"),)

    code_id: Mapped[UuidKey]
    tenant_id: Mapped[BigInt]
    account_id: Mapped[UUID]
    code_sha256: Mapped[bytes]
    # So that a repeated request gets the same code.
    sealed_code: Mapped[bytes]
    expire_time: Mapped[datetime] = mapped_column(index=True)
    # What it was exchanged for; null while it is good.
    pairing_id: Mapped[UUID | None]


class Pairing(PublicBase):
    """A browser that may act for an account, known by the hash of its secret."""

    __tablename__ = "pairings"
    __table_args__ = (
        UniqueConstraint("token_sha256"),
        Index(
            "ix_pairings_account",
            "account_id",
            "create_time",
            "pairing_id",
            postgresql_where=text("revoke_time IS NULL"),
        ),
    )

    pairing_id: Mapped[UuidKey]
    tenant_id: Mapped[BigInt]
    account_id: Mapped[UUID]
    marketplace: Mapped[str]
    token_sha256: Mapped[bytes]
    # The browser's installation; the secret is good for no other.
    client_id: Mapped[UUID]
    client_name: Mapped[str]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    connect_time: Mapped[datetime] = mapped_column(server_default=func.now())
    revoke_time: Mapped[datetime | None]
