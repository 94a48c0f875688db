"""What the UI shows: of a table by its declaration, and of what a run has made of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import dagster as dg
import duckdb

from softone_pipeline.orchestration.placement import Placement
from softone_pipeline.softone import Traffic
from softone_pipeline.tables import MART_TABLES
from softone_pipeline.tables.core.invoice_rows import INVOICE_ROWS
from softone_pipeline.tables.core.invoices import INVOICES
from softone_pipeline.tables.lineage import by_table, lineage, origin
from softone_pipeline.tables.mart.customer_balance import CUSTOMER_BALANCE
from softone_pipeline.tables.mart.vat_return_draft import VAT_RETURN_DRAFT
from softone_pipeline.tables.mart.vat_summary import VAT_SUMMARY
from softone_pipeline.tables.raw.customer_invoices import CUSTOMER_INVOICES
from softone_pipeline.tables.raw.landing import DayLanded
from softone_pipeline.tables.raw.payment_status import PAYMENT_STATUS
from softone_pipeline.tables.raw.payments import PaymentsLoaded
from softone_pipeline.tables.raw.standing import DayStanding
from softone_pipeline.warehouse import Table

# The tables that are assets. The others are written along with one of these.
ASSETS = {
    table.qualified_name: table for table in (CUSTOMER_INVOICES, PAYMENT_STATUS, INVOICES, INVOICE_ROWS, *MART_TABLES)
}


def definition_metadata(table: Table, place: Placement, published: str) -> Mapping[str, Any]:
    """Column schema and lineage, the table's name, and a query that opens it.

    Dagster's own UI leaves column lineage out (Dagster+ draws it), so each column's description says where it comes from.
    """
    sources = lineage().get(table.qualified_name, {})
    return {
        **_column_lineage(table, place),
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    name=column.name,
                    type=column.type,
                    description=_with_origin(column.description, sources.get(column.name, ())),
                    constraints=dg.TableColumnConstraints(nullable=column.nullable),
                )
                for column in table.columns
            ],
            constraints=dg.TableConstraints(other=[f"unique: {', '.join(table.key)}"]),
        ),
        "dagster/table_name": table.qualified_name,
        "open_with": open_with(f'duckdb -readonly {published} -c "from {table.qualified_name} limit 20"'),
    }


def _with_origin(description: str, sources: Sequence[str]) -> str:
    return f"{description} From {origin(sources)}." if sources else description


def open_with(command: str) -> dg.MetadataValue[Any]:
    """A command to copy, as the UI shows it."""
    return dg.MetadataValue.md(f"```\n{command}\n```")


def money(name: str, amount: Decimal | None, currency: str) -> dict[str, str | int]:
    """An amount exactly, as text, and rounded to whole units under `…_whole`: plots take no text, and money no float.

    None is left out.
    """
    if amount is None:
        return {}
    return {name: f"{amount} {currency}", f"{name}_whole": int(amount.to_integral_value(ROUND_HALF_UP))}


# What a table says in one row, all customers together: (name, SELECT's expression) of counts and of amounts.
_FIGURES: dict[Table, tuple[dict[str, str], dict[str, str]]] = {
    INVOICES: (
        {
            status: f"count(*) filter (where status_class = '{status}')"
            for status in ("counted", "preliminary", "cancelled", "missing", "unknown")
        },
        {"invoiced": "coalesce(sum(total_amount) filter (where status_class = 'counted'), 0)"},
    ),
    CUSTOMER_BALANCE: (
        {
            "customers": "count(distinct customer_nr)",
            "with_unknown_payments": "count(distinct customer_nr) filter (where payment_basis = 'unknown')",
        },
        {
            "invoiced": "coalesce(sum(net_invoiced), 0)",
            "past_due_invoiced": "coalesce(sum(past_due_invoiced), 0)",
            # NULL, and so left out, while no payment is known.
            "open": "sum(open_amount)",
            "overdue": "sum(due_1_30 + due_31_60 + due_61_90 + due_over_90)",
        },
    ),
}


def figures(table: Table, connection: duckdb.DuckDBPyConnection, company: str, currency: str) -> dict[str, str | int]:
    """Counts and sums of a table for one company, to plot from run to run; nothing for a table that has none here."""
    if table not in _FIGURES:
        return {}
    counts, amounts = _FIGURES[table]
    row = connection.execute(
        f"select {', '.join((*counts.values(), *amounts.values()))} from {table.qualified_name} where company = ?",
        [company],
    ).fetchone()
    assert row is not None
    shown: dict[str, str | int] = dict(zip(counts, row, strict=False))
    for name, amount in zip(amounts, row[len(counts) :], strict=True):
        shown |= money(name, amount, currency)
    return shown


def _column_lineage(table: Table, place: Placement) -> dict[str, dg.TableColumnLineage]:
    """Nothing for raw: its columns come from the ERP."""
    columns = lineage().get(table.qualified_name)
    if columns is None:
        return {}
    return {
        "dagster/column_lineage": dg.TableColumnLineage(
            {
                column: [
                    dg.TableColumnDep(place.key(ASSETS[origin]), name)
                    for origin, names in by_table(sources).items()
                    if origin in ASSETS
                    for name in names
                ]
                for column, sources in columns.items()
            }
        )
    }


# What a preview may show: no table in which a person can be recognised.
_PREVIEWS = {
    VAT_RETURN_DRAFT: "select period_month, box, amount_kr, coverage from {table} order by period_month desc, box limit 15",
    VAT_SUMMARY: """
        select period_month, vat_class, sum(net_amount) as net_amount, sum(vat_amount) as vat_amount
        from {table}
        where status_class = 'counted'
        group by all
        order by period_month desc, vat_class
        limit 15
    """,
}


def preview(table: Table, connection: duckdb.DuckDBPyConnection) -> dict[str, dg.MetadataValue[Any]]:
    """The newest figures as a small table, amounts as exact text; nothing for a table that tells of customers."""
    select = _PREVIEWS.get(table)
    if select is None:
        return {}
    found = connection.execute(select.format(table=table.qualified_name))
    names = [column[0] for column in found.description or []]
    lines = [
        names,
        ["---"] * len(names),
        *(["" if value is None else str(value) for value in row] for row in found.fetchall()),
    ]
    return {"preview": dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))}


def day_metadata(outcome: DayLanded | None, stands: DayStanding | None, currency: str) -> dict[str, int | str]:
    """What came for the day, and what now stands for it: its counted invoices and their sum, VAT included."""
    came: dict[str, int | str] = {"note": "fetched by the failed run that this run repeats"}
    if outcome is not None:
        came = {
            "dagster/partition_row_count": outcome.received,
            "received": outcome.received,
            "new": outcome.new,
            "changed": outcome.changed,
            "redated": outcome.redated,
            "returned": outcome.returned,
            "missing": outcome.missing,
            "quarantined": outcome.quarantined,
        }
    if stands is None:
        return came
    return came | {"counted": stands.invoices} | money("invoiced", stands.total_amount, currency)


def traffic_metadata(traffic: Traffic, seconds: float) -> dict[str, int | float]:
    """What the whole run cost on the wire; a range is one run, so each of its days says the same."""
    return {
        "run_requests": traffic.requests,
        "run_retries": traffic.retries,
        "run_bytes_received": traffic.bytes_received,
        "run_seconds": round(seconds, 1),
    }


def payments_metadata(loaded: PaymentsLoaded, as_of: dt.date | None) -> dict[str, Any]:
    return {
        "answered": loaded.answered,
        "new": loaded.new,
        "changed": loaded.changed,
        "ended": loaded.ended,
        "unanswered": loaded.unanswered,
        "cut_days": [day.isoformat() for day in loaded.cut_days],
        "unreadable": len(loaded.unreadable),
        "failed_windows": len(loaded.failed),
        "is_complete": loaded.is_complete,
        "as_of": as_of.isoformat() if as_of else "never",
        "reason": loaded.reason or "",
    }
