"""A tenant's catalogue: products, their images, and where they are listed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_orchestrator.models.base import BigInt, Json, TenantBase, UuidKey
from stoflow_orchestrator.models.connector import ACCOUNT_STATES


class Product(TenantBase):
    """An article of the seller's catalogue."""

    __tablename__ = "products"
    __table_args__ = (
        UniqueConstraint("sku"),
        CheckConstraint("price_minor >= 0", name="price"),
        CheckConstraint("stock_quantity >= 0", name="stock"),
        CheckConstraint("version > 0", name="version"),
        CheckConstraint("weight_grams >= 0", name="weight"),
        Index("ix_products_create_time", "create_time", "product_id"),
    )

    product_id: Mapped[UuidKey]
    sku: Mapped[str]
    title: Mapped[str]
    description: Mapped[str]
    price_currency: Mapped[str]
    price_minor: Mapped[BigInt]
    stock_quantity: Mapped[int]
    brand: Mapped[str]
    category: Mapped[str]
    condition: Mapped[str]
    # Lists of values by name.
    attributes: Mapped[Json]
    # Objects by marketplace, with any of title, description, price_currency, price_minor, category_id.
    overrides: Mapped[Json]
    # The defaults let code from before these columns insert.
    colors: Mapped[list[str]] = mapped_column(ARRAY(Text()), server_default="{}")
    size: Mapped[str] = mapped_column(server_default="")
    materials: Mapped[list[str]] = mapped_column(ARRAY(Text()), server_default="{}")
    # Empty when not said.
    gender: Mapped[str] = mapped_column(server_default="")
    # Millimetres by name.
    measurements_mm: Mapped[Json] = mapped_column(server_default="{}")
    weight_grams: Mapped[int] = mapped_column(server_default="0")
    # length_mm, width_mm and height_mm; empty when unknown.
    package_size: Mapped[Json] = mapped_column(server_default="{}")
    # Any of who_made, is_made_to_order, made_from_year, made_to_year, is_supply; null when not said.
    origin: Mapped[Json | None]
    version: Mapped[BigInt]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    update_time: Mapped[datetime] = mapped_column(server_default=func.now())


class ProductImport(TenantBase):
    """What one import answered, for whoever repeats it."""

    __tablename__ = "product_imports"

    import_id: Mapped[UuidKey]
    # A serialized ImportProductsResponse.
    response: Mapped[bytes]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())


class ProductImage(TenantBase):
    """One picture of a product; its bytes lie in the image store under their SHA-256."""

    __tablename__ = "product_images"
    __table_args__ = (UniqueConstraint("product_id", "position"),)

    image_id: Mapped[UuidKey]
    product_id: Mapped[UUID] = mapped_column(ForeignKey(Product.product_id, ondelete="CASCADE"))
    position: Mapped[int]
    content_sha256: Mapped[str]
    content_type: Mapped[str]
    size_bytes: Mapped[BigInt]
    width_pixels: Mapped[int]
    height_pixels: Mapped[int]


class Listing(TenantBase):
    """Something for sale on one site of one marketplace, as the last accepted result described it."""

    __tablename__ = "listings"
    __table_args__ = (
        UniqueConstraint("account_id", "remote_id"),
        CheckConstraint("state IN ('DRAFT', 'LIVE', 'ENDED', 'SOLD')", name="state"),
        CheckConstraint("(price_currency IS NULL) = (price_minor IS NULL)", name="price"),
        CheckConstraint("link IN ('SKU', 'SELLER')", name="link"),
        Index("ix_listings_product_id", "product_id"),
        Index("ix_listings_update_time", "update_time", "listing_id"),
    )

    listing_id: Mapped[UuidKey]
    marketplace: Mapped[str]
    account_id: Mapped[UUID]
    # Null for one that a sync found and nobody has linked.
    product_id: Mapped[UUID | None]
    # Who linked it when no job did. SELLER without a product: the seller says that no sync may link it.
    link: Mapped[str | None]
    site: Mapped[str]
    remote_id: Mapped[str]
    sku: Mapped[str] = mapped_column(server_default="")
    title: Mapped[str] = mapped_column(server_default="")
    url: Mapped[str]
    state: Mapped[str]
    price_currency: Mapped[str | None]
    price_minor: Mapped[int | None] = mapped_column(BigInteger())
    product_version: Mapped[BigInt]
    # Whatever the connector wants to know again; null when it noted nothing.
    notes: Mapped[Json | None]
    update_time: Mapped[datetime] = mapped_column(server_default=func.now())


class Account(TenantBase):
    """The tenant's connection to a marketplace; its credentials are encrypted."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint(f"state IN {ACCOUNT_STATES}", name="state"),
        CheckConstraint("(grant_id IS NULL) = (grant_expire_time IS NULL)", name="grant_expires"),
        Index("ix_accounts_create_time", "create_time", "account_id"),
    )

    account_id: Mapped[UuidKey]
    marketplace: Mapped[str]
    display_name: Mapped[str]
    state: Mapped[str]
    # The default first.
    sites: Mapped[list[str]] = mapped_column(ARRAY(Text()))
    settings: Mapped[Json]
    # stoflow_orchestrator.pricing.PriceRule; null takes prices as they are.
    price_rule: Mapped[Json | None]
    # Counts the changes of the rule.
    price_rule_version: Mapped[BigInt] = mapped_column(server_default="0")
    price_rule_time: Mapped[datetime | None]
    # AES-256-GCM over JSON {access_token, refresh_token}, bound to tenant and account; null before the first
    # connection and after the erasure.
    credentials: Mapped[bytes | None]
    access_token_expire_time: Mapped[datetime | None]
    # The one caller that may refresh now.
    grant_id: Mapped[UUID | None]
    grant_instance_id: Mapped[UUID | None]
    grant_expire_time: Mapped[datetime | None]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    update_time: Mapped[datetime] = mapped_column(server_default=func.now())


class Order(TenantBase):
    """Something that was sold, as the last accepted result described it; nothing of who bought it."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("account_id", "remote_id"),
        CheckConstraint(
            "state IN ('PLACED', 'PAID', 'SHIPPED', 'DELIVERED', 'CANCELLED', 'REFUNDED')", name="state"
        ),
        CheckConstraint("(total_currency IS NULL) = (total_minor IS NULL)", name="total"),
        Index("ix_orders_place_time", "place_time", "order_id"),
    )

    order_id: Mapped[UuidKey]
    marketplace: Mapped[str]
    account_id: Mapped[UUID]
    remote_id: Mapped[str]
    state: Mapped[str]
    total_currency: Mapped[str | None]
    total_minor: Mapped[int | None] = mapped_column(BigInteger())
    place_time: Mapped[datetime]
    # At the marketplace; what is older does not replace it.
    change_time: Mapped[datetime]
    update_time: Mapped[datetime] = mapped_column(server_default=func.now())


class OrderLine(TenantBase):
    """One article of an order."""

    __tablename__ = "order_lines"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("taken_quantity >= 0", name="taken"),
        CheckConstraint("(price_currency IS NULL) = (price_minor IS NULL)", name="price"),
        Index("ix_order_lines_product_id", "product_id"),
        Index("ix_order_lines_listing_remote_id", "listing_remote_id"),
    )

    order_id: Mapped[UUID] = mapped_column(ForeignKey(Order.order_id, ondelete="CASCADE"), primary_key=True)
    remote_id: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    # By the listing's link or the SKU, when the line was stored or linked later; kept when those change.
    product_id: Mapped[UUID | None]
    listing_remote_id: Mapped[str]
    sku: Mapped[str]
    title: Mapped[str]
    quantity: Mapped[int]
    # How many pieces it has taken from its product's stock: what a cancellation gives back.
    taken_quantity: Mapped[int] = mapped_column(server_default="0")
    # Whether it has taken what there was: each line does so once.
    is_counted: Mapped[bool] = mapped_column(server_default="false")
    price_currency: Mapped[str | None]
    price_minor: Mapped[int | None] = mapped_column(BigInteger())
