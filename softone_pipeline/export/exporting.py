"""One export from query to file. The formats are written by the modules beside this one."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from softone_pipeline.errors import OutputRefusedError
from softone_pipeline.export.delimited import write_csv
from softone_pipeline.export.result import open_result, table_query
from softone_pipeline.readable import moment
from softone_pipeline.warehouse import hand_over, sql_literal

CsvStyle = Literal["standard", "swedish"]
_SUFFIXES = (".parquet", ".csv", ".xlsx")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. `guarded` texts got an apostrophe (CSV), `as_text` numbers were too long for Excel."""

    path: Path
    rows: int
    columns: int
    source: str
    published_at: dt.datetime
    guarded: int = 0
    as_text: int = 0


def export(
    database: Path,
    target: Path,
    *,
    table: str | None = None,
    query: str | None = None,
    csv_style: CsvStyle = "standard",
    as_is: bool = False,
    replace: bool = False,
) -> Exported:
    """Write a table, by its key, or the result of a SELECT on the published copy to `target`; its ending says the format.

    Raises OutputRefusedError for what cannot be exported as asked, OutputError when the file cannot be written,
    NothingPublishedError without a published copy.
    """
    if target.suffix not in _SUFFIXES:
        raise OutputRefusedError(
            f"{target} should end in {', '.join(_SUFFIXES)}: the ending says the format.", path=str(target)
        )
    if (table is None) == (query is None):
        raise OutputRefusedError("Give a table or a query, one of the two.", path=str(target))
    sql = query if query is not None else table_query(database, table or "")
    source = table or sql
    with (
        hand_over(target, database=database, command="export", source=source, replace=replace) as temporary,
        open_result(database, sql, writable=temporary) as result,
    ):
        published_at = dt.datetime.fromtimestamp(database.stat().st_mtime, dt.UTC)
        guarded = as_text = 0
        if target.suffix == ".parquet":
            result.connection.execute(
                f"copy (from exported) to {sql_literal(str(temporary))} "
                "(format parquet, use_tmp_file false, compression zstd)"
            )
        elif target.suffix == ".csv":
            guarded = write_csv(result, temporary, swedish=csv_style == "swedish", as_is=as_is)
        else:
            from softone_pipeline.export.excel import write_excel

            about = [
                ("from", source),
                ("published", f"{moment(published_at)}, Swedish time"),
                ("moments in Data", "Swedish time (Europe/Stockholm)"),
            ]
            as_text = write_excel(result, temporary, about=about)
        return Exported(target, result.row_count, len(result.columns), source, published_at, guarded, as_text)
