"""Payments: what Search is asked, what its answers prove, the balances that follow, and what was known when."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import duckdb
import httpx
import pytest

from softone_pipeline.errors import (
    AuthenticationError,
    ClockError,
    RequestFailedError,
    RequestRefusedError,
    SoftOneError,
)
from softone_pipeline.sandbox import Company, Sandbox
from softone_pipeline.settings import ErpSettings
from softone_pipeline.softone import (
    InvoiceUnreadable,
    ReceivedInvoice,
    SearchInvoice,
    SoftOneClient,
    Traffic,
    Window,
)
from softone_pipeline.softone.dates import read_day
from softone_pipeline.tables import RAW_TABLES
from softone_pipeline.tables.raw import landing
from softone_pipeline.tables.raw.loading import load_days
from softone_pipeline.tables.raw.payments import PaymentsLoaded, load_payments
from softone_pipeline.tables.raw.staging import Staged
from softone_pipeline.warehouse import publish
from softone_pipeline_tests import oracle
from softone_pipeline_tests.invoices import invoice, row
from softone_pipeline_tests.tables.conftest import COMPANY, House, at

D = Decimal
TODAY = dt.date(2026, 3, 1)
LATE = dt.date(2028, 1, 15)
_BUCKETS = ("not_due", "due_1_30", "due_31_60", "due_61_90", "due_over_90", "no_due_date", "unapplied_credit")


@dataclass
class FakeSearch:
    """Search as the tests want it. `days` are dates as the ERP writes them; `limit` is a cap of its own."""

    said: dict[int, SearchInvoice | InvoiceUnreadable] = field(default_factory=dict)
    days: dict[int, dt.date] = field(default_factory=dict)
    limit: int | None = None
    trouble: Callable[[dt.date, dt.date], SoftOneError | None] = lambda first, last: None
    asked: list[tuple[dt.date, dt.date, int]] = field(default_factory=list)
    checks: int = 0
    check_error: SoftOneError | None = None

    def say(self, wire: Mapping[str, Any], paid: str | Decimal | None, *, total: Any = ...) -> None:
        number = wire["InvoiceId"]
        self.said[number] = SearchInvoice.model_validate(
            {
                "CustomerInvoiceId": str(number),
                "TotalAmount": str(wire["TotalAmount"]) if total is ... else total,
                "PaidAmount": None if paid is None else str(paid),
            }
        )
        self.days[number] = dt.date.fromisoformat(wire["InvoiceDate"][:10])

    def forget(self, number: int) -> None:
        del self.said[number], self.days[number]

    def search(
        self, *, first_day: dt.date, last_day: dt.date, max_rows: int
    ) -> list[SearchInvoice | InvoiceUnreadable]:
        self.asked.append((first_day, last_day, max_rows))
        if (trouble := self.trouble(first_day, last_day)) is not None:
            raise trouble
        found = sorted(number for number, day in self.days.items() if first_day <= day <= last_day)
        most = max_rows if self.limit is None else min(max_rows, self.limit)
        return [self.said[number] for number in sorted(found, key=self.days.__getitem__)][:most]

    def check(self) -> None:
        self.checks += 1
        if self.check_error is not None:
            raise self.check_error

    def asked_for(self, day: dt.date) -> bool:
        return any(first <= day <= last for first, last, _ in self.asked)


def load(
    house: House,
    search: FakeSearch,
    hour: float,
    *,
    today: dt.date = TODAY,
    max_rows: int = 10_000,
    at_hour: Callable[[float], dt.datetime] = at,
) -> PaymentsLoaded:
    """Search at an hour, a second a question."""
    seconds = itertools.count()
    return load_payments(
        search,
        house.warehouse,
        company=COMPANY,
        run_id="payments",
        today=today,
        max_rows=max_rows,
        clock=lambda: at_hour(hour) + dt.timedelta(seconds=next(seconds)),
    )


def land(house: House, hour: float, wires: Iterable[Mapping[str, Any]]) -> None:
    """Land invoices under their own days; each day is a complete window."""
    by_day: dict[dt.date | None, list[ReceivedInvoice]] = defaultdict(list)
    for wire in wires:
        read = None if wire["InvoiceDate"] is None else read_day(wire["InvoiceDate"])
        day = None if read is None else read.stockholm
        by_day[day].append(ReceivedInvoice(oracle.to_json(dict(wire)).encode(), wire["InvoiceId"], day))
    windows = []
    for number, (day, found) in enumerate(by_day.items()):
        window_day = day or TODAY + dt.timedelta(days=400)
        asked_at = at(hour) + dt.timedelta(seconds=number)
        windows.append(Window(window_day, window_day, asked_at, True, tuple(found), Traffic()))
    house.land(*windows)


def wire_of(number: int, day: dt.date, *, total: str = "125.00", **fields: Any) -> dict[str, Any]:
    return oracle.parse(oracle.to_json(_plain(invoice(number, day=day, total=total, **fields))))


def _plain(wire: dict[str, Any]) -> dict[str, Any]:
    """Numbers as Decimals, which is how the oracle's writer wants them."""
    return {
        name: [_plain(line) for line in value]
        if name == "InvoiceRows"
        else D(value)
        if type(value) is not str and isinstance(value, str)
        else value
        for name, value in wire.items()
    }


def statuses(house: House, number: int) -> list[tuple[Any, ...]]:
    """(paid, fully paid, from hour, to hour) of each version, oldest first."""
    return house.rows(
        """
        select paid_amount, fully_paid,
            date_diff('hour', timestamptz '2026-03-01 00:00:00+00', as_of),
            date_diff('hour', timestamptz '2026-03-01 00:00:00+00', superseded_at)
        from raw.payment_status where invoice_id = ? order by as_of
        """,
        number,
    )


def one(house: House, columns: str) -> tuple[Any, ...]:
    house.refresh()
    (found,) = house.rows(f"select {columns} from mart.customer_balance")
    return found


# --- versions


def test_an_unchanged_answer_writes_nothing_and_a_change_opens_a_version(house: House) -> None:
    wires = [wire_of(number, TODAY - dt.timedelta(days=number)) for number in range(1, 6)]
    land(house, 1, wires)
    search = FakeSearch()
    for wire in wires:
        search.say(wire, "0.00")
    first = load(house, search, 2)
    assert (first.is_complete, first.answered, first.new, first.changed, first.ended) == (True, 5, 5, 0, 0)
    second = load(house, search, 3)
    assert (second.is_complete, second.new, second.changed, second.ended, second.unanswered) == (True, 0, 0, 0, 0)
    search.say(wires[0], "125.00")
    search.say(wires[1], "100.00")
    third = load(house, search, 4)
    assert (third.new, third.changed, third.ended) == (0, 2, 0)
    assert statuses(house, 1) == [(D("0.00"), False, 2, 4), (D("125.00"), True, 4, None)]
    assert statuses(house, 2) == [(D("0.00"), False, 2, 4), (D("100.00"), False, 4, None)]
    assert statuses(house, 3) == [(D("0.00"), False, 2, None)]
    assert house.rows("select count(*) from raw.payment_search where company = 'default'") == [(3,)]


def test_the_newest_question_wins_whatever_order_searches_write_in(house: House) -> None:
    wires = [wire_of(1, TODAY), wire_of(2, TODAY)]
    land(house, 1, wires)
    search = FakeSearch()
    for wire in wires:
        search.say(wire, "50.00")
    load(house, search, 5)
    for wire in wires:
        search.say(wire, "0.00")
    search.forget(2)
    late = load(house, search, 3)
    assert (late.new, late.changed, late.ended) == (0, 0, 0)
    assert statuses(house, 1) == statuses(house, 2) == [(D("50.00"), False, 5, None)]


def test_an_invoice_that_an_uncut_answer_no_longer_has_is_unknown_until_it_is_back(house: House) -> None:
    wires = [wire_of(1, TODAY), wire_of(2, TODAY)]
    land(house, 1, wires)
    search = FakeSearch()
    for wire in wires:
        search.say(wire, "50.00")
    load(house, search, 2)
    assert one(house, "payment_basis, open_amount, unknown_payment_count") == ("known", D("150.00"), 0)
    search.forget(2)
    gone = load(house, search, 3)
    assert (gone.is_complete, gone.ended, gone.unanswered) == (True, 1, 1)
    assert one(house, "payment_basis, open_amount, unknown_payment_count") == ("unknown", None, 1)
    assert statuses(house, 2) == [(D("50.00"), False, 2, 3)]
    search.say(wires[1], "50.00")
    assert load(house, search, 4).new == 1
    assert statuses(house, 2) == [(D("50.00"), False, 2, 3), (D("50.00"), False, 4, None)]
    assert one(house, "payment_basis, open_amount") == ("known", D("150.00"))


def test_the_payment_of_an_invoice_that_lost_its_date_is_not_known_for_ever(house: House) -> None:
    land(house, 1, [wire_of(1, TODAY), wire_of(2, TODAY)])
    search = FakeSearch()
    for number in (1, 2):
        search.say(wire_of(number, TODAY), "50.00")
    load(house, search, 2)
    land(house, 3, [{**wire_of(1, TODAY), "InvoiceDate": None}, wire_of(2, TODAY)])
    search.forget(1)
    assert load(house, search, 4).ended == 1
    assert statuses(house, 1) == [(D("50.00"), False, 2, 4)]
    assert one(house, "payment_basis, unknown_payment_count") == ("unknown", 1)


def test_payments_are_not_written_beside_moments_in_the_future(house: House) -> None:
    land(house, 24 * 365 * 100, [wire_of(1, TODAY)])
    search = FakeSearch()
    search.say(wire_of(1, TODAY), "50.00")
    with pytest.raises(ClockError, match="company default"):
        load(house, search, 2)
    assert not search.asked


def test_a_paid_amount_that_search_leaves_out_is_unknown_and_not_nothing(house: House) -> None:
    land(house, 1, [wire_of(1, TODAY)])
    search = FakeSearch()
    search.say(wire_of(1, TODAY), None)
    assert load(house, search, 2).is_complete
    assert one(house, "payment_basis, paid_amount, open_amount, not_due") == ("unknown", None, None, None)


def test_two_companies_searches_do_not_mix(house: House) -> None:
    from softone_pipeline.tables.raw.landing import land as land_raw
    from softone_pipeline.tables.raw.staging import Staged

    wires = [wire_of(1, TODAY)]
    land(house, 1, wires)
    with house.warehouse.transaction() as connection:
        window = house.window(1, [invoice(1, day=TODAY)], day=TODAY)
        land_raw(connection, company="other", run_id="r", staged=Staged([window]))
    search = FakeSearch()
    search.say(wires[0], "1.00")
    load(house, search, 2)
    other = FakeSearch()
    other.say(wires[0], "2.00")
    load_payments(other, house.warehouse, company="other", run_id="r", today=TODAY, clock=lambda: at(3))
    assert house.rows("select company, paid_amount, superseded_at from raw.payment_status order by all") == [
        ("default", D("1.00"), None),
        ("other", D("2.00"), None),
    ]


# --- which dates


def test_dates_that_may_hold_an_open_invoice_are_asked_for_however_old(house: House) -> None:
    old_open, old_paid = dt.date(2019, 5, 6), dt.date(2021, 8, 9)
    recent_paid = LATE - dt.timedelta(days=200)
    wires = [wire_of(1, old_open), wire_of(2, old_paid), wire_of(3, recent_paid), wire_of(4, LATE)]
    land(house, 1, wires)
    search = FakeSearch()
    for wire, paid in zip(wires, ("0.00", "125.00", "125.00", "0.00"), strict=True):
        search.say(wire, paid)
    assert load(house, search, 2, today=LATE).new == 4
    search.asked.clear()
    load(house, search, 3, today=LATE)
    assert [search.asked_for(day) for day in (old_open, old_paid, recent_paid, LATE)] == [True, False, True, True]
    assert len(search.asked) == 3
    # the total has changed since it was paid: it may be open again
    land(house, 4, [wire_of(2, old_paid, total="250.00")])
    search.asked.clear()
    load(house, search, 5, today=LATE)
    assert search.asked_for(old_paid)


def test_a_fully_paid_old_invoice_is_asked_for_again_within_a_month_in_case_it_was_reversed(house: House) -> None:
    old = dt.date(2021, 8, 9)
    land(house, 1, [wire_of(1, old)])
    search = FakeSearch()
    search.say(wire_of(1, old), "125.00")
    load(house, search, 2, today=LATE)
    search.say(wire_of(1, old), "0.00")
    days = [LATE + dt.timedelta(days=number) for number in range(30)]
    for number, today in enumerate(days):
        search.asked.clear()
        load(house, search, 3 + number, today=today)
        if search.asked_for(old):
            break
    assert search.asked_for(old)
    assert [paid for paid, *_ in statuses(house, 1)] == [D("125.00"), D("0.00")]
    # once found open, it is asked for every day
    search.asked.clear()
    load(house, search, 100, today=today + dt.timedelta(days=1))
    assert search.asked_for(old)


def test_an_empty_warehouse_asks_for_today_and_the_search_is_complete(house: House) -> None:
    search = FakeSearch()
    assert load(house, search, 2).is_complete
    assert len(search.asked) == 1
    assert search.asked_for(TODAY)


def test_preliminary_and_cancelled_invoices_are_not_waited_for(house: House) -> None:
    old = dt.date(2020, 1, 2)
    land(house, 1, [wire_of(1, old, OriginStatus=1), wire_of(2, old, OriginStatus=4)])
    search = FakeSearch()
    loaded = load(house, search, 2, today=LATE)
    assert not search.asked_for(old)
    assert (loaded.is_complete, loaded.unanswered) == (True, 0)


def test_an_invoice_dated_otherwise_by_a_zone_is_found(house: House) -> None:
    """Stockholm's 1 March, which the ERP writes, and compares, as 28 February 23:30 UTC."""
    wire = wire_of(1, dt.date(2021, 6, 1)) | {"InvoiceDate": "2021-05-31T23:30:00Z"}
    land(house, 1, [wire])
    search = FakeSearch()
    search.say(wire, "0.00")
    assert load(house, search, 2).unanswered == 0
    assert statuses(house, 1)


# --- answers that are cut


def _many(house: House, count: int, days: int) -> FakeSearch:
    wires = [wire_of(number, TODAY - dt.timedelta(days=number % days)) for number in range(1, count + 1)]
    land(house, 1, wires)
    search = FakeSearch()
    for wire in wires:
        search.say(wire, "25.00")
    return search


def test_an_answer_with_as_many_rows_as_asked_for_is_split_by_date(house: House) -> None:
    search = _many(house, 40, 8)
    # Of what is planned to be small, the ERP has more than we know.
    for number in range(1000, 1060):
        search.say(wire_of(number, TODAY - dt.timedelta(days=number % 8)), "0.00")
    loaded = load(house, search, 2, max_rows=20)
    assert (loaded.is_complete, loaded.answered, loaded.cut_days) == (True, 100, ())
    assert house.rows("select count(*) from raw.payment_status") == [(100,)]


def test_a_single_day_is_asked_for_with_more_rows(house: House) -> None:
    search = _many(house, 50, 1)
    loaded = load(house, search, 2, max_rows=10)
    assert (loaded.is_complete, loaded.answered) == (True, 50)
    assert (TODAY, TODAY, 80) in search.asked


def test_a_day_that_stays_cut_is_unknown_and_the_search_is_not_complete(house: House) -> None:
    day, other = TODAY, TODAY - dt.timedelta(days=40)
    wires = [wire_of(number, day) for number in range(1, 31)]
    alone = wire_of(99, other, CustomerNr="7")
    land(house, 1, [*wires, alone])
    search = FakeSearch()
    for wire in [*wires, alone]:
        search.say(wire, "25.00")
    loaded = load(house, search, 2, max_rows=1)  # at most 32 rows: uncut
    assert loaded.is_complete
    for number in range(100, 110):
        search.say(wire_of(number, day), "0.00")
    search.say(wires[0], "125.00")
    loaded = load(house, search, 27, max_rows=1)
    assert (loaded.is_complete, loaded.cut_days) == (False, (day,))
    # nothing is taken from a cut answer, and the balances' day is that of the last complete search
    assert statuses(house, 1) == [(D("25.00"), False, 2, None)]
    house.refresh()
    assert house.rows("select distinct as_of from mart.customer_balance") == [(at(2).date(),)]


def test_without_a_complete_search_what_uncut_answers_said_is_known_as_of_the_newest_fetch(house: House) -> None:
    wires = [wire_of(number, TODAY, CustomerNr="1") for number in range(1, 50)]
    alone = wire_of(99, TODAY - dt.timedelta(days=40), CustomerNr="2")
    land(house, 1, [*wires, alone])
    search = FakeSearch()
    for wire in [*wires, alone]:
        search.say(wire, "25.00")
    assert not load(house, search, 30, max_rows=1).is_complete
    house.refresh()
    assert house.rows("select customer_nr, payment_basis, as_of from mart.customer_balance order by all") == [
        ("1", "unknown", at(1).date()),
        ("2", "known", at(1).date()),
    ]
    assert house.rows("select count(*) from raw.payment_search") == [(0,)]


@pytest.mark.parametrize("limit", [7, 12, 60])
def test_a_server_that_cuts_shorter_than_asked_is_found_out(house: House, limit: int) -> None:
    search = _many(house, 100, 20)
    search.limit = limit
    loaded = load(house, search, 2)
    assert (loaded.is_complete, loaded.answered, loaded.unanswered) == (True, 100, 0)


def test_a_day_beyond_the_servers_own_limit_is_not_taken_for_known(house: House) -> None:
    search = _many(house, 100, 20)
    search.limit = 4
    loaded = load(house, search, 2)
    assert not loaded.is_complete
    assert len(loaded.cut_days) == 20
    assert house.rows("select count(*) from raw.payment_status") == [(0,)]


def test_invoices_that_search_never_has_cost_few_requests(house: House) -> None:
    search = _many(house, 300, 300)
    for number in range(1, 301, 10):
        search.forget(number)
    loaded = load(house, search, 2)
    assert (loaded.is_complete, loaded.answered, loaded.unanswered) == (True, 270, 30)
    assert loaded.requests < 2 * 300 / 31 + 2


# --- Search that is not there, and other trouble


def _refused(status: int) -> Callable[[dt.date, dt.date], SoftOneError]:
    return lambda first, last: RequestRefusedError("The ERP refused the request: Behörighet saknas.", status=status)


@pytest.mark.parametrize("trouble", [_refused(403), _refused(404), lambda *_: AuthenticationError("No right.")])
def test_a_search_that_is_not_for_us_gives_its_reason_and_writes_nothing(house: House, trouble: Any) -> None:
    wires = [wire_of(1, TODAY), wire_of(2, TODAY - dt.timedelta(days=500))]
    land(house, 1, wires)
    search = FakeSearch(trouble=trouble)
    loaded = load(house, search, 2)
    assert loaded.reason is not None
    assert (loaded.is_complete, loaded.requests, len(search.asked), search.checks) == (False, 1, 1, 1)
    assert house.rows("select count(*) from raw.payment_status") == [(0,)]
    assert house.rows("select count(*) from raw.payment_search") == [(0,)]
    assert one(house, f"payment_basis, paid_amount, open_amount, {', '.join(_BUCKETS)}") == (
        "unknown",
        *[None] * 9,
    )


def test_what_was_known_stands_when_search_is_forbidden_later(house: House) -> None:
    land(house, 1, [wire_of(1, TODAY)])
    search = FakeSearch()
    search.say(wire_of(1, TODAY), "25.00")
    load(house, search, 2)
    search.trouble = _refused(403)
    assert load(house, search, 50).reason is not None
    assert one(house, "payment_basis, open_amount, as_of") == ("known", D("100.00"), at(2).date())


def test_when_more_than_search_refuses_us_that_is_what_failed(house: House) -> None:
    search = _many(house, 40, 400)
    search.trouble = lambda *_: AuthenticationError("The token was refused.")
    search.check_error = AuthenticationError("The ERP refused the login.")
    loaded = load(house, search, 2)
    assert (loaded.is_complete, loaded.reason, loaded.failed) == (False, None, (search.check_error,))
    assert (loaded.requests, search.checks) == (1, 1)


def test_a_login_that_is_refused_midway_keeps_what_search_had_answered(house: House) -> None:
    days = [TODAY - dt.timedelta(days=100 * number) for number in range(3)]
    wires = [wire_of(number, day) for number, day in enumerate(days, 1)]
    land(house, 1, wires)
    refused = AuthenticationError("The ERP refused the login.")
    search = FakeSearch(trouble=lambda first, last: refused if last >= days[1] else None)
    for wire in wires:
        search.say(wire, "25.00")
    loaded = load(house, search, 2)
    assert (loaded.is_complete, loaded.failed, loaded.requests, loaded.new) == (False, (refused,), 2, 1)
    assert statuses(house, 3) == [(D("25.00"), False, 2, None)]
    assert house.rows("select count(*) from raw.payment_search") == [(0,)]


def test_a_window_that_fails_leaves_what_was_known_and_the_others_go_on(house: House) -> None:
    days = [TODAY - dt.timedelta(days=100 * number) for number in range(3)]
    wires = [wire_of(number, day) for number, day in enumerate(days, 1)]
    land(house, 1, wires)
    search = FakeSearch()
    for wire in wires:
        search.say(wire, "0.00")
    load(house, search, 2)
    for wire in wires:
        search.say(wire, "10.00")
    search.trouble = lambda first, last: RequestFailedError("HTTP 500") if first <= days[1] <= last else None
    loaded = load(house, search, 3)
    assert (loaded.is_complete, len(loaded.failed), loaded.changed, loaded.ended) == (False, 1, 2, 0)
    assert statuses(house, 2) == [(D("0.00"), False, 2, None)]


def test_an_erp_that_is_down_is_not_asked_for_ever(house: House) -> None:
    search = _many(house, 120, 120)
    search.trouble = lambda *_: RequestFailedError("HTTP 503")
    loaded = load(house, search, 2)
    assert (loaded.requests, len(loaded.failed), loaded.is_complete, loaded.reason) == (3, 3, False, None)


def test_rows_that_cannot_be_read_count_when_it_is_told_whether_an_answer_is_cut(house: House) -> None:
    search = _many(house, 40, 1)
    for number in range(1, 31):
        search.said[number] = InvoiceUnreadable("CustomerInvoiceId", "is null", None)
    loaded = load(house, search, 2, max_rows=40)
    assert (TODAY, TODAY, 80) in search.asked
    assert (loaded.is_complete, loaded.answered, len(loaded.unreadable)) == (True, 10, 30)


def test_a_payment_that_can_be_read_again_is_known_again_and_an_old_answer_makes_none_unknown(house: House) -> None:
    wire = wire_of(1, TODAY)
    land(house, 1, [wire])
    search = FakeSearch()
    search.say(wire, "50.00")
    load(house, search, 3)
    search.said[1] = InvoiceUnreadable("PaidAmount", "1.005 does not fit", 1)
    assert load(house, search, 2).changed == 0  # asked for before, written after
    assert (load(house, search, 4).changed, load(house, search, 5).changed) == (1, 0)
    assert one(house, "payment_basis, open_amount, unknown_payment_count") == ("unknown", None, 1)
    search.say(wire, "60.00")
    load(house, search, 6)
    assert statuses(house, 1) == [(D("50.00"), False, 3, 4), (None, None, 4, 6), (D("60.00"), False, 6, None)]
    assert one(house, "payment_basis, open_amount") == ("known", D("65.00"))


# --- signs, totals and ages


def credit(number: int, sign: str) -> dict[str, Any]:
    rows = [row(f"{sign}76.46", f"{sign}19.12")]
    return wire_of(number, TODAY, total=f"{sign}96.00", vat=f"{sign}19.12", rows=rows, BillingType=2)


@pytest.mark.parametrize("filter_sign", ["", "-"])
@pytest.mark.parametrize("search_sign", ["", "-"])
def test_a_credit_is_open_or_settled_whichever_signs_filter_and_search_use(
    house: House, filter_sign: str, search_sign: str
) -> None:
    """Where both agree this is tables.md's rule: the paid amount of a sign-normalised invoice is flipped with it."""
    wires = [credit(1, filter_sign), credit(2, filter_sign), credit(3, filter_sign)]
    land(house, 1, wires)
    search = FakeSearch()
    for wire, paid in zip(wires, ("0.00", "96.00", "50.00"), strict=True):
        search.say(wire, search_sign + paid, total=f"{search_sign}96.00")
    load(house, search, 2)
    assert one(house, "payment_basis, paid_amount, open_amount, unapplied_credit, payment_total_differs_count") == (
        "known",
        D("-146.00"),
        D("-142.00"),
        D("-142.00"),
        0,
    )


def test_a_paid_amount_without_a_total_is_flipped_with_its_invoice(house: House) -> None:
    land(house, 1, [credit(1, "")])
    search = FakeSearch()
    search.say(credit(1, ""), "96.00", total=None)
    load(house, search, 2)
    assert one(house, "payment_basis, paid_amount, open_amount") == ("known", D("-96.00"), D("0.00"))


def test_open_counts_from_the_invoices_own_total_and_a_difference_is_flagged(house: House) -> None:
    land(house, 1, [wire_of(1, TODAY)])
    search = FakeSearch()
    search.say(wire_of(1, TODAY), "25.00", total="124.00")
    load(house, search, 2)
    assert one(house, "open_amount, payment_total_differs_count") == (D("100.00"), 1)


@pytest.mark.parametrize(
    ("days", "bucket"),
    [
        (-1, "not_due"),
        (0, "not_due"),
        (1, "due_1_30"),
        (30, "due_1_30"),
        (31, "due_31_60"),
        (60, "due_31_60"),
        (61, "due_61_90"),
        (90, "due_61_90"),
        (91, "due_over_90"),
        (None, "no_due_date"),
    ],
)
def test_the_borders_of_age(house: House, days: int | None, bucket: str) -> None:
    due = None if days is None else f"{at(2).date() - dt.timedelta(days=days)}T00:00:00"
    wires = [wire_of(1, TODAY, DueDate=due), wire_of(2, TODAY, DueDate=due)]
    land(house, 1, wires)
    search = FakeSearch()
    search.say(wires[0], "25.00")
    search.say(wires[1], "130.00")  # overpaid
    load(house, search, 2)
    expected = dict.fromkeys(_BUCKETS, D("0.00")) | {bucket: D("100.00"), "unapplied_credit": D("-5.00")}
    past_due = D("250.00") if days is not None and days > 0 else D("0.00")
    assert one(house, f"open_amount, past_due_invoiced, {', '.join(_BUCKETS)}") == (
        D("95.00"),
        past_due,
        *(expected[name] for name in _BUCKETS),
    )


def test_as_of_is_the_stockholm_day_of_the_search(house: House) -> None:
    land(house, 1, [wire_of(1, TODAY)])
    search = FakeSearch()
    search.say(wire_of(1, TODAY), "0.00")
    load(house, search, 23.5)  # 2026-03-01 23:30 UTC
    assert one(house, "as_of") == (dt.date(2026, 3, 2),)


# --- against the oracle


def _payments(rng: random.Random, wires: list[dict[str, Any]]) -> dict[int, Decimal]:
    """Search's PaidAmount per invoice, with the sign as sent: none, all, some, too much, and now and then odd."""
    paid = {}
    for wire in wires:
        total = wire["TotalAmount"]
        some = (total * rng.randint(1, 99) / 100).quantize(D("0.01"))
        odd = D(rng.randint(-100_000, 100_000)) / 100
        paid[wire["InvoiceId"]] = rng.choice((D(0), total, total, some, total + abs(some), odd))
    return paid


def _generated(seed: int, count: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    wires = [oracle.random_invoice(rng, number) for number in range(1, count + 1)]
    for wire in wires:
        # Without a date nobody can be searched for; half of the customers have such invoices.
        if wire["InvoiceDate"] is None and (wire["CustomerNr"] or "") < "11020":
            wire["InvoiceDate"] = "2026-02-23"
    return wires


def _search_of(wires: Iterable[Mapping[str, Any]], paid: Mapping[int, Decimal]) -> FakeSearch:
    search = FakeSearch()
    for wire in wires:
        if wire["InvoiceDate"] is not None:
            search.say(wire, paid[wire["InvoiceId"]])
    return search


def _balances(house: House, source: str) -> dict[Any, dict[str, Any]]:
    lines = house.records(f"from {source}")
    found = {(line["customer_nr"], line["currency"]): line for line in lines}
    assert len(found) == len(lines)
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_balances_of_thousands_of_generated_invoices_agree_with_the_oracle(house: House, seed: int) -> None:
    wires = _generated(seed, 2000)
    rng = random.Random(-seed)
    paid = _payments(rng, wires)
    search = _search_of(wires, paid)
    for number in rng.sample(sorted(search.said), 12):
        search.forget(number)
    land(house, 1, wires)
    loaded = load(house, search, 3, max_rows=400)
    assert loaded.is_complete
    house.refresh()
    invoices, _ = oracle.core(wires)
    known = {number: paid[number] for number in search.said}
    expected = oracle.customer_balance(invoices, as_of=at(3).date(), paid=known)
    found = _balances(house, "mart.customer_balance")
    assert len(found) == len(expected)
    for line in expected:
        got = found[line["customer_nr"], line["currency"]]
        assert {name: got[name] for name in line} == line
        if got["payment_basis"] == "known":
            assert sum(got[name] for name in _BUCKETS) == got["open_amount"]
    assert {line["payment_basis"] for line in expected} == {"known", "unknown"}
    assert sum(line["payment_basis"] == "known" for line in expected) > 20
    # the invoices behind it add up to it
    assert (
        house.rows(
            """
            select balance.customer_nr, balance.currency from mart.customer_balance as balance
            inner join (
                select customer_nr, currency, sum(open_amount) as open_amount, count(*) as invoice_count
                from mart.receivables_as_known(null) group by all
            ) as receivable
                on balance.customer_nr is not distinct from receivable.customer_nr
                and balance.currency is not distinct from receivable.currency
            where balance.invoice_count <> receivable.invoice_count
                or balance.payment_basis = 'known' and balance.open_amount <> receivable.open_amount
            """
        )
        == []
    )


# --- as known then


def test_the_balance_can_be_asked_for_as_it_was_known_at_an_earlier_moment(house: House) -> None:
    wires = _generated(5, 1200)
    rng = random.Random(5)
    land(house, 1, wires)
    search = _search_of(wires, _payments(rng, wires))
    seen = {}
    house.refresh()
    seen[1.9] = _balances(house, "mart.customer_balance")
    load(house, search, 2)
    house.refresh()
    seen[2.9] = _balances(house, "mart.customer_balance")
    # A month later: payments, changed invoices, some gone, some moved to another day, and a search after that.
    later = [dict(wire) for wire in wires if rng.random() < 0.97]
    for wire in later:
        if rng.random() < 0.2:
            wire["TotalAmount"] += D(rng.randint(1, 9))
        if rng.random() < 0.05:
            wire["InvoiceDate"] = "2026-01-15"
        if rng.random() < 0.05:
            wire["BillingType"] = 2
    land(house, 720, later)
    house.refresh()
    seen[724] = _balances(house, "mart.customer_balance")
    search = _search_of(later, _payments(rng, later))
    load(house, search, 725)
    house.refresh()
    seen[726] = _balances(house, "mart.customer_balance")
    assert len({json.dumps(list(map(str, found.values()))) for found in seen.values()}) == 4
    for hour, found in seen.items():
        assert _balances(house, f"mart.customer_balance_as_known(timestamptz '{at(hour)}')") == found
    assert _balances(house, "mart.customer_balance_as_known(now()::timestamptz + interval 10 year)") == seen[726]
    assert house.rows(f"from mart.customer_balance_as_known(timestamptz '{at(0)}')") == []


def test_without_search_an_earlier_balance_is_as_of_the_newest_fetch_by_then_though_nothing_had_changed(
    house: House,
) -> None:
    wires = [wire_of(1, TODAY), wire_of(2, TODAY - dt.timedelta(days=1), DueDate="2026-03-08")]
    seen = {}
    for hour in (1, 9 * 24, 9 * 24 + 3, 50 * 24):
        land(house, hour, wires)
        house.refresh()
        seen[hour + 2] = house.rows("from mart.customer_balance order by all")
    # the invoice that was due on 8 March is late on the tenth only
    assert [rows[0][1] for rows in seen.values()] == [at(hour).date() for hour in seen]
    assert len({str(rows) for rows in seen.values()}) == 3
    for hour, rows in seen.items():
        assert house.rows(f"from mart.customer_balance_as_known(timestamptz '{at(hour)}') order by all") == rows
    assert house.rows("from mart.customer_balance_as_known(null) order by all") == seen[50 * 24 + 2]
    # one row a batch, and none of an invoice was written again
    assert house.rows("select * exclude (run_id) from raw.fetches order by all") == [
        (COMPANY, at(hour - 2)) for hour in seen
    ]
    assert house.rows("select count(*) from raw.customer_invoices") == [(2,)]


def _as_of(house: House, hour: float) -> list[dt.date]:
    return [
        day
        for (day,) in house.rows(
            f"select distinct as_of from mart.customer_balance_as_known(timestamptz '{at(hour)}') order by all"
        )
    ]


def test_a_window_that_is_written_late_puts_no_as_of_back(house: House) -> None:
    land(house, 1, [wire_of(1, TODAY)])
    land(house, 240, [wire_of(1, TODAY)])
    # asked for before the second, written after it
    land(house, 100, [wire_of(2, TODAY - dt.timedelta(days=1))])
    assert [_as_of(house, hour) for hour in (0, 2, 99, 101, 239, 241, 1000)] == [
        [], *([at(hour).date()] for hour in (1, 1, 100, 100, 240, 240)),
    ]  # fmt: skip


def test_a_batch_that_is_asked_for_over_midnight_is_known_from_both_days_on(house: House) -> None:
    # 23:10, 23:30, 00:30 and 00:50 in Stockholm
    windows = [
        house.window(hour, [invoice(number, day=day)], day=day)
        for number, hour in enumerate((22.2, 22.5, 23.5, 23.8))
        for day in [TODAY + dt.timedelta(days=number)]
    ]
    house.land(*windows)
    assert [_as_of(house, hour) for hour in (22.1, 22.3, 22.9, 23.4, 23.6, 24)] == [
        [], *([dt.date(2026, 3, day)] for day in (1, 1, 1, 2, 2)),
    ]  # fmt: skip
    # what was asked for by its id was fetched as well: 00:20 the next night
    house.land(house.window(45.9 + 1 / 12, [], day=TODAY))
    house.land(house.window(46.8, [], day=TODAY + dt.timedelta(days=1)))
    assert house.asked_by_id
    assert [_as_of(house, hour) for hour in (46.9, 47.4)] == [[dt.date(2026, 3, 2)], [dt.date(2026, 3, 3)]]


def test_each_companys_as_of_is_its_own(house: House) -> None:
    land(house, 1, [wire_of(1, TODAY)])
    with house.warehouse.transaction() as connection:
        staged = Staged([house.window(240, [invoice(1, day=TODAY)], day=TODAY)])
        landing.land(connection, company="other", run_id="run", staged=staged)
    found = house.rows(f"select company, as_of from mart.receivables_as_known(timestamptz '{at(300)}') order by all")
    assert found == [(COMPANY, at(1).date()), ("other", at(240).date())]


def test_the_published_copy_answers_for_earlier_moments_too(house: House) -> None:
    land(house, 1, [wire_of(1, TODAY)])
    search = FakeSearch()
    search.say(wire_of(1, TODAY), "25.00")
    load(house, search, 2)
    search.say(wire_of(1, TODAY), "125.00")
    load(house, search, 30)
    house.refresh()
    publish(house.warehouse, house.settings.duckdb_path)
    with duckdb.connect(str(house.settings.duckdb_path), read_only=True) as analyst:
        moments = ("'2026-03-01 19:00 Europe/Stockholm'", "'2026-03-02 19:00 Europe/Stockholm'")
        found = [
            analyst.execute(
                f"select as_of, open_amount from mart.customer_balance_as_known(timestamptz {moment})"
            ).fetchone()
            for moment in moments
        ]
    assert found == [(dt.date(2026, 3, 1), D("100.00")), (dt.date(2026, 3, 2), D("0.00"))]


# --- over HTTP

FIRST_DAY, LAST_DAY = dt.date(2026, 2, 1), dt.date(2026, 3, 31)


@pytest.fixture
def erp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Sandbox, SoftOneClient]]]:
    """Start a sandbox with these faults, and a client for it."""
    started: list[Any] = []

    def start(*faults: str, transport: httpx.BaseTransport | None = None) -> tuple[Sandbox, SoftOneClient]:
        company = Company(seed=3, first_day=FIRST_DAY, last_day=LAST_DAY, invoices_per_day=6)
        sandbox = Sandbox(company, faults=faults)
        sandbox.__enter__()
        started.append(sandbox)
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        # Two faults that fire by turns may meet the same request again and again.
        client = SoftOneClient(ErpSettings.load(retry_wait_seconds=0.01, max_attempts=20), transport=transport)
        started.append(client)
        return sandbox, client

    yield start
    for resource in reversed(started):
        resource.__exit__(None, None, None)


def _load_company(house: House, client: SoftOneClient, *, max_rows: int = 10_000) -> PaymentsLoaded:
    days = [FIRST_DAY + dt.timedelta(days=number) for number in range((LAST_DAY - FIRST_DAY).days + 1)]
    for batch in load_days(client, house.warehouse, company=COMPANY, run_id="r", days=days):
        assert not batch.failed
    loaded = load_payments(client, house.warehouse, company=COMPANY, run_id="r", today=LAST_DAY, max_rows=max_rows)
    house.refresh()
    return loaded


@pytest.mark.parametrize(
    "faults", [(), ("rate-limit-zero:every=4", "quoted-numbers", "dates-with-zone", "server-error:every=5")]
)
def test_payments_over_http_with_answers_cut_by_max_rows(house: House, erp: Any, faults: tuple[str, ...]) -> None:
    sandbox, client = erp(*faults)
    loaded = _load_company(house, client, max_rows=8)
    assert (loaded.is_complete, loaded.reason, loaded.unreadable) == (True, None, ())
    stored = dict(house.rows("select invoice_id, paid_amount from raw.payment_status where superseded_at is null"))
    dated = {wire["InvoiceId"]: wire for wire in sandbox.company.invoices() if wire["InvoiceDate"] is not None}
    assert stored == {number: paid for number, paid in sandbox.company.paid_amounts().items() if number in dated}
    known = dict(house.rows("select payment_basis, count(*) from mart.customer_balance group by all"))
    assert known["known"] > 3 * known.get("unknown", 0)
    again = load_payments(client, house.warehouse, company=COMPANY, run_id="r", today=LAST_DAY)
    assert (again.is_complete, again.new, again.changed, again.ended) == (True, 0, 0, 0)


@dataclass
class Spoiling(httpx.BaseTransport):
    """The network, but for what one invoice's row of Search is made to say from now on."""

    invoice_id: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    network: httpx.BaseTransport = field(default_factory=httpx.HTTPTransport)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.network.handle_request(request)
        response.read()
        if not request.url.path.endswith("/Search"):
            return response
        rows = json.loads(response.text, parse_float=Decimal)
        spoiled = [row | self.fields if row["CustomerInvoiceId"] == self.invoice_id else row for row in rows]
        return httpx.Response(200, content=f"[{','.join(map(oracle.to_json, spoiled))}]")

    def close(self) -> None:
        self.network.close()


def _spoil_one(house: House, erp: Any, fields: Mapping[str, Any], max_rows: int) -> tuple[PaymentsLoaded, int, Any]:
    """Load, spoil the row of one of a day's invoices, search again. Also: its id, and what was known in between."""
    spoiling = Spoiling()
    _, client = erp(transport=spoiling)
    _load_company(house, client)
    before = _standing(house)
    spoiling.invoice_id, spoiling.fields = sorted(before)[len(before) // 2], fields
    again = load_payments(client, house.warehouse, company=COMPANY, run_id="r", today=LAST_DAY, max_rows=max_rows)
    return again, spoiling.invoice_id, before


def _standing(house: House) -> dict[int, Decimal | None]:
    return dict(house.rows("select invoice_id, paid_amount from raw.payment_status where superseded_at is null"))


# The second size: answers are cut, and a day alone is asked for with more rows.
@pytest.mark.parametrize("max_rows", [10_000, 2])
@pytest.mark.parametrize(
    "fields", [{"DueDate": ""}, {"VatAmount": D("20.005")}, {"CustomerId": "A17"}, {"Number": True}]
)
def test_a_field_that_nobody_needs_costs_no_payment(house: House, erp: Any, fields: Any, max_rows: int) -> None:
    loaded, _, before = _spoil_one(house, erp, fields, max_rows)
    assert (loaded.is_complete, loaded.unreadable, loaded.ended, loaded.changed) == (True, (), 0, 0)
    assert _standing(house) == before


@pytest.mark.parametrize("max_rows", [10_000, 2])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"PaidAmount": D("20.005")}, "PaidAmount: 20.005 does not fit DECIMAL(18,2) exactly."),
        ({"TotalAmount": True}, "TotalAmount: true is no number."),
    ],
)
def test_a_row_that_cannot_be_read_costs_the_payment_of_its_invoice_alone(
    house: House, erp: Any, fields: Any, said: str, max_rows: int
) -> None:
    loaded, spoiled, before = _spoil_one(house, erp, fields, max_rows)
    assert (loaded.is_complete, loaded.ended, loaded.unanswered) == (True, 0, 0)
    assert loaded.unreadable == (f"Invoice {spoiled} cannot be read: {said}",)
    assert before[spoiled] is not None
    assert _standing(house) == before | {spoiled: None}
    house.refresh()
    unknown = house.rows("select invoice_id from mart.receivables_as_known(null) where paid_amount is null")
    assert (spoiled,) in unknown


@pytest.mark.parametrize("max_rows", [10_000, 2])
def test_a_row_whose_id_cannot_be_read_ends_no_payment_of_its_days(house: House, erp: Any, max_rows: int) -> None:
    loaded, spoiled, before = _spoil_one(house, erp, {"CustomerInvoiceId": None}, max_rows)
    assert (loaded.is_complete, loaded.ended, loaded.changed, loaded.unanswered) == (True, 0, 0, 1)
    assert _standing(house) == before
    (day,) = house.rows("select partition_date from raw.customer_invoices where invoice_id = ? and latest", spoiled)
    (sentence,) = loaded.unreadable
    assert sentence.startswith("An invoice without a readable id cannot be read: CustomerInvoiceId: is null.")
    if max_rows == 2:
        assert f"in the answer for {day[0]}:" in sentence


@pytest.mark.parametrize("fault", ["search-missing", "search-forbidden"])
def test_without_search_the_pipeline_goes_on(house: House, erp: Any, fault: str) -> None:
    _, client = erp(fault)
    loaded = _load_company(house, client)
    assert loaded.reason is not None
    assert house.rows("select distinct payment_basis from mart.customer_balance") == [("unknown",)]
    assert house.rows("select count(*) from raw.payment_status") == [(0,)]


def test_a_401_for_search_alone_is_a_right_that_is_missing_and_no_failed_login(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/Login/Token":
            return httpx.Response(200, json={"Token": "a-token"})
        if request.url.path.endswith("/Search"):
            return httpx.Response(401, json="Åtkomst nekad")
        return httpx.Response(200, json=[])

    for name in ("COMPANY_API_KEY", "CONNECT_API_KEY", "USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"SOFTONE_{name}", f"the-{name}")
    with SoftOneClient(ErpSettings.load(), transport=httpx.MockTransport(answer)) as client:
        loaded = load_payments(client, house.warehouse, company=COMPANY, run_id="r", today=TODAY)
    assert loaded.reason is not None
    assert "Åtkomst nekad" in loaded.reason


def _let_days_pass(house: House, days: int) -> None:
    """All that was asked for so far was asked for so many days earlier."""
    with house.warehouse.transaction() as connection:
        connection.execute("set timezone = 'Europe/Stockholm'")
        for table in RAW_TABLES:
            for column in table.columns:
                if column.type == "TIMESTAMPTZ":
                    connection.execute(
                        f"update {table.qualified_name} set {column.name} = {column.name} - interval {days} day"
                    )


def test_without_search_every_load_is_remembered_by_its_day(house: House, erp: Any) -> None:
    _, client = erp("search-missing")
    for days_until_the_next in (6, 41, 0):
        _load_company(house, client)
        _let_days_pass(house, days_until_the_next)
    (today,) = house.rows("select distinct as_of from mart.customer_balance")[0]
    evenings = {48: None, 47: 47, 46: 47, 42: 47, 41: 41, 40: 41, 1: 41, 0: 0}
    for days_ago, loaded_days_ago in evenings.items():
        evening = f"timestamptz '{today - dt.timedelta(days=days_ago)} 23:59:59 Europe/Stockholm'"
        found = house.rows(f"select distinct as_of from mart.customer_balance_as_known({evening})")
        assert found == ([] if loaded_days_ago is None else [(today - dt.timedelta(days=loaded_days_ago),)]), evening
