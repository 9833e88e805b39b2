"""Files of products."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stoflow.catalog.v1.product_pb2 import (
    CONDITION_NEW_WITH_TAGS,
    GENDER_WOMEN,
    WHO_MADE_SOMEONE_ELSE,
    AttributeValues,
    MarketplaceOverride,
    Origin,
    PackageSize,
    ProductContent,
)
from stoflow.common.v1.money_pb2 import Money

from stoflow_console.errors import ConsoleError
from stoflow_console.product_files import FileFormat, ReadRow, read_rows

FULL = ProductContent(
    sku="D1",
    title='Linen, "new"',
    description="Two\nlines.",
    price=Money(currency_code="EUR", amount_minor=1990),
    stock_quantity=3,
    brand="Zoë",
    category="clothing/women/dresses",
    condition=CONDITION_NEW_WITH_TAGS,
    colors=["blue", "white"],
    size="M",
    materials=["linen"],
    gender=GENDER_WOMEN,
    measurements_mm={"chest": 480},
    weight_grams=400,
    package_size=PackageSize(length_mm=300, width_mm=200, height_mm=50),
    origin=Origin(who_made=WHO_MADE_SOMEONE_ELSE, made_from_year=1990, made_to_year=1999, is_supply=True),
    attributes={"Sleeve Length": AttributeValues(values=["Long", "Wide"])},
    overrides=[
        MarketplaceOverride(
            marketplace="ebay", title="Short", price=Money(currency_code="USD", amount_minor=2500)
        ),
        MarketplaceOverride(
            marketplace="etsy", category_id="77", price=Money(currency_code="EUR", amount_minor=5)
        ),
    ],
)
FULL_HEADER = (
    "SKU,Title,description,price,currency,quantity,brand,category,condition,Colour,size,material,gender,"
    "weight_grams,length_mm,width_mm,height_mm,who made,made,is_supply,measurement:chest,attribute:Sleeve Length,"
    "ebay:title,ebay:price,ebay:currency,etsy:category_id,etsy:price"
)
FULL_ROW = (
    'D1,"Linen, ""new""","Two\nlines.","19,90",eur,3,Zoë,clothing/women/dresses,new with tags,blue| white,M,linen,'
    "women,400,300,200,50,someone else,1990-1999,yes,480,Long|Wide,Short,25,USD,77,0.05"
)


def read(tmp_path: Path, text: str | bytes, file_format: FileFormat = FileFormat.CSV) -> list[ReadRow]:
    file = tmp_path / "products"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(read_rows(file, file_format))


def test_every_column_is_read(tmp_path: Path) -> None:
    """A row with every column says all of a product; names of columns may be written freely."""
    (row,) = read(tmp_path, f"{FULL_HEADER}\r\n{FULL_ROW}\r\n")
    assert row == ReadRow(2, FULL)


def test_spreadsheets_are_read(tmp_path: Path) -> None:
    """Semicolons and a byte order mark, as programs write them, are understood."""
    rows = read(tmp_path, "\ufeffsku;price;currency\nA;1,50;EUR\n")
    assert rows[0].content.price == Money(currency_code="EUR", amount_minor=150)


def test_rows_are_named_by_their_first_line(tmp_path: Path) -> None:
    """Empty lines and texts of several lines do not shift what a row is called."""
    rows = read(tmp_path, 'sku,title\nA,"1\n2\n3"\n\n , \nB,x\n')
    assert [(row.number, row.content.sku) for row in rows] == [(2, "A"), (7, "B")]


def test_everything_wrong_with_a_row_is_named(tmp_path: Path) -> None:
    """Each cell that cannot be read is named by its column; what can be read is there."""
    header = (
        "sku,price,currency,stock,condition,gender,made,is_supply,measurement:chest,ebay:price,weight_grams"
    )
    (row,) = read(tmp_path, f"{header}\nA,cheap,EUR,many,so-so,x,soon,perhaps,1.5,1.999,9999999999\n")
    assert [name for name, _ in row.problems] == [
        *("stock", "condition", "gender", "made", "is_supply", "measurement:chest", "weight_grams"),
        *("price", "ebay:price"),
    ]
    assert "NEW_WITH_TAGS" in dict(row.problems)["condition"]
    assert row.content.sku == "A"


def test_row_of_another_length_is_named(tmp_path: Path) -> None:
    """A row with more or fewer cells than the header is wrong as a whole."""
    rows = read(tmp_path, "sku,title\nA\nB,x,y\nC,z\n")
    assert [[name for name, _ in row.problems] for row in rows] == [[""], [""], []]
    assert "2" in rows[0].problems[0][1]


def test_made_to_order_and_single_years(tmp_path: Path) -> None:
    """An article is made in one year, or when it is ordered."""
    rows = read(tmp_path, "sku,made\nA,1987\nB,made to order\n")
    assert rows[0].content.origin == Origin(made_from_year=1987, made_to_year=1987)
    assert rows[1].content.origin == Origin(is_made_to_order=True)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("sku,prize,colour,color", ["prize", "colors"]),
        ("sku,attribute:,ebay:sku", ["attribute:", "ebay:sku"]),
    ],
)
def test_wrong_header_names_all_its_columns(tmp_path: Path, header: str, named: list[str]) -> None:
    """Unknown and repeated columns end the command before anything is sent, and the known ones are listed."""
    with pytest.raises(ConsoleError) as caught:
        read(tmp_path, f"{header}\nx\n")
    assert all(name in str(caught.value) for name in [*named, "weight_grams"])


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"", "no header"), (b"\nx\n", "no header"), (b"sku\n\xff\xfe\n", "UTF-8"), (b'sku\n"a"b\n', "CSV")],
)
def test_unreadable_files_are_named(tmp_path: Path, body: bytes, message: str) -> None:
    """A file that is no CSV in UTF-8 is refused in plain words."""
    with pytest.raises(ConsoleError, match=message):
        read(tmp_path, body)


def test_json_lines_are_read(tmp_path: Path) -> None:
    """Each line is a product in JSON, with either spelling of names; a broken one is named alone."""
    lines = [
        '{"sku": "A", "stockQuantity": 2, "weight_grams": 5, "price": {"currencyCode": "EUR", "amountMinor": "7"}}',
        "",
        '{"sku": "B", "nonsense": 1}',
        "[1]",
        "{",
        '{"sku": 5}',
        '"text"',
        "[" * 100_000,
    ]
    rows = read(tmp_path, "\n".join(lines), FileFormat.JSONL)
    price = Money(currency_code="EUR", amount_minor=7)
    assert rows[0] == ReadRow(1, ProductContent(sku="A", stock_quantity=2, weight_grams=5, price=price))
    assert [row.number for row in rows[1:]] == [3, 4, 5, 6, 7, 8]
    assert all(row.problems for row in rows[1:])


def test_addresses_of_pictures_are_read(tmp_path: Path) -> None:
    """Rows name where their pictures are, in order; JSON lines as a list."""
    rows = read(tmp_path, "sku,images\nA,http://x/1.jpg | http://x/2.jpg\nB,\n")
    assert [row.image_urls for row in rows] == [["http://x/1.jpg", "http://x/2.jpg"], []]
    lines = '{"sku": "A", "images": ["http://x/1.jpg"]}\n{"sku": "B"}\n{"sku": "C", "images": "x"}\n'
    rows = read(tmp_path, lines, FileFormat.JSONL)
    assert [row.image_urls for row in rows] == [["http://x/1.jpg"], [], []]
    assert [bool(row.problems) for row in rows] == [False, False, True]


def test_format_follows_the_name() -> None:
    """The file's name decides, unless it is told."""
    assert FileFormat.of(Path("a.JSONL")) is FileFormat.of(Path("a.ndjson")) is FileFormat.JSONL
    assert FileFormat.of(Path("a.csv")) is FileFormat.of(Path("a")) is FileFormat.CSV


cells = st.text(max_size=12) | st.sampled_from(
    ["", "1", "-1", "1.5", "1990-1999", "made to order", "yes", "EUR"]
)
json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(cells, max_size=27), max_size=4), st.binary(max_size=20))
def test_no_csv_makes_it_stumble(tmp_path: Path, rows: list[list[str]], noise: bytes) -> None:
    """Whatever is in the cells, each row is read or complained about, or the file as a whole is."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([FULL_HEADER.split(","), *rows])
    for body in (
        buffer.getvalue().encode(errors="surrogatepass"),
        FULL_HEADER.encode() + b"\n" + noise,
        noise,
    ):
        with contextlib.suppress(ConsoleError):
            for row in read(tmp_path, body):
                row.content.SerializeToString()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([*ProductContent.DESCRIPTOR.fields_by_name, "images"]), json_values))
def test_no_json_makes_it_stumble(tmp_path: Path, values: dict[str, object]) -> None:
    """Whatever JSON stands in a line, it is read or complained about."""
    (row,) = read(tmp_path, json.dumps(values), FileFormat.JSONL)
    row.content.SerializeToString()
