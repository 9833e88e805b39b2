"""When accounts were connected, remote ids that came late, effects to adopt, and indexes of waiting and paused jobs.

Runs before the code that needs it, and tolerates the code before it. Some databases have parts of it already.
"""

from __future__ import annotations

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE public.account_gates ADD COLUMN IF NOT EXISTS connect_time timestamptz NOT NULL DEFAULT now()",
    "ALTER TABLE public.effects ADD COLUMN IF NOT EXISTS late_remote_ids text[] NOT NULL DEFAULT '{}'",
    "ALTER TABLE public.effects DROP CONSTRAINT ck_effects_mode",
    "ALTER TABLE public.effects ADD CONSTRAINT ck_effects_mode CHECK (mode IN ('EXECUTE', 'PROBE', 'ADOPT'))",
    "CREATE INDEX IF NOT EXISTS ix_effects_late ON public.effects (effect_id) WHERE late_remote_ids <> '{}'",
    """CREATE INDEX IF NOT EXISTS ix_live_jobs_unsupported ON public.live_jobs (marketplace, manifest_version)
        WHERE state = 'PENDING' AND wait_reason = 'CONNECTOR_UNAVAILABLE'""",
    "CREATE INDEX IF NOT EXISTS ix_live_jobs_paused ON public.live_jobs (batch_id) WHERE state = 'PAUSED'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
