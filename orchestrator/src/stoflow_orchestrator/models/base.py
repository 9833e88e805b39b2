"""Declarative bases and column types that the models share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, LargeBinary, MetaData, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

# Not a schema of the database: a statement that reaches PostgreSQL untranslated fails loudly instead of
# touching `public`.
TENANT_SCHEMA = "tenant"

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

Timestamp = Annotated[datetime, mapped_column(DateTime(timezone=True))]
UuidKey = Annotated[UUID, mapped_column(Uuid(), primary_key=True)]
BigInt = Annotated[int, mapped_column(BigInteger())]
Json = Annotated[dict[str, Any], mapped_column(JSONB(none_as_null=True))]


class Base(DeclarativeBase):
    """Maps Python types to the column types used everywhere."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: Text(),
        bytes: LargeBinary(),
        datetime: DateTime(timezone=True),
        UUID: Uuid(),
    }


class PublicBase(Base):
    """Tables shared by all tenants."""

    __abstract__ = True
    metadata = MetaData(schema="public", naming_convention=NAMING_CONVENTION)


class TenantBase(Base):
    """Tables that every tenant has in its own schema."""

    __abstract__ = True
    metadata = MetaData(schema=TENANT_SCHEMA, naming_convention=NAMING_CONVENTION)
