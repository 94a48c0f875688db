"""From the ERP's Search to raw.payment_status: which dates are asked for, what an answer proves, versions by difference.

Known is only what an uncut answer said (tables.md, "raw.payment_status"). What is open, and how old it is, is the
mart's business. As everywhere, the database is not held while the ERP is waited for.

Which dates: every one that holds an invoice not known to be fully paid, however old; the last year whatever has
been paid, because payments are reversed too; of the years before that, each month once in thirty days; and today,
so that every search asks for something.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

import duckdb

from softone_pipeline.errors import AuthenticationError, RequestError
from softone_pipeline.readable import plural
from softone_pipeline.softone import InvoiceUnreadable, SearchInvoice
from softone_pipeline.warehouse import Warehouse

log = logging.getLogger(__name__)

# One answer's size: large enough that a small company's history is some dozens of requests, small enough that the
# ERP answers in seconds. A window is planned to hold half of it at most, for there may be more than we know.
_MAX_ROWS = 10_000
_WINDOW_DAYS = 31
# A single day is asked for with up to so many times as many rows before its payments are given up as unknown.
_MOST_TIMES = 32

_RECENT_DAYS = 366
_ROUND_DAYS = 30
# So many windows in a row that fail mean that the ERP is down: no use in waiting for the others' retries too.
_FAILURES_IN_A_ROW = 3
# So many rows that cannot be read are named in the log; the check tells how many there are.
_MOST_LOGGED = 20

_ONE_DAY = dt.timedelta(days=1)
_NOT_FOR_US = {401, 403, 404, 405}


class SearchClient(Protocol):
    """What is needed of SoftOneClient."""

    def search(
        self, *, first_day: dt.date, last_day: dt.date, max_rows: int
    ) -> list[SearchInvoice | InvoiceUnreadable]: ...

    def check(self) -> object: ...


@dataclass(frozen=True, slots=True)
class PaymentsLoaded:
    """What a search for payments did. With a `reason`, Search cannot be had at all and nothing was written."""

    asked_at: dt.datetime
    is_complete: bool
    """Every date that was to be asked for has an uncut answer. Only then is it the balances' as_of."""
    reason: str | None = None
    requests: int = 0
    answered: int = 0
    """Invoices that Search answered for."""
    new: int = 0
    changed: int = 0
    """New versions: of an invoice without a current one, and in place of one that said otherwise."""
    ended: int = 0
    """Versions closed because an uncut answer of the invoice's date no longer has it."""
    unanswered: int = 0
    """Invoices (neither preliminary nor cancelled) that an uncut answer of their date did not have."""
    cut_days: tuple[dt.date, ...] = ()
    """Days whose answers stayed cut however many rows were asked for: nothing was taken from them."""
    unreadable: tuple[str, ...] = ()
    """Rows that cannot be read exactly, a sentence each: the payments of these invoices are unknown."""
    failed: tuple[AuthenticationError | RequestError, ...] = ()
    """Why windows could not be asked for, one error each, or that the login is refused. What was known of them stands."""


def load_payments(
    client: SearchClient,
    warehouse: Warehouse,
    *,
    company: str,
    run_id: str,
    today: dt.date,
    max_rows: int = _MAX_ROWS,
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> PaymentsLoaded:
    """Ask Search for the dates above and write to raw what differs from what stands; one transaction at the end.

    `max_rows` is the size of an answer from which on it may have been cut. `clock` tells the time in UTC.
    Raises WarehouseError. What the ERP refuses is told in `reason` or `failed`, for what it did answer is written.
    """
    with warehouse.connect() as connection:
        known = _known_days(connection, company, today)
    search = _Search(client, known, max_rows, clock)
    asked_at = clock()
    reason = search.run(_windows(known, today, max_rows // 2))
    if reason is not None:
        return PaymentsLoaded(asked_at=asked_at, is_complete=False, reason=reason, requests=search.requests)
    with warehouse.transaction() as connection:
        new, changed, ended = _write(connection, company, run_id, search.answers)
        if search.is_complete:
            connection.execute(
                "insert into raw.payment_search by name "
                "select $company as company, $asked_at as asked_at, $invoices as invoice_count, $run_id as run_id",
                {"company": company, "asked_at": asked_at, "invoices": len(search.answered), "run_id": run_id},
            )
    loaded = PaymentsLoaded(
        asked_at=asked_at,
        is_complete=search.is_complete,
        requests=search.requests,
        answered=len(search.answered),
        new=new,
        changed=changed,
        ended=ended,
        unanswered=search.unanswered,
        cut_days=tuple(search.cut_days),
        unreadable=tuple(sentence for answer in search.answers for sentence in answer.unreadable),
        failed=tuple(search.failed),
    )
    _log(company, loaded)
    return loaded


def last_complete_search(connection: duckdb.DuckDBPyConnection, company: str) -> dt.date | None:
    """The Stockholm day that the company's balances are as of; None as long as no search has been complete."""
    found = connection.execute(
        "select (max(asked_at) at time zone 'Europe/Stockholm')::date from raw.payment_search where company = ?",
        [company],
    ).fetchone()
    return found[0] if found else None


# --- which dates to ask for


@dataclass(frozen=True, slots=True)
class _KnownDay:
    """What raw knows of one date."""

    invoices: int
    awaited: tuple[int, ...]
    """Invoices that Search should answer for: neither preliminary nor cancelled."""
    is_asked: bool


def _known_days(connection: duckdb.DuckDBPyConnection, company: str, today: dt.date) -> dict[dt.date, _KnownDay]:
    """Each date with invoices, in order. Fully paid means: also of the total that the invoice has now."""
    rows = connection.execute(
        """
        with invoice as (
            select
                version.partition_date as day,
                version.invoice_id,
                coalesce(version.origin_status, 0) not in (1, 4) as is_awaited,
                version.partition_date >= $recent::date
                or date_diff('month', date '2000-01-01', version.partition_date) % $round_days
                = date_diff('day', date '2000-01-01', $today::date) % $round_days as is_asked_anyway,
                coalesce(status.fully_paid, false) as fully_paid,
                status.total_amount as search_total,
                coalesce(version.payload_normalised, version.payload) as payload
            from raw.customer_invoices as version
            left join raw.payment_status as status
                on status.company = version.company
                and status.invoice_id = version.invoice_id
                and status.superseded_at is null
            where version.company = $company and version.latest and version.end_reason is null
                and version.partition_date is not null
        )

        select
            day,
            count(*) as invoices,
            coalesce(list(invoice_id) filter (where is_awaited), []) as awaited,
            bool_or(is_awaited and case
                when is_asked_anyway or not fully_paid then true
                else abs(raw.read_invoice_header(payload).TotalAmount) is distinct from abs(search_total)
            end) as is_asked
        from invoice
        group by day
        order by day
        """,
        {
            "company": company,
            "today": today,
            "recent": today - dt.timedelta(days=_RECENT_DAYS),
            "round_days": _ROUND_DAYS,
        },
    ).fetchall()
    return {day: _KnownDay(invoices, tuple(awaited), is_asked) for day, invoices, awaited, is_asked in rows}


def _windows(
    known: Mapping[dt.date, _KnownDay], today: dt.date, most_invoices: int
) -> Iterator[tuple[dt.date, dt.date]]:
    """The dates to ask for in as few windows as may be answered whole, oldest first.

    A day either side is asked for as well: the ERP may compare dates as written, and with a zone that is
    sometimes the day before or after the Stockholm day.
    """
    days = {today, *(day for day, found in known.items() if found.is_asked)}
    days |= {day - _ONE_DAY for day in days if day > dt.date.min} | {
        day + _ONE_DAY for day in days if day < dt.date.max
    }
    window: tuple[dt.date, dt.date] | None = None
    invoices = 0
    for day in sorted(days):
        if window is not None:
            first, last = window
            if (day - first).days < _WINDOW_DAYS:
                more = sum(known[between].invoices for between in _days(last + _ONE_DAY, day) if between in known)
                if invoices + more <= most_invoices:
                    window, invoices = (first, day), invoices + more
                    continue
            yield window
        window, invoices = (day, day), known[day].invoices if day in known else 0
    if window is not None:
        yield window


def _days(first: dt.date, last: dt.date) -> list[dt.date]:
    return [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]


# --- asking


@dataclass(frozen=True, slots=True)
class _Answer:
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
class _Search:
    """One run's questions and what came of them."""

    client: SearchClient
    known: Mapping[dt.date, _KnownDay]
    max_rows: int
    clock: Callable[[], dt.datetime]
    answers: list[_Answer] = field(default_factory=list)
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
        days = {day for answer in self.answers for day in _days(answer.first_day, answer.last_day)}
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

    def _judge(self, answer: _Answer) -> None:
        """Take an answer that is shorter than asked for, unless the server seems to cut shorter than that.

        An answer that lacks invoices of its dates is held against the date that lacks most: if that, asked for
        alone, brings some of them, the server has a limit of its own. One that has sent more than this has not.
        """
        size = answer.rows
        found = set(answer.invoice_ids)
        lacking = {
            day: missing
            for day in _days(answer.first_day, answer.last_day)
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

    def _accept(self, answer: _Answer) -> None:
        self.answers.append(answer)
        self.answered.update(answer.invoice_ids)

    def _ask(self, first_day: dt.date, last_day: dt.date, max_rows: int) -> _Answer | None:
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
        return _Answer(
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


# --- writing


def _write(
    connection: duckdb.DuckDBPyConnection, company: str, run_id: str, answers: Sequence[_Answer]
) -> tuple[int, int, int]:
    """Write versions where the answers differ from what stands. Returns how many are new, changed and ended.

    The newest question wins, whatever order runs write in: an answer older than what is known changes nothing.
    """
    names = {"company": company}
    _stage(connection, answers)
    connection.execute(
        """
        create or replace temp table payment_standing as
        select
            invoice_id,
            coalesce(bool_or(superseded_at is null), false) as is_current,
            max(total_amount) filter (where superseded_at is null) as total_amount,
            max(paid_amount) filter (where superseded_at is null) as paid_amount,
            greatest(
                max(as_of), max(superseded_at),
                (select max(asked_at) from raw.payment_search where company = $company)
            ) as known_at
        from raw.payment_status
        where company = $company
        group by invoice_id
        """,
        names,
    )
    connection.execute(
        """
        create or replace temp table payment_difference as
        select said.*, coalesce(standing.is_current, false) as is_changed
        from payment_said as said
        left join payment_standing as standing using (invoice_id)
        where said.seq in (select max(seq) from payment_said group by invoice_id)
            and coalesce(said.asked_at > standing.known_at, true)
            and (
                not coalesce(standing.is_current, false)
                or said.total_amount is distinct from standing.total_amount
                or said.paid_amount is distinct from standing.paid_amount
            )
        """
    )
    # An uncut answer that no longer has an invoice of its dates: what was known of it is not known any more.
    connection.execute(
        """
        create or replace temp table payment_unanswered as
        with silent as (
            select invoice_id, known_at
            from payment_standing
            where is_current and invoice_id not in (select invoice_id from payment_said)
        )

        select version.invoice_id, day.asked_at
        from silent
        inner join raw.customer_invoices as version using (invoice_id)
        inner join payment_day as day on day.day = version.partition_date
        where version.company = $company and version.latest
            and version.fetched_at <= day.asked_at and silent.known_at < day.asked_at
        """,
        names,
    )
    connection.execute(
        """
        update raw.payment_status as version
        set superseded_at = ending.asked_at
        from (
            select invoice_id, asked_at from payment_difference
            union all
            select invoice_id, asked_at from payment_unanswered
        ) as ending
        where version.company = $company and version.superseded_at is null and version.invoice_id = ending.invoice_id
        """,
        names,
    )
    connection.execute(
        """
        insert into raw.payment_status by name
        select
            $company as company,
            invoice_id,
            total_amount,
            paid_amount,
            total_amount = paid_amount as fully_paid,
            asked_at as as_of,
            null as superseded_at,
            $run_id as run_id
        from payment_difference
        order by invoice_id
        """,
        {**names, "run_id": run_id},
    )
    counts = connection.execute(
        """
        select
            count(*) filter (where not is_changed),
            count(*) filter (where is_changed),
            (select count(*) from payment_unanswered)
        from payment_difference
        """
    ).fetchone()
    assert counts is not None
    for table in ("payment_said", "payment_day", "payment_standing", "payment_difference", "payment_unanswered"):
        connection.execute(f"drop table {table}")
    return counts[0], counts[1], counts[2]


def _stage(connection: duckdb.DuckDBPyConnection, answers: Sequence[_Answer]) -> None:
    """Temp tables payment_said, in the order in which it was asked for, and payment_day: when each day was answered whole."""
    connection.execute(
        """
        create or replace temp table payment_said (
            seq bigint, invoice_id bigint, total_amount decimal(18, 2), paid_amount decimal(18, 2), asked_at timestamptz
        );
        create or replace temp table payment_day (day date, asked_at timestamptz);
        """
    )
    # A row whose id cannot be read may be any invoice's: the answer then proves of none that it was left out.
    asked_at = {
        day: answer.asked_at
        for answer in answers
        if answer.rows == len(answer.invoice_ids)
        for day in _days(answer.first_day, answer.last_day)
    }
    connection.execute(
        "insert into payment_day select unnest($days::date[]), unnest($moments::timestamptz[])",
        {"days": list(asked_at), "moments": list(asked_at.values())},
    )
    seq = 0
    for answer in answers:
        connection.execute(
            """
            insert into payment_said
            select
                $seq + generate_subscripts($ids::bigint[], 1),
                unnest($ids::bigint[]),
                core.from_oere(unnest($totals::bigint[])),
                core.from_oere(unnest($paids::bigint[])),
                $asked_at
            """,
            {
                "seq": seq,
                "ids": answer.invoice_ids,
                "totals": answer.totals_in_oere,
                "paids": answer.paids_in_oere,
                "asked_at": answer.asked_at,
            },
        )
        seq += len(answer.invoice_ids)


def _log(company: str, loaded: PaymentsLoaded) -> None:
    for error in loaded.failed:
        log.warning("Company %s, payments: %s", company, error)
    for sentence in loaded.unreadable[:_MOST_LOGGED]:
        log.warning("Company %s: a payment is unknown: %s", company, sentence)
    if loaded.cut_days:
        log.warning(
            "Company %s: payments of invoices of %s are unknown: Search cuts its answer short.",
            company,
            ", ".join(str(day) for day in loaded.cut_days),
        )
    log.info(
        "Company %s: payments of %d %s in %d %s: %d new, %d changed, %d ended, %d unanswered, %d unreadable%s",
        company,
        loaded.answered,
        plural(loaded.answered, "invoice"),
        loaded.requests,
        plural(loaded.requests, "request"),
        loaded.new,
        loaded.changed,
        loaded.ended,
        loaded.unanswered,
        len(loaded.unreadable),
        "" if loaded.is_complete else "; the search is not complete",
    )
