"""What is to be landed, as Arrow data that both cores of DuckDB scan where it lies. Needs no database.

As parameters of a statement, payloads would be copied three times, one by one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import nanoarrow as na
from nanoarrow.c_array import CArray

from softone_pipeline.softone import InvoiceAnswer, ReceivedInvoice, Window

# Rows that DuckDB works on at a time. With its usual 2,048, reading the JSON takes a third longer.
_CHUNK = 512
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_MICROSECOND = dt.timedelta(microseconds=1)

_ROW = na.struct(
    {
        "seq": na.int64(),
        "invoice_id": na.int64(),
        "invoice_date": na.date32(),
        "window_day": na.date32(),
        "day": na.date32(),
        "asked_at": na.timestamp("us", "UTC"),
        "payload": na.string(),
    }
)


class Staged:
    """Complete windows, and answers to what was asked for by its id: each in the order in which it was asked for.

    `needed_by` says of which days each answer was needed (landing's `ask`); one that no window's day needs is left out, for
    the load of that day has come to nothing. `received` has one row per invoice as it came: seq counts them from 0;
    window_day is the day as which it was asked for (its own, or the window's first where it has none in the window), NULL
    for what was asked for by its id; day is the same, or the first of those that needed the answer.
    """

    def __init__(
        self,
        windows: Iterable[Window],
        answers: Iterable[InvoiceAnswer] = (),
        needed_by: Mapping[int, Sequence[dt.date]] = MappingProxyType({}),
    ) -> None:
        self.windows = sorted(windows, key=lambda window: window.asked_at)
        self.needed_by = {
            invoice_id: needed
            for invoice_id, days in needed_by.items()
            if (needed := [day for day in days if any(w.first_day <= day <= w.last_day for w in self.windows)])
        }
        answers = (answer for answer in answers if answer.invoice_id in self.needed_by)
        self.answers = sorted(answers, key=lambda answer: answer.asked_at)
        self.received = _received(self.windows, self.answers, self.needed_by)


def _received(
    windows: Iterable[Window], answers: Iterable[InvoiceAnswer], needed_by: Mapping[int, Sequence[dt.date]]
) -> na.Array:
    chunks: list[CArray] = []
    seq = 0
    for invoices, asked_at, first, last in _asked(windows, answers, needed_by):
        for start in range(0, len(invoices), _CHUNK):
            some = invoices[start : start + _CHUNK]
            chunks.append(_chunk(seq, some, asked_at, first, last))
            seq += len(some)
    return na.Array.from_chunks(chunks or [_chunk(0, (), _EPOCH, _EPOCH.date(), None)])


def _asked(
    windows: Iterable[Window], answers: Iterable[InvoiceAnswer], needed_by: Mapping[int, Sequence[dt.date]]
) -> Iterator[tuple[Sequence[ReceivedInvoice], dt.datetime, dt.date, dt.date | None]]:
    for window in windows:
        yield window.invoices, window.asked_at, window.first_day, window.last_day
    for answer in answers:
        if answer.invoice is not None:
            yield (answer.invoice,), answer.asked_at, min(needed_by[answer.invoice_id]), None


def _chunk(
    seq: int,
    invoices: Sequence[ReceivedInvoice],
    asked_at: dt.datetime,
    first_day: dt.date,
    last_day: dt.date | None,
) -> CArray:
    """Without `last_day` they were asked for by id."""
    count = len(invoices)
    dates = [_since_epoch(invoice.invoice_date) for invoice in invoices]
    first, last = (day.toordinal() - _EPOCH_DAY for day in (first_day, last_day or first_day))
    days = [date if date is not None and first <= date <= last else first for date in dates]
    columns = (
        na.c_array(range(seq, seq + count), na.int64()),
        na.c_array([invoice.invoice_id for invoice in invoices], na.int64()),
        # dates and moments are numbers since 1970, and texts are bytes
        na.c_array(dates, na.int32()),
        na.c_array(days if last_day else [None] * count, na.int32()),
        na.c_array(days, na.int32()),
        na.c_array([(asked_at - _EPOCH) // _MICROSECOND] * count, na.int64()),
        na.c_array([invoice.body for invoice in invoices], na.binary()),
    )
    return na.c_array_from_buffers(_ROW, count, [None], children=columns)


def _since_epoch(day: dt.date | None) -> int | None:
    return None if day is None else day.toordinal() - _EPOCH_DAY
