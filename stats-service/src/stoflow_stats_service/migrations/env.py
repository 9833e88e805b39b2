"""Run by Alembic; the connection comes from migrations.runner, which owns the transaction."""

from alembic import context

from stoflow_stats_service.models import SCHEMA, Base


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    # The database is shared: other schemas are other services' business.
    return name == SCHEMA if kind == "schema" else True


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
    include_name=_is_ours,
    transaction_per_migration=False,
)
context.run_migrations()
