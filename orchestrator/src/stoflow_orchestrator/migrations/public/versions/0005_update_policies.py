"""Whether an account's listings follow their products, where results of tasks find it.

Runs before the tenants' own revision 0005, which moves the values here.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "account_gates", sa.Column("update_quiet_seconds", sa.Integer(), nullable=True), schema="public"
    )
