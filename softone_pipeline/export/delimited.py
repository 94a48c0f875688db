"""CSV, in two styles: for programs, and for Excel with Swedish settings (semicolon, decimal comma, byte-order mark)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from softone_pipeline.export.result import Result, ResultColumn
from softone_pipeline.warehouse import sql_literal

# What a spreadsheet takes for a formula when it opens a CSV file, full-width signs included.
_LIKE_A_FORMULA = r"^\s*[=+\-@＝＋－＠]|^[\t\r\n]"
_BOM = b"\xef\xbb\xbf"


def write_csv(result: Result, target: Path, *, swedish: bool, as_is: bool) -> int:
    """Write the result; returns how many texts got an apostrophe in front so that no spreadsheet runs them.

    With `as_is` none gets one.
    """
    texts = [] if as_is else [column.quoted for column in result.columns if column.is_text]
    columns = ", ".join(
        f"{_expression(column, swedish=swedish, as_is=as_is)} as {column.quoted}" for column in result.columns
    )
    delimiter = ";" if swedish else ","
    result.connection.execute(
        f"copy (select {columns} from exported) to {sql_literal(str(target))} (format csv, use_tmp_file false, header, delimiter '{delimiter}')"
    )
    if swedish:
        _put_in_front(target, _BOM)
    if not texts:
        return 0
    counts = " + ".join(
        f"count(*) filter (where regexp_matches({text}::varchar, '{_LIKE_A_FORMULA}'))" for text in texts
    )
    row = result.connection.execute(f"select {counts} from exported").fetchone()
    assert row is not None
    return int(row[0])


def _expression(column: ResultColumn, *, swedish: bool, as_is: bool) -> str:
    if column.is_text:
        text = f"{column.quoted}::varchar"
        return text if as_is else f"if(regexp_matches({text}, '{_LIKE_A_FORMULA}'), '''' || {text}, {text})"
    if swedish and (column.is_decimal or column.is_floating):
        return f"replace({column.quoted}::varchar, '.', ',')"
    if swedish and column.is_moment:
        # The wall clock in Sweden: Excel reads no offset.
        return f"strftime({column.quoted}::timestamp, '%Y-%m-%d %H:%M:%S')"
    return column.quoted


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _put_in_front(path: Path, head: bytes) -> None:
    """DuckDB writes no byte-order mark; without it Excel takes UTF-8 for Windows-1252."""
    rest = path.with_name(path.name + ".rest")
    try:
        path.rename(rest)
        with rest.open("rb") as source, open(path, "wb", opener=_private) as target:
            target.write(head)
            shutil.copyfileobj(source, target, 1 << 20)
    finally:
        rest.unlink(missing_ok=True)
