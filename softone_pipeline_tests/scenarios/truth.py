"""What raw, core and mart must hold after a complete load, and where they hold something else."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from softone_pipeline.sandbox import Company, Invoice, Sandbox
from softone_pipeline.sandbox.wire import with_accounts
from softone_pipeline_tests import oracle
from softone_pipeline_tests.oracle.comparing import VAT_KEY, differences, one_rounding_line
from softone_pipeline_tests.scenarios.drawing import COMPANY

_STATE = (
    "select * from raw.customer_invoices order by all",
    "select * from raw.quarantine order by all",
    "select * exclude (fetched_at) from core.invoices order by all",
    "select * from core.invoice_rows order by all",
    "select * from mart.vat_summary order by all",
    "select * from mart.customer_balance order by all",
)


@dataclass
class Truth:
    """What the company has, and what it once had: the second is kept as missing."""

    company: Company
    sandbox: Sandbox
    gone: dict[int, Invoice] = field(default_factory=dict)
    _had: dict[int, Invoice] = field(default_factory=dict)

    def settle(self) -> None:
        """A load has seen everything: what it no longer saw is missing from now on."""
        has = {invoice["InvoiceId"]: invoice for invoice in self.company.invoices(accounts=True)}
        # On a day with an object that has no readable id nobody can say what is absent.
        unclear = {bad.day for bad in self.company.bad_invoices() if bad.kind in {"no-id", "huge-id"}}
        standing: dict[int, Invoice] = {}
        for invoice_id, invoice in (self.gone | self._had).items():
            if invoice_id in has:
                self.gone.pop(invoice_id, None)
            elif invoice_id in self._had and _day(invoice) in unclear:
                standing[invoice_id] = invoice
            else:
                self.gone[invoice_id] = invoice
        self._had = has | standing

    def wrong(self, path: Path) -> list[Any]:
        """Every difference between the database at `path` and the truth; an empty list when they agree."""
        self.settle()
        with duckdb.connect(str(path), read_only=True) as connection:
            return [*self._wrong_raw(connection), *self._wrong_tables(connection)]

    def _wrong_raw(self, connection: duckdb.DuckDBPyConnection) -> list[Any]:
        ids = {invoice["InvoiceId"] for invoice in self.company.invoices()}
        sent = {(invoice_id, self.sandbox.sent(invoice_id, accounts=True)) for invoice_id in ids}
        kept = set(
            connection.execute(
                "select invoice_id, payload::varchar from raw.customer_invoices where superseded_at is null"
            ).fetchall()
        )
        # What stands because its day is unclear is nowhere in the ERP any more.
        kept = {(invoice_id, text) for invoice_id, text in kept if invoice_id not in self._had.keys() - ids}
        bad_invoices = self.company.bad_invoices()
        set_aside = connection.execute("select payload from raw.quarantine").fetchall()
        wrong: list[Any] = [("raw", *line) for line in kept ^ sent]
        wrong += [
            ("quarantine", payload)
            for payload in {payload for (payload,) in set_aside} ^ {with_accounts(bad.payload) for bad in bad_invoices}
        ]
        twice = connection.execute(
            "select invoice_id from raw.customer_invoices where superseded_at is null group by 1 having count(*) > 1"
        ).fetchall()
        return wrong + [("twice", *line) for line in twice]

    def _wrong_tables(self, connection: duckdb.DuckDBPyConnection) -> list[Any]:
        wires = [*self._had.values(), *self.gone.values()]
        invoices, rows = oracle.core(wires, company=COMPANY, missing=self.gone)
        found_rows = _records(connection, "core.invoice_rows")
        for found in found_rows:
            found["accounts"] = (
                None if found["accounts"] is None else json.loads(found["accounts"], parse_float=Decimal)
            )
            # The oracle leaves the status of an ordinary row without VAT open.
            found["vat_status"] = None if found["vat_status"] == "zero" else found["vat_status"]
        summary = oracle.vat_summary(invoices, rows)
        set_aside = connection.execute("select company, partition_date from raw.quarantine").fetchall()
        boxes = oracle.vat_return_draft(invoices, rows, set_aside)
        boxes = [line for line in boxes if line["period_month"] is not None]
        balance = _records(connection, "mart.customer_balance")
        as_of = balance[0]["as_of"] if balance else dt.date.min
        expected_balance = oracle.customer_balance(invoices, as_of=as_of, paid=None)
        # Numbers in quotes inside the accounts stay in quotes: they are text until somebody reads them.
        return [
            *differences(invoices, _records(connection, "core.invoices"), ("invoice_id",)),
            *differences(rows, found_rows, ("invoice_id", "row_nr"), ("accounts",)),
            *differences(one_rounding_line(summary), _records(connection, "mart.vat_summary"), VAT_KEY),
            *differences(boxes, _records(connection, "mart.vat_return_draft"), ("period_month", "box")),
            *differences(expected_balance, balance, ("customer_nr", "currency")),
        ]


def state(path: Path) -> list[Any]:
    """All that a load that failed must leave as it was."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return [connection.execute(query).fetchall() for query in _STATE]


def _records(connection: duckdb.DuckDBPyConnection, table: str) -> list[dict[str, Any]]:
    result = connection.execute(f"from {table}")
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _day(invoice: Invoice) -> dt.date | None:
    date = invoice.get("InvoiceDate")
    return dt.date.fromisoformat(date[:10]) if date else None
