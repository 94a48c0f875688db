"""What the client hands to the rest of the house: invoices as they came, windows, answers, traffic.

Plain frozen records. How they are fetched lives in `client.py` and `paging.py`, how fields are read in
`models.py`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import msgspec


class ReceivedInvoice(msgspec.Struct, frozen=True, gc=False):
    """One invoice, as received and not yet judged."""

    body: bytes
    """The object's exact JSON text as received, in UTF-8."""
    invoice_id: int | None
    """None: the id cannot be read (missing, not an integer, beyond BIGINT)."""
    invoice_date: dt.date | None
    """Stockholm calendar day. None: null, missing or unreadable."""

    @property
    def payload(self) -> str:
        """The body as text. Made anew each time: many thousands of them are better passed on as they are."""
        return self.body.decode()


@dataclass(frozen=True, slots=True)
class Traffic:
    """What some work cost on the wire. Traffics can be added."""

    requests: int = 0
    """HTTP requests sent, logins and repeated ones included."""
    retries: int = 0
    """Requests that were repeated because the answer was missing, an error or unusable."""
    logins: int = 0
    """Login requests sent."""
    bytes_received: int = 0
    """Bytes of response bodies as they came over the wire (compressed, where the server compresses)."""

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.requests + other.requests,
            self.retries + other.retries,
            self.logins + other.logins,
            self.bytes_received + other.bytes_received,
        )


@dataclass(frozen=True, slots=True)
class Window:
    """All invoices of a run of days, read whole."""

    first_day: dt.date
    last_day: dt.date
    """Inclusive."""
    asked_at: dt.datetime
    """Aware UTC, taken just before the first request of the reading that was accepted."""
    include_preliminary: bool
    invoices: tuple[ReceivedInvoice, ...]
    """Each id once (the last received wins); those whose id cannot be read are all kept."""
    traffic: Traffic

    @property
    def size_bytes(self) -> int:
        """Of its invoices' bodies."""
        return sum(len(invoice.body) for invoice in self.invoices)


@dataclass(frozen=True, slots=True)
class InvoiceAnswer:
    """What the ERP says about one invoice that was asked for by its id."""

    invoice_id: int
    asked_at: dt.datetime
    """Aware UTC, taken just before the first request."""
    invoice: ReceivedInvoice | None
    """None: the ERP does not have it (any more)."""


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What a connection check found. Holds no secret."""

    path: str
    """The path of Filter that answered, below the base URL."""
    token_source: str
    """`"login"`, or the variable (`"SOFTONE_TOKEN"`) of a token that was given outright and used."""
    first_page: int | None
    """The number of the server's first page, 0 or 1, where that is known; None: not known yet."""
    first_day: dt.date
    last_day: dt.date
    """The days that were asked for, inclusive."""
    invoices: int
    """How many invoices came back (at most a small page of them)."""
    traffic: Traffic
