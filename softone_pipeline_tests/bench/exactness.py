"""Whether what a contender left behind is exact: counts, sums in whole öre, and every adversarial amount."""

from __future__ import annotations

from pathlib import Path

import duckdb

from softone_pipeline_tests.bench.data import Expected, adversarial_decimals, adversarial_ids

_COLUMNS = {"TotalAmount": "total_amount", "UnitPrice": "unit_price", "Quantity": "quantity"}


def problems(path: Path, expected: Expected) -> list[str]:
    """What differs from what was served, each as a sentence; empty when everything is exact."""
    odd = f"not list_contains({list(adversarial_ids(expected))}, invoice_id)"
    with duckdb.connect(str(path), read_only=True) as connection:
        kept = connection.execute(f"select count(*) from raw.customer_invoices where {odd}").fetchone()
        return [
            *_ordinary(connection, expected, "core.invoices", "core.invoice_rows", odd),
            *([] if kept == (expected.invoices,) else [f"raw holds {kept} invoices, served were {expected.invoices}"]),
            *_adversarial(connection, expected),
            *_marts(connection),
        ]


def problems_of_floor(path: Path, expected: Expected) -> list[str]:
    odd = f"not list_contains({list(adversarial_ids(expected))}, invoice_id)"
    with duckdb.connect(str(path), read_only=True) as connection:
        return _ordinary(connection, expected, "core.invoices", "core.invoice_rows", odd)


def problems_of_dlt(path: Path, expected: Expected) -> list[str]:
    """Of the ordinary invoices, which are all that it was served."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return _ordinary(connection, expected, "landed.invoices", "landed.invoices__invoice_rows", "true")


def days_missing(path: Path, days: int) -> list[str]:
    """Where nothing but days was served: whether each has been read, and stands as empty."""
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute("select count(*), sum(invoice_count) from raw.fetched_days").fetchone()
    return [] if found == (days, 0) else [f"(days, invoices) are {found}, served were {(days, 0)}"]


def _ordinary(
    connection: duckdb.DuckDBPyConnection, expected: Expected, invoices: str, rows: str, which: str
) -> list[str]:
    found = connection.execute(
        f"""
        select
            (select (count(*), sum(total_amount * 100)::hugeint, sum(total_amount_currency * 100)::hugeint)
                from {invoices} where {which}),
            (select (count(*), sum(sum_amount * 100)::hugeint, sum(vat_amount * 100)::hugeint)
                from {rows} where {which})
        """
    ).fetchone()
    wanted = (
        (expected.invoices, expected.total, expected.total_currency),
        (expected.rows, expected.sum_amount, expected.vat_amount),
    )
    return [] if found == wanted else [f"counts and sums are {found}, served were {wanted}"]


def _adversarial(connection: duckdb.DuckDBPyConnection, expected: Expected) -> list[str]:
    ids = adversarial_ids(expected)
    wrong = []
    for place, field, value in adversarial_decimals():
        table = "core.invoices" if field == "TotalAmount" else "core.invoice_rows"
        order = "" if field == "TotalAmount" else "order by row_nr limit 1"
        read = connection.execute(
            f"select {_COLUMNS[field]} from {table} where invoice_id = ? {order}", [ids[place]]
        ).fetchall()
        refused = connection.execute("select field from raw.quarantine where invoice_id = ?", [ids[place]]).fetchall()
        is_right = (
            not read and [name for (name,) in refused if name.endswith(field)]
            if value is None
            else read == [(value,)] and not refused
        )
        if not is_right:
            wrong.append(f"{field} of invoice {ids[place]} is {read}, in quarantine for {refused}; served was {value}")
    return wrong


def _marts(connection: duckdb.DuckDBPyConnection) -> list[str]:
    found = connection.execute(
        """
        select
            (select sum(net_amount) + sum(vat_amount) from mart.vat_summary),
            (select sum(total_amount) from core.invoices)
        """
    ).fetchone()
    return [] if found is not None and found[0] == found[1] else [f"mart and core sums differ: {found}"]
