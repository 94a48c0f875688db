"""Excel: one sheet with the rows, one that says what they are. Texts stay texts, amounts are numbers or, too long, text."""

from __future__ import annotations

import datetime as dt
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from softone_pipeline.errors import OutputRefusedError
from softone_pipeline.export.result import Result, ResultColumn

_MAX_ROWS = 1_048_575  # a sheet's rows without the header
_MAX_TEXT = 32_767
# Excel keeps 15 significant digits, whatever is typed or read.
_MAX_DIGITS = 15
_FIRST_DAY = dt.date(1900, 3, 1)  # before it Excel's calendar is a day wrong


def write_excel(result: Result, target: Path, *, about: list[tuple[str, str]]) -> int:
    """Write the result; returns how many numbers of more than 15 digits were written as text."""
    if result.row_count > _MAX_ROWS:
        raise OutputRefusedError(
            f"The result has {result.row_count} rows; a sheet holds {_MAX_ROWS}. Narrow the query, or export to "
            ".parquet or .csv.",
            path=str(target),
        )
    # Row by row to disk: memory stays flat. In a folder that goes whatever happens: what is in it is not to be left behind.
    with (
        tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as parts,
        xlsxwriter.Workbook(str(target), {"constant_memory": True, "tmpdir": parts}) as book,
    ):
        bold = book.add_format({"bold": True, "bottom": 1})
        formats = [_format(book, column) for column in result.columns]
        sheet = book.add_worksheet("Data")
        sheet.freeze_panes(1, 0)
        for index, column in enumerate(result.columns):
            sheet.set_column(index, index, max(12, min(40, len(column.name) + 2)))
            sheet.write_string(0, index, column.name, bold)
        as_text = 0
        row_index = 0
        for rows in result.batches([_expression(column) for column in result.columns]):
            for row in rows:
                row_index += 1
                for index, value in enumerate(row):
                    if value is not None:
                        as_text += _write(
                            sheet, row_index, index, value, form=formats[index], column=result.columns[index]
                        )
        if result.columns:
            sheet.autofilter(0, 0, row_index, len(result.columns) - 1)
        _write_about(book.add_worksheet("About"), bold, about, result)
    return as_text


def _expression(column: ResultColumn) -> str:
    if column.is_moment:
        return f"{column.quoted}::timestamp"  # the wall clock in Sweden: Excel knows no zones
    return f"{column.quoted}::varchar" if column.is_text else column.quoted


def _format(book: xlsxwriter.Workbook, column: ResultColumn) -> Format:
    if column.is_decimal:
        scale = column.scale
        decimals = "0" * scale if scale <= 2 else "00" + "#" * (scale - 2)
        return book.add_format({"num_format": f"#,##0.{decimals}" if scale else "#,##0"})
    if column.is_integer:
        return book.add_format({"num_format": "0"})
    if column.type == "DATE":
        return book.add_format({"num_format": "yyyy-mm-dd"})
    if column.type.startswith("TIMESTAMP"):
        return book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    return book.add_format()


def _write(sheet: Worksheet, row: int, index: int, value: Any, *, form: Format, column: ResultColumn) -> int:
    """Write one cell; returns 1 for a number that had to become text."""
    if isinstance(value, bool):
        sheet.write_boolean(row, index, value)
    elif isinstance(value, (int, Decimal)):
        if len(Decimal(value).normalize().as_tuple().digits) > _MAX_DIGITS:
            sheet.write_string(row, index, format(value, "f") if isinstance(value, Decimal) else str(value))
            return 1
        # As a Decimal it is written digit by digit; a float would put 9.029999999999999 into the file for 9.03.
        sheet.write_number(row, index, Decimal(value), form)
    elif isinstance(value, float) and value - value == 0:
        sheet.write_number(row, index, value, form)
    elif isinstance(value, dt.date) and _day(value) >= _FIRST_DAY:
        sheet.write_datetime(row, index, value, form)
    elif len(text := str(value)) > _MAX_TEXT:
        raise OutputRefusedError(
            f"Row {row}, column {column.name} holds {len(text)} characters; a cell holds {_MAX_TEXT}. Leave the column "
            "out, or export to .parquet or .csv.",
            path=column.name,
        )
    else:
        # Never a formula, whatever the text begins with.
        sheet.write_string(row, index, text)
    return 0


def _day(value: dt.date) -> dt.date:
    return value.date() if isinstance(value, dt.datetime) else value


def _write_about(sheet: Worksheet, bold: Format, about: list[tuple[str, str]], result: Result) -> None:
    sheet.set_column(0, 0, 28)
    sheet.set_column(1, 1, 28)
    sheet.set_column(2, 2, 100)
    row = 0
    for name, value in about:
        sheet.write_string(row, 0, name)
        sheet.write_string(row, 1, value[:_MAX_TEXT])
        row += 1
    row += 1
    for index, heading in enumerate(("column", "type", "meaning")):
        sheet.write_string(row, index, heading, bold)
    for column in result.columns:
        row += 1
        sheet.write_string(row, 0, column.name)
        sheet.write_string(row, 1, column.type)
        sheet.write_string(row, 2, column.meaning or "")
