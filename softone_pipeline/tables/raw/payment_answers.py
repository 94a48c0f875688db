"""Asking Search: until each date has an answer that is not cut, and what such an answer says. Writes nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from softone_pipeline.errors import AuthenticationError, RequestError
from softone_pipeline.softone import InvoiceUnreadable, SearchInvoice
from softone_pipeline.softone.dates import days_between
from softone_pipeline.tables.raw.payment_windows import KnownDay

# A single day is asked for with up to so many times as many rows before its payments are given up as unknown.
_MOST_TIMES = 32
# So many windows in a row that fail mean that the ERP is down: no use in waiting for the others' retries too.
_FAILURES_IN_A_ROW = 3
_NOT_FOR_US = {401, 403, 404, 405}
_ONE_DAY = dt.timedelta(days=1)


class SearchClient(Protocol):
    """What is needed of SoftOneClient."""

    def search(
        self, *, first_day: dt.date, last_day: dt.date, max_rows: int
    ) -> list[SearchInvoice | InvoiceUnreadable]: ...

    def check(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """One uncut answer: columns, amounts in whole öre, for there may be a million rows in a run.

    An invoice whose row cannot be read is in it without amounts: what was known of its payment is not known any more.
    """

    first_day: dt.date
    last_day: dt.date
    asked_at: dt.datetime
    rows: int
    """As received: more than there are ids, where some of these cannot be read."""
    invoice_ids: list[int]
    totals_in_oere: list[int | None]
    paids_in_oere: list[int | None]
    unreadable: list[str]


@dataclass
class Search:
    """One run's questions and what came of them."""

    client: SearchClient
    known: Mapping[dt.date, KnownDay]
    max_rows: int
    clock: Callable[[], dt.datetime]
    answers: list[Answer] = field(default_factory=list)
    answered: set[int] = field(default_factory=set)
    cut_days: list[dt.date] = field(default_factory=list)
    failed: list[AuthenticationError | RequestError] = field(default_factory=list)
    requests: int = 0
    # What we learn of a server that cuts its answers shorter than we asked for.
    own_limit: int | None = None
    largest_uncut: int = 0

    def run(self, windows: Iterator[tuple[dt.date, dt.date]]) -> str | None:
        """Ask for every window. Returns why Search cannot be had, if so."""
        in_a_row = 0
        for first_day, last_day in windows:
            try:
                self._read(first_day, last_day)
            except (AuthenticationError, RequestError) as error:
                failure = error if self.answers else self._beyond_search(error)
                if failure is None:
                    return str(error)
                self.failed.append(failure)
                in_a_row += 1
                if in_a_row == _FAILURES_IN_A_ROW or isinstance(failure, AuthenticationError):
                    break
            else:
                in_a_row = 0
        return None

    @property
    def is_complete(self) -> bool:
        return not self.cut_days and not self.failed

    @property
    def unanswered(self) -> int:
        """Invoices that should have been answered for and were not, whatever date the answer had them under."""
        days = {day for answer in self.answers for day in days_between(answer.first_day, answer.last_day)}
        return sum(
            invoice_id not in self.answered
            for day in days
            if day in self.known
            for invoice_id in self.known[day].awaited
        )

    def _beyond_search(self, error: AuthenticationError | RequestError) -> AuthenticationError | RequestError | None:
        """What is wrong with more than Search; None when it is Search alone that refuses us."""
        if isinstance(error, RequestError) and error.status not in _NOT_FOR_US:
            return error
        try:
            self.client.check()
        except (AuthenticationError, RequestError) as failure:
            return failure
        return None

    def _read(self, first_day: dt.date, last_day: dt.date) -> None:
        """Ask until these days have uncut answers: halves of a window, and more rows of a single day."""
        answer = self._ask(first_day, last_day, self.max_rows)
        if answer is not None:
            self._judge(answer)
        elif first_day < last_day:
            self._read_halves(first_day, last_day)
        else:
            self._read_large_day(first_day)

    def _read_halves(self, first_day: dt.date, last_day: dt.date) -> None:
        middle = first_day + (last_day - first_day) // 2
        self._read(first_day, middle)
        self._read(middle + _ONE_DAY, last_day)

    def _read_large_day(self, day: dt.date) -> None:
        rows = self.max_rows
        while (rows := 2 * rows) <= _MOST_TIMES * self.max_rows:
            answer = self._ask(day, day, rows)
            if answer is not None:
                # As many as before, though more were asked for: a limit of the server's own, unless nothing is missing.
                if answer.rows <= rows // 2:
                    self.own_limit = answer.rows
                self._judge(answer)
                return
        self.cut_days.append(day)

    def _judge(self, answer: Answer) -> None:
        """Take an answer that is shorter than asked for, unless the server seems to cut shorter than that.

        An answer that lacks invoices of its dates is held against the date that lacks most: if that, asked for
        alone, brings some of them, the server has a limit of its own. One that has sent more than this has not.
        """
        size = answer.rows
        found = set(answer.invoice_ids)
        lacking = {
            day: missing
            for day in days_between(answer.first_day, answer.last_day)
            if day in self.known and (missing := set(self.known[day].awaited) - found)
        }
        is_single_day = answer.first_day == answer.last_day
        # Rows whose id cannot be read are taken for some of those.
        if sum(map(len, lacking.values())) <= size - len(answer.invoice_ids):
            self.largest_uncut = max(self.largest_uncut, size)
        elif self.own_limit is not None and size >= self.own_limit:
            if is_single_day:
                self.cut_days.append(answer.first_day)
            else:
                self._read_halves(answer.first_day, answer.last_day)
            return
        elif size >= self.largest_uncut and not is_single_day:
            if self._brings(max(lacking, key=lambda day: len(lacking[day])), lacking):
                self.own_limit = size
                self._read_halves(answer.first_day, answer.last_day)
                return
            self.largest_uncut = size
        self._accept(answer)

    def _brings(self, day: dt.date, lacking: Mapping[dt.date, set[int]]) -> bool:
        alone = self._ask(day, day, self.max_rows)
        return alone is None or not lacking[day].isdisjoint(alone.invoice_ids)

    def _accept(self, answer: Answer) -> None:
        self.answers.append(answer)
        self.answered.update(answer.invoice_ids)

    def _ask(self, first_day: dt.date, last_day: dt.date, max_rows: int) -> Answer | None:
        """One request. None: the answer has as many rows as were asked for, so it may be cut."""
        asked_at = self.clock()
        self.requests += 1
        found = self.client.search(first_day=first_day, last_day=last_day, max_rows=max_rows)
        if len(found) >= max_rows:
            return None
        readable = [row for row in found if isinstance(row, SearchInvoice)]
        unreadable = [row for row in found if isinstance(row, InvoiceUnreadable)]
        # Behind the others: of an invoice with two rows, the one that cannot be read decides.
        named = [row.invoice_id for row in unreadable if row.invoice_id is not None]
        return Answer(
            first_day,
            last_day,
            asked_at,
            rows=len(found),
            invoice_ids=[row.invoice_id for row in readable] + named,
            totals_in_oere=[_in_oere(row.total_amount) for row in readable] + [None] * len(named),
            paids_in_oere=[_in_oere(row.paid_amount) for row in readable] + [None] * len(named),
            unreadable=[_told(row, first_day, last_day) for row in unreadable],
        )


def _told(row: InvoiceUnreadable, first_day: dt.date, last_day: dt.date) -> str:
    if row.invoice_id is not None:
        return str(row)
    days = f"{first_day}" if first_day == last_day else f"{first_day} to {last_day}"
    return f"{row} It is in the answer for {days}: no payment of these days is ended for being left out of it."


def _in_oere(amount: Decimal | None) -> int | None:
    return None if amount is None else int(amount.scaleb(2))
