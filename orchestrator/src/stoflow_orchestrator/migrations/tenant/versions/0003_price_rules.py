"""What makes an account's prices.

Runs before the code that needs it; the code before it does not look at the columns.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Named outright: Alembic does not translate the schema in an ALTER TABLE.
    schema = context.config.attributes["schema"]
    for column in (
        sa.Column("price_rule", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("price_rule_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("price_rule_time", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("accounts", column, schema=schema)
