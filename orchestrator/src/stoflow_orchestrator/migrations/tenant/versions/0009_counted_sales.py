"""Which sold articles were counted; those from before were, by the seller.

Runs before the code that needs it, and tolerates the code before it.
"""

from __future__ import annotations

from alembic import context, op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels = None
depends_on = None

STATEMENTS = (
    'ALTER TABLE "{schema}".order_lines ADD COLUMN is_counted boolean NOT NULL DEFAULT true',
    'ALTER TABLE "{schema}".order_lines ALTER COLUMN is_counted SET DEFAULT false',
    # An order may lose pieces before what it took is given back.
    'ALTER TABLE "{schema}".order_lines DROP CONSTRAINT ck_order_lines_taken',
    'ALTER TABLE "{schema}".order_lines ADD CONSTRAINT ck_order_lines_taken CHECK (taken_quantity >= 0)',
)


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    for statement in STATEMENTS:
        op.execute(statement.format(schema=schema))
