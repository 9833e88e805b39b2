"""What sales take from the stock and what cancellations give back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from stoflow_orchestrator.engine.sales import SoldLine, Stock, count_sales

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)
PRODUCT = uuid4()


def line(quantity: int = 1, taken: int = 0, *, hours: float = 1, **values: bool) -> SoldLine:
    flags = {"is_counted": False, "is_cancelled": False, **values}
    return SoldLine(
        order_id=uuid4(),
        remote_id="1",
        product_id=PRODUCT,
        quantity=quantity,
        taken=taken,
        place_time=MONDAY + timedelta(hours=hours),
        listing_remote_id="l",
        **flags,
    )


def stock(quantity: int) -> dict[UUID, Stock]:
    return {PRODUCT: Stock(PRODUCT, quantity, 3, MONDAY)}


def test_sale_takes_its_pieces_once() -> None:
    """A line takes what it sold; counted, it is not among the lines again."""
    stocks, sold = stock(5), line(2)
    sales = count_sales([sold], stocks, [])
    assert (stocks[PRODUCT].quantity, sold.taken, sold.is_counted) == (3, 2, True)
    assert (sales.sold, sales.lines, sales.oversold) == ({PRODUCT}, [sold], [])


def test_cancellation_gives_back_what_was_taken() -> None:
    """A cancelled line returns its pieces and counts as never sold."""
    stocks, cancelled = stock(3), line(2, 2, is_counted=True, is_cancelled=True)
    sales = count_sales([cancelled], stocks, [])
    assert (stocks[PRODUCT].quantity, cancelled.taken, cancelled.is_counted) == (5, 0, False)
    assert sales.restocked == {PRODUCT}


def test_line_that_lost_pieces_gives_those_back() -> None:
    """An order that shrinks returns the difference and stays counted."""
    stocks, shrunk = stock(0), line(1, 3, is_counted=True)
    count_sales([shrunk], stocks, [])
    assert (stocks[PRODUCT].quantity, shrunk.taken, shrunk.is_counted) == (2, 1, True)


def test_more_sold_than_there_was_leaves_nothing_and_is_told() -> None:
    """The earlier buyer gets what there is; the later line says how much is missing."""
    stocks, late, early = stock(1), line(hours=2), line(hours=1)
    sales = count_sales([late, early], stocks, [])
    assert (stocks[PRODUCT].quantity, early.taken, late.taken) == (0, 1, 0)
    assert sales.oversold == [late]


def test_what_comes_back_goes_to_who_was_short() -> None:
    """A piece that a cancellation returns is not for sale while another buyer waits for it."""
    stocks = stock(0)
    cancelled, waiting = line(1, 1, is_counted=True, is_cancelled=True), line(1, 0, is_counted=True)
    sales = count_sales([cancelled], stocks, [waiting])
    assert (stocks[PRODUCT].quantity, waiting.taken) == (0, 1)
    assert (sales.stocks, sales.restocked) == ([], set())


def test_sale_from_before_the_product_takes_nothing() -> None:
    """The stock that the seller entered knows of what was sold before; the line is settled for good."""
    stocks, old = stock(4), line(hours=-1)
    sales = count_sales([old], stocks, [])
    assert (stocks[PRODUCT].quantity, old.taken, old.is_counted, sales.sold) == (4, 0, True, set())


LINES = st.lists(
    st.builds(
        lambda quantity, hours, cancelled: (quantity, hours, cancelled),
        st.integers(1, 4),
        st.integers(1, 50),
        st.booleans(),
    ),
    max_size=8,
)


@given(LINES, st.integers(0, 10))
def test_no_piece_is_lost_or_made(plan: list[tuple[int, int, bool]], quantity: int) -> None:
    """Whatever is sold and cancelled: stock and taken pieces always add up to what the seller entered."""
    stocks = stock(quantity)
    lines = [line(pieces, hours=hours) for pieces, hours, _ in plan]
    count_sales(lines, stocks, [])
    assert stocks[PRODUCT].quantity + sum(x.taken for x in lines) == quantity
    cancelled = [x for x, (_, _, is_cancelled) in zip(lines, plan, strict=True) if is_cancelled]
    for x in cancelled:
        x.is_cancelled = True
    short = [x for x in lines if not x.is_cancelled and x.shortage]
    left, missing = stocks[PRODUCT].quantity, sum(x.shortage for x in short)
    given_back = sum(x.taken for x in cancelled)
    count_sales(cancelled, stocks, short)
    # Only what nobody waits for is for sale again.
    assert stocks[PRODUCT].quantity - left == max(given_back - missing, 0)
    assert stocks[PRODUCT].quantity + sum(x.taken for x in lines) == quantity
    assert all(0 <= x.taken <= x.quantity for x in lines)
    assert all(x.taken == 0 for x in cancelled)
