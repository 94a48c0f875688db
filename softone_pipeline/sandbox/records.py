"""What the company keeps of an invoice, what is asked of it, and what it tells of a change. How it lives is company.py's."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from softone_pipeline.sandbox.wire import Invoice, decode, encode, from_ore, to_ore, with_accounts

STOCKHOLM = ZoneInfo("Europe/Stockholm")


@dataclass(slots=True, eq=False)
class Record:
    """One invoice as the company keeps it: what is sent, and what a query needs to find it."""

    id: int
    moment: str
    number: str | None
    status: int
    billing_type: int | None
    customer_id: int
    customer_number: str | None
    text: bytes
    total: int
    payments: tuple[tuple[int, int], ...] = ()
    spoiled: BadInvoice | None = None
    is_twin: bool = False
    _full: bytes | None = field(default=None, init=False, repr=False)
    _found: tuple[int, bytes] | None = field(default=None, init=False, repr=False)

    @classmethod
    def of(cls, invoice: Invoice, *, customer_id: int, payments: tuple[tuple[int, int], ...]) -> Record:
        """A wire object's record."""
        date = invoice.get("InvoiceDate")
        total = invoice.get("TotalAmount")
        return cls(
            id=invoice["InvoiceId"],
            moment=normal_moment(date) if date else "",
            number=invoice.get("InvoiceNr"),
            status=invoice["OriginStatus"],
            billing_type=invoice.get("BillingType"),
            customer_id=customer_id,
            customer_number=invoice.get("CustomerNr"),
            text=encode(invoice).encode(),
            total=to_ore(Decimal(total)) if total is not None else 0,
            payments=payments,
        )

    @property
    def day(self) -> dt.date | None:
        """The invoice's day; None when it has no date."""
        return dt.date.fromisoformat(self.moment[:10]) if self.moment else None

    def sent(self, *, accounts: bool) -> bytes:
        """The invoice's JSON, kept for the next time it is asked for."""
        text = self.text if self.spoiled is None else self.spoiled.payload.encode()
        if not accounts:
            return text
        if self._full is None:
            self._full = with_accounts(text.decode()).encode()
        return self._full

    def paid(self, today: int) -> int:
        """What has been paid by the end of a day (its ordinal), in öre."""
        return sum(amount for day, amount in self.payments if day <= today)

    def is_paid(self, today: int) -> bool:
        """Whether nothing more is expected."""
        paid = self.paid(today)
        return paid >= self.total if self.total >= 0 else paid <= self.total

    def found(self, today: int) -> bytes:
        """The invoice as Search shows it."""
        paid = self.paid(today)
        if self._found is None or self._found[0] != paid:
            header = decode(b"{" + self.text[self.text.rindex(b'"InvoiceId":') :])
            found = {
                "CustomerInvoiceId": self.id,
                "Number": self.number,
                "CustomerId": self.customer_id,
                "CustomerNr": self.customer_number,
                **{key: header.get(key) for key in ("CustomerName", "BillingType", "InvoiceDate", "DueDate")},
                "TotalAmount": header.get("TotalAmount"),
                "VatAmount": header.get("VATAmount"),
                "PaidAmount": from_ore(paid),
            }
            self._found = (paid, encode(found).encode())
        return self._found[1]

    def forget(self) -> None:
        """Drop what was kept, because the invoice is another now."""
        self._full = self._found = None


@dataclass(frozen=True, slots=True)
class BadInvoice:
    """An invoice that cannot be typed: which, on what day, what is wrong, and what is sent."""

    invoice_id: int
    """The real id; with kind "no-id" or "huge-id" it is not in the payload."""
    day: dt.date | None
    kind: str
    field: str
    payload: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What an evening changed: invoice ids by kind; no invoice is under two of them."""

    changed: tuple[int, ...] = ()
    """Other content, same day: amounts, rows, due date, or a status that moved on."""
    redated: dict[int, tuple[dt.date, dt.date]] = field(default_factory=dict)
    """Moved to another day: from, to."""
    vanished: tuple[int, ...] = ()
    """Deleted in the ERP."""
    new: tuple[int, ...] = ()
    """Registered this evening, some of them days late."""
    finalised: tuple[int, ...] = ()
    """Preliminary ones that became definitive and got a number."""
    paid: tuple[int, ...] = ()
    """Payments came in; the invoices themselves read as before."""

    def as_json(self) -> dict[str, Any]:
        """The same in plain JSON types."""
        plain = asdict(self)
        plain["redated"] = {
            str(invoice_id): [day.isoformat() for day in days] for invoice_id, days in self.redated.items()
        }
        return plain


@dataclass(frozen=True, slots=True)
class Query:
    """What Filter is asked for, normalised: bounds as local ISO date-times, inclusive."""

    invoice_id: str | None = None
    number: str | None = None
    first: str | None = None
    last: str | None = None
    preliminary: bool = False
    voucher: bool = False


def normal_moment(text: str, zone: dt.tzinfo | None = None) -> str:
    """A date or date-time as asked for (of `zone`, where it has none itself), as a local ISO date-time.

    Raises ValueError for anything else.
    """
    moment = dt.datetime.fromisoformat(text.strip())
    moment = moment.replace(tzinfo=moment.tzinfo or zone)
    if moment.tzinfo is not None:
        moment = moment.astimezone(STOCKHOLM).replace(tzinfo=None)
    return moment.isoformat()
