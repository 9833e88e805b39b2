"""Money as eBay writes it: a string with the digits of the currency, never a float."""

from decimal import Decimal, InvalidOperation

# ISO 4217: currencies whose minor unit is not a hundredth. All others of the standard have two digits.
# Source: ISO 4217 list one (SIX, table A.1), amendment 177; eBay's "Amount" refers to the same standard.
_MINOR_DIGITS: dict[str, int] = {
    **dict.fromkeys(
        (
            *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"),
            *("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"),
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def minor_digits(currency_code: str) -> int:
    """Returns how many digits the currency has after the point."""
    return _MINOR_DIGITS.get(currency_code, 2)


def format_price(amount_minor: int, currency_code: str) -> str:
    """Writes an amount as eBay wants it.

    Args:
        amount_minor: The amount in the currency's minor unit, not negative.
        currency_code: ISO 4217 code in capitals.

    Returns:
        `19.99` for 1999 EUR, `1999` for 1999 JPY, `1.999` for 1999 KWD.
    """
    digits = minor_digits(currency_code)
    if digits == 0:
        return str(amount_minor)
    whole, fraction = divmod(amount_minor, 10**digits)
    return f"{whole}.{fraction:0{digits}d}"


def parse_price(value: str, currency_code: str) -> int | None:
    """Reads an amount that eBay wrote.

    Args:
        value: Digits with a point: `19.99`, also `19.990` or `1E+3`.
        currency_code: ISO 4217 code in capitals.

    Returns:
        The amount in the currency's minor unit; None for what is no amount, or has a part of a minor unit.
    """
    try:
        minor = Decimal(value).scaleb(minor_digits(currency_code))
    except InvalidOperation:
        return None
    if not minor.is_finite() or minor != minor.to_integral_value():
        return None
    return int(minor)
