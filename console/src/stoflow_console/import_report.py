"""What became of an import, for a person or a program."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be imported.

    Attributes:
        number: Its line in the file.
        sku: Empty when it has none.
        violations: Field and reason of everything that is wrong with it.
    """

    number: int
    sku: str
    violations: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class BadPicture:
    """A picture of an imported row that could not be had.

    Attributes:
        number: The row's line in the file.
        url: Where it was to come from.
        reason: Why it did not.
    """

    number: int
    url: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """What became of an import.

    Attributes:
        row_count: Rows in the file.
        imported: Line and product id of what was imported.
        bad_rows: By line.
        omitted: How many bad rows are not named.
        request_id: Repeats this import.
        picture_count: Pictures that imported rows name.
        bad_pictures: Those that could not be had.
    """

    row_count: int
    imported: list[tuple[int, str]] = field(default_factory=list)
    bad_rows: list[BadRow] = field(default_factory=list)
    omitted: int = 0
    request_id: str = ""
    picture_count: int = 0
    bad_pictures: list[BadPicture] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.bad_rows or self.omitted or self.bad_pictures)


def print_lines(outcome: ImportOutcome) -> None:
    """Prints one line for each thing that is wrong, and a last one with the counts."""
    lines = [
        f"line {row.number}{f' ({row.sku})' if row.sku else ''}: {f'{name} ' if name else ''}{reason}"
        for row in outcome.bad_rows
        for name, reason in row.violations
    ]
    if outcome.omitted:
        lines.append(f"... and {outcome.omitted} more wrong rows")
    wrong = len(outcome.bad_rows) + outcome.omitted
    lines.append(f"{outcome.row_count} rows: {len(outcome.imported)} imported, {wrong} wrong")
    if wrong and not outcome.imported:
        lines.append("Nothing was imported. Correct the rows, or import the others with --import-valid-rows.")
    lines += [f"line {bad.number}: picture {bad.url}: {bad.reason}" for bad in outcome.bad_pictures]
    if outcome.picture_count:
        fetched = outcome.picture_count - len(outcome.bad_pictures)
        lines.append(f"{outcome.picture_count} pictures: {fetched} fetched, {len(outcome.bad_pictures)} not")
    if outcome.bad_pictures:
        lines.append(f"Fetch the others by the same command with --request-id {outcome.request_id}")
    sys.stdout.write("\n".join(lines) + "\n")


def print_json(outcome: ImportOutcome) -> None:
    """Prints one object."""
    content = {
        "requestId": outcome.request_id,
        "rowCount": outcome.row_count,
        "importedCount": len(outcome.imported),
        "badRowCount": len(outcome.bad_rows) + outcome.omitted,
        "products": [{"row": row, "productId": product_id} for row, product_id in outcome.imported],
        "badRows": [
            {
                "row": row.number,
                "sku": row.sku,
                "violations": [{"field": name, "description": reason} for name, reason in row.violations],
            }
            for row in outcome.bad_rows
        ],
        "pictureCount": outcome.picture_count,
        "badPictures": [
            {"row": bad.number, "url": bad.url, "description": bad.reason} for bad in outcome.bad_pictures
        ],
    }
    sys.stdout.write(json.dumps(content, indent=2) + "\n")
