"""raw.customer_invoices and raw.quarantine: what tables.md promises about versions, closures and bad invoices."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal

import pytest

from softone_pipeline.softone import Traffic, Window
from softone_pipeline.softone.pages import split_page
from softone_pipeline_tests.invoices import EXAMPLE_DAY, Number, dumps, invoice, row
from softone_pipeline_tests.tables.conftest import House, at, received

DAY = EXAMPLE_DAY
NEXT_DAY = DAY + dt.timedelta(days=1)


def test_an_unchanged_day_writes_nothing(house: House) -> None:
    house.land(house.window(1, [invoice(1), invoice(2)]), run_id="first")
    landed = house.land(house.window(2, [invoice(2), invoice(1)]), run_id="second")
    assert landed.days[0].received == 2
    assert landed.days[0].written == 0
    assert house.rows("select count(*), max(run_id) from raw.customer_invoices") == [(2, "first")]


def test_each_batch_is_remembered_once_and_takes_up_no_room_of_its_own(house: House) -> None:
    for hour in range(30):
        house.land(house.window(hour, [invoice(1)]), house.window(hour + 0.1, [], day=NEXT_DAY), run_id=f"{hour}")
    # what is landed again was asked for once
    house.land(house.window(29, [invoice(1)]), run_id="again")
    assert house.rows("select fetched_at, run_id from raw.fetches order by all") == [
        (at(hour), f"{hour}") for hour in range(30)
    ]
    assert house.rows("select count(distinct row_group_id) from pragma_storage_info('raw.fetches')") == [(1,)]


def test_a_changed_invoice_keeps_its_old_version(house: House) -> None:
    house.land(house.window(1, [invoice(1)]))
    house.land(house.window(2, [invoice(1, CustomerName="Åsa Öberg")]))
    assert house.versions(1) == [("new", "changed", 1, 2, DAY), ("changed", None, 2, None, DAY)]


def test_an_invoice_that_moved_to_another_day_is_one_invoice(house: House) -> None:
    house.land(house.window(1, [invoice(1)]))
    house.land(house.window(2, [], day=DAY), by_id={1: invoice(1, day=NEXT_DAY)})
    assert house.asked_by_id == [1]
    assert house.versions(1) == [("new", "redated", 1, 2.5, DAY), ("redated", None, 2.5, None, NEXT_DAY)]
    landed = house.land(house.window(3, [invoice(1, day=NEXT_DAY)], day=NEXT_DAY))
    assert landed.days[0].written == 0


def test_an_invoice_that_moved_between_two_fetched_days_is_not_asked_for(house: House) -> None:
    house.land(house.window(1, [invoice(1)]))
    house.land(house.window(2, []), house.window(2.1, [invoice(1, day=NEXT_DAY)], day=NEXT_DAY))
    assert house.asked_by_id == []
    assert [version[:2] for version in house.versions(1)] == [("new", "redated"), ("redated", None)]


def test_a_vanished_invoice_is_closed_only_after_it_was_asked_for_by_id(house: House) -> None:
    house.land(house.window(1, [invoice(1), invoice(2)]))
    landed = house.land(house.window(2, [invoice(2)]))
    assert house.asked_by_id == [1]
    assert landed.days[0].missing == 1
    assert house.versions(1) == [("new", "missing", 1, 2.5, DAY)]
    house.land(house.window(3, [invoice(2)]))
    assert house.asked_by_id == [1], "an invoice that is known to be missing is not asked for again"


def test_an_invoice_that_a_window_missed_but_the_erp_still_has_stays(house: House) -> None:
    house.land(house.window(1, [invoice(1)]))
    house.land(house.window(2, []), by_id={1: invoice(1)})
    assert house.versions(1) == [("new", None, 1, None, DAY)]


def test_a_missing_invoice_that_comes_back_is_a_version_of_its_own(house: House) -> None:
    house.land(house.window(1, [invoice(1)]))
    house.land(house.window(2, []))
    landed = house.land(house.window(3, [invoice(1)]))
    assert landed.days[0].returned == 1
    assert house.versions(1) == [("new", "missing", 1, 2.5, DAY), ("returned", None, 3, None, DAY)]
    assert house.rows("select count(*) from raw.customer_invoices where latest") == [(1,)]


def test_turning_preliminary_invoices_off_makes_none_missing(house: House) -> None:
    house.land(house.window(1, [invoice(1, OriginStatus=1), invoice(2)]))
    house.land(house.window(2, [invoice(2)], preliminary=False))
    assert house.asked_by_id == []
    assert house.versions(1) == [("new", None, 1, None, DAY)]
    house.land(house.window(3, [invoice(2)], preliminary=True))
    assert house.asked_by_id == [1]


def test_an_invoice_without_a_date_is_kept_and_never_closed_by_a_window(house: House) -> None:
    house.land(house.window(1, [invoice(1, day=None)]))
    house.land(house.window(2, []))
    assert house.versions(1) == [("new", None, 1, None, None)]
    house.land(house.window(3, [invoice(1)]))
    assert house.versions(1)[-1] == ("redated", None, 3, None, DAY)


@pytest.mark.parametrize("order", list(itertools.permutations([0, 1, 2])))
def test_the_newest_fetch_wins_whatever_order_windows_are_written_in(house: House, order: tuple[int, ...]) -> None:
    windows = [
        house.window(1, [invoice(1, CustomerName="a"), invoice(2)]),
        house.window(2, [invoice(1, CustomerName="b"), invoice(2)]),
        house.window(3, [invoice(1, CustomerName="c"), invoice(2)]),
    ]
    for index in order:
        house.land(windows[index])
    current = house.rows(
        "select payload->>'CustomerName' from raw.customer_invoices where superseded_at is null and invoice_id = 1"
    )
    assert current == [("c",)]


def test_a_window_written_late_closes_nothing_that_was_asked_for_later(house: House) -> None:
    house.land(house.window(2, [invoice(1)]))
    house.land(house.window(1, []))
    assert house.asked_by_id == []
    assert house.versions(1) == [("new", None, 2, None, DAY)]


def test_an_unchanged_fetch_counts_as_the_newest_knowledge(house: House) -> None:
    house.land(house.window(1, [invoice(1, CustomerName="true")]))
    house.land(house.window(3, [invoice(1, CustomerName="true")]))
    house.land(house.window(2, [invoice(1, CustomerName="stale")]))
    assert house.versions(1) == [("new", None, 1, None, DAY)]


def test_a_late_window_does_not_move_an_invoice_back(house: House) -> None:
    moved = invoice(1, day=NEXT_DAY)
    house.land(house.window(2, [moved], day=NEXT_DAY))
    house.land(house.window(1, [invoice(1)], day=DAY))
    assert house.versions(1) == [("new", None, 2, None, NEXT_DAY)]


def test_a_late_window_does_not_reopen_a_missing_invoice(house: House) -> None:
    house.land(house.window(1, [invoice(1)]))
    house.land(house.window(3, []))
    house.land(house.window(2, [invoice(1)]))
    assert house.versions(1) == [("new", "missing", 1, 3.5, DAY)]


def test_an_invoice_that_only_a_late_window_saw_is_kept_as_missing(house: House) -> None:
    house.land(house.window(2, []))
    house.land(house.window(1, [invoice(1)]))
    assert house.asked_by_id == [1]
    assert house.versions(1) == [("new", "missing", 1, 1.5, DAY)]


def test_an_invoice_in_two_windows_of_one_batch_is_counted_once(house: House) -> None:
    house.land(house.window(1, [invoice(1)]), house.window(1.1, [invoice(1, day=NEXT_DAY)], day=NEXT_DAY))
    assert house.versions(1) == [("new", None, 1.1, None, NEXT_DAY)]


BAD = {
    "TotalAmount": invoice(1, TotalAmount=Number("125.001")),
    "InvoiceRows[0].SumAmount": invoice(1, rows=[row("100.00", "25.00", SumAmount=Number("1.005"))]),
    "InvoiceRows[0].Quantity": invoice(1, rows=[row("100.00", "25.00", Quantity=Number("0.0000001"))]),
    "BillingType": invoice(1, BillingType=True),
    "OriginStatus": invoice(1, OriginStatus=Number("2.5")),
    "InvoiceDate": invoice(1, InvoiceDate="2026-02-30T00:00:00"),
    "DueDate": invoice(1, DueDate="2026-02-23T99:99:99"),
    "VATAmount": invoice(1, VATAmount=None),
    "InvoiceRows": invoice(1, InvoiceRows={"a": 1}),
    "CustomerName": invoice(1, CustomerName=["a"]),
    "TotalAmountCurrency": invoice(1, TotalAmountCurrency=Number("12345678901234567.00")),
    "VATAmountCurrency": invoice(1, VATAmountCurrency="NaN"),
    "InvoiceRows[0].Text": invoice(1, rows=[row("100.00", "25.00", Text="t\0x")]),
}


@pytest.mark.parametrize("field", BAD)
def test_an_invoice_that_cannot_be_typed_is_quarantined_by_name(house: House, field: str) -> None:
    landed = house.land(house.window(1, [BAD[field], invoice(2)]))
    assert landed.days[0].quarantined == 1
    assert house.rows("select invoice_id, partition_date, field from raw.quarantine") == [(1, DAY, field)]
    assert house.rows("select invoice_id from raw.customer_invoices") == [(2,)]


def test_a_quarantined_payload_leaves_the_earlier_version_standing_and_flagged(house: House) -> None:
    house.land(house.window(1, [invoice(1)]))
    house.refresh()
    house.land(house.window(2, [BAD["TotalAmount"]]))
    house.refresh()
    assert house.asked_by_id == []
    assert house.versions(1) == [("new", None, 1, None, DAY)]
    assert house.rows("select total_amount::varchar, has_quarantined_update from core.invoices") == [("125.00", True)]


def test_the_same_bad_payload_is_quarantined_once(house: House) -> None:
    for hour in (1, 2, 3):
        house.land(house.window(hour, [BAD["TotalAmount"]]))
    assert house.rows("select count(*) from raw.quarantine") == [(1,)]


@pytest.mark.parametrize("later", [invoice(1), invoice(1, CustomerName="other")])
def test_a_later_good_fetch_clears_the_quarantine(house: House, later: dict[str, object]) -> None:
    house.land(house.window(1, [invoice(1)]))
    house.land(house.window(2, [BAD["TotalAmount"]]))
    house.land(house.window(3, [later]))
    house.refresh()
    assert house.rows("select count(*) from raw.quarantine") == [(0,)]
    assert house.rows("select has_quarantined_update from core.invoices") == [(False,)]


def test_a_good_fetch_that_was_asked_for_earlier_does_not_clear_the_quarantine(house: House) -> None:
    house.land(house.window(2, [BAD["TotalAmount"]]))
    house.land(house.window(1, [invoice(1)]))
    assert house.rows("select count(*) from raw.quarantine") == [(1,)]


def test_a_quarantined_invoice_that_the_erp_no_longer_has_is_cleared(house: House) -> None:
    house.land(house.window(1, [BAD["TotalAmount"]]))
    house.land(house.window(2, []))
    assert house.asked_by_id == [1]
    assert house.rows("select count(*) from raw.quarantine") == [(0,)]


@pytest.mark.parametrize("corrected", [invoice(1, day=None), None], ids=["corrected", "deleted"])
def test_a_quarantined_invoice_that_loses_its_date_is_asked_for_until_it_is_good_or_gone(
    house: House, corrected: dict[str, object] | None
) -> None:
    house.land(house.window(1, [BAD["TotalAmount"]]))
    house.land(house.window(2, []), by_id={1: invoice(1, day=None, TotalAmount=Number("125.001"))})
    assert house.rows("select invoice_id, partition_date from raw.quarantine") == [(1, DAY)]
    landed = house.land(house.window(3, []), by_id={} if corrected is None else {1: corrected})
    assert house.rows("select count(*) from raw.quarantine") == [(0,)]
    assert landed.days[0].new == (corrected is not None)
    assert house.versions(1) == [("new", None, 3.5, None, None)][: landed.days[0].new]


def test_a_quarantined_invoice_of_no_day_at_all_is_asked_for_by_any_load(house: House) -> None:
    house.land(house.window(1, [BAD["TotalAmount"]]))
    with house.warehouse.connect() as connection:
        connection.execute("update raw.quarantine set partition_date = null")
    house.land(house.window(2, [], day=NEXT_DAY), house.window(2, [], day=NEXT_DAY + dt.timedelta(days=1)))
    assert house.asked_by_id == [1]
    assert house.rows("select count(*) from raw.quarantine") == [(0,)]


def test_an_object_without_a_readable_id_suspends_closures_for_its_day(house: House) -> None:
    house.land(house.window(1, [invoice(1), invoice(2)]))
    house.land(house.window(2, [invoice(2), '{"InvoiceId": "?", "TotalAmount": 1}']))
    assert house.asked_by_id == []
    assert house.versions(1) == [("new", None, 1, None, DAY)]
    assert house.rows("select invoice_id, field from raw.quarantine") == [(None, "InvoiceId")]
    house.land(house.window(3, [invoice(2)]))
    assert house.asked_by_id == [1]
    assert house.rows("select count(*) from raw.quarantine") == [(0,)]


def test_an_object_without_a_readable_id_suspends_closures_of_quarantined_invoices_too(house: House) -> None:
    odd = '{"InvoiceId": "?", "TotalAmount": 1}'
    house.land(house.window(1, [invoice(1), invoice(2)]))
    house.land(house.window(2, [invoice(1, TotalAmount="x"), invoice(2)]))
    house.land(house.window(3, [invoice(2), odd]))
    assert house.asked_by_id == []
    assert house.versions(1) == [("new", None, 1, None, DAY)]
    assert house.rows("select count(*) from raw.quarantine where invoice_id = 1") == [(1,)]
    house.land(house.window(4, [invoice(2)]))
    assert house.asked_by_id == [1]
    assert house.versions(1) == [("new", "missing", 1, 4.5, DAY)]
    assert house.rows("select count(*) from raw.quarantine") == [(0,)]


def test_a_suspended_day_keeps_a_version_that_is_quarantined_under_another_day(house: House) -> None:
    odd = '{"InvoiceId": "?", "TotalAmount": 1}'
    house.land(house.window(1, [invoice(1), invoice(2)]))
    house.land(house.window(2, [invoice(1, day=NEXT_DAY, TotalAmount="x")], day=NEXT_DAY))
    house.land(house.window(3, [invoice(2), odd]), house.window(3.1, [], day=NEXT_DAY))
    assert house.asked_by_id == [1]
    assert house.versions(1) == [("new", None, 1, None, DAY)]
    assert house.rows("select invoice_id from raw.quarantine") == [(None,)]
    house.land(house.window(4, [invoice(2)]))
    assert house.versions(1) == [("new", "missing", 1, 4.5, DAY)]


def test_an_invoice_without_a_date_is_not_closed_by_the_day_that_it_was_quarantined_under(house: House) -> None:
    house.land(house.window(1, [invoice(1, InvoiceDate=None), invoice(2)]))
    house.land(house.window(2, [invoice(1, TotalAmount="x"), invoice(2)]))
    house.land(house.window(3, [invoice(2)]))
    assert house.asked_by_id == [1]
    assert house.versions(1) == [("new", None, 1, None, None)]
    assert house.rows("select count(*) from raw.quarantine") == [(0,)]


LATE = f"{NEXT_DAY}T23:30:00+00:00"
"""Of the day after NEXT_DAY in Stockholm. A server that compares dates as written brings it with NEXT_DAY."""


def test_an_object_without_a_readable_id_waits_under_the_day_whose_window_brings_it(house: House) -> None:
    odd = received(invoice(1, InvoiceId="?", InvoiceDate=LATE))
    written, own = NEXT_DAY, NEXT_DAY + dt.timedelta(days=1)
    house.land(Window(written, written, at(1), True, (odd,), Traffic()))
    assert house.rows("select invoice_id, partition_date from raw.quarantine") == [(None, written)]
    house.land(house.window(2, [], day=own))
    assert house.rows("select count(*) from raw.quarantine") == [(1,)], "no window of its own date brings it"
    house.land(house.window(3, [], day=written))
    assert house.rows("select count(*) from raw.quarantine") == [(0,)]


@pytest.mark.parametrize("is_together", [True, False])
def test_an_object_without_a_readable_id_suspends_closures_for_its_own_date_too(
    house: House, is_together: bool
) -> None:
    days = [DAY + dt.timedelta(days=n) for n in range(5)]
    house.land(*(house.window(1 + n / 10, [invoice(n, day=day)], day=day) for n, day in enumerate(days)))
    odd = received(invoice(1, InvoiceId="?", InvoiceDate=LATE))
    odd_window = Window(days[1], days[1], at(2.1), True, (odd,), Traffic())
    others = [house.window(2 + n / 10, [], day=days[n]) for n in (0, 2, 3, 4)]
    for batch in [[odd_window, *others]] if is_together else [[odd_window], *([window] for window in others)]:
        house.land(*batch)
    assert house.asked_by_id == [0, 3, 4]
    suspended = house.rows("select partition_date from raw.fetched_days where closures_suspended order by all")
    assert suspended == [(days[1],), (days[2],)]


@pytest.mark.parametrize(
    ("found", "sent", "field"),
    [
        ('"TotalAmount":125.00', r'"Total\u0041mount":125.005', "TotalAmount"),
        ('"TotalAmount":125.00', r'"Total\u0041mount":true', "TotalAmount"),
        ('"SumAmount":100.00', r'"\u0053umAmount" :100.005', "InvoiceRows[0].SumAmount"),
        ('"Quantity":1.000000', r'"Quantit\u0079":1.0000005', "InvoiceRows[0].Quantity"),
    ],
)
def test_a_fields_name_that_is_written_with_an_escape_is_held_to_its_type(
    house: House, found: str, sent: str, field: str
) -> None:
    for text, quarantined in ((sent, [(field,)]), (sent.partition(":")[0] + ":" + found.partition(":")[2], [])):
        wire = dumps(invoice(1))
        assert found in wire
        (odd,) = split_page(f"[{wire.replace(found, text, 1)}]".encode())
        house.land(Window(EXAMPLE_DAY, EXAMPLE_DAY, at(1), True, (odd.received,), Traffic()))
        assert house.rows("select field from raw.quarantine") == quarantined
    house.refresh()
    assert house.rows("select total_amount, net_amount from core.invoices") == [(Decimal("125.00"), Decimal("100.00"))]


def test_odd_but_exact_payloads_are_kept_as_received_and_read_plainly(house: House) -> None:
    odd = invoice(1, TotalAmount="125.00", TotalAmountCurrency=Number("1.25e2"), DueDate="2026-02-23T23:30:00Z")
    del odd["CustomerOrgNr"]
    house.land(house.window(1, [odd]))
    house.refresh()
    stored = house.records("select payload, payload_normalised is not null as is_normalised from raw.customer_invoices")
    assert '"TotalAmountCurrency":1.25e2' in stored[0]["payload"]
    assert stored[0]["is_normalised"]
    assert house.rows("select total_amount::varchar, total_amount_currency::varchar, due_date from core.invoices") == [
        ("125.00", "125.00", dt.date(2026, 2, 24))
    ]


@pytest.mark.parametrize(
    "amount",
    [
        "1234567890123456.78",
        "-9999999999999999.99",
        "0.01",
        "-0.010000",
        "2.67",
        "1e2",
        "10.00000000000000000000",
    ],
)
def test_amounts_arrive_exactly(house: House, amount: str) -> None:
    house.land(house.window(1, [invoice(1, total=amount, vat="0.00", rows=[])]))
    house.refresh()
    plain = f"{float(amount):.2f}" if "e" in amount else amount
    found = house.rows("select total_amount = ?::decimal(38, 20), count(*) over () from core.invoices", plain)
    assert found == [(True, 1)]


def test_core_and_mart_are_rebuilt_from_raw_alone(house: House) -> None:
    house.land(
        house.window(
            1,
            [
                invoice(1),
                invoice(2, BillingType=2, total="-125.00", vat="-25.00", rows=[row("-100.00", "-25.00")]),
            ],
        )
    )
    house.land(house.window(2, [invoice(1, CustomerName="Ö")]))
    house.refresh()
    tables = (
        "core.invoices",
        "core.invoice_rows",
        "mart.vat_summary",
        "mart.vat_return_draft",
        "mart.customer_balance",
    )
    before = {table: house.rows(f"from {table} order by all") for table in tables}
    with house.warehouse.connect() as connection:
        for table in (*tables, "core.build_state"):
            connection.execute(f"delete from {table}")
    house.refresh()
    assert {table: house.rows(f"from {table} order by all") for table in tables} == before
    assert all(before.values())


@pytest.mark.parametrize(
    ("found", "sent"),
    [
        ('"TVÅLKOPP', '"\tTVÅLKOPP'),
        ('"Per Persson"', '"Per\nPersson"'),
        ('"Per Persson"', '"Per\rPersson"'),
        ('"InvoiceId"', '"Unknown":"\\ud800","InvoiceId"'),
        ('"InvoiceId"', '"Unkn\\udc00wn":1,"InvoiceId"'),
    ],
)
def test_what_json_forbids_sets_aside_its_own_invoice_only(house: House, found: str, sent: str) -> None:
    text = dumps(invoice(1))
    assert found in text
    odd = split_page(f"[{text.replace(found, sent, 1)}]".encode())[0].received
    (good,) = house.window(1, [invoice(2)]).invoices
    house.land(Window(EXAMPLE_DAY, EXAMPLE_DAY, at(1), True, (odd, good), Traffic()))
    house.refresh()
    assert house.rows("select invoice_id from core.invoices") == [(2,)]
    ((invoice_id, field, payload),) = house.rows("select invoice_id, field, payload from raw.quarantine")
    assert (invoice_id, field) == (1, "(whole invoice)")
    assert payload == odd.payload
    house.land(house.window(2, [invoice(1), invoice(2)]))
    assert house.rows("select count(*) from raw.quarantine") == [(0,)]
