"""softone export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from softone_pipeline.cli.console import out, print_json
from softone_pipeline.readable import counted
from softone_pipeline.settings import PipelineSettings

if TYPE_CHECKING:
    from softone_pipeline.export import CsvStyle


@click.command()
@click.argument("table", required=False)
@click.option("--sql", "query", metavar="SELECT", help="Export the result of a query instead of a table.")
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file; .parquet, .csv or .xlsx says the format.",
)
@click.option(
    "--csv",
    "csv_style",
    type=click.Choice(["standard", "swedish"]),
    default="standard",
    show_default=True,
    help="swedish: semicolons, decimal commas and a byte-order mark, as Excel with Swedish settings reads it.",
)
@click.option("--as-is", is_flag=True, help="CSV: no apostrophe before texts that a spreadsheet would run as formulas.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Say what was written as one JSON object.")
def export(
    *,
    table: str | None,
    query: str | None,
    target: Path,
    csv_style: CsvStyle,
    as_is: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write a TABLE, in the order of its key, or a query result of the published copy to a file.

    Exact in every format: in Excel, numbers of more than 15 digits become text rather than being rounded. The file is
    readable by you and your group only, and remembered beside the database, because it may hold personal data.

    \b
      softone export mart.vat_summary --to vat.xlsx
      softone export --sql "from core.invoices where due_date < today()" --to due.csv --csv swedish
    """
    from softone_pipeline.export import export as write
    from softone_pipeline.warehouse import registry_of

    if (table is None) == (query is None):
        raise click.UsageError("Give a table like mart.vat_summary, or --sql 'select …': one of the two.")
    database = PipelineSettings.load().duckdb_path
    written = write(database, target, table=table, query=query, csv_style=csv_style, as_is=as_is, replace=force)
    registry = registry_of(database)
    if as_json:
        facts = {
            "path": written.path,
            "rows": written.rows,
            "columns": written.columns,
            "source": written.source,
            "published_at": written.published_at,
            "texts_guarded": written.guarded,
            "numbers_as_text": written.as_text,
            "registry": registry,
        }
        print_json(facts, indent=None)
        return
    rows, columns = counted(written.rows, "row", swedish=True), counted(written.columns, "column")
    out.print(f"{target}: {rows}, {columns}.", soft_wrap=True)
    if written.guarded:
        out.print(
            f"   {counted(written.guarded, 'text begins', 'texts begin')} like a formula and got an apostrophe "
            "in front (--as-is leaves it out)."
        )
    if written.as_text:
        out.print(
            f"   {counted(written.as_text, 'number has', 'numbers have')} more than 15 digits and became text: "
            "Excel would round."
        )
    out.print(f"   Remembered in {registry}.", soft_wrap=True)
