"""Files of products: CSV with a header, or JSON lines."""

from __future__ import annotations

import csv
import enum
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from stoflow.catalog.v1.product_pb2 import ProductContent

from stoflow_console.errors import ConsoleError
from stoflow_console.product_columns import Columns

# Longer than the longest description in any encoding.
MAX_CELL_CHARACTERS = 1_000_000


class FileFormat(enum.StrEnum):
    """How a file is read."""

    CSV = "csv"
    JSONL = "jsonl"

    @classmethod
    def of(cls, file: Path) -> FileFormat:
        """Tells the format from a file's name."""
        return cls.JSONL if file.suffix.lower() in {".jsonl", ".ndjson", ".json"} else cls.CSV


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One row.

    Attributes:
        number: The line on which it begins.
        content: What it says, as far as it can be read.
        problems: Field and reason of what cannot be read.
        image_urls: Where its pictures are, in order.
    """

    number: int
    content: ProductContent
    problems: list[tuple[str, str]] = field(default_factory=list)
    image_urls: list[str] = field(default_factory=list)


def read_rows(file: Path, file_format: FileFormat) -> Iterator[ReadRow]:
    """Yields a file's rows; empty lines are none.

    Raises:
        ConsoleError: The file as a whole cannot be read.
    """
    try:
        yield from _read_csv(file) if file_format is FileFormat.CSV else _read_json_lines(file)
    except UnicodeDecodeError as error:
        raise ConsoleError(f"{file} is not UTF-8 text (byte {error.start}).") from error
    except csv.Error as error:
        raise ConsoleError(f"{file} cannot be read as CSV: {error}.") from error
    except OSError as error:
        raise ConsoleError(f"{file} cannot be read: {error.strerror}.") from error


def _read_json_lines(file: Path) -> Iterator[ReadRow]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _read_json(number, line)


def _read_json(number: int, line: str) -> ReadRow:
    content = ProductContent()
    urls: Any = []
    try:
        parsed = json.loads(line)
        urls = parsed.pop("images", [])
        if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
            return ReadRow(number, content, [("images", "must be a list of addresses")])
        json_format.ParseDict(parsed, content)
    except (ValueError, RecursionError) as error:
        return ReadRow(number, ProductContent(), [("", f"is not JSON: {error}")])
    except (json_format.ParseError, AttributeError, TypeError) as error:
        return ReadRow(number, content, [("", f"is no ProductContent: {error}")])
    return ReadRow(number, content, image_urls=urls)


def _read_csv(file: Path) -> Iterator[ReadRow]:
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    with file.open(encoding="utf-8-sig", newline="") as opened:
        first = opened.readline()
        opened.seek(0)
        # Programs write semicolons wherever the comma separates decimals.
        reader = csv.reader(
            opened, delimiter=";" if first.count(";") > first.count(",") else ",", strict=True
        )
        header = next(reader, None)
        if not header:
            raise ConsoleError(f"{file} has no header: its first line must name the columns.")
        columns = Columns(header)
        number = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                content, problems, urls = columns.read(cells)
                yield ReadRow(number, content, problems, urls)
            number = reader.line_num + 1
