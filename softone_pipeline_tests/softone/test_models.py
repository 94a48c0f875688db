"""The exact reading of odd invoices, and what is said of those that cannot be read."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softone_pipeline.softone import InvoiceUnreadable, normalise_invoice

FIELDS = {
    "InvoiceId": "12677557",
    "InvoiceNr": '"99233"',
    "CustomerNr": '"11357"',
    "CustomerName": '"Per Persson"',
    "CustomerOrgNr": "null",
    "InvoiceDate": '"2026-02-23T00:00:00"',
    "DueDate": '"2026-03-23T00:00:00"',
    "BillingType": "1",
    "Currency": '"SEK"',
    "OriginStatus": "3",
    "TotalAmount": "628.00",
    "TotalAmountCurrency": "628.00",
    "VATAmount": "125.52",
    "VATAmountCurrency": "125.52",
    "InvoiceRows": "[]",
}
ROW = {
    "ProductNr": '"7881005"',
    "Quantity": "1.000000",
    "Text": '"LOCK"',
    "UnitPrice": "310.4000",
    "UnitPriceCurrency": "310.4000",
    "VatAmount": "77.60",
    "VatAmountCurrency": "77.60",
    "SumAmount": "310.40",
    "SumAmountCurrency": "310.40",
    "Accounts": '[ {"AccountNr": "3010", "Amount": 310.400} ]',
    "AttestStateName": "null",
    "AttestState": "0",
}
INVOICE_KEYS = list(FIELDS)
ROW_KEYS = list(ROW)


def text(fields: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{name}" : {value}' for name, value in fields.items()) + "}"


def row(**changes: str) -> str:
    return text(ROW | changes)


def payload(*rows: str, without: str | None = None, **changes: str) -> str:
    fields = FIELDS | ({"InvoiceRows": "[" + ",".join(rows) + "]"} if rows else {}) | changes
    fields.pop(without or "", None)
    return text(fields)


def read(given: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(normalise_invoice(given), parse_float=Decimal)
    return found


def refusal(given: str) -> InvoiceUnreadable:
    with pytest.raises(InvoiceUnreadable) as caught:
        normalise_invoice(given)
    assert str(caught.value).isascii() or caught.value.field in str(caught.value)
    return caught.value


def test_an_ordinary_invoice_comes_out_whole_with_every_key_in_order() -> None:
    found = read(payload(row(), row()))
    assert list(found) == INVOICE_KEYS
    assert [list(found_row) for found_row in found["InvoiceRows"]] == [ROW_KEYS, ROW_KEYS]
    assert found["InvoiceDate"] == "2026-02-23"
    assert found["TotalAmount"] == Decimal("628.00")
    assert found["InvoiceRows"][0]["Quantity"] == Decimal("1")
    assert found["InvoiceRows"][0]["Accounts"] == ROW["Accounts"]


def test_absent_keys_come_out_as_null() -> None:
    given = {name: FIELDS[name] for name in INVOICE_KEYS if "mount" in name or name == "InvoiceId"}
    found = read(text(given | {"InvoiceRows": "[{}]", "Unknown": '{"TotalAmount": NaN}'}))
    assert list(found) == INVOICE_KEYS
    assert found["CustomerName"] is None
    assert found["InvoiceRows"] == [dict.fromkeys(ROW_KEYS)]


def test_null_rows_are_no_rows() -> None:
    assert read(payload(InvoiceRows="null"))["InvoiceRows"] == []


def test_missing_rows_are_an_error() -> None:
    error = refusal(payload(without="InvoiceRows"))
    assert (error.field, error.reason, error.invoice_id) == ("InvoiceRows", "is missing", 12677557)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("1E+2", "100.00"),
        ("1.5e1", "15.00"),
        ("12.5000000000000000000000", "12.50"),
        ('"12.50"', "12.50"),
        ('"-0012.5"', "-12.50"),
        ("-0.00", "0.00"),
        ("0e999999999999999999999999", "0.00"),
        ("-9999999999999999.99", "-9999999999999999.99"),
        ("9007199254740993.01", "9007199254740993.01"),
        ("100E-2", "1.00"),
    ],
)
def test_amounts_are_exact_and_plain(written: str, canonical: str) -> None:
    given = payload(TotalAmount=written, VATAmount="0.00", InvoiceRows="[]")
    assert f'"TotalAmount":{canonical},' in normalise_invoice(given)


@pytest.mark.parametrize(
    "written",
    [
        *("10.005", "1e-3", "10000000000000000", "1e99", "1e999999999999999999999", "1e-999999999999999999999"),
        *("NaN", "Infinity", "-Infinity", "true", "false", "[]", "{}", '""', '"1,5"', '"1 000"', '" 1"', '"x"'),
        *('"NaN"', '".5"', '"5."', '"+5"', '"1_0"', '"\u0661"', '"0x10"', "9" * 5000),
    ],
)
def test_amounts_that_are_none_are_named_with_their_value(written: str) -> None:
    error = refusal(payload(TotalAmount=written))
    assert error.field == "TotalAmount"
    assert error.invoice_id == 12677557
    assert len(error.reason) < 120


def test_the_reason_shows_value_and_type() -> None:
    error = refusal(payload(row(), row(), row(SumAmount="10.005")))
    assert error.field == "InvoiceRows[2].SumAmount"
    assert error.reason == "10.005 does not fit DECIMAL(18,2) exactly"
    assert str(error) == (
        "Invoice 12677557 cannot be read: InvoiceRows[2].SumAmount: 10.005 does not fit DECIMAL(18,2) exactly."
    )


@pytest.mark.parametrize("field", ["TotalAmount", "TotalAmountCurrency", "VATAmount", "VATAmountCurrency"])
def test_the_invoices_own_amounts_are_required(field: str) -> None:
    assert refusal(payload(**{field: "null"})).reason == "is null"
    assert refusal(payload(without=field)).reason == "is missing"


@pytest.mark.parametrize("field", [name for name in ROW_KEYS if "mount" in name and name != "Accounts"])
def test_row_amounts_may_be_null_but_not_inexact(field: str) -> None:
    assert read(payload(row(**{field: "null"})))["InvoiceRows"][0][field] is None
    assert refusal(payload(row(**{field: "0.001"}))).field == f"InvoiceRows[0].{field}"


@pytest.mark.parametrize("field", ["Quantity", "UnitPrice", "UnitPriceCurrency"])
def test_quantities_and_prices_have_six_decimals(field: str) -> None:
    assert read(payload(row(**{field: "0.000001"})))["InvoiceRows"][0][field] == Decimal("0.000001")
    assert refusal(payload(row(**{field: "0.0000001"}))).reason == "0.0000001 does not fit DECIMAL(18,6) exactly"
    assert refusal(payload(row(**{field: "1000000000000"}))).field == f"InvoiceRows[0].{field}"


@pytest.mark.parametrize("written", ['"12"', "12", "-9223372036854775808", "9223372036854775807"])
def test_an_id_is_a_64_bit_integer_also_in_quotes(written: str) -> None:
    assert read(payload(InvoiceId=written))["InvoiceId"] == int(written.strip('"'))


@pytest.mark.parametrize("written", ["1.0", "1.5", "1e3", "true", "null", '"x"', "[]", "9223372036854775808", '"1.0"'])
def test_an_id_that_cannot_be_read_is_named_without_one(written: str) -> None:
    error = refusal(payload(InvoiceId=written))
    assert (error.field, error.invoice_id) == ("InvoiceId", None)
    assert str(error).startswith("An invoice without a readable id cannot be read: InvoiceId: ")


@pytest.mark.parametrize("field", ["BillingType", "OriginStatus"])
def test_codes_are_32_bit_integers_or_null(field: str) -> None:
    assert read(payload(**{field: '"2"'}))[field] == 2
    assert read(payload(**{field: "null"}))[field] is None
    assert read(payload(**{field: "-7"}))[field] == -7
    for written in ("1.5", "1.0", "true", "2147483648", '"x"', "{}", "NaN"):
        assert refusal(payload(**{field: written})).field == field


@pytest.mark.parametrize("field", ["InvoiceNr", "CustomerNr", "CustomerName", "CustomerOrgNr", "Currency"])
def test_texts_take_numbers_as_written(field: str) -> None:
    assert read(payload(**{field: "1.50"}))[field] == "1.50"
    assert read(payload(**{field: "1E+2"}))[field] == "1E+2"
    assert read(payload(**{field: '"å\\u00e4\\ud83d\\ude00\\t\\""'}))[field] == 'åä😀\t"'
    assert read(payload(**{field: "null"}))[field] is None
    for written in ("true", "{}", "[]", "NaN", '"\\u0000"', '"\\ud800"', '"x\\udc00"'):
        assert refusal(payload(**{field: written})).field == field


@pytest.mark.parametrize("field", ["InvoiceDate", "DueDate"])
@pytest.mark.parametrize(
    ("written", "day"),
    [
        ('"2026-02-23"', "2026-02-23"),
        ('"2026-02-23T00:00:00.0000000"', "2026-02-23"),
        ('"2026-02-23T23:30:00Z"', "2026-02-24"),
        ('"2026-06-23T22:00:00Z"', "2026-06-24"),
        ('"2026-06-23T21:59:59.9999999Z"', "2026-06-23"),
        ('"2026-02-23T01:00:00+05:00"', "2026-02-22"),
        ('"2026-02-23T22:30:00-0130"', "2026-02-24"),
        ('"0001-01-01T00:00:00"', None),
        ("null", None),
    ],
)
def test_dates_are_stockholm_days(field: str, written: str, day: str | None) -> None:
    assert read(payload(**{field: written}))[field] == day


@pytest.mark.parametrize(
    "written",
    [
        *('"2026-13-01"', '"2026-02-29"', '"23/02/2026"', '""', '"soon"', "20260223", "true", "{}", '"2026-2-3"'),
        *(
            '"2026-02-23T25:00:00"',
            '"2026-02-23T00:00:00+99:00"',
            '"9999-12-31T23:59:59Z"',
            '"2026-02-23Tx"',
            '"\\u0000"',
        ),
    ],
)
def test_dates_that_are_none_are_named(written: str) -> None:
    assert refusal(payload(InvoiceDate=written)).field == "InvoiceDate"


def test_rows_that_are_no_objects_are_named() -> None:
    assert refusal(payload(InvoiceRows="{}")).reason == "is an object, not a list"
    assert refusal(payload(InvoiceRows="true")).reason == "is true, not a list"
    error = refusal(payload(row(), "1"))
    assert (error.field, error.reason) == ("InvoiceRows[1]", "is 1, not an object")


@pytest.mark.parametrize("written", ["[]", "{ }", '"text"', "1.50", '[1.10, {"a": [null, "\\u00e5"]}]'])
def test_accounts_keep_their_exact_text(written: str) -> None:
    assert read(payload(row(Accounts=written)))["InvoiceRows"][0]["Accounts"] == written


def test_null_or_absent_accounts_are_null() -> None:
    assert read(payload(row(Accounts="null")))["InvoiceRows"][0]["Accounts"] is None


@pytest.mark.parametrize("written", ["NaN", "[NaN]", '["\\u0000"]', '{"\\ud800": 1}', '["a\tb"]', "[" * 100_000])
def test_accounts_that_could_not_be_read_again_are_named(written: str) -> None:
    error = refusal(payload(row(Accounts=written)))
    assert error.field in {"InvoiceRows[0].Accounts", "(whole invoice)"}


HALF = chr(0xD800)


@pytest.mark.parametrize(
    "given",
    [
        *("", " ", "null", "[]", "1", '"x"', "{", '{"InvoiceId": 1', "{} x", "{1: 2}", '{"a" 1}', '{"a": 1,}'),
        *("[" * 100_000, '{"a":' * 100_000, HALF, payload(InvoiceNr=f'"{HALF}"')),
    ],
)
def test_what_is_no_object_at_all_is_an_unreadable_invoice(given: str) -> None:
    error = refusal(given)
    assert (error.field, error.invoice_id) == ("(whole invoice)", None)


def test_key_names_count_exactly() -> None:
    assert refusal(payload(without="VATAmount", VatAmount="1.00")).field == "VATAmount"


def test_raw_tabs_and_line_feeds_in_texts_are_read() -> None:
    assert read(payload(CustomerName='"a\tb\nc"'))["CustomerName"] == "a\tb\nc"


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    assert read('{"InvoiceId": 1, ' + payload()[1:])["InvoiceId"] == 12677557


@given(st.decimals(allow_nan=False, allow_infinity=False), st.booleans())
def test_every_decimal_is_either_read_exactly_or_refused(number: Decimal, in_quotes: bool) -> None:
    written = f'"{number}"' if in_quotes else str(number)
    fits = number == round(number, 2) if abs(number) < 10**16 else False
    given = payload(TotalAmount=written, VATAmount="0.00", InvoiceRows="[]")
    if fits:
        assert read(given)["TotalAmount"] == number
    else:
        assert refusal(given).field == "TotalAmount"


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_every_amount_that_fits_comes_out_as_it_was(cents: int) -> None:
    number = Decimal(cents).scaleb(-2)
    given = payload(TotalAmount="0.00", VATAmount=f"{number:f}", InvoiceRows="[]")
    assert f'"VATAmount":{number:f},' in normalise_invoice(given)


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({"TotalAmount": "9999999999999999.99", "VATAmount": "0.00"}, True),
        ({"TotalAmount": "9999999999999999.99", "VATAmount": "-0.01"}, False),
        ({"TotalAmountCurrency": "-9999999999999999.99", "VATAmountCurrency": "0.01"}, False),
        ({"InvoiceRows": '[{"SumAmount": 5e15, "VatAmount": 5e15}]'}, False),
        ({"InvoiceRows": '[{"SumAmount": 9e15, "VatAmount": null}, {"SumAmount": -9e14}]'}, True),
    ],
)
def test_amounts_whose_sums_do_not_fit_are_refused(fields: dict[str, str], fits: bool) -> None:
    given = payload(**{"TotalAmount": "0.00", "VATAmount": "0.00", "InvoiceRows": "[]"} | fields)
    if fits:
        read(given)
    else:
        error = refusal(given)
        assert (error.field, error.reason) == ("InvoiceRows", "has amounts whose sums do not fit DECIMAL(18,2)")
        assert error.invoice_id == 12677557


@given(st.text(), st.dates(dt.date(1900, 1, 1)))
def test_texts_and_days_survive(name: str, day: dt.date) -> None:
    given = payload(CustomerName=json.dumps(name), InvoiceDate=f'"{day}T00:00:00"')
    if "\0" in name:
        assert refusal(given).field == "CustomerName"
    else:
        found = read(given)
        assert (found["CustomerName"], found["InvoiceDate"]) == (name, day.isoformat())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*INVOICE_KEYS, *ROW_KEYS]), inner),
        max_leaves=20,
    )
)
def test_no_json_whatsoever_raises_anything_else(value: Any) -> None:
    for written in (json.dumps(value), payload(InvoiceRows=json.dumps(value)), payload(CustomerName=json.dumps(value))):
        try:
            found = normalise_invoice(written)
        except InvoiceUnreadable:
            continue
        assert normalise_invoice(found) is not None


def test_canonical_text_is_read_again_as_it_is() -> None:
    once = normalise_invoice(payload(row(Accounts="null")))
    assert normalise_invoice(once) == once
