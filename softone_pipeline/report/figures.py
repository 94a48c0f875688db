"""What the report shows, asked of the published copy: one SELECT each, in queries/."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb

from softone_pipeline.tables.checks import CHECKS

_QUERIES = Path(__file__).parent / "queries"
_FINDINGS_SHOWN = 3
CHANGES_SHOWN = 40

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CheckState:
    """How one check stands now. `findings` are its first sentences, in English as the checks write them."""

    name: str
    state: Literal["passed", "warning", "error"]
    holds: str
    count: int
    findings: Sequence[str]


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything on the page. `known` and `unknown` are the receivables by whether the ERP has said what is paid."""

    company: str
    since: dt.datetime
    known_until: dt.datetime | None
    days: Row
    totals: Row
    known: Row | None
    unknown: Row | None
    debtors: list[Row]
    invoiced_most: list[Row]
    months: list[Row]
    vat: list[Row]
    vat_return: list[Row]
    change_counts: dict[str, int]
    changes: list[Row]
    checks: list[CheckState]


def read_figures(connection: duckdb.DuckDBPyConnection, company: str, since: dt.datetime | None) -> Figures:
    """Ask for everything. `since` defaults to seven days before the newest moment that the copy knows of."""
    connection.execute("set timezone = 'Europe/Stockholm'")
    (days,) = _rows(connection, "known_until", company=company)
    known_until = days["known_until"]
    since = since or (known_until or dt.datetime.now(dt.UTC)) - dt.timedelta(days=7)
    (totals,) = _rows(connection, "totals", company=company)
    receivables = {row["payment_basis"]: row for row in _rows(connection, "receivables", company=company)}
    customers = _rows(connection, "debtors", company=company)
    counts = {
        row["change"]: row["invoices"] for row in _rows(connection, "change_counts", company=company, since=since)
    }
    return Figures(
        company=company,
        since=since,
        known_until=known_until,
        days=days,
        totals=totals,
        known=receivables.get("known"),
        unknown=receivables.get("unknown"),
        debtors=[row for row in customers if row["payment_basis"] == "known" and row["open_amount"] > 0],
        invoiced_most=[row for row in customers if row["payment_basis"] == "unknown"],
        months=_rows(connection, "months", company=company),
        vat=_rows(connection, "vat", company=company),
        vat_return=_rows(connection, "vat_return", company=company),
        change_counts={
            change: counts.get(change, 0) for change in ("new", "changed", "redated", "returned", "missing")
        },
        changes=_rows(connection, "changes", company=company, since=since, shown=CHANGES_SHOWN),
        checks=[_check_state(connection, company, check) for check in CHECKS],
    )


def _rows(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> list[Row]:
    result = connection.execute((_QUERIES / f"{name}.sql").read_text(encoding="utf-8"), parameters)
    columns = [column[0] for column in result.description]
    return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


def _check_state(connection: duckdb.DuckDBPyConnection, company: str, check: Any) -> CheckState:
    count, findings = check.find(connection, company, _FINDINGS_SHOWN)
    return CheckState(check.name, check.severity if count else "passed", check.holds, count, findings)
