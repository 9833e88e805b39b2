"""Run by Alembic; the connection and its schema come from stoflow_orchestrator.migrations.runner."""

from __future__ import annotations

from alembic import context

configuration = context.config.attributes

context.configure(
    connection=configuration["connection"],
    target_metadata=configuration["metadata"],
    version_table_schema=configuration["schema"],
    include_schemas=False,
    transaction_per_migration=False,
)
# The runner owns the transaction, so that a tenant's upgrade happens whole or not at all.
context.run_migrations()
