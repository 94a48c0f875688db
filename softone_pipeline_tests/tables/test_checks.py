"""The checks on the numbers: silent on clean data, and by name on a case built for each. Real DuckDB files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from softone_pipeline.tables.checks import CHECKS
from softone_pipeline.warehouse import publish
from softone_pipeline_tests.invoices import EXAMPLE_DAY, example_invoice, invoice, row
from softone_pipeline_tests.tables.conftest import COMPANY, House

Wire = Mapping[str, Any]


def findings(house: House, limit: int = 20) -> dict[str, tuple[int, list[str]]]:
    """What each check finds, the silent ones left out."""
    with house.warehouse.connect() as connection:
        found = {check.name: check.find(connection, COMPANY, limit) for check in CHECKS}
    return {name: finding for name, finding in found.items() if finding[0]}


def load(house: House, *wires: Wire | str, hour: float = 1) -> None:
    house.land(house.window(hour, wires))
    house.refresh()


def numbered(numbers: Sequence[str | None], **fields: Any) -> list[Wire]:
    return [invoice(position, InvoiceNr=number, **fields) for position, number in enumerate(numbers, 1)]


CLEAN = (
    invoice(1),
    invoice(2, rows=[row("80.00", "20.00"), row("0.40", "0.10", Text="Ören")], total="101.00", vat="20.10"),
    invoice(3, total="-125.00", vat="-25.00", rows=[row("-100.00", "-25.00")], BillingType=2),
    invoice(4, total="125.00", vat="25.00", BillingType=2),
    invoice(5, rows=[], total="1250.00", vat="250.00"),
    invoice(6, rows=[row("60.00", "0.00", ProductNr="RTA", Text="Ränta")], total="60.00", vat="0.00", BillingType=3),
)


def test_clean_invoices_pass_every_check(house: House) -> None:
    load(house, *CLEAN)
    assert findings(house) == {}


def test_every_check_has_a_file_and_every_file_a_check() -> None:
    here = Path(__file__).parents[2] / "softone_pipeline" / "tables" / "checks"
    files = {path.stem for path in here.glob("*.sql")}
    assert files == {check.name for check in CHECKS}
    assert all(check.holds.endswith(".") and check.findings for check in CHECKS)


def test_every_check_runs_as_it_stands_on_the_published_copy(house: House, tmp_path: Path) -> None:
    load(house, *CLEAN, invoice(7, total="999.00"))
    copy = tmp_path / "copy.duckdb"
    publish(house.warehouse, copy)
    with duckdb.connect(str(copy), read_only=True) as analyst:
        found = {check.name: analyst.execute(check.select).fetchall() for check in CHECKS}
    assert {name for name, rows in found.items() if rows} == {"invoices_foot"}


# --- what the ERP sends: each case is found by one check, and named

CASES: dict[str, tuple[Sequence[Wire], str]] = {
    "invoices_foot": (
        [invoice(1, total="130.00")],
        "invoice 90001 (id 1) of 2026-02-23: total 130.00 and VAT 25.00 SEK",
    ),
    "header_vat_agrees_with_rows": (
        [invoice(1, total="125.03", vat="25.03")],
        "invoice 90001 (id 1) of 2026-02-23: header VAT 25.03, rows 25.00 SEK",
    ),
    "codes_are_known": (
        [invoice(1, OriginStatus=7), invoice(2, BillingType=None)],
        "invoice 90001 (id 1) of 2026-02-23: OriginStatus 7, BillingType 1",
    ),
    "currency_is_given": ([invoice(1, Currency=None)], "invoice 90001 (id 1) of 2026-02-23: total 125.00"),
    "invoice_numbers_are_unique": (
        numbered(["7", "7", "8"]),
        "number 7: invoice id 1 of 2026-02-23 and invoice id 2 of 2026-02-23",
    ),
    "invoice_series_are_unbroken": (
        numbered(["7", "9"]),
        "number 8 is missing between 7 of 2026-02-23 and 9 of 2026-02-23",
    ),
    "vat_classes_are_known": (
        [invoice(1, total="118.00", vat="18.00", rows=[row("100.00", "18.00")])],
        "2026-02: 1 of 1 row, 118.00 of 118.00; invoices 90001",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_case_of_its_own_is_found_by_name_and_by_no_other_check(house: House, name: str) -> None:
    wires, said = CASES[name]
    load(house, *wires)
    found = findings(house)
    assert found.keys() == {name}
    assert found[name][1][0].startswith(said)


def test_what_waits_in_quarantine_is_named(house: House) -> None:
    load(house, invoice(1), invoice(2, TotalAmount="ten"))
    count, (sentence,) = findings(house)["quarantine_is_empty"]
    assert count == 1
    assert sentence.startswith("invoice 2 of 2026-02-23: TotalAmount")


def test_a_definitive_invoice_that_goes_missing_is_an_error_and_a_preliminary_one_is_not(house: House) -> None:
    load(house, invoice(1), invoice(2), invoice(3, OriginStatus=1, InvoiceNr=None))
    load(house, invoice(1), hour=3)
    assert findings(house) == {
        "posted_invoices_are_still_there": (
            1,
            ["invoice 90002 (id 2) of 2026-02-23: total 125.00, gone since 2026-03-01"],
        )
    }


def test_more_findings_than_are_named_are_counted(house: House) -> None:
    load(house, *(invoice(number, Currency=None) for number in range(1, 31)))
    count, named = findings(house)["currency_is_given"]
    assert (count, len(named)) == (30, 20)


def test_preliminary_cancelled_and_missing_invoices_are_not_asked_to_foot(house: House) -> None:
    load(house, *(invoice(status, total="130.00", OriginStatus=status) for status in (1, 4)))
    assert findings(house) == {}


def test_invoices_that_say_next_to_nothing_are_named_all_the_same(house: House) -> None:
    bare: dict[str, Any] = {"CustomerNr": None, "CustomerName": None, "Currency": None, "DueDate": None}
    empty = row(None, None, ProductNr=None, Text=None, Quantity=None, Accounts=None)
    wires = [
        invoice(1, InvoiceNr="10", day=None, total="130.00", rows=[row("100.00", "40.00"), empty], **bare),
        invoice(2, InvoiceNr="12", day=None, rows=[empty], BillingType=None, **bare),
        invoice(3, InvoiceNr="12", day=None, OriginStatus=9, **bare),
        invoice(4, InvoiceNr=None, day=None, **bare),
        invoice(5, InvoiceNr="15", OriginStatus=None, **bare),
        invoice(6, InvoiceNr=None, total="1.00", **bare),
    ]
    load(house, *wires)
    load(house, *wires[:-1], invoice(7, **bare) | {"TotalAmount": "ten"}, hour=3)
    found = findings(house)
    assert found.keys() >= {
        "quarantine_is_empty",
        "invoices_foot",
        "header_vat_agrees_with_rows",
        "codes_are_known",
        "currency_is_given",
        "invoice_numbers_are_unique",
        "invoice_series_are_unbroken",
        "posted_invoices_are_still_there",
        "vat_classes_are_known",
    }
    assert {name for name, (_, sentences) in found.items() if not all(sentences)} == set()


# --- the series of invoice numbers


def gaps(house: House) -> list[tuple[str, str, int]]:
    (check,) = (check for check in CHECKS if check.name == "invoice_series_are_unbroken")
    return house.rows(f"select first_missing, last_missing, missing_count from ({check.select}) order by all")


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (["1", "2", "3"], []),
        (["1", "2", "5", "6", "8"], [("3", "4", 2), ("7", "7", 1)]),
        (["98", "99", "100", "102"], [("101", "101", 1)]),
        (["0098", "0099", "0100", "0102"], [("0101", "0101", 1)]),
        (["F-1", "F-3", "K-1", "K-2"], [("F-2", "F-2", 1)]),
        (["2025-118", "2025-120", "2026-001", "2026-002"], [("2025-119", "2025-119", 1)]),
        (["1001", "1002", "1004", "5000001", "5000002"], [("1003", "1003", 1)]),
        (["1", "2", "0001", "0003"], [("0002", "0002", 1)]),
        (["7", "A", None, "", "9-B", "8"], []),
        (["1", "1", "2"], []),
        (["12345678901234567890123", "12345678901234567890125"], [("12345678901234567890124",) * 2 + (1,)]),
        (["10", "700"], [("11", "699", 689)]),
    ],
)
def test_missing_numbers_are_told_per_run_and_series(
    house: House, numbers: list[str | None], expected: list[tuple[str, str, int]]
) -> None:
    load(house, *numbered(numbers))
    assert gaps(house) == expected


def test_a_year_at_the_start_of_a_number_makes_a_series_of_each_year(house: House) -> None:
    for number, (day, nr) in enumerate(
        [("2025-12-30", "2025118"), ("2025-12-31", "2025119"), ("2026-01-01", "2026001"), ("2026-01-02", "2026003")], 1
    ):
        date = dt.date.fromisoformat(day)
        house.land(house.window(number, [invoice(number, InvoiceNr=nr, day=date)], day=date))
    house.refresh()
    assert gaps(house) == [("2026002", "2026002", 1)]


def test_cancelled_missing_and_quarantined_invoices_occupy_their_numbers_and_preliminary_ones_do_not(
    house: House,
) -> None:
    wires = numbered(["1", "2", "3", "4", "5", "6"])
    wires[1] = {**wires[1], "OriginStatus": 4}
    wires[3] = {**wires[3], "OriginStatus": 1}
    wires[4] = {**wires[4], "TotalAmount": "ten"}
    load(house, *wires)
    load(house, *(wire for wire in wires if wire["InvoiceId"] != 3), hour=3)
    assert gaps(house) == [("4", "4", 1)]


def test_a_number_is_not_unique_when_a_missing_invoice_had_it_but_preliminary_ones_may_share(house: House) -> None:
    load(house, *numbered(["7", "8"]), invoice(3, InvoiceNr="8", OriginStatus=1))
    assert findings(house) == {}
    load(house, invoice(2, InvoiceNr="8"), invoice(4, InvoiceNr="7"), hour=3)
    _, (sentence,) = findings(house)["invoice_numbers_are_unique"]
    assert sentence == "number 7: invoice id 1 of 2026-02-23 (missing) and invoice id 4 of 2026-02-23"


def test_checks_look_at_one_company_at_a_time(house: House) -> None:
    load(house, invoice(1), invoice(2, Currency=None))
    with house.warehouse.connect() as connection:
        assert all(check.find(connection, "another", 20) == (0, []) for check in CHECKS)


# --- what we made of it: an öre changed behind the pipeline's back is found

TAMPERED = {
    "core_ties_to_raw": (
        "update core.invoices set total_amount_currency = total_amount_currency + 0.01 where invoice_id = 1",
        "invoice 90001 (id 1): total",
    ),
    "rows_tie_to_invoices": (
        "update core.invoices set net_amount_currency = net_amount_currency - 0.01 where invoice_id = 1",
        "invoice 90001 (id 1): 1 of 1 row",
    ),
    "summary_ties_to_core": (
        "update mart.vat_summary set vat_amount_currency = vat_amount_currency + 0.01 "
        "where vat_class = '25' and rate_source = 'row' and billing_type_name = 'credit'",
        "2026-02 SEK credit counted: summary -250.00 and -249.99 in invoice currency",
    ),
    "return_ties_to_summary": (
        "update mart.vat_return_draft set amount_kr = amount_kr + 1 where box = '10'",
        "2026-02 box 10: ",
    ),
    "balance_ties_to_core": (
        "update mart.customer_balance set net_invoiced = net_invoiced + 0.01, debit_invoiced = debit_invoiced + 0.01",
        "customer 11357 SEK: invoiced ",
    ),
    "balance_adds_up": (
        "update mart.customer_balance set credited = credited + 0.01",
        "customer 11357 SEK: invoiced ",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_an_ore_that_went_astray_is_an_error_by_name(house: House, name: str) -> None:
    statement, said = TAMPERED[name]
    load(house, *CLEAN)
    with house.warehouse.connect() as connection:
        connection.execute(statement)
    _, named = findings(house)[name]
    assert named[0].startswith(said)
    assert {check.severity for check in CHECKS if check.name == name} == {"error"}


@pytest.mark.parametrize(
    "statement",
    [
        "delete from core.invoices where invoice_id = 1",
        "insert into core.invoices select * replace (99 as invoice_id) from core.invoices where invoice_id = 1",
        "update core.invoice_rows set vat_amount = vat_amount + 0.01 where invoice_id = 1",
        "delete from core.invoice_rows where invoice_id = 1",
        "update core.invoices set vat_amount = 0 where invoice_id = 4",
    ],
)
def test_whatever_core_loses_or_invents_is_found_against_raw(house: House, statement: str) -> None:
    load(house, *CLEAN)
    with house.warehouse.connect() as connection:
        connection.execute(statement)
    assert findings(house)["core_ties_to_raw"][0] == 1


@pytest.mark.parametrize(
    "change",
    [
        "payment_basis = 'known', paid_amount = 0, open_amount = net_invoiced",
        "open_amount = 0",
        "payment_basis = 'guessed'",
    ],
)
def test_a_balance_that_says_more_or_less_than_it_knows_is_found(house: House, change: str) -> None:
    load(house, *CLEAN)
    with house.warehouse.connect() as connection:
        connection.execute(f"update mart.customer_balance set {change}")
    assert findings(house).keys() == {"balance_adds_up"}


def test_boxes_that_are_missing_or_superfluous_are_found(house: House) -> None:
    load(house, example_invoice())
    with house.warehouse.connect() as connection:
        connection.execute("update mart.vat_return_draft set box = '49' where box = '12'")
    count, named = findings(house)["return_ties_to_summary"]
    assert count == 2
    assert named[1].startswith(f"{EXAMPLE_DAY:%Y-%m} box 49: 0 kr, its classes none")
