"""Invoices as the ERP writes them: key order, number formats, and the account rows that come when asked for.

Amounts are whole öre and prices whole 1/10,000 kronor until they are written here. Knows no server, no seed.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

Invoice = dict[str, Any]
"""A wire object: an invoice as JSON says it, with Decimal amounts."""

_PLACES = {
    "Quantity": 6,
    "UnitPrice": 4,
    "UnitPriceCurrency": 4,
    **dict.fromkeys(
        (
            "VatAmount",
            "VatAmountCurrency",
            "SumAmount",
            "SumAmountCurrency",
            "TotalAmount",
            "TotalAmountCurrency",
            "VATAmount",
            "VATAmountCurrency",
            "PaidAmount",
            "Amount",
            "AmountCurrency",
        ),
        2,
    ),
}


def quote(text: str | None) -> str:
    """A JSON string, or null."""
    return "null" if text is None else json.dumps(text, ensure_ascii=False)


def ore(amount: int) -> str:
    """Whole öre as kronor with two decimals."""
    if amount < 0:
        return f"-{-amount // 100}.{-amount % 100:02}"
    return f"{amount // 100}.{amount % 100:02}"


def price(amount: int) -> str:
    """Whole 1/10,000 as a price with four decimals."""
    if amount < 0:
        return f"-{-amount // 10_000}.{-amount % 10_000:04}"
    return f"{amount // 10_000}.{amount % 10_000:04}"


def quantity(millionths: int) -> str:
    """Whole millionths as a quantity with six decimals."""
    sign, size = ("-", -millionths) if millionths < 0 else ("", millionths)
    return f"{sign}{size // 1_000_000}.{size % 1_000_000:06}"


def half_away(numerator: int, denominator: int) -> int:
    """numerator / denominator, rounded half away from zero."""
    size = (2 * abs(numerator) + denominator) // (2 * denominator)
    return size if numerator >= 0 else -size


def to_ore(amount: Decimal) -> int:
    """Kronor as whole öre; the sandbox's own amounts always are."""
    return int((amount * 100).to_integral_exact())


def from_ore(amount: int) -> Decimal:
    """Whole öre as kronor with two decimals."""
    return Decimal(amount).scaleb(-2)


def encode(value: Any, key: str = "") -> str:
    """JSON in the ERP's formats: compact, åäö as they are, each kind of number with its decimals.

    A Decimal with more decimals than its field has keeps them.
    """
    match value:
        case str():
            return quote(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Decimal() | int():
            return _number(value, key)
        case dict():
            return "{" + ",".join(f"{quote(name)}:{encode(item, name)}" for name, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(encode(item) for item in value) + "]"
    raise TypeError(f"{type(value).__name__} has no place in an invoice")


def _number(value: Decimal | int, key: str) -> str:
    places = _PLACES.get(key)
    if places is None:
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent > -places:
        return f"{number:.{places}f}"
    return format(number, "f")


def decode(text: str | bytes) -> Any:
    """JSON with every number that has a decimal point as the exact Decimal, trailing zeros and all."""
    return json.loads(text, parse_float=Decimal)


# The accounts of a row follow from its amounts, so they are not kept but written when somebody asks for them.
_ROW_AMOUNTS = re.compile(
    r'"VatAmount":(-?\d+\.\d\d),"VatAmountCurrency":(-?\d+\.\d\d),'
    r'"SumAmount":(-?\d+\.\d\d),"SumAmountCurrency":(-?\d+\.\d\d),"Accounts":\[\]'
)
_SALES = (("3001", "2611"), ("3002", "2621"), ("3003", "2631"))  # 25, 12 and 6 %


def with_accounts(text: str) -> str:
    """The same invoice with the account rows filled in (IncludeRowAccountInfo)."""
    return _ROW_AMOUNTS.sub(_accounts, text)


def _accounts(match: re.Match[str]) -> str:
    vat, vat_currency, total, total_currency = match.groups()
    if total == vat == "0.00":
        return match.group()
    sales, output_vat = "3004", None
    if vat != "0.00":
        # 25 % is a fifth of a price with VAT, 12 % a ninth, 6 % an eighteenth: far enough from each other.
        share = abs(float(vat_currency) / (float(total_currency) or 1))
        sales, output_vat = _SALES[0 if share > 0.16 else 1 if share > 0.08 else 2]
    rows = [_account(sales, total, total_currency)]
    if output_vat:
        rows.append(_account(output_vat, vat, vat_currency))
    return match.group()[:-1] + ",".join(rows) + "]"


def _account(number: str, amount: str, amount_currency: str) -> str:
    credit, credit_currency = (
        text[1:] if text.startswith("-") else text if text == "0.00" else f"-{text}"
        for text in (amount, amount_currency)
    )
    return f'{{"AccountNr":"{number}","Amount":{credit},"AmountCurrency":{credit_currency}}}'
