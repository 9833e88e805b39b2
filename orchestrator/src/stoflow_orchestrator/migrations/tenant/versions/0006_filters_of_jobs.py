"""Indexes for the filters of a tenant's jobs.

Tolerates the code before it. Some databases have them already.
"""

from __future__ import annotations

from alembic import context, op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Named outright: Alembic does not translate the schema in plain statements.
    jobs = f'"{context.config.attributes["schema"]}".marketplace_jobs'
    op.execute(
        f"CREATE INDEX IF NOT EXISTS ix_marketplace_jobs_account_id ON {jobs} (account_id, job_id) INCLUDE (state)"
    )
    op.execute(
        f"CREATE INDEX IF NOT EXISTS ix_marketplace_jobs_action ON {jobs} (marketplace, action, job_id)"
    )
