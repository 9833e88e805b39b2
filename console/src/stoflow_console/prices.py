"""Prices as people write them."""

from __future__ import annotations

import re
from decimal import Decimal

# ISO 4217; all others have two.
_DIGITS = {
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
_NUMBER = re.compile(r"-?[0-9]{1,12}(?:[.,][0-9]{1,9})?")


class PriceError(ValueError):
    """The text is no price."""


def minor_amount(text: str, currency_code: str) -> int:
    """Converts a price such as "19.99" or "19,99" into minor units; nothing is rounded.

    Raises:
        PriceError: It is no number, or has more digits than the currency.
    """
    digits = _DIGITS.get(currency_code, 2)
    # Of several separators nobody can say which is the decimal one.
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise PriceError("must be a number without thousands separators, such as 1999.90")
    amount = Decimal(found[0].replace(",", ".")).scaleb(digits)
    if amount != amount.to_integral_value():
        raise PriceError(f"has more than {digits} decimals, which is all that {currency_code or 'it'} has")
    return int(amount)
