"""What the checks say of one day, one invoice, one row: in the singular."""

from __future__ import annotations

import datetime as dt

import duckdb
import pytest

from softone_pipeline.orchestration.checks import declared_check_results, search_check_result
from softone_pipeline.orchestration.placement import ALONE
from softone_pipeline.tables.raw.payment_status import PAYMENT_STATUS
from softone_pipeline.tables.raw.payments import PaymentsLoaded

DAY = dt.date(2026, 3, 1)


@pytest.mark.parametrize(
    ("loaded", "said"),
    [
        ({"unreadable": ("PaidAmount",)}, "Payments of 1 invoice cannot be read"),
        ({"unreadable": ("PaidAmount", "x")}, "Payments of 2 invoices cannot be read"),
        ({"unreadable": ("PaidAmount",) * 21}, "PaidAmount\nand 1 more\n"),
        ({"answered": 1, "requests": 1}, "Search answered for 1 invoice in 1 request."),
        ({"cut_days": tuple(DAY + dt.timedelta(days=n) for n in range(21))}, " and 1 more day."),
    ],
)
def test_payments_of_one_day_are_told_in_the_singular(loaded: dict[str, object], said: str) -> None:
    facts = PaymentsLoaded(asked_at=dt.datetime.now(dt.UTC), is_complete=True, **loaded)  # type: ignore[arg-type]
    assert said in str(search_check_result(PAYMENT_STATUS, ALONE, facts, DAY).description)


def test_one_row_that_breaks_the_declaration_is_told_in_the_singular() -> None:
    columns = ", ".join(f"{column.name} {column.type}" for column in PAYMENT_STATUS.columns)
    with duckdb.connect() as connection:
        connection.execute(f"create schema raw; create table {PAYMENT_STATUS.qualified_name} ({columns})")
        connection.execute(f"insert into {PAYMENT_STATUS.qualified_name} (invoice_id) values (1)")
        said = {r.check_name: str(r.description) for r in declared_check_results(PAYMENT_STATUS, ALONE, connection)}
    assert said["not_null"].startswith("1 row has NULL where")
    assert said["unique"].startswith("0 keys stand more than once")
