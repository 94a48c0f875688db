"""Splitting a body into its invoices' exact texts."""

from __future__ import annotations

import datetime as dt
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softone_pipeline.softone.pages import NoInvoiceListError, read_id, split_page
from softone_pipeline_tests.softone.fake_erp import DAY, invoice

_NESTED = "[" * 100_000 + "1" + "]" * 100_000


def texts(body: str) -> list[str]:
    return [page_invoice.received.payload for page_invoice in split_page(body.encode())]


def test_every_text_is_exactly_as_received() -> None:
    odd = '{ "InvoiceId" :\t7 , "a": 1.10e0, "b": "å\\u00e5\\/", "InvoiceDate": "2026-03-01T00:00:00"\r\n}'
    found = split_page(f" [ {odd} ,{odd.replace('7', '8')}]\n".encode())
    assert [f.received.payload for f in found] == [odd, odd.replace("7", "8")]
    assert [(f.received.invoice_id, f.received.invoice_date) for f in found] == [(7, DAY), (8, DAY)]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1", 1),
        ('"123"', 123),
        ('"\\u0031"', 1),
        ("-5", -5),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("1.0", None),
        ("1e3", None),
        ("true", None),
        ("null", None),
        ('""', None),
        ('" 1"', None),
        ('"\\ud800"', None),
        ('"\u0661"', None),
        ("[1]", None),
        ("9" * 5000, None),
        ("1e400", None),
        ("-0", 0),
        ('1, "InvoiceId": "2"', 2),
        ('1, "InvoiceId": null', None),
        ('1, "InvoiceDate": "2026-03-01T00:00:00", "InvoiceDate": 20260301', 1),
        ('1, "InvoiceDate": {"a": 1e400}', 1),
    ],
)
def test_ids_and_dates_are_read_alike_by_the_fast_and_the_slow_way(written: str, expected: int | None) -> None:
    text = '{"InvoiceId": %s, "InvoiceNr": "7", "InvoiceRows": []}' % written  # noqa: UP031
    (fast,) = split_page(f"[{text}]".encode())
    (slow,) = split_page(text.encode())
    (tolerant, _) = split_page(f'[{text}, {{"InvoiceId": NaN}}]'.encode())
    assert [f.received.invoice_id for f in (fast, slow, tolerant)] == [expected] * 3
    assert [f.received.invoice_date for f in (fast, slow, tolerant)] == [None] * 3
    assert [f.received.payload for f in (fast, slow, tolerant)] == [text] * 3


def test_invoices_that_strict_json_forbids_are_let_through_alone() -> None:
    odd = ['{"InvoiceId": 1, "TotalAmount": NaN}', '{"InvoiceId": 2, "x": [-Infinity, Infinity]}']
    odd += ['{"InvoiceId": 3, "InvoiceNr": "\\ud800"}', '{"InvoiceId": 4, "InvoiceNr": "a\tb\nc"}', invoice(5)]
    assert texts("[" + " , ".join(odd) + "]") == odd


@pytest.mark.parametrize("nested", [_NESTED, '"\\"]}",' + _NESTED, _NESTED.replace("[", '{"}":').replace("]", "}")])
def test_an_invoice_that_is_nested_too_deeply_is_let_through_without_its_id(nested: str) -> None:
    odd = '{"InvoiceId": 2, "x": [%s]}' % nested  # noqa: UP031
    found = split_page(f"[{invoice(1)}, {odd} ,{invoice(3)}]".encode())
    assert [f.received.payload for f in found] == [invoice(1), odd, invoice(3)]
    assert [f.received.invoice_id for f in found] == [1, None, 3]
    assert texts(f"[{odd}]") == [odd]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"null", "null"),
        (b"  <html>", "HTML"),
        (b"[{", "cut"),
        (b'[{"InvoiceId": 1}', "cut"),
        (b'[{"InvoiceId": NaN}', "cut"),
        (b'[{"InvoiceId": 1},]', "cut"),
        (b"[]]", "cut"),
        (b"{} {}", "cut"),
        (b"[1]", "no object"),
        (b'[{"InvoiceId": 1}, null]', "no object"),
        (b'[{"InvoiceId": NaN}, null]', "no object"),
        (b"{}", "no list"),
        (b'{"Message": "x"}', "no list"),
        (b"[{}]", "not of invoices"),
        (b'[{"Message": "x"}]', "not of invoices"),
        (b'"x"', "no list"),
        (b"1", "no list"),
        (b"NaN", "no list"),
        (b'[{"InvoiceNr": "\xff"}]', "UTF-8"),
        (b'[{"InvoiceNr": "\xed\xa0\x80"}]', "UTF-8"),
        (b'[{"InvoiceNr": "\x00"}]', "control"),
        (b'[{"InvoiceNr": "\x1e"}]', "control"),
        (b'{"InvoiceId": 1, "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", "too deeply"),
        (b'[{"InvoiceId": 1, "x": ' + b"[" * 5000 + b"]" * 4000, "cut"),
        ("[]".encode("utf-16"), "UTF-8"),
    ],
)
def test_what_is_no_list_of_invoices_is_an_error(body: bytes, why: str) -> None:
    with pytest.raises(NoInvoiceListError, match=why):
        split_page(body)


def test_an_empty_list_is_an_empty_page() -> None:
    assert split_page(b"\xef\xbb\xbf []\n") == []


def test_one_foreign_object_among_invoices_is_kept_for_the_quarantine() -> None:
    assert len(split_page(f'[{invoice(1)}, {{"Message": "x"}}]'.encode())) == 2


@given(st.integers())
def test_ids_beyond_bigint_are_not_read(number: int) -> None:
    assert read_id(str(number)) == (number if -(2**63) <= number < 2**63 else None)


@given(
    st.lists(
        st.dictionaries(
            st.text() | st.just("InvoiceId"), st.none() | st.text() | st.integers() | st.floats(), min_size=1
        ).map(lambda d: d | {"InvoiceNr": 1})
    )
)
def test_splitting_loses_nothing(objects: list[dict[str, object]]) -> None:
    written = [json.dumps(o) for o in objects]
    assert texts("[" + ",".join(written) + "]") == written


def test_a_large_page_is_split_fast() -> None:
    row = {"ProductNr": "1", "Text": "x" * 200, "SumAmount": 1.5, "Accounts": [{"AccountNr": "3010"}]}
    body = json.dumps([json.loads(invoice(n, dt.date(2026, 3, 1), InvoiceRows=[row] * 5)) for n in range(8000)])
    before = time.process_time()
    assert len(split_page(body.encode())) == 8000
    # about 0.05 s on a slow machine; a parser in Python takes a second
    assert time.process_time() - before < 1
