"""What an account's rule makes of a product's price: integers only, so that no cent is ever lost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal

# Of the coefficient, which is kept as an integer of this unit.
MILLION = 1_000_000
# What Money takes.
MAX_AMOUNT_MINOR = 100_000_000_000
RoundingMode = Literal["NEAREST", "UP", "DOWN"]


class PriceError(Exception):
    """The rule cannot be applied to the price; the message says why, for the seller."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """Allowed prices are `ending_minor` and every `step_minor` above it."""

    mode: RoundingMode
    step_minor: int
    ending_minor: int

    def apply(self, numerator: int) -> int:
        """Returns the allowed price for numerator/MILLION minor units."""
        below, rest = divmod(numerator - self.ending_minor * MILLION, self.step_minor * MILLION)
        goes_up = (self.mode == "UP" and rest > 0) or (
            self.mode == "NEAREST" and 2 * rest >= self.step_minor * MILLION
        )
        # Below the lowest allowed price there is nothing to round down to.
        return max(below + goes_up, 0) * self.step_minor + self.ending_minor


MINOR_UNITS = Rounding("NEAREST", 1, 0)


@dataclass(frozen=True, slots=True)
class PriceRule:
    """Multiply, add, round, raise to the minimum.

    Attributes:
        coefficient_millionths: 1_150_000 multiplies by 1.15.
        currency: Of all amounts; empty when there are none.
    """

    coefficient_millionths: int
    currency: str = ""
    fee_minor: int = 0
    minimum_minor: int = 0
    rounding: Rounding | None = None

    def apply(self, currency: str, amount_minor: int) -> int:
        """Returns the price in minor units.

        Raises:
            PriceError: The price is in another currency than the rule, or too high.
        """
        if self.currency and currency != self.currency:
            raise PriceError(
                f"the account's price rule is for {self.currency}, and the price is in {currency}"
            )
        numerator = amount_minor * self.coefficient_millionths + self.fee_minor * MILLION
        price = max((self.rounding or MINOR_UNITS).apply(numerator), self.minimum_minor)
        if price > MAX_AMOUNT_MINOR:
            raise PriceError("the account's price rule makes the price too high")
        return price

    def to_json(self) -> dict[str, Any]:
        """Returns the rule as a column keeps it."""
        return asdict(self)


def rule_from_json(values: dict[str, Any]) -> PriceRule:
    """Reads a rule from its column."""
    rounding = values["rounding"]
    return PriceRule(**{**values, "rounding": Rounding(**rounding) if rounding else None})


def parse_coefficient(text: str) -> int:
    """Returns a decimal number of at most six places in millionths."""
    return int(Decimal(text).scaleb(6))


def format_coefficient(millionths: int) -> str:
    """Writes millionths as a decimal number, without zeros at its end."""
    whole, rest = divmod(millionths, MILLION)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
