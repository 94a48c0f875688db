"""What both proofs stand on: chosen invoices laid out line by line (invoice_lines.sql), and rows as dictionaries."""

from __future__ import annotations

import calendar
import datetime as dt
from pathlib import Path
from typing import Any

import duckdb

from softone_pipeline.settings import PipelineSettings
from softone_pipeline.tables.core.refresh import set_variables

Row = dict[str, Any]

_HERE = Path(__file__).parent


def sql(name: str) -> str:
    """The text of a .sql file of this folder."""
    return (_HERE / f"{name}.sql").read_text(encoding="utf-8")


_LINES = sql("invoice_lines")


def choose(connection: duckdb.DuckDBPyConnection, settings: PipelineSettings, select: str, names: Row) -> int:
    """Temp tables chosen and line, for the invoices that a SELECT names. Returns how many."""
    set_variables(connection, settings)
    used = {name: value for name, value in names.items() if f"${name}" in select}
    connection.execute(f"create or replace temp table chosen as {select}", used)
    connection.execute(f"create or replace temp table line as {_LINES}")
    return _count(connection, "chosen")


def last_day_of(month: dt.date) -> dt.date:
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


def days_fetched(connection: duckdb.DuckDBPyConnection, company: str, month: dt.date) -> int:
    return _count(
        connection,
        "raw.fetched_days where company = $company and partition_date between $first_day and $last_day",
        {"company": company, "first_day": month, "last_day": last_day_of(month)},
    )


def records(connection: duckdb.DuckDBPyConnection, select: str, names: Row | None = None) -> list[Row]:
    """The rows of a SELECT, each as a dictionary."""
    result = connection.execute(select, names or {})
    columns = [column[0] for column in result.description]
    return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


def _count(connection: duckdb.DuckDBPyConnection, rows: str, names: Row | None = None) -> int:
    return int(connection.execute(f"select count(*) from {rows}", names or {}).fetchall()[0][0])
