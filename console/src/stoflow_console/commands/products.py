"""`stoflow products …`."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import uuid
from pathlib import Path
from typing import Annotated

import grpc.aio
import typer

from stoflow_console.errors import ConsoleError, describe_call_error
from stoflow_console.import_report import ImportOutcome, print_json, print_lines
from stoflow_console.product_files import FileFormat, ReadRow, read_rows
from stoflow_console.product_import import ImportOptions, import_rows
from stoflow_console.product_pictures import fetch_pictures
from stoflow_console.progress import Progress

REFUSED = 1

app = typer.Typer(help="Products of a tenant's catalogue.", no_args_is_help=True)


@app.callback()
def products() -> None:
    """Products of a tenant's catalogue."""


@app.command("import")
def import_command(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV with a header, or JSON lines.")
    ],
    tenant: Annotated[int, typer.Option(min=1, help="The tenant that gets the products.")],
    orchestrator: Annotated[
        str, typer.Option(envvar="ORCHESTRATOR_ADDRESS", help="host:port of the orchestrator.")
    ],
    file_format: Annotated[
        FileFormat | None, typer.Option("--format", help="Taken from the file's name when it is not given.")
    ] = None,
    import_valid_rows: Annotated[
        bool, typer.Option("--import-valid-rows", help="Import the right rows although others are wrong.")
    ] = False,
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Import nothing; only say what is wrong.")
    ] = False,
    request_id: Annotated[
        uuid.UUID | None,
        typer.Option(
            help="Repeats an import whose answer was lost: the same id and rows import nothing twice."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object in place of lines.")] = False,
) -> None:
    """Imports products in one call; every wrong row is named with every reason, by its line in the file.

    Columns of a CSV: sku, title, description, price, currency, stock, brand, category, condition, colors, size,
    materials, gender, weight_grams, length_mm, width_mm, height_mm, who_made, made, is_supply, images (addresses from
    which the service fetches the pictures once the products are there). Any number of
    attribute:NAME, measurement:NAME (millimetres) and MARKETPLACE:title, :description, :price, :currency,
    :category_id. Several values are separated by "|". Each line of JSON lines is a ProductContent, and may have images.
    """
    options = ImportOptions(tenant, str(request_id or uuid.uuid4()), import_valid_rows, validate_only)
    try:
        with Progress(is_shown=sys.stderr.isatty() and not as_json) as progress:
            rows = list(progress.follow(read_rows(file, file_format or FileFormat.of(file))))
            outcome = asyncio.run(_import(orchestrator, options, rows, progress))
    except ConsoleError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(REFUSED) from error
    (print_json if as_json else print_lines)(outcome)
    raise typer.Exit(0 if outcome.is_whole else REFUSED)


async def _import(
    orchestrator: str, options: ImportOptions, rows: list[ReadRow], progress: Progress
) -> ImportOutcome:
    try:
        outcome = await import_rows(orchestrator, options, rows)
    except grpc.aio.AioRpcError as error:
        raise ConsoleError(describe_call_error(error, orchestrator, options.request_id)) from error
    imported = {row for row, _ in outcome.imported}
    count = sum(len(row.image_urls) for row in rows if row.number in imported)
    if not count:
        return outcome
    step = progress.begin("pictures", count)
    bad = await fetch_pictures(orchestrator, options.tenant_id, rows, outcome, step)
    return dataclasses.replace(outcome, picture_count=count, bad_pictures=bad)
