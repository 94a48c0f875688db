"""From the ERP's Search to raw.payment_status: ask, and write versions where the answers differ from what stands.

payment_windows.py says which dates are asked for, payment_answers.py what an answer proves. Known is only what an
uncut answer said (tables.md, "raw.payment_status"). What is open, and how old it is, is the mart's business. As
everywhere, the database is not held while the ERP is waited for.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb

from softone_pipeline.errors import AuthenticationError, RequestError
from softone_pipeline.readable import counted
from softone_pipeline.softone.dates import days_between
from softone_pipeline.tables.raw.clock import refuse_future
from softone_pipeline.tables.raw.payment_answers import Answer, Search, SearchClient
from softone_pipeline.tables.raw.payment_windows import known_days, windows_to_ask
from softone_pipeline.warehouse import Warehouse

log = logging.getLogger(__name__)

# One answer's size: large enough that a small company's history is some dozens of requests, small enough that the
# ERP answers in seconds. A window is planned to hold half of it at most, for there may be more than we know.
_MAX_ROWS = 10_000
# So many rows that cannot be read are named in the log; the check tells how many there are.
_MOST_LOGGED = 20


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
    """Ask Search for all dates that may have news and write to raw what differs from what stands; one transaction at the end.

    `max_rows` is the size of an answer from which on it may have been cut. `clock` tells the time in UTC.
    Raises WarehouseError, and ClockError when what stands lies in the future. What the ERP refuses is told in `reason` or `failed`, for what it did answer is written.
    """
    with warehouse.connect() as connection:
        refuse_future(connection, company, dt.datetime.now(dt.UTC))
        known = known_days(connection, company, today)
    search = Search(client, known, max_rows, clock)
    asked_at = clock()
    reason = search.run(windows_to_ask(known, today, max_rows // 2))
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


def _write(
    connection: duckdb.DuckDBPyConnection, company: str, run_id: str, answers: Sequence[Answer]
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
    # An uncut answer that no longer has an invoice of its dates: what was known of it is not known any more. One without a
    # date is looked for where it was last.
    connection.execute(
        """
        create or replace temp table payment_unanswered as
        with silent as (
            select invoice_id, known_at
            from payment_standing
            where is_current and invoice_id not in (select invoice_id from payment_said)
        )

        select invoice_id, day.asked_at
        from silent
        inner join (
            select invoice_id, arg_max(partition_date, fetched_at) as day, max(fetched_at) as fetched_at
            from raw.customer_invoices
            where company = $company and invoice_id in (select invoice_id from silent)
            group by invoice_id
        ) as version using (invoice_id)
        inner join payment_day as day using (day)
        where version.fetched_at <= day.asked_at and silent.known_at < day.asked_at
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


def _stage(connection: duckdb.DuckDBPyConnection, answers: Sequence[Answer]) -> None:
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
        for day in days_between(answer.first_day, answer.last_day)
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
        "Company %s: payments of %s in %s: %d new, %d changed, %d ended, %d unanswered, %d unreadable%s",
        company,
        counted(loaded.answered, "invoice"),
        counted(loaded.requests, "request"),
        loaded.new,
        loaded.changed,
        loaded.ended,
        loaded.unanswered,
        len(loaded.unreadable),
        "" if loaded.is_complete else "; the search is not complete",
    )
