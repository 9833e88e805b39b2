"""Accounts on their way into connection, sellers' ids, hints, erasures, syncs, limits' ends, and listings to be ended.

Runs before the code that needs it, and tolerates the code before it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels = None
depends_on = None

ALTERATIONS = (
    "ALTER TABLE public.account_gates DROP CONSTRAINT ck_account_gates_state",
    """ALTER TABLE public.account_gates ADD CONSTRAINT ck_account_gates_state
        CHECK (state IN ('CONNECTED', 'RECONNECT_REQUIRED', 'CONNECTING', 'ERASED'))""",
    "ALTER TABLE public.account_gates ADD COLUMN remote_account_id text NOT NULL DEFAULT ''",
    "ALTER TABLE public.account_gates ADD COLUMN connect_until timestamptz",
    "ALTER TABLE public.account_gates ADD COLUMN rate_limit_time timestamptz",
    """CREATE UNIQUE INDEX uq_account_gates_seller
        ON public.account_gates (marketplace, remote_account_id, tenant_id) WHERE remote_account_id <> ''""",
    "ALTER TABLE public.marketplace_gates ADD COLUMN rate_limit_time timestamptz",
    "ALTER TABLE public.due_listing_updates ADD COLUMN action text NOT NULL DEFAULT 'update'",
    """ALTER TABLE public.due_listing_updates ADD CONSTRAINT ck_due_listing_updates_action
        CHECK (action IN ('update', 'delete'))""",
)
# Accounts from before: spread over the interval, so that they do not come all at once.
FILL_SYNCS = """
    INSERT INTO public.account_syncs (account_id, kind, tenant_id, is_automatic, interval_seconds, due_time, sync_id,
                                      is_hinted)
    SELECT g.account_id, k.kind, g.tenant_id, true, k.seconds,
           now() + make_interval(secs => k.seconds * (0.5 + random())), gen_random_uuid(), false
      FROM public.account_gates AS g CROSS JOIN (VALUES ('ORDERS', 900), ('LISTINGS', 86400)) AS k(kind, seconds)"""


def upgrade() -> None:
    for statement in ALTERATIONS:
        op.execute(statement)
    _create_connections()
    _create_hints()
    _create_erasures()
    _create_syncs()
    op.execute(FILL_SYNCS)


def _time(name: str, *, nullable: bool = False, default: bool = False) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        nullable=nullable,
        server_default=sa.text("now()") if default else None,
    )


def _create_connections() -> None:
    name = "account_connections"
    op.create_table(
        name,
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("state_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        _time("expire_time"),
        _time("create_time", default=True),
        sa.CheckConstraint(
            "status IN ('CONSENT', 'CODE', 'CONNECTED', 'REFUSED')", name=op.f(f"ck_{name}_status")
        ),
        sa.CheckConstraint(
            "(status IN ('CONSENT', 'CODE')) = (secret IS NOT NULL)", name=op.f(f"ck_{name}_secret")
        ),
        sa.PrimaryKeyConstraint("connection_id", name=op.f(f"pk_{name}")),
        sa.UniqueConstraint("account_id", name=op.f(f"uq_{name}_account_id")),
        sa.UniqueConstraint("state_sha256", name=op.f(f"uq_{name}_state_sha256")),
        schema="public",
    )
    op.create_index(f"ix_{name}_expire_time", name, ["expire_time"], schema="public")


def _create_hints() -> None:
    op.create_table(
        "received_hints",
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("hint_id", sa.Text(), nullable=False),
        _time("receive_time", default=True),
        sa.PrimaryKeyConstraint("marketplace", "hint_id", name=op.f("pk_received_hints")),
        schema="public",
    )
    op.create_index("ix_received_hints_receive_time", "received_hints", ["receive_time"], schema="public")


def _create_erasures() -> None:
    op.create_table(
        "account_erasures",
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        _time("request_time", default=True),
        _time("finish_time", nullable=True),
        sa.PrimaryKeyConstraint("erasure_id", name=op.f("pk_account_erasures")),
        schema="public",
    )
    op.create_index(
        "ix_account_erasures_unfinished",
        "account_erasures",
        ["erasure_id"],
        schema="public",
        postgresql_where=sa.text("finish_time IS NULL"),
    )


def _create_syncs() -> None:
    op.create_table(
        "account_syncs",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("is_automatic", sa.Boolean(), nullable=False),
        sa.Column("interval_seconds", sa.Integer(), nullable=False),
        _time("due_time", nullable=True),
        sa.Column("sync_id", sa.Uuid(), nullable=False),
        sa.Column("is_hinted", sa.Boolean(), nullable=False),
        sa.CheckConstraint("kind IN ('ORDERS', 'LISTINGS')", name=op.f("ck_account_syncs_kind")),
        sa.CheckConstraint("interval_seconds >= 60", name=op.f("ck_account_syncs_interval")),
        sa.PrimaryKeyConstraint("account_id", "kind", name=op.f("pk_account_syncs")),
        schema="public",
    )
    op.create_index("ix_account_syncs_due_time", "account_syncs", ["due_time"], schema="public")
