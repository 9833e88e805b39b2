"""`python -m stoflow_console`, installed as `stoflow`."""

from __future__ import annotations

import typer

from stoflow_console.commands.products import app as products_app

app = typer.Typer(
    help="Works on StoFlow through its public API. Exit codes: 0 done, 1 done in part or refused, 2 called wrongly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(products_app, name="products")


def main() -> None:
    """Runs one command."""
    app(prog_name="stoflow")


if __name__ == "__main__":
    main()
