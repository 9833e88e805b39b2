"""Sessions of sellers' browsers, their pairings, and why an account is stopped.

Runs before the code that needs it, and tolerates the code before it.
"""

from __future__ import annotations

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    """CREATE TABLE public.session_routes (
        marketplace text NOT NULL, actions text[] NOT NULL,
        CONSTRAINT pk_session_routes PRIMARY KEY (marketplace))""",
    """CREATE TABLE public.account_sessions (
        account_id uuid NOT NULL, tenant_id bigint NOT NULL, marketplace text NOT NULL, epoch bigint NOT NULL,
        instance_id uuid, pairing_id uuid NOT NULL, remote_user_id text NOT NULL, acquire_time timestamptz NOT NULL,
        expire_time timestamptz,
        CONSTRAINT pk_account_sessions PRIMARY KEY (account_id),
        CONSTRAINT ck_account_sessions_held_expires CHECK ((instance_id IS NULL) = (expire_time IS NULL)),
        CONSTRAINT ck_account_sessions_epoch CHECK (epoch > 0))""",
    """CREATE TABLE public.pairing_codes (
        code_id uuid NOT NULL, tenant_id bigint NOT NULL, account_id uuid NOT NULL, code_sha256 bytea NOT NULL,
        sealed_code bytea NOT NULL, expire_time timestamptz NOT NULL, pairing_id uuid,
        CONSTRAINT pk_pairing_codes PRIMARY KEY (code_id),
        CONSTRAINT uq_pairing_codes_code_sha256 UNIQUE (code_sha256))""",
    "CREATE INDEX ix_pairing_codes_expire_time ON public.pairing_codes (expire_time)",
    """CREATE TABLE public.pairings (
        pairing_id uuid NOT NULL, tenant_id bigint NOT NULL, account_id uuid NOT NULL, marketplace text NOT NULL,
        token_sha256 bytea NOT NULL, client_id uuid NOT NULL, client_name text NOT NULL,
        create_time timestamptz NOT NULL DEFAULT now(), connect_time timestamptz NOT NULL DEFAULT now(),
        revoke_time timestamptz,
        CONSTRAINT pk_pairings PRIMARY KEY (pairing_id),
        CONSTRAINT uq_pairings_token_sha256 UNIQUE (token_sha256))""",
    """CREATE INDEX ix_pairings_account ON public.pairings (account_id, create_time, pairing_id)
        WHERE revoke_time IS NULL""",
    "ALTER TABLE public.account_gates ADD COLUMN stop_reason text",
    """CREATE INDEX ix_live_jobs_offline ON public.live_jobs (account_id)
        WHERE state = 'PENDING' AND wait_reason = 'SELLER_OFFLINE'""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
