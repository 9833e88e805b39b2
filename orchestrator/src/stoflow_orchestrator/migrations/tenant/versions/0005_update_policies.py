"""Moves to `public` whether an account's listings follow their products.

Runs before the code that needs it; the code before it cannot read accounts beside it.
"""

from __future__ import annotations

from alembic import context, op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    accounts = f'"{schema}".accounts'
    op.execute(
        "UPDATE public.account_gates AS g SET update_quiet_seconds = a.update_quiet_seconds"  # noqa: S608 - a table
        f" FROM {accounts} AS a WHERE a.account_id = g.account_id AND a.update_quiet_seconds IS NOT NULL"
    )
    op.drop_column("accounts", "update_quiet_seconds", schema=schema)
