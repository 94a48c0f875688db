"""Invoices as the ERP sends them, for tests that need a few by hand. Amounts are given as text, exactly."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

# The vendor's document, 3.3.1, made into what a server sends (the page itself is a hand-made fragment).
EXAMPLE_ID = 12677557
EXAMPLE_DAY = dt.date(2026, 2, 23)


class Number(str):
    """Text that is written into JSON as a number, as it stands."""


def dumps(value: Any) -> str:
    """JSON text in which a Number keeps its digits and everything else is as json.dumps writes it."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(dumps(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def row(sum_amount: str | None, vat: str | None, **fields: Any) -> dict[str, Any]:
    """One invoice row; both currencies alike unless told otherwise."""
    sums = None if sum_amount is None else Number(sum_amount)
    vats = None if vat is None else Number(vat)
    return {
        "ProductNr": "7881005",
        "Quantity": Number("1.000000"),
        "Text": "TVÅLKOPP Ø18-20 MM",
        "UnitPrice": sums,
        "UnitPriceCurrency": sums,
        "VatAmount": vats,
        "VatAmountCurrency": vats,
        "SumAmount": sums,
        "SumAmountCurrency": sums,
        "Accounts": [],
        "AttestStateName": None,
        "AttestState": 0,
    } | fields


def invoice(
    invoice_id: int,
    *,
    total: str = "125.00",
    vat: str = "25.00",
    rows: Sequence[dict[str, Any]] | None = None,
    day: dt.date | None = EXAMPLE_DAY,
    **fields: Any,
) -> dict[str, Any]:
    """One invoice; by default 100 + 25 VAT, definitive, in SEK."""
    date = None if day is None else f"{day}T00:00:00"
    return {
        "InvoiceRows": list(rows) if rows is not None else [row("100.00", "25.00")],
        "InvoiceId": invoice_id,
        "InvoiceNr": str(90000 + invoice_id),
        "CustomerNr": "11357",
        "CustomerName": "Per Persson",
        "CustomerOrgNr": None,
        "InvoiceDate": date,
        "DueDate": date,
        "BillingType": 1,
        "Currency": "SEK",
        "OriginStatus": 3,
        "TotalAmount": Number(total),
        "TotalAmountCurrency": Number(total),
        "VATAmount": Number(vat),
        "VATAmountCurrency": Number(vat),
    } | fields


def example_invoice() -> dict[str, Any]:
    """The document's own example."""
    return invoice(
        EXAMPLE_ID,
        total="628.00",
        vat="125.52",
        rows=[
            row("310.40", "77.60", ProductNr="7881005", Text="PROPENSITS MED LOCK GBG BUT.FP"),
            row(
                "76.46",
                "19.12",
                ProductNr="7889746",
                Text="VENTILBOLL NC-5,NT-5/NP-4 B-FP",
                UnitPrice=Number("84.9600"),
                UnitPriceCurrency=Number("84.9600"),
            ),
            row("115.20", "28.80", ProductNr="8239741"),
        ],
        InvoiceNr="99233",
    )
