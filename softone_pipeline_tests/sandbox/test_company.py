"""The seeded world: the same for the same seed, like a Swedish company's invoices, and alive overnight."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections import Counter, defaultdict
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from softone_pipeline.sandbox import BAD_INVOICE_KINDS, EXAMPLE_DAY, EXAMPLE_ID, Company
from softone_pipeline.sandbox.catalogue import check_digit
from softone_pipeline.sandbox.workdays import is_workday
from softone_pipeline_tests.sandbox.conftest import FIRST_DAY, LAST_DAY, small_company

HALF = Decimal("0.50")


@pytest.fixture(scope="module")
def year() -> Company:
    return Company(seed=1, first_day=dt.date(2025, 1, 1), last_day=dt.date(2026, 4, 30))


@pytest.fixture(scope="module")
def invoices(year: Company) -> list[dict[str, Any]]:
    return year.invoices()


def day_of(invoice: dict[str, Any]) -> dt.date:
    return dt.date.fromisoformat(invoice["InvoiceDate"][:10])


def row_sum(invoice: dict[str, Any], field: str) -> Decimal:
    return sum((row[field] for row in invoice["InvoiceRows"]), Decimal(0))


def is_subtotal(row: dict[str, Any]) -> bool:
    return row["ProductNr"] is None and row["Text"] == "Delsumma"


def foots(invoice: dict[str, Any], suffix: str = "Currency") -> bool:
    """Rows and VAT, or rows alone where prices hold the VAT, make up the total but for the rounding."""
    total, vat = invoice[f"TotalAmount{suffix}"], invoice[f"VATAmount{suffix}"]
    if not invoice["InvoiceRows"]:
        return bool(abs(vat - (total - vat) / 4) <= Decimal("0.14"))
    net = sum((row[f"SumAmount{suffix}"] for row in invoice["InvoiceRows"] if not is_subtotal(row)), Decimal(0))
    return bool(abs(total - net - vat) <= HALF or abs(total - net) <= HALF)


def test_the_same_arguments_make_the_same_company() -> None:
    assert small_company().invoices() == small_company().invoices()
    assert small_company(seed=4).invoices() != small_company().invoices()


def test_a_longer_range_has_the_same_invoices_on_the_days_they_share() -> None:
    shorter = small_company(last_day=dt.date(2026, 3, 15))
    longer = {invoice["InvoiceId"]: invoice for invoice in small_company().invoices()}
    assert all(longer[invoice["InvoiceId"]] == invoice for invoice in shorter.invoices())


def test_a_day_has_the_same_invoices_but_for_their_numbers_wherever_the_range_begins() -> None:
    later = small_company(first_day=dt.date(2026, 3, 2))
    earlier = {invoice["InvoiceId"]: invoice for invoice in small_company().invoices()}
    for invoice in later.invoices():
        assert earlier[invoice["InvoiceId"]] | {"InvoiceNr": None} == invoice | {"InvoiceNr": None}


def test_every_invoice_lies_in_the_range_and_ids_come_in_order() -> None:
    invoices = small_company().invoices()
    ids = [invoice["InvoiceId"] for invoice in invoices]
    assert ids == sorted(set(ids))
    assert all(FIRST_DAY <= day_of(invoice) <= LAST_DAY for invoice in invoices)


def test_the_volume_is_about_what_was_asked_for(year: Company) -> None:
    days = (year.last_day - year.first_day).days + 1
    assert 22 < len(year) / days < 28


def test_weekends_and_holidays_see_a_few_and_month_ends_many(invoices: list[dict[str, Any]]) -> None:
    per_day = Counter(map(day_of, invoices))
    workdays = [day for day in per_day if is_workday(day)]
    free = [n for day, n in per_day.items() if not is_workday(day)]
    last = {
        max(day for day in workdays if (day.year, day.month) == month)
        for month in {(day.year, day.month) for day in workdays}
    }
    ordinary = [per_day[day] for day in workdays if day not in last]
    average = sum(ordinary) / len(ordinary)
    assert sum(per_day[day] for day in last) / len(last) > 2 * average
    assert 0 < sum(free) / len(free) < average / 8


@pytest.mark.parametrize("day", ["2026-01-06", "2026-04-03", "2026-04-06", "2026-05-14", "2026-06-19", "2025-06-20"])
def test_swedish_holidays_are_known(day: str) -> None:
    assert not is_workday(dt.date.fromisoformat(day))


def test_a_few_customers_buy_most(invoices: list[dict[str, Any]]) -> None:
    buys = sorted(Counter(invoice["CustomerNr"] for invoice in invoices).values(), reverse=True)
    assert len(buys) > 300
    assert 0.35 < sum(buys[: len(buys) // 10]) / sum(buys) < 0.75


def test_organisation_numbers_have_a_valid_check_digit_and_personal_numbers_nobodys(
    invoices: list[dict[str, Any]],
) -> None:
    numbers = {invoice["CustomerOrgNr"] for invoice in invoices} - {None}
    organisations = {number for number in numbers if re.fullmatch(r"\d{2}[2-9]\d{3}-\d{4}", number)}
    persons = numbers - organisations
    assert len(organisations) > 150
    for number in organisations:
        assert check_digit(number[:6] + number[7:10]) == int(number[-1])
    assert persons
    for number in persons:
        digits = number.replace("-", "")[-10:]
        assert check_digit(digits[:9]) != int(digits[9])
    assert any(invoice["CustomerOrgNr"] is None for invoice in invoices)


def test_the_document_s_example_is_there_to_the_letter(year: Company) -> None:
    example = year.invoice(EXAMPLE_ID)
    assert example == Company.example_invoice()
    text = year.payload(example)
    assert '"Quantity":1.000000' in text
    assert '"UnitPrice":310.4000,"UnitPriceCurrency":310.4000,"VatAmount":77.60' in text
    assert text.endswith(
        '"InvoiceId":12677557,"InvoiceNr":"99233","CustomerNr":"11357","CustomerName":"Per Persson",'
        '"CustomerOrgNr":null,"InvoiceDate":"2026-02-23T00:00:00","DueDate":"2026-02-23T00:00:00",'
        '"BillingType":1,"Currency":"SEK","OriginStatus":3,"TotalAmount":628.00,"TotalAmountCurrency":628.00,'
        '"VATAmount":125.52,"VATAmountCurrency":125.52}'
    )
    assert [row["SumAmount"] for row in example["InvoiceRows"]] == [
        Decimal("310.40"),
        Decimal("76.46"),
        Decimal("115.20"),
    ]


def test_the_example_comes_with_its_day_or_when_asked_for() -> None:
    elsewhere = {"first_day": dt.date(2025, 5, 1), "last_day": dt.date(2025, 5, 31)}
    assert EXAMPLE_ID not in {i["InvoiceId"] for i in small_company(**elsewhere).invoices()}
    asked = small_company(**elsewhere, include_example=True)
    assert day_of(asked.invoice(EXAMPLE_ID)) == EXAMPLE_DAY


def test_payloads_are_exact_json_in_the_documents_formats(year: Company, invoices: list[dict[str, Any]]) -> None:
    formats = {"Quantity": 6, "UnitPrice": 4, "UnitPriceCurrency": 4}
    for invoice in invoices[::50]:
        text = year.payload(invoice)
        assert json.loads(text, parse_float=Decimal) == invoice
        for row in invoice["InvoiceRows"]:
            for name, value in row.items():
                if isinstance(value, Decimal):
                    assert value.as_tuple().exponent == -formats.get(name, 2), name
        assert invoice["TotalAmount"].as_tuple().exponent == -2


def test_payload_writes_a_changed_amount_with_its_decimals_and_keeps_surplus_ones(year: Company) -> None:
    example = Company.example_invoice()
    assert '"TotalAmount":700.00,' in year.payload(example | {"TotalAmount": Decimal(700)})
    assert '"TotalAmount":700.00,' in year.payload(example | {"TotalAmount": 700})
    assert '"TotalAmount":700.005,' in year.payload(example | {"TotalAmount": Decimal("700.005")})


def test_accounts_come_only_when_asked_for_and_book_the_rows_sum() -> None:
    company = small_company()
    checked = 0
    for invoice, plain in zip(company.invoices(accounts=True), company.invoices(), strict=True):
        for row, bare in zip(invoice["InvoiceRows"], plain["InvoiceRows"], strict=True):
            assert bare["Accounts"] == []
            assert bare | {"Accounts": row["Accounts"]} == row
            if row["SumAmount"]:
                assert row["Accounts"][0]["Amount"] == -row["SumAmount"]
                assert row["Accounts"][-1]["Amount"] == -(row["VatAmount"] or row["SumAmount"])
                checked += 1
    assert checked > 100


def test_nearly_every_invoice_foots_in_both_currencies(invoices: list[dict[str, Any]]) -> None:
    odd = [invoice for invoice in invoices if not foots(invoice)]
    assert 0 < len(odd) < len(invoices) / 200
    abroad = [invoice for invoice in invoices if invoice["Currency"] not in {"SEK", None}]
    assert len(abroad) > 50
    assert all(foots(invoice) and foots(invoice, "") for invoice in abroad)
    assert all(invoice["TotalAmount"] != invoice["TotalAmountCurrency"] for invoice in abroad)


def test_most_totals_are_whole_kronor_and_some_are_not(invoices: list[dict[str, Any]]) -> None:
    swedish = [invoice["TotalAmount"] for invoice in invoices if invoice["Currency"] == "SEK"]
    whole = sum(total == total.to_integral_value() for total in swedish)
    assert 0.85 < whole / len(swedish) < 0.98


def test_vat_is_rounded_per_row_half_away_from_zero(invoices: list[dict[str, Any]]) -> None:
    seen = Counter[int | None]()
    for invoice in invoices:
        for row in invoice["InvoiceRows"]:
            s, v = row["SumAmountCurrency"], row["VatAmountCurrency"]
            rates = [
                rate
                for rate in (25, 12, 6, 0)
                if v
                in {
                    (s * rate / 100).quantize(Decimal("0.01"), "ROUND_HALF_UP"),
                    (s * rate / (100 + rate)).quantize(Decimal("0.01"), "ROUND_HALF_UP"),
                }
            ]
            seen[rates[0] if rates else None] += 1
    assert all(seen[rate] > 100 for rate in (25, 12, 6, 0))
    # Typed by hand, at a rate that there is not.
    assert 0 < seen[None] < seen.total() / 1000


def test_food_is_taxed_lower_from_april_2026(invoices: list[dict[str, Any]]) -> None:
    rates = defaultdict(set)
    for invoice in invoices:
        for row in invoice["InvoiceRows"]:
            if row["ProductNr"] == "L2017" and row["VatAmount"]:
                net = row["SumAmount"] if foots_net(invoice) else row["SumAmount"] - row["VatAmount"]
                rates[day_of(invoice) >= dt.date(2026, 4, 1)].add(round(row["VatAmount"] / net * 100))
    assert rates == {False: {12}, True: {6}}


def foots_net(invoice: dict[str, Any]) -> bool:
    rows = [row for row in invoice["InvoiceRows"] if not is_subtotal(row)]
    net = sum((row["SumAmountCurrency"] for row in rows), Decimal(0))
    total, vat = invoice["TotalAmountCurrency"], invoice["VATAmountCurrency"]
    return bool(abs(total - net - vat) <= abs(total - net))


def test_most_credits_are_negative_and_some_are_sent_positive(invoices: list[dict[str, Any]]) -> None:
    credits = [invoice["TotalAmountCurrency"] for invoice in invoices if invoice["BillingType"] == 2]
    negative = sum(total < 0 for total in credits)
    positive = sum(total > 0 for total in credits)
    assert 0.03 < len(credits) / len(invoices) < 0.08
    assert negative > 3 * positive > 0


def test_the_rarities_of_real_life_are_there(invoices: list[dict[str, Any]]) -> None:
    statuses = Counter(invoice["OriginStatus"] for invoice in invoices)
    assert set(statuses) == {1, 2, 3, 4, 5, 7}
    assert statuses[2] + statuses[3] > 0.85 * len(invoices)
    assert {invoice["BillingType"] for invoice in invoices} == {1, 2, 3, 4, None}
    assert {invoice["Currency"] for invoice in invoices} == {"SEK", "EUR", "NOK", "USD", None}
    rows = [row for invoice in invoices for row in invoice["InvoiceRows"]]
    assert any(not invoice["InvoiceRows"] for invoice in invoices)
    assert any(invoice["DueDate"] is None for invoice in invoices)
    assert any(not invoice["InvoiceDate"].endswith("T00:00:00") for invoice in invoices)
    assert any(invoice["InvoiceId"] > 2**53 for invoice in invoices)
    assert any(2**32 < invoice["InvoiceId"] < 2**53 for invoice in invoices)
    assert any(row["Text"].startswith("ROT-avdrag") and row["SumAmount"] < 0 for row in rows)
    assert any(row["Text"].startswith("RUT-avdrag") for row in rows)
    assert any(row["Text"] == "Öresavrundning" and abs(row["SumAmount"]) <= HALF for row in rows)
    assert any(is_subtotal(row) and row["SumAmount"] for row in rows)
    assert any(row["ProductNr"] is None and not row["Quantity"] and not is_subtotal(row) for row in rows)
    assert any(abs(row["SumAmount"]) < abs(row["Quantity"] * row["UnitPrice"]) * Decimal("0.9") for row in rows)
    assert any(invoice["InvoiceRows"] and foots(invoice) and not foots_net(invoice) for invoice in invoices)


def test_the_series_of_numbers_is_unbroken_but_for_a_gap_or_two_and_one_double(
    invoices: list[dict[str, Any]],
) -> None:
    definitive = [invoice for invoice in invoices if invoice["OriginStatus"] != 1]
    numbers = sorted(int(invoice["InvoiceNr"]) for invoice in definitive)
    steps = Counter(after - before for before, after in pairwise(numbers))
    assert steps[0] == 1
    assert 1 <= sum(n for step, n in steps.items() if step > 1) <= 2
    assert set(steps) <= {0, 1, 2, 3}
    preliminary = [invoice["InvoiceNr"] for invoice in invoices if invoice["OriginStatus"] == 1]
    assert None in preliminary
    assert all(number is None or number.startswith("P") for number in preliminary)


def test_old_invoices_are_mostly_paid_and_some_in_part_or_too_much(
    year: Company, invoices: list[dict[str, Any]]
) -> None:
    paid = year.paid_amounts()
    old = [i for i in invoices if i["OriginStatus"] in {2, 3, 5} and day_of(i) < dt.date(2025, 10, 1)]
    kinds = Counter(
        "open"
        if not paid[i["InvoiceId"]]
        else "whole"
        if paid[i["InvoiceId"]] == i["TotalAmount"]
        else "part"
        if abs(paid[i["InvoiceId"]]) < abs(i["TotalAmount"])
        else "over"
        for i in old
    )
    assert 0.85 < kinds["whole"] / len(old) < 0.99
    assert min(kinds["open"], kinds["part"], kinds["over"]) > 10
    recent = [i for i in invoices if i["OriginStatus"] in {2, 3, 5} and day_of(i) > dt.date(2026, 4, 20)]
    assert sum(not paid[i["InvoiceId"]] for i in recent) > 0.7 * len(recent)


def test_making_an_invoice_takes_well_under_a_millisecond() -> None:
    started = time.process_time()
    company = Company(first_day=dt.date(2025, 1, 1), last_day=dt.date(2025, 3, 31), invoices_per_day=220)
    assert len(company) > 15_000
    # Some 50 microseconds on a quiet machine: a hundred thousand of them in five seconds.
    assert (time.process_time() - started) / len(company) < 0.0002


def test_an_evening_changes_moves_removes_and_adds(company: Company) -> None:
    before = {invoice["InvoiceId"]: invoice for invoice in company.invoices()}
    paid_before = company.paid_amounts()
    changes = company.advance()
    after = {invoice["InvoiceId"]: invoice for invoice in company.invoices()}

    assert all(kind for kind in (changes.changed, changes.redated, changes.vanished, changes.new, changes.paid))
    for invoice_id in changes.changed:
        assert after[invoice_id] != before[invoice_id]
        assert after[invoice_id]["InvoiceDate"] == before[invoice_id]["InvoiceDate"]
    for invoice_id, (old, new) in changes.redated.items():
        assert day_of(before[invoice_id]) == old != new == day_of(after[invoice_id])
        assert FIRST_DAY <= new <= LAST_DAY
        assert after[invoice_id] | {"InvoiceDate": 0} == before[invoice_id] | {"InvoiceDate": 0}
    for invoice_id in changes.finalised:
        assert (before[invoice_id]["OriginStatus"], after[invoice_id]["OriginStatus"]) == (1, 2)
        assert after[invoice_id]["InvoiceNr"].isdigit()
    for invoice_id in changes.paid:
        assert paid_before[invoice_id] != company.paid_amounts()[invoice_id] == after[invoice_id]["TotalAmount"]
    assert before.keys() - after.keys() == set(changes.vanished)
    assert after.keys() - before.keys() == set(changes.new)
    touched = {*changes.changed, *changes.redated, *changes.finalised}
    assert all(after[kept] == before[kept] for kept in before.keys() & after.keys() - touched)
    assert any(
        after[changed]["TotalAmount"] != before[changed]["TotalAmount"] and foots(after[changed])
        for changed in changes.changed
    )


def test_evenings_are_the_same_for_the_same_seed_and_differ_from_each_other() -> None:
    one, other = small_company(), small_company()
    evenings = [one.advance() for _ in range(3)]
    assert evenings == [other.advance() for _ in range(3)]
    assert one.invoices() == other.invoices()
    assert len({evening.changed for evening in evenings}) == 3
    assert small_company().advance(seed=7) == small_company().advance(seed=7) != small_company().advance(seed=8)


def test_many_evenings_leave_the_example_alone(company: Company) -> None:
    for _ in range(10):
        company.advance()
    assert company.invoice(EXAMPLE_ID) == Company.example_invoice()


def test_the_world_can_be_changed_by_hand(company: Company) -> None:
    example = Company.example_invoice()
    company.put(example | {"InvoiceDate": None, "InvoiceId": 5}, paid=Decimal("100.00"))
    assert company.invoice(5)["InvoiceDate"] is None
    assert company.paid_amounts()[5] == 100
    company.pay(5, Decimal("28.50"))
    assert company.paid_amounts()[5] == Decimal("128.50")
    company.remove(5)
    with pytest.raises(KeyError):
        company.invoice(5)


@pytest.mark.parametrize("kind", BAD_INVOICE_KINDS)
def test_a_spoiled_invoice_is_not_among_the_true_ones_until_it_is_mended(company: Company, kind: str) -> None:
    bad = company.spoil(EXAMPLE_ID, kind)
    assert bad in company.bad_invoices()
    assert (bad.invoice_id, bad.day, bad.kind) == (EXAMPLE_ID, EXAMPLE_DAY, kind)
    assert json.loads(bad.payload)
    assert EXAMPLE_ID not in {invoice["InvoiceId"] for invoice in company.invoices()}
    company.mend(EXAMPLE_ID)
    assert company.bad_invoices() == []
    assert EXAMPLE_ID in {invoice["InvoiceId"] for invoice in company.invoices()}


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="comes before"):
        Company(first_day=LAST_DAY, last_day=FIRST_DAY)
