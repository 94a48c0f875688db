"""A pretend ERP with a gate in front of it, the settings that reach it, and Dagster in this process."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from softone_pipeline.definitions import build_definitions
from softone_pipeline.orchestration.backfill import BackfillOutcome, run_backfill
from softone_pipeline.sandbox import DEFAULT, Company, Credentials, Sandbox
from softone_pipeline.settings import PipelineSettings
from softone_pipeline_tests.orchestration.gate import Gate

RAW = dg.AssetKey(["raw", "customer_invoices"])
PAYMENTS = dg.AssetKey(["raw", "payment_status"])
BALANCE = dg.AssetKey(["mart", "customer_balance"])
PUBLISHED = {dg.AssetKey(["published", "database"]), dg.AssetKey(["published", "report"])}
DERIVED = {
    dg.AssetKey(["core", "invoices"]),
    dg.AssetKey(["core", "invoice_rows"]),
    dg.AssetKey(["mart", "vat_summary"]),
    dg.AssetKey(["mart", "vat_return_draft"]),
    BALANCE,
    *PUBLISHED,
}

# What the sensor keeps fresh.
BEHIND_RAW = DERIVED | {PAYMENTS}

# Over a weekend on which a day has 23 hours.
FIRST_DAY = dt.date(2025, 3, 26)
LAST_DAY = dt.date(2025, 4, 2)


def days_between(first_day: dt.date, last_day: dt.date) -> list[dt.date]:
    """All days from one to the other, both included."""
    return [first_day + dt.timedelta(days=n) for n in range((last_day - first_day).days + 1)]


@dataclass
class Plant:
    """The ERP, and a pipeline whose settings reach it."""

    company: Company
    sandbox: Sandbox
    gate: Gate
    instance: dg.DagsterInstance

    @property
    def settings(self) -> PipelineSettings:
        return PipelineSettings.load()

    def load(self, first_day: dt.date = FIRST_DAY, last_day: dt.date = LAST_DAY) -> BackfillOutcome:
        """Load a range of days, and what follows from it, in this process."""
        return run_backfill(build_definitions(), self.instance, self.settings.warehouse_path, first_day, last_day)

    def materialized_days(self) -> set[dt.date]:
        return {dt.date.fromisoformat(key) for key in self.instance.get_materialized_partitions(RAW)}

    def requests(self) -> int:
        return len(self.sandbox.log)

    def published(self, sql: str) -> list[tuple[Any, ...]]:
        return query(self.settings.duckdb_path, sql)

    def pipelines_own(self, sql: str) -> list[tuple[Any, ...]]:
        return query(self.settings.warehouse_path, sql)


@pytest.fixture
def open_plant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Plant]]:
    """Starts an ERP, and points the environment's settings at it. The folder is the test's own."""
    with ExitStack() as stack:

        def start(
            first_day: dt.date = FIRST_DAY,
            last_day: dt.date = LAST_DAY,
            *,
            faults: Sequence[str] = (),
            shown: Credentials = DEFAULT,
            invoices_per_day: float = 5,
        ) -> Plant:
            company = Company(first_day=first_day, last_day=last_day, invoices_per_day=invoices_per_day)
            sandbox = stack.enter_context(Sandbox(company, faults=faults))
            gate = stack.enter_context(Gate(sandbox.base_url))
            instance = stack.enter_context(dg.DagsterInstance.ephemeral())
            for name, value in shown.environment(gate.url).items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("SOFTONE_COMPANY", "Provbolaget")
            monkeypatch.setenv("SOFTONE_START_DATE", first_day.isoformat())
            monkeypatch.setenv("SOFTONE_MAX_ATTEMPTS", "2")
            monkeypatch.setenv("SOFTONE_RETRY_WAIT_SECONDS", "0")
            return Plant(company, sandbox, gate, instance)

        yield start


@pytest.fixture
def plant(open_plant: Callable[..., Plant]) -> Plant:
    """Eight days of a small company."""
    return open_plant()


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def truth(company: Company, *, without: Collection[dt.date] = ()) -> dict[int, tuple[dt.date, Decimal, str]]:
    """What the ERP has: by invoice id the day, the total without its sign, and the text that is sent."""
    return {
        invoice["InvoiceId"]: (day, abs(Decimal(invoice["TotalAmount"])), company.payload(invoice, accounts=True))
        for invoice in company.invoices()
        if (day := dt.date.fromisoformat(str(invoice["InvoiceDate"])[:10])) not in without
    }


def known(path: Path) -> dict[int, tuple[dt.date, Decimal, str]]:
    """What the tables have, in the words of `truth`: core's day and total, raw's text of what is current."""
    rows = query(
        path,
        """
        select invoices.invoice_id, invoices.invoice_date, abs(invoices.total_amount), raw.payload::varchar
        from core.invoices as invoices
        inner join raw.customer_invoices as raw
            on raw.invoice_id = invoices.invoice_id and raw.company = invoices.company and raw.superseded_at is null
        where invoices.status_class <> 'missing'
        """,
    )
    return {invoice_id: (day, total, payload) for invoice_id, day, total, payload in rows}


def adds_up(path: Path) -> bool:
    """Whether mart.vat_summary holds, to the öre, what the invoices of core come to."""
    return query(
        path,
        """
        select
            (select sum(total_amount) from core.invoices)
            = (select sum(net_amount) + sum(vat_amount) from mart.vat_summary)
        """,
    ) == [(True,)]
