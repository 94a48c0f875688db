"""The wire models: the exact reading of a single odd invoice, and Search's rows.

Ordinary invoices are read by the database with a strict schema; what it refuses comes here, one by one, to
be put into the canonical form or to be named with field and reason. A decimal never passes through a binary
float.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from softone_pipeline.errors import SoftOneError
from softone_pipeline.softone.dates import NotADateError, read_day
from softone_pipeline.softone.jsontext import (
    JsonNumber,
    NestedTooDeeplyError,
    array_items,
    expect_end,
    object_items,
    parse,
    skip_space,
)
from softone_pipeline.softone.pages import NoInvoiceListError, no_json, read_id, said_in
from softone_pipeline.softone.redaction import hide_secrets

WHOLE_INVOICE = "(whole invoice)"
"""The `field` of an InvoiceUnreadable whose text is no JSON object at all."""

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"-?[0-9]{1,40}")
_INT32 = range(-(2**31), 2**31)
_DIGITS = 18
_SHOWN = 60


class InvoiceUnreadable(SoftOneError):  # noqa: N818 (a fact about an invoice, in the quarantine's words)
    """An invoice that cannot be read exactly.

    `field` is the ERP's name, like `InvoiceRows[2].SumAmount` (counted from 0); `reason` shows the value;
    `invoice_id` is None when that cannot be read either.
    """

    to_do = "Correct the invoice in the ERP and load its day again; until then it waits in raw.quarantine."

    def __init__(self, field: str, reason: str, invoice_id: int | None) -> None:
        self.field = field
        self.reason = reason
        self.invoice_id = invoice_id
        which = "An invoice without a readable id" if invoice_id is None else f"Invoice {invoice_id}"
        super().__init__(f"{which} cannot be read: {field}: {reason}.")


# --- reading single values, all of them still as JSON has them, numbers as the text they were written in


def _shown(value: object) -> str:
    """A value as it may stand in a reason: short, plain ASCII, and without a secret."""
    if isinstance(value, JsonNumber):
        text = str(value)
    elif isinstance(value, dict | list):
        text = "an object" if isinstance(value, dict) else "a list"
    else:
        text = json.dumps(value)
    text = hide_secrets(text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _decimal(scale: int) -> Callable[[object], Decimal]:
    """A reader for DECIMAL(18, scale): exact, or an error. Trailing zeros, exponents and quotes are fine."""
    unit = Decimal(1).scaleb(-scale)
    limit = Decimal(10) ** (_DIGITS - scale)

    def read(value: object) -> Decimal:
        if not isinstance(value, str) or not _NUMBER.fullmatch(value):
            raise ValueError(f"{_shown(value)} is no number")
        if not any(digit in "123456789" for digit in re.split("[eE]", value)[0]):
            return Decimal(0).quantize(unit)
        # Nothing is trapped: an exponent beyond all bounds gives NaN, which equals nothing. Its own
        # context, for flags are not to be shared between threads.
        context = decimal.Context(prec=2 * _DIGITS, traps=[])
        number = Decimal(value, context)
        fitted = number.quantize(unit, context=context)
        if fitted == number and abs(fitted) < limit:
            return fitted
        raise ValueError(f"{_shown(value)} does not fit DECIMAL({_DIGITS},{scale}) exactly")

    return read


def _int32(value: object) -> int:
    if not isinstance(value, str) or not _INTEGER.fullmatch(value) or int(value) not in _INT32:
        raise ValueError(f"{_shown(value)} is no 32-bit integer")
    return int(value)


def _int64(value: object) -> int:
    number = read_id(value)
    if number is None:
        raise ValueError(f"{_shown(value)} is no 64-bit integer")
    return number


def _text(value: object) -> str:
    """A string, or a number as written; nothing that a database cannot store."""
    if not isinstance(value, str) or _is_nan(value):
        raise ValueError(f"{_shown(value)} is no text")
    if "\0" in value:
        raise ValueError(f"{_shown(value)} holds a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{_shown(value)} holds half a character (a lone surrogate)")
    return str(value)


def _date(value: object) -> dt.date | None:
    """The Stockholm day. None for .NET's default date, which means that there is none."""
    try:
        if not isinstance(value, str) or isinstance(value, JsonNumber):
            raise NotADateError
        day = read_day(value)
    except NotADateError:
        raise ValueError(f"{_shown(value)} is no date") from None
    return day.stockholm if day else None


def _accounts(value: object) -> str:
    """The text that `_take_apart` has put here, if all of it can be stored and read again as JSON."""
    text = _text(value)
    try:
        json.loads(text)  # strict, unlike our own reader
        _check_all(parse(text))
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except json.JSONDecodeError:
        raise ValueError("holds control characters, which JSON forbids") from None
    return text


def _check_all(value: object) -> None:
    if isinstance(value, str):
        _text(value)
    elif isinstance(value, list):
        for element in value:
            _check_all(element)
    elif isinstance(value, dict):
        for key, element in value.items():
            _text(key)
            _check_all(element)


def _is_nan(value: str) -> bool:
    return isinstance(value, JsonNumber) and not _NUMBER.fullmatch(value)


def _rows(value: object) -> object:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"is {_shown(value)}, not a list")
    return value


def _row(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError(f"is {_shown(value)}, not an object")
    return value


Read = TypeVar("Read")


def _required(read: Callable[[object], Read]) -> PlainValidator:
    def read_value(value: object) -> Read:
        if value is None:
            raise ValueError("is null")
        return read(value)

    return PlainValidator(read_value)


def _nullable(read: Callable[[object], Read]) -> PlainValidator:
    return PlainValidator(lambda value: None if value is None else read(value))


Money = Annotated[Decimal, _required(_decimal(2))]
NullableMoney = Annotated[Decimal | None, _nullable(_decimal(2))]
NullableQuantity = Annotated[Decimal | None, _nullable(_decimal(6))]
RequiredInt64 = Annotated[int, _required(_int64)]
NullableInt32 = Annotated[int | None, _nullable(_int32)]
NullableText = Annotated[str | None, _nullable(_text)]
NullableDate = Annotated[dt.date | None, _nullable(_date)]
NullableAccounts = Annotated[str | None, _nullable(_accounts)]


# --- the invoice (vendor document 3.1 and 3.2)


_ZERO = Decimal(0)
_TOO_LARGE = Decimal(10) ** (_DIGITS - 2)
# Öresavrundning, at most (tables.md).
_MOST_ROUNDED = Decimal("0.50")


class WireRow(BaseModel):
    """One row of an invoice, under the ERP's own names. All of them may be null or absent."""

    ProductNr: NullableText = None
    Quantity: NullableQuantity = None
    Text: NullableText = None
    UnitPrice: NullableQuantity = None
    UnitPriceCurrency: NullableQuantity = None
    VatAmount: NullableMoney = None
    VatAmountCurrency: NullableMoney = None
    SumAmount: NullableMoney = None
    SumAmountCurrency: NullableMoney = None
    Accounts: NullableAccounts = None
    AttestStateName: NullableText = None
    AttestState: NullableInt32 = None


class WireInvoice(BaseModel):
    """One invoice, under the ERP's own names; what may be null or absent is as api.md says ("nulls")."""

    InvoiceId: RequiredInt64
    InvoiceNr: NullableText = None
    CustomerNr: NullableText = None
    CustomerName: NullableText = None
    CustomerOrgNr: NullableText = None
    InvoiceDate: NullableDate = None
    DueDate: NullableDate = None
    BillingType: NullableInt32 = None
    Currency: NullableText = None
    OriginStatus: NullableInt32 = None
    TotalAmount: Money
    TotalAmountCurrency: Money
    VATAmount: Money
    VATAmountCurrency: Money
    InvoiceRows: Annotated[list[Annotated[WireRow, BeforeValidator(_row)]], BeforeValidator(_rows)]


def normalise_invoice(payload: str) -> str:
    """The invoice as canonical JSON: every known key present, decimals plain, dates as Stockholm days.

    `Accounts` becomes a string that holds its exact JSON text. Raises InvoiceUnreadable, and nothing else,
    naming the first field that cannot be read exactly, or the rows where what is derived of the amounts would not fit.
    """
    found, why = None, "is no JSON object"
    try:
        payload.encode()
        found = _take_apart(payload)
    except NestedTooDeeplyError:
        why = "is nested too deeply"
    except (ValueError, RecursionError):
        pass
    if found is None:
        raise InvoiceUnreadable(WHOLE_INVOICE, why, None)
    problem: tuple[str, str] | None = None
    try:
        invoice = WireInvoice.model_validate(found)
    except ValidationError as error:
        problem = _first_problem(error)
    else:
        if not _sums_fit(invoice):
            problem = ("InvoiceRows", f"has amounts whose sums do not fit DECIMAL({_DIGITS},2)")
    if problem is not None:
        raise InvoiceUnreadable(*problem, read_id(found.get("InvoiceId")))
    return _canonical(invoice.model_dump())


def _sums_fit(invoice: WireInvoice) -> bool:
    """Whether what is derived of the amounts (tables.md, "How an invoice foots") fits as well: sums of rows, what the header
    says beyond its rows, and a rounding in accounting currency.
    """
    rows = invoice.InvoiceRows
    total, vat = invoice.TotalAmountCurrency, invoice.VATAmountCurrency
    sums = [row.SumAmountCurrency or _ZERO for row in rows]
    largest = max(
        _largest(total, vat, sums, [row.VatAmountCurrency or _ZERO for row in rows]),
        _largest(
            invoice.TotalAmount,
            invoice.VATAmount,
            [row.SumAmount or _ZERO for row in rows],
            [row.VatAmount or _ZERO for row in rows],
        ),
    )
    if largest >= _TOO_LARGE:
        return False
    beyond_rows = total - sum(sums, _ZERO)
    if not 0 < min(abs(beyond_rows), abs(beyond_rows - vat)) <= _MOST_ROUNDED or abs(total) in {
        0,
        abs(invoice.TotalAmount),
    }:
        return True
    # A rounding is multiplied by the rate of exchange.
    return abs(invoice.TotalAmount) < (_TOO_LARGE - largest) * abs(total)


def _largest(total: Decimal, vat: Decimal, sums: list[Decimal], vats: list[Decimal]) -> Decimal:
    """The largest that is derived of one currency's amounts, without its sign."""
    row_sum, row_vat = sum(sums, _ZERO), sum(vats, _ZERO)
    net = total - vat
    derived = (net, net - row_sum, net - row_sum + row_vat, total - row_sum, vat - row_vat)
    return max(*map(abs, derived), sum(map(abs, sums + vats), _ZERO))


def _take_apart(payload: str) -> dict[str, Any]:
    """The invoice's fields, numbers as text, and each row's Accounts replaced by its exact text."""
    members, end = object_items(payload, _opening(payload, 0, "{"))
    expect_end(payload, end)
    found = {name: span.value for name, span in members.items()}
    rows = members.get("InvoiceRows")
    if rows is not None and isinstance(rows.value, list):
        spans, _ = array_items(payload, rows.start)
        for row, span in zip(rows.value, spans, strict=True):
            if isinstance(row, dict) and row.get("Accounts") is not None:
                accounts = object_items(payload, span.start)[0]["Accounts"]
                row["Accounts"] = payload[accounts.start : accounts.end]
    return found


def _opening(text: str, position: int, bracket: str) -> int:
    position = skip_space(text, position)
    if not text.startswith(bracket, position):
        raise ValueError(f"'{bracket}' is expected")
    return position


def _first_problem(error: ValidationError) -> tuple[str, str]:
    """Field and reason of the first thing wrong."""
    detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ""
    for step in detail["loc"]:
        field += f"[{step}]" if isinstance(step, int) else f".{step}" if field else step
    reason = "is missing" if detail["type"] == "missing" else detail["msg"].removeprefix("Value error, ")
    return field, reason


def _canonical(value: object) -> str:
    """JSON text: decimals without exponent, dates as YYYY-MM-DD."""
    match value:
        case dict():
            return "{" + ",".join(f"{json.dumps(key)}:{_canonical(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_canonical, value)) + "]"
        case Decimal():
            return format(value, "f")
        case dt.date():
            return f'"{value.isoformat()}"'
        case _:
            return json.dumps(value, ensure_ascii=False)


# --- Search (api.md, "Search response")


class SearchInvoice(BaseModel):
    """What Search says has been paid of one invoice. Amounts exact, None where it does not say.

    Nothing else of the row is read: what nobody needs cannot make it unreadable, nor be quoted in a message.
    """

    model_config = ConfigDict(frozen=True)

    invoice_id: RequiredInt64 = Field(alias="CustomerInvoiceId")
    total_amount: NullableMoney = Field(None, alias="TotalAmount")
    paid_amount: NullableMoney = Field(None, alias="PaidAmount")

    @field_validator("paid_amount")
    @classmethod
    def _leaves_what_fits(cls, value: Decimal | None, info: ValidationInfo) -> Decimal | None:
        """What is open is the total less what is paid."""
        open_amount = (info.data.get("total_amount") or Decimal(0)) - (value or Decimal(0))
        if abs(open_amount) >= _TOO_LARGE:
            raise ValueError("leaves an open amount that does not fit DECIMAL(18,2)")
        return value


def read_search(body: bytes) -> list[SearchInvoice | InvoiceUnreadable]:
    """The rows of a Search response, as many as were received: one that cannot be read exactly is its InvoiceUnreadable.

    Raises NoInvoiceListError when it is no list of them.
    """
    try:
        text = body.decode("utf-8-sig")
        rows = parse(text)
    except ValueError:
        raise no_json(body) from None
    if isinstance(rows, dict) and "CustomerInvoiceId" in rows:
        rows = [rows]
    is_list = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    if not is_list or (rows and not any("CustomerInvoiceId" in row for row in rows)):
        raise NoInvoiceListError("the answer is no list of invoices", said=said_in(text))
    return [_search_invoice(row) for row in rows]


def _search_invoice(row: dict[str, Any]) -> SearchInvoice | InvoiceUnreadable:
    try:
        return SearchInvoice.model_validate(row)
    except ValidationError as error:
        return InvoiceUnreadable(*_first_problem(error), read_id(row.get("CustomerInvoiceId")))
