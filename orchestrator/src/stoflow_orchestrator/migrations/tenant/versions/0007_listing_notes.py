"""What connectors note of listings.

Tolerates the code before it: the column is null for everything that code writes.
"""

from __future__ import annotations

from alembic import context, op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Named outright: Alembic does not translate the schema in plain statements.
    op.execute(f'ALTER TABLE "{context.config.attributes["schema"]}".listings ADD COLUMN notes jsonb')
