"""Marketplaces, the manifests that plan their jobs, and the connectors that are alive."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_orchestrator.models.base import BigInt, PublicBase, UuidKey

ACCOUNT_STATES = "('CONNECTED', 'RECONNECT_REQUIRED', 'CONNECTING', 'ERASED')"


class ConnectorManifest(PublicBase):
    """One version of what a marketplace's connector can do; its content never changes."""

    __tablename__ = "connector_manifests"

    marketplace: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    # Serialized stoflow.connector.v1.Manifest.
    manifest: Mapped[bytes]
    register_time: Mapped[datetime] = mapped_column(server_default=func.now())


class ConnectorInstance(PublicBase):
    """A connector process that is alive until expire_time."""

    __tablename__ = "connector_instances"
    __table_args__ = (CheckConstraint("slots >= 0", name="slots"),)

    instance_id: Mapped[UuidKey]
    marketplace: Mapped[str] = mapped_column(index=True)
    # Every manifest version that it can run, its own first.
    versions: Mapped[list[str]] = mapped_column(ARRAY(Text()))
    # Zero while it drains.
    slots: Mapped[int]
    # Since when an operator wants it to take no more tasks; its slots do not count.
    drain_time: Mapped[datetime | None]
    expire_time: Mapped[datetime]
    register_time: Mapped[datetime] = mapped_column(server_default=func.now())


class AccountGate(PublicBase):
    """What must be known of an account without reading its tenant's schema, by admission above all."""

    __tablename__ = "account_gates"
    __table_args__ = (
        CheckConstraint(f"state IN {ACCOUNT_STATES}", name="state"),
        CheckConstraint("max_admitted_jobs > 0", name="max_admitted_jobs"),
        Index("ix_account_gates_tenant", "tenant_id", "marketplace"),
        # A seller is one account of a tenant; notifications find the accounts of a seller over all tenants.
        Index(
            "uq_account_gates_seller",
            "marketplace",
            "remote_account_id",
            "tenant_id",
            unique=True,
            postgresql_where=text("remote_account_id <> ''"),
        ),
    )

    account_id: Mapped[UuidKey]
    tenant_id: Mapped[BigInt]
    marketplace: Mapped[str]
    state: Mapped[str]
    # When its owner authorized it last; a refusal of what was authorized before says nothing.
    connect_time: Mapped[datetime] = mapped_column(server_default=func.now())
    # The marketplace's own id of the seller; empty when it is not known.
    remote_account_id: Mapped[str] = mapped_column(server_default="")
    # Until when a job that connects the account is admitted, whatever its state; null when none is expected.
    connect_until: Mapped[datetime | None]
    # Until when the marketplace's limit holds its jobs back; null or past when it does not.
    rate_limit_time: Mapped[datetime | None]
    # Why its browser stopped it, while it is not CONNECTED; null when nothing did.
    stop_reason: Mapped[str | None]
    # Greatest number of its jobs admitted at once; null for no limit of its own.
    max_admitted_jobs: Mapped[int | None]
    # Not null while an operator holds its jobs back.
    pause_time: Mapped[datetime | None]
    pause_reason: Mapped[str] = mapped_column(server_default="")
    # How long a product must rest before its listings are brought up to date; null when nobody asked for that. Here, so
    # that results of tasks know it without reading the tenant's schema.
    update_quiet_seconds: Mapped[int | None]


class Effect(PublicBase):
    """The record that something which must happen once was begun, and what became of it.

    Written UNRESOLVED in the transaction that grants the first attempt; it outlives attempts and jobs.
    """

    __tablename__ = "effects"
    __table_args__ = (
        CheckConstraint("state IN ('UNRESOLVED', 'DONE', 'NOT_SENT')", name="state"),
        CheckConstraint("mode IN ('EXECUTE', 'PROBE', 'ADOPT')", name="mode"),
        CheckConstraint("state <> 'DONE' OR remote_id <> ''", name="done_has_remote_id"),
        CheckConstraint("generation > 0", name="generation"),
        UniqueConstraint("account_id", "product_id", "site", "name"),
        Index("ix_effects_unresolved", "effect_id", postgresql_where=text("state = 'UNRESOLVED'")),
        Index("ix_effects_late", "effect_id", postgresql_where=text("late_remote_ids <> '{}'")),
    )

    effect_id: Mapped[UuidKey]
    tenant_id: Mapped[BigInt]
    account_id: Mapped[UUID]
    # The nil UUID for actions without a product.
    product_id: Mapped[UUID]
    site: Mapped[str]
    name: Mapped[str]
    state: Mapped[str]
    # How the newest attempt began. A PROBE attempt that sent nothing proves nothing about the one before it.
    mode: Mapped[str]
    generation: Mapped[int]
    remote_id: Mapped[str]
    # What attempts reported that had lost their lease; remote_id may be among them.
    late_remote_ids: Mapped[list[str]] = mapped_column(ARRAY(Text()), server_default="{}")
    # The attempt that may have sent it last.
    job_id: Mapped[UUID]
    task_id: Mapped[UUID]
    # No request of an earlier attempt can have been sent after this.
    last_send_time: Mapped[datetime]
    update_time: Mapped[datetime] = mapped_column(server_default=func.now())
