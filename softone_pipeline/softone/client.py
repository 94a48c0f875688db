"""SoftOneClient: windows of days, single invoices, the connection check, and Search; and the threads they
run on.

What a request is and how it is repeated lives in `sending.py`, how pages follow one another in `paging.py`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from softone_pipeline.errors import (
    AuthenticationError,
    EndpointNotFoundError,
    NoConnectionError,
    RequestError,
    RequestFailedError,
    RequestRefusedError,
    UnstableWindowError,
    WindowError,
)
from softone_pipeline.settings import ErpSettings, stockholm_today
from softone_pipeline.softone.models import InvoiceUnreadable, SearchInvoice, read_search
from softone_pipeline.softone.pages import PageInvoice, split_page
from softone_pipeline.softone.paging import (
    MOST_READINGS,
    Habits,
    MovingPagesError,
    Reading,
    read_pages,
    read_stable,
)
from softone_pipeline.softone.received import ConnectionReport, InvoiceAnswer, Traffic, Window
from softone_pipeline.softone.sending import FILTER, LOG, SEARCH, Sender
from softone_pipeline.softone.threads import in_order
from softone_pipeline.softone.transport import Meter, Task

# The parameters that the vendor document's URL carries besides the keys.
_FILTER_QUERY = "importId=0&specialFunctionalities="
_CHECK_DAYS = 7
_CHECK_INVOICES = 5
_ONE_DAY = dt.timedelta(days=1)
# What is likelier to have invoices than a day.
_AROUND = dt.timedelta(days=366)
# Windows without a date that wait for one of another to tell what they mean.
_MOST_HELD = 31
# Read while the caller writes what it was given: about what it writes at once.
_READ_AHEAD_BYTES = 32_000_000


class SoftOneClient:
    """The ERP's invoices. A context manager; may be shared between threads.

    What it learns about the server (token, path, paging) it remembers for as long as it lives, so use one
    for many windows. `transport` replaces the network, for tests. Clients of several processes that are given the
    same `pace_file` keep SOFTONE_REQUESTS_PER_SECOND together.
    """

    def __init__(
        self,
        settings: ErpSettings,
        *,
        transport: httpx.BaseTransport | None = None,
        pace_file: Path | None = None,
    ) -> None:
        self._settings = settings
        self._meter = Meter()
        self._habits = Habits(settings.page_size)
        # Whether a question may bring other days' invoices, and so lack some of its own. None: no date has been seen yet.
        self._days_are_mixed: bool | None = None
        self._sender = Sender(settings, transport, pace_file)
        self._lock = threading.Lock()
        self._halts: set[threading.Event] = set()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"SoftOneClient(company={self._settings.company!r}, base_url={self._settings.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and end what is under way in other threads: waits and requests end at once.

        Only a connection that is still being made is waited for, SOFTONE_TIMEOUT_SECONDS at most.
        """
        with self._lock:
            self._is_closed = True
            for halt in self._halts:
                halt.set()
        self._sender.close()

    @property
    def traffic(self) -> Traffic:
        """All traffic of this client so far."""
        return self._meter.so_far

    @property
    def include_preliminary(self) -> bool:
        """Whether windows are asked for with the invoices that are not definitive yet."""
        return self._settings.include_preliminary

    def read_window(self, first_day: dt.date, last_day: dt.date) -> Window:
        """All invoices of these days (inclusive, Stockholm), read whole: for an asset of one's own (docs/embedding.md).

        Raises WindowError when any page of it cannot be had, UnstableWindowError when its pages keep
        moving, and AuthenticationError.
        """
        with self._working() as halt:
            return self._read_window((first_day, last_day), halt)

    def read_windows(self, windows: Iterable[tuple[dt.date, dt.date]]) -> Iterator[Window | WindowError]:
        """The windows in the order given, read over at most `max_connections` connections at once.

        A window that fails is yielded as its WindowError, so that the others go on. AuthenticationError is
        raised at once and ends everything. Held in memory are 2 × `max_connections` windows, or as many as fit 32 MB.
        """
        with self._working() as halt:
            read = functools.partial(self._window_or_error, halt=halt)
            outcomes = in_order(
                windows,
                read,
                threads=self._settings.max_connections,
                fatal=AuthenticationError,
                halt=halt,
                size=_size,
                room=_READ_AHEAD_BYTES,
            )
            # A window without a date of its own may be an empty day, or one whose invoices come with the day before. The
            # first date that any of them brings tells.
            held: list[Window | WindowError] = []
            for outcome in outcomes:
                held.append(outcome)
                if self._days_are_mixed is not None or len(held) == _MOST_HELD:
                    yield from self._once_dates_are_known(held, read)
                    held = []
            yield from self._once_dates_are_known(held, read)

    def _once_dates_are_known(
        self, outcomes: Iterable[Window | WindowError], read: Callable[[tuple[dt.date, dt.date]], Window | WindowError]
    ) -> Iterator[Window | WindowError]:
        for outcome in outcomes:
            is_doubtful = self._days_are_mixed and isinstance(outcome, Window) and not _has_dates(outcome)
            yield read((outcome.first_day, outcome.last_day)) if is_doubtful else outcome

    def read_invoices(self, invoice_ids: Sequence[int]) -> Iterator[InvoiceAnswer | RequestError]:
        """Ask for single invoices by their ids, preliminary ones included, in the order given.

        One that cannot be asked for is yielded as its RequestError, which names it. AuthenticationError is raised at once.
        """
        with self._working() as halt:
            yield from in_order(
                invoice_ids,
                functools.partial(self._invoice_or_error, halt=halt),
                threads=self._settings.max_connections,
                fatal=AuthenticationError,
                halt=halt,
            )

    def check(self) -> ConnectionReport:
        """Log in and make one small request: a few invoices of the last seven days.

        Raises AuthenticationError, EndpointNotFoundError, RequestRefusedError or RequestFailedError.
        """
        last_day = stockholm_today()
        first_day = last_day - dt.timedelta(days=_CHECK_DAYS - 1)
        body = {**self._days(first_day, last_day), **self._filter_flags(self._settings.include_preliminary)}
        with self._working() as halt:
            meter = Meter(self._meter)
            question = _Question(self, "connection check", body, meter, halt)
            invoices: list[PageInvoice] = []
            refusals: list[RequestRefusedError] = []
            known = self._habits.first_page
            numbers = (0, 1) if known is None else (known,)
            for number in numbers:
                try:
                    invoices = question.ask(number, _CHECK_INVOICES)
                except RequestRefusedError as error:
                    refusals.append(error)
                if invoices:
                    break
            if len(refusals) == len(numbers):
                raise refusals[0]
            return ConnectionReport(
                path=self._sender.path_of(FILTER),
                token_source=self._sender.token_source,
                first_page=self._habits.first_page,
                first_day=first_day,
                last_day=last_day,
                invoices=len(invoices),
                traffic=meter.so_far,
            )

    def search(
        self, *, first_day: dt.date, last_day: dt.date, max_rows: int
    ) -> list[SearchInvoice | InvoiceUnreadable]:
        """Search's rows for these days (inclusive): the only source of paid amounts (api.md, "Search
        response").

        An answer of exactly `max_rows` may be cut: split the days and ask again. A row that cannot be read exactly is
        its InvoiceUnreadable, and counts. Raises EndpointNotFoundError (404), RequestRefusedError (403 and other
        4xx), RequestFailedError and AuthenticationError.
        """
        body = {
            **self._days(first_day, last_day),
            "IncludePreliminary": self._settings.include_preliminary,
            "IncludeVoucher": True,
            "IncludeVoucherStatus": True,
        }
        with self._working() as halt:
            task = Task(f"company {self._settings.company}, Search {_span(first_day, last_day)}", self._meter, halt)
            return self._sender.post(SEARCH, body, read_search, task, query=f"maxNrRows={max_rows}")

    @contextlib.contextmanager
    def _working(self) -> Iterator[threading.Event]:
        """An event that `close` sets, for as long as some work lasts."""
        halt = threading.Event()
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the SoftOneClient is closed")
            self._halts.add(halt)
        try:
            yield halt
        finally:
            with self._lock:
                self._halts.discard(halt)

    def _window_or_error(self, days: tuple[dt.date, dt.date], halt: threading.Event) -> Window | WindowError:
        try:
            return self._read_window(days, halt)
        except WindowError as error:
            return error

    def _read_window(self, days: tuple[dt.date, dt.date], halt: threading.Event) -> Window:
        first_day, last_day = days
        if first_day > last_day:
            raise ValueError(f"the window ends ({last_day}) before it begins ({first_day})")
        include_preliminary = self._settings.include_preliminary
        meter = Meter(self._meter)
        fail = functools.partial(WindowError, company=self._settings.company, first_day=first_day, last_day=last_day)
        question = self._question(first_day, last_day, include_preliminary, meter, halt)
        try:
            reading = self._read_days(question, first_day, last_day, meter, halt)
            invoices = list(reading.invoices.values())
            if self._may_lack_some(invoices, first_day, last_day):
                # A server that compares instants brings a day's first hours, and so its midnight, with the day before.
                wider = _more_on_either_side(first_day, last_day, _ONE_DAY)
                question = self._question(*wider, include_preliminary, meter, halt)
                found = self._read_days(question, *wider, meter, halt).invoices.values()
                # What has no date belongs to the days that bring it.
                invoices = [*filter(_is_undated, invoices), *itertools.filterfalse(_is_undated, found)]
        except RequestError as error:
            # That no page can be had at all is nothing about this one.
            is_general = isinstance(error, EndpointNotFoundError | NoConnectionError)
            raise fail(str(error), page=question.page, to_do=error.to_do if is_general else None) from error
        except MovingPagesError:
            raise UnstableWindowError(
                f"its pages kept moving in {MOST_READINGS} readings. Read it again when the ERP is less "
                f"busy, or in smaller windows, or set a larger {self._settings.variable('page_size')}.",
                company=self._settings.company,
                first_day=first_day,
                last_day=last_day,
            ) from None
        return Window(
            first_day=first_day,
            last_day=last_day,
            asked_at=reading.asked_at,
            include_preliminary=include_preliminary,
            invoices=tuple(invoice.received for invoice in invoices if _belongs(invoice, first_day, last_day)),
            traffic=meter.so_far,
        )

    def _read_days(
        self, question: _Question, first_day: dt.date, last_day: dt.date, meter: Meter, halt: threading.Event
    ) -> Reading:
        around = self._question(
            *_more_on_either_side(first_day, last_day, _AROUND), include_preliminary=True, meter=meter, halt=halt
        )
        return read_stable(
            question.ask,
            self._habits,
            around=around.ask_for_few,
            # A server that pages first and leaves out afterwards has small pages in the middle.
            to_the_last=not self._settings.include_preliminary,
            note=question.note,
        )

    def _may_lack_some(self, brought: Iterable[PageInvoice], first_day: dt.date, last_day: dt.date) -> bool:
        """Whether invoices of these days may be found only under the days beside them. Remembers what the dates are like."""
        dates = [invoice.day for invoice in brought if invoice.day is not None]
        if any(day.has_zone or not first_day <= day.stockholm <= last_day for day in dates):
            self._days_are_mixed = True
        elif dates and self._days_are_mixed is None:
            self._days_are_mixed = False
        return bool(self._days_are_mixed)

    def _invoice_or_error(self, invoice_id: int, halt: threading.Event) -> InvoiceAnswer | RequestError:
        body = {"InvoiceId": str(invoice_id), **self._filter_flags(include_preliminary=True)}
        question = _Question(self, f"invoice {invoice_id}", body, Meter(self._meter), halt)
        # Nobody knows its date here. Only a server that refuses page 0, and so does heed paging, is asked this.
        everything = self._filter_flags(include_preliminary=True)
        around = _Question(self, "all invoices", everything, Meter(self._meter), halt)
        asked_at = dt.datetime.now(dt.UTC)
        has_unreadable_id = False
        try:
            for page in read_pages(question.ask, self._habits, around=around.ask_for_few, is_proof=True):
                found = [invoice.received for invoice in page.invoices if invoice.received.invoice_id == invoice_id]
                if found:
                    # Of one that comes twice the last counts, as in a window.
                    return InvoiceAnswer(invoice_id, asked_at, found[-1])
                has_unreadable_id |= any(invoice.received.invoice_id is None for invoice in page.invoices)
            if not has_unreadable_id:
                return InvoiceAnswer(invoice_id, asked_at, None)
            failure: RequestError = RequestFailedError("The answer holds an invoice whose id cannot be read.")
        except RequestError as error:
            failure = error
        except MovingPagesError:
            failure = RequestFailedError("The pages of the answer kept moving.")
        what = f"Invoice {invoice_id} of company {self._settings.company} could not be asked for: {failure}"
        return type(failure)(what, status=failure.status, attempts=failure.attempts)

    def _question(
        self, first_day: dt.date, last_day: dt.date, include_preliminary: bool, meter: Meter, halt: threading.Event
    ) -> _Question:
        body = {**self._days(first_day, last_day), **self._filter_flags(include_preliminary)}
        return _Question(self, _span(first_day, last_day), body, meter, halt)

    def _days(self, first_day: dt.date, last_day: dt.date) -> dict[str, Any]:
        # whole days, for the server may compare date-times (api.md, "date filter")
        return {"InvoiceDateFrom": f"{first_day}T00:00:00", "InvoiceDateTo": f"{last_day}T23:59:59"}

    def _filter_flags(self, include_preliminary: bool) -> dict[str, Any]:
        return {
            "IncludePreliminary": include_preliminary,
            "IncludeVoucher": True,
            "IncludeRowAccountInfo": True,
        }


class _Question:
    """One question to Filter, page by page. Belongs to one thread; knows which page it asked for last."""

    def __init__(
        self, client: SoftOneClient, what: str, body: dict[str, Any], meter: Meter, halt: threading.Event
    ) -> None:
        self._settings = client._settings
        self._sender = client._sender
        self._what = f"company {client._settings.company}, {what}"
        self._body = body
        self._meter = meter
        self._halt = halt
        self.page: int | None = None

    def ask(self, number: int, size: int | None = None) -> list[PageInvoice]:
        usual = self._settings.page_size
        size = size or usual
        if size > 1 or usual == 1:
            self.page = number
        body = {**self._body, "PageNumber": number, "PageNrOfRecords": size}
        where = f"page {number}" if size == usual else f"page {number} of size {size}"
        task = Task(f"{self._what}, {where}", self._meter, self._halt)
        return self._sender.post(FILTER, body, split_page, task, query=_FILTER_QUERY)

    def ask_for_few(self, number: int, size: int | None = None) -> list[PageInvoice]:
        """As `ask`, in pages of no more than it takes to tell the first from the second."""
        return self.ask(number, size or 2)

    def note(self, text: str) -> None:
        LOG.warning("%s: %s", self._what, text)


def _more_on_either_side(first_day: dt.date, last_day: dt.date, more: dt.timedelta) -> tuple[dt.date, dt.date]:
    """As far as there are dates."""
    return first_day - min(more, first_day - dt.date.min), last_day + min(more, dt.date.max - last_day)


def _belongs(invoice: PageInvoice, first_day: dt.date, last_day: dt.date) -> bool:
    """Whether an invoice is this window's.

    Without a readable date it is. So it is when its date *as written* is asked for though its Stockholm day
    is not: the server thinks that it belongs here.
    """
    day = invoice.received.invoice_date
    if day is None or first_day <= day <= last_day:
        return True
    return invoice.day is not None and first_day <= invoice.day.written <= last_day


def _is_undated(invoice: PageInvoice) -> bool:
    return invoice.day is None


def _has_dates(window: Window) -> bool:
    return any(invoice.invoice_date is not None for invoice in window.invoices)


def _size(outcome: Window | WindowError) -> int:
    """About the bytes of a window's invoices."""
    return outcome.size_bytes if isinstance(outcome, Window) else 0


def _span(first_day: dt.date, last_day: dt.date) -> str:
    return f"{first_day}" if first_day == last_day else f"{first_day} to {last_day}"
