"""Schema migrations: one Alembic history for `public`, one that every tenant's schema goes through."""
