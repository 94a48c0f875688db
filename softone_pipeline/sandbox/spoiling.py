"""Invoices that cannot be typed: what is wrong with each kind, as it would be sent. Knows no company."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from softone_pipeline.sandbox.wire import Invoice, encode

Spoiler = Callable[[Invoice], tuple[str, str]]


def _with(field: str, value: Any) -> Spoiler:
    return lambda invoice: (field, encode(invoice | {field: value}))


def _surplus_decimals(invoice: Invoice) -> tuple[str, str]:
    rows = [dict(row) for row in invoice["InvoiceRows"]]
    # Half an öre more: rounding would hide it without a word.
    rows[0]["SumAmount"] += Decimal("0.005")
    return "SumAmount", encode(invoice | {"InvoiceRows": rows})


def _bare_nan(invoice: Invoice) -> tuple[str, str]:
    field, payload = SPOILERS["nan"](invoice)
    return field, payload.replace('"VATAmount":"NaN"', '"VATAmount":NaN')


def _no_id(invoice: Invoice) -> tuple[str, str]:
    return "InvoiceId", encode({key: value for key, value in invoice.items() if key != "InvoiceId"})


def _huge_id(invoice: Invoice) -> tuple[str, str]:
    return "InvoiceId", encode(invoice | {"InvoiceId": 2**63 + invoice["InvoiceId"]})


SPOILERS: Mapping[str, Spoiler] = MappingProxyType(
    {
        "wrong-type": _with("TotalAmount", "etthundra kronor"),
        "surplus-decimals": _surplus_decimals,
        "huge-integer": _with("TotalAmountCurrency", Decimal("123456789012345678901234567890.00")),
        # .NET's serialiser writes what is not a number as a string; others write it bare, which is no JSON.
        "nan": _with("VATAmount", "NaN"),
        "bare-nan": _bare_nan,
        "no-total": _with("TotalAmount", None),
        "bad-date": _with("InvoiceDate", "2026-02-30T00:00:00"),
        "no-id": _no_id,
        "huge-id": _huge_id,
    }
)
"""The kinds there are. Each gives the field that is wrong, and the text that is sent."""
