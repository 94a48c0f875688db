"""What is to be landed, as Arrow data that both cores of DuckDB scan where it lies. Needs no database.

As parameters of a statement, payloads would be copied three times, one by one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

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
        "asked_at": na.timestamp("us", "UTC"),
        "payload": na.string(),
    }
)


class Staged:
    """Complete windows, and answers to what was asked for by its id: each in the order in which it was asked for.

    `received` has one row per invoice as it came: seq counts them from 0; window_day is the day as which it was asked
    for (its own, or the window's first where it has none in the window), NULL for what was asked for by its id.
    """

    def __init__(self, windows: Iterable[Window], answers: Iterable[InvoiceAnswer] = ()) -> None:
        self.windows = sorted(windows, key=lambda window: window.asked_at)
        self.answers = sorted(answers, key=lambda answer: answer.asked_at)
        self.received = _received(self.windows, self.answers)


def _received(windows: Iterable[Window], answers: Iterable[InvoiceAnswer]) -> na.Array:
    chunks: list[CArray] = []
    seq = 0
    for invoices, asked_at, days in _asked(windows, answers):
        for start in range(0, len(invoices), _CHUNK):
            some = invoices[start : start + _CHUNK]
            chunks.append(_chunk(seq, some, asked_at, days))
            seq += len(some)
    return na.Array.from_chunks(chunks or [_chunk(0, (), _EPOCH, None)])


def _asked(
    windows: Iterable[Window], answers: Iterable[InvoiceAnswer]
) -> Iterator[tuple[Sequence[ReceivedInvoice], dt.datetime, tuple[dt.date, dt.date] | None]]:
    for window in windows:
        yield window.invoices, window.asked_at, (window.first_day, window.last_day)
    for answer in answers:
        if answer.invoice is not None:
            yield (answer.invoice,), answer.asked_at, None


def _chunk(
    seq: int, invoices: Sequence[ReceivedInvoice], asked_at: dt.datetime, asked_days: tuple[dt.date, dt.date] | None
) -> CArray:
    count = len(invoices)
    days = [_since_epoch(invoice.invoice_date) for invoice in invoices]
    window_days: list[int | None] = [None] * count
    if asked_days is not None:
        first, last = (day.toordinal() - _EPOCH_DAY for day in asked_days)
        window_days = [day if day is not None and first <= day <= last else first for day in days]
    columns = (
        na.c_array(range(seq, seq + count), na.int64()),
        na.c_array([invoice.invoice_id for invoice in invoices], na.int64()),
        # dates and moments are numbers since 1970, and texts are bytes
        na.c_array(days, na.int32()),
        na.c_array(window_days, na.int32()),
        na.c_array([(asked_at - _EPOCH) // _MICROSECOND] * count, na.int64()),
        na.c_array([invoice.body for invoice in invoices], na.binary()),
    )
    return na.c_array_from_buffers(_ROW, count, [None], children=columns)


def _since_epoch(day: dt.date | None) -> int | None:
    return None if day is None else day.toordinal() - _EPOCH_DAY
