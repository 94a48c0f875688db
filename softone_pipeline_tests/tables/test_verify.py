"""verify: each day judged by all that the ERP said, whichever window brought it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from softone_pipeline.softone import SoftOneClient
from softone_pipeline.tables.proof.verify import DayCertificate, verify
from softone_pipeline.tables.raw.loading import load_days
from softone_pipeline.warehouse import Warehouse
from softone_pipeline_tests.invoices import dumps, invoice
from softone_pipeline_tests.softone.conftest import settings_for
from softone_pipeline_tests.softone.fake_erp import Answer, FakeErp

DAYS = [dt.date(2026, 3, 1) + dt.timedelta(days=n) for n in range(14)]


@pytest.fixture
def erp() -> Iterator[FakeErp]:
    """It compares dates as they are written, whatever zone is behind them."""
    with FakeErp().running() as erp:
        yield erp


def _load(erp: FakeErp, warehouse: Warehouse) -> None:
    with SoftOneClient(settings_for(erp)) as client:
        for batch in load_days(client, warehouse, company="default", run_id="r", days=DAYS):
            assert not batch.failed


def _verify(erp: FakeErp, warehouse: Warehouse, first: int, last: int) -> list[DayCertificate]:
    with SoftOneClient(settings_for(erp, max_attempts=1)) as client:
        return verify(client, warehouse.connect, company="default", first_day=DAYS[first], last_day=DAYS[last])


def _late(day: dt.date) -> str:
    """An hour that is the next day's in Stockholm already."""
    return f"{day}T23:00:00Z"


def _found(days: list[DayCertificate]) -> set[tuple[dt.date, str, int | None]]:
    return {(finding.day, finding.kind, finding.invoice_id) for day in days for finding in day.findings}


def test_days_are_whole_whichever_window_brings_a_date_with_a_zone(erp: FakeErp, warehouse: Warehouse) -> None:
    erp.invoices = [dumps(invoice(n, InvoiceDate=_late(day))) for n, day in enumerate(DAYS)]
    _load(erp, warehouse)
    for first in range(3):
        for last in range(first, len(DAYS)):
            days = _verify(erp, warehouse, first, last)
            assert [day.day for day in days] == DAYS[first : last + 1]
            assert _found(days) == set()
            assert [day.matched for day in days] == [int(day.day > DAYS[0]) for day in days]
            assert all(day.digest_here == day.digest_there for day in days)


def test_what_waits_in_quarantine_is_told_of_its_day_there(erp: FakeErp, warehouse: Warehouse) -> None:
    erp.invoices = [
        dumps(invoice(5, InvoiceDate=f"{DAYS[4]}T25:00:00")),
        dumps(invoice(6, InvoiceId="?", InvoiceDate=_late(DAYS[7]))),
    ]
    _load(erp, warehouse)
    days = _verify(erp, warehouse, 0, 13)
    assert _found(days) == {(DAYS[4], "quarantined", 5), (DAYS[7], "quarantined", None)}
    assert [day.there for day in days] == [int(day.day in {DAYS[4], DAYS[7]}) for day in days]
    assert _found(_verify(erp, warehouse, 5, 6)) == set()


@pytest.mark.parametrize("to", [5, 12])
def test_an_invoice_that_moved_is_told_of_both_its_days(erp: FakeErp, warehouse: Warehouse, to: int) -> None:
    erp.invoices = [dumps(invoice(5, day=DAYS[4]))]
    _load(erp, warehouse)
    erp.invoices = [dumps(invoice(5, day=DAYS[to]))]
    assert _found(_verify(erp, warehouse, 0, 13)) == {(DAYS[4], "moved", 5), (DAYS[to], "moved", 5)}
    assert _found(_verify(erp, warehouse, 4, 4)) == {(DAYS[4], "moved", 5)}


def test_the_days_beside_a_range_decide_nothing_about_it(erp: FakeErp, warehouse: Warehouse) -> None:
    erp.invoices = [dumps(invoice(n, day=day)) for n, day in enumerate(DAYS)]
    _load(erp, warehouse)
    with warehouse.connect() as connection:
        connection.execute("delete from raw.customer_invoices where invoice_id in (3, 7)")
    beside = {f"{DAYS[3]}T00:00:00", f"{DAYS[7]}T00:00:00"}
    for broken in (set(), beside):
        erp.fault_for = lambda asked, broken=broken: (  # type: ignore[misc]
            Answer(500, "Fel") if asked.body.get("InvoiceDateFrom") in broken else None
        )
        days = _verify(erp, warehouse, 4, 6)
        assert [day.verdict for day in days] == ["yes"] * 3
    assert not [asked for asked in erp.filter_requests if asked.body.get("InvoiceId") in {"3", "7"}]
