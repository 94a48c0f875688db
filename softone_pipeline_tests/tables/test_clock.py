"""A run whose clock was ahead: the next load stops by name, and the runbook's statement lets loading go on."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest

import softone_pipeline
from softone_pipeline.errors import ClockError
from softone_pipeline.settings import PipelineSettings
from softone_pipeline.softone import SoftOneClient
from softone_pipeline.tables.core.refresh import refresh_core
from softone_pipeline.tables.raw.loading import load_days
from softone_pipeline.warehouse import Warehouse
from softone_pipeline_tests.invoices import dumps, invoice
from softone_pipeline_tests.softone.conftest import settings_for
from softone_pipeline_tests.softone.fake_erp import FakeErp

DAY = dt.date(2026, 3, 2)
RUNBOOK = (Path(softone_pipeline.__file__).parent / "docs" / "runbook.md").read_text("utf-8")
MOMENTS = {
    "raw.customer_invoices": ("fetched_at", "superseded_at"),
    "raw.fetched_days": ("fetched_at",),
    "raw.fetches": ("fetched_at",),
    "raw.quarantine": ("fetched_at",),
}


def _load(erp: FakeErp, warehouse: Warehouse) -> int:
    """New versions."""
    with SoftOneClient(settings_for(erp)) as client:
        batches = list(load_days(client, warehouse, company="default", run_id="r", days=[DAY]))
    return sum(day.written for batch in batches for day in batch.days)


def _ahead(warehouse: Warehouse, by: str) -> None:
    with warehouse.connect() as connection:
        for table, columns in MOMENTS.items():
            for column in columns:
                connection.execute(f"update {table} set {column} = {column} + interval '{by}'")


@pytest.mark.parametrize("by", ["10 minutes", "400 days"])
def test_a_clock_that_ran_ahead_is_told_by_name_and_the_runbook_mends_what_it_left(
    warehouse: Warehouse, settings: PipelineSettings, by: str
) -> None:
    with FakeErp().running() as erp:
        for name in ("first", "second", "third"):
            erp.invoices = [dumps(invoice(5, day=DAY, CustomerName=name)), dumps(invoice(6, day=DAY, BillingType=True))]
            _load(erp, warehouse)
        with warehouse.transaction() as connection:
            refresh_core(connection, settings)
        _ahead(warehouse, by)
        erp.invoices = [dumps(invoice(5, day=DAY, CustomerName="true")), dumps(invoice(6, day=DAY))]
        with pytest.raises(
            ClockError, match=r"company default was asked for at .* and this machine's clock says"
        ) as told:
            _load(erp, warehouse)
        assert told.value.newest > told.value.now
        (statement,) = re.findall(r"```sql\n(.*?)```", RUNBOOK, re.DOTALL)
        with warehouse.connect() as connection:
            connection.execute(statement)
        assert _load(erp, warehouse) == 2
    with warehouse.transaction() as connection:
        refresh_core(connection, settings)
        versions = connection.execute(
            """
            select payload->>'CustomerName', fetched_at < superseded_at, superseded_at = lead(fetched_at) over (order by fetched_at)
            from raw.customer_invoices where invoice_id = 5 order by fetched_at
            """
        ).fetchall()
        assert versions == [
            ("first", True, True), ("second", True, True), ("third", True, True), ("true", None, None),
        ]  # fmt: skip
        assert connection.execute("select customer_name from core.invoices where invoice_id = 5").fetchall() == [
            ("true",)
        ]
        assert connection.execute("select count(*) from raw.quarantine").fetchall() == [(0,)]


def test_clocks_of_two_machines_may_differ_by_some_minutes(warehouse: Warehouse) -> None:
    with FakeErp().running() as erp:
        erp.invoices = [dumps(invoice(5, day=DAY))]
        _load(erp, warehouse)
        _ahead(warehouse, "4 minutes")
        assert _load(erp, warehouse) == 0
