"""Updates of live rows stay within their pages: room for them, and no index on what changes with each attempt.

Tolerates the code before it: the reaper's old queries only become slower.
"""

from __future__ import annotations

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None

INDEXES = (
    "ix_live_tasks_deadline",
    "ix_live_tasks_dispatch",
    "ix_live_tasks_instance",
    "ix_live_tasks_lease",
)


def upgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, "live_tasks", schema="public")
    op.execute("ALTER TABLE public.live_tasks SET (fillfactor = 45)")
    op.execute("ALTER TABLE public.live_jobs SET (fillfactor = 60)")
