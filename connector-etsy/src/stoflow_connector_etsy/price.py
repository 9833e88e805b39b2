"""Money between our minor units and Etsy's: floats in requests, amount and divisor in answers."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from stoflow_connector_sdk import Money

# ISO 4217: currencies whose minor unit is not a hundredth, of those that shops may sell in.
_MINOR_DIGITS: dict[str, int] = {**dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "VND"), 0), "TND": 3}
_MAX_AMOUNT_MINOR = 2**63 - 1


def decimal_price(price: Money) -> Decimal:
    """Returns an amount as Etsy writes it: 19.99 for 1999 EUR, 1999 for 1999 JPY."""
    return Decimal(price.amount_minor).scaleb(-minor_digits(price.currency_code))


def format_price(price: Money) -> str:
    """Returns the decimal for a form."""
    return f"{decimal_price(price):f}"


def minor_digits(currency_code: str) -> int:
    """Returns how many digits the currency has after the point."""
    return _MINOR_DIGITS.get(currency_code, 2)


def money_decimal(content: Any) -> Decimal | None:
    """Reads Etsy's Money as a decimal; None when it is none."""
    if not isinstance(content, Mapping):
        return None
    amount, divisor = content.get("amount"), content.get("divisor")
    if not isinstance(amount, int) or not isinstance(divisor, int) or divisor <= 0:
        return None
    return Decimal(amount) / Decimal(divisor)


def read_money(content: Any) -> Money | None:
    """Reads Etsy's Money in minor units; None when it is none, or no amount of that currency."""
    value = money_decimal(content)
    currency = content.get("currency_code") if isinstance(content, Mapping) else None
    if value is None or not isinstance(currency, str) or len(currency) != 3 or value < 0:
        return None
    minor = value.scaleb(minor_digits(currency))
    if minor != minor.to_integral_value() or minor > _MAX_AMOUNT_MINOR:
        return None
    return Money(currency_code=currency, amount_minor=int(minor))
