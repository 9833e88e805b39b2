"""Accounts without credentials yet or any more, and what sold articles took from their products' stock.

Runs before the code that needs it, and tolerates the code before it.
"""

from __future__ import annotations

from alembic import context, op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    'ALTER TABLE "{schema}".accounts DROP CONSTRAINT ck_accounts_state',
    """ALTER TABLE "{schema}".accounts ADD CONSTRAINT ck_accounts_state
        CHECK (state IN ('CONNECTED', 'RECONNECT_REQUIRED', 'CONNECTING', 'ERASED'))""",
    'ALTER TABLE "{schema}".accounts ALTER COLUMN credentials DROP NOT NULL',
    'ALTER TABLE "{schema}".order_lines ADD COLUMN taken_quantity integer NOT NULL DEFAULT 0',
    """ALTER TABLE "{schema}".order_lines ADD CONSTRAINT ck_order_lines_taken
        CHECK (taken_quantity BETWEEN 0 AND quantity)""",
)


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    for statement in STATEMENTS:
        op.execute(statement.format(schema=schema))
