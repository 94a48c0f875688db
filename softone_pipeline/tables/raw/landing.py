"""Writes fetched windows into raw: versions by difference, quarantine, closures. One transaction a batch.

Fetching is the client's business; here a window arrives whole or not at all (tables.md, "raw").
An invoice that a complete window no longer brings is never closed on that alone: `land` says which ones to ask
for by id, and closes them only when that answer has come back empty.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from softone_pipeline.softone import invoice_date_of
from softone_pipeline.softone.dates import days_between
from softone_pipeline.tables.raw.reading import insert_columns, read_differences
from softone_pipeline.tables.raw.staging import Staged

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DayLanded:
    """What landing one day's window did, in invoices. `received` = what the ERP sent for the day."""

    day: dt.date
    received: int
    new: int
    changed: int
    redated: int
    returned: int
    missing: int
    quarantined: int

    @property
    def written(self) -> int:
        """New versions."""
        return self.new + self.changed + self.redated + self.returned


@dataclass(frozen=True, slots=True)
class Landed:
    """The outcome of a batch. Where `ask` is not empty nothing was written: ask for these ids and land again.

    With each id the days that cannot be written before it has been answered for.
    """

    ask: Mapping[int, Sequence[dt.date]]
    days: tuple[DayLanded, ...]


def land(
    connection: duckdb.DuckDBPyConnection,
    *,
    company: str,
    run_id: str,
    staged: Staged,
) -> Landed:
    """Write one batch of complete windows. Run it in a transaction.

    The batch's answers are what the ERP said to the ids that an earlier call asked for.
    """
    names = {"company": company, "run_id": run_id}
    _take_in(connection, staged)
    _suspend(connection, names)
    _compare(connection, names)
    ask = connection.execute("select invoice_id, list(distinct day) from to_ask group by all order by all").fetchall()
    if ask:
        return Landed(ask=dict(ask), days=())
    read_differences(connection)
    if staged.answers or _any(connection, "from accepted"):
        _name_those_under_two_dates(connection, names)
        _write_versions(connection, names)
    if _any(connection, "from unreadable") or _any(
        connection, "from raw.quarantine where company = $company", {"company": company}
    ):
        _write_quarantine(connection, names)
    _write_fetched_days(connection, names)
    _write_fetches(connection, names)
    return Landed(ask={}, days=_days_landed(connection))


def _take_in(connection: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    """received, asked_day and answer: what came, in the order in which it was asked for."""
    connection.execute(
        """
        create or replace temp table asked_day (
            partition_date date, asked_at timestamptz, include_preliminary boolean
        );
        create or replace temp table answer (invoice_id bigint, asked_at timestamptz, is_found boolean);
        """
    )
    asked_days = [
        (day, window.asked_at, window.include_preliminary)
        for window in staged.windows
        for day in days_between(window.first_day, window.last_day)
    ]
    answers = [(answer.invoice_id, answer.asked_at, answer.invoice is not None) for answer in staged.answers]
    insert_columns(connection, "asked_day", asked_days)
    insert_columns(connection, "answer", answers)
    # Payloads are scanned where they are: of two sides joined, the right one is put into memory, as written here. DuckDB
    # does not know how many rows `received` has, and would choose wrongly.
    connection.execute("set disabled_optimizers = 'build_side_probe_side'")
    connection.register("received", staged.received)


def _suspend(connection: duckdb.DuckDBPyConnection, names: dict[str, str]) -> None:
    """Temp table suspended: days of which nobody can say which invoice is absent, for an object is without a readable id.

    That is the day as which it was asked for, and its own: a date with a zone may be brought by its neighbour's window only.
    """
    connection.execute(
        """
        create or replace temp table suspended as
        select distinct day
        from (select unnest([window_day, invoice_date]) as day from received where invoice_id is null)
        where day is not null
        """
    )
    waiting = connection.execute(
        """
        select payload
        from raw.quarantine
        where company = $company and invoice_id is null
            and partition_date not in (select partition_date from asked_day)
        """,
        {"company": names["company"]},
    ).fetchall()
    days = {day for (payload,) in waiting if (day := invoice_date_of(payload)) is not None}
    insert_columns(connection, "suspended", [(day,) for day in days])


def _compare(connection: duckdb.DuckDBPyConnection, names: dict[str, str]) -> None:
    """Temp tables incoming, standing, difference and to_ask: what came against what stands."""
    company = {"company": names["company"]}
    connection.execute(
        """
        create or replace temp table incoming as
        select * exclude (payload), md5(payload) as payload_hash
        from received
        where seq in (select max(seq) from received where invoice_id is not null group by invoice_id)
        """
    )
    # known_at: until when what stands is known to be true. A complete fetch of its day that left the version
    # standing has confirmed it, if that fetch could have brought it.
    connection.execute(
        """
        create or replace temp table standing as
        select
            version.invoice_id,
            version.partition_date,
            version.payload_hash,
            version.origin_status,
            version.run_id,
            version.end_reason is not null as is_missing,
            greatest(
                version.fetched_at,
                coalesce(version.superseded_at, version.fetched_at),
                case
                    when version.end_reason is null and not day.closures_suspended
                        and raw.could_be_brought(version.origin_status, day.include_preliminary)
                        then day.fetched_at
                    else version.fetched_at
                end
            ) as known_at
        from raw.customer_invoices as version
        left join raw.fetched_days as day using (company, partition_date)
        where version.latest and version.company = $company
            and (
                version.invoice_id in (select invoice_id from incoming)
                or version.partition_date in (select partition_date from asked_day)
            )
        """,
        company,
    )
    connection.execute(
        """
        create or replace temp table difference as
        select
            incoming.*,
            case
                when standing.invoice_id is null then 'new'
                when standing.is_missing then 'returned'
                when standing.partition_date is distinct from incoming.invoice_date then 'redated'
                else 'changed'
            end as change
        from incoming
        left join standing on standing.invoice_id = incoming.invoice_id
        where standing.invoice_id is null
            or (
                incoming.asked_at >= standing.known_at
                and (standing.is_missing or standing.payload_hash <> incoming.payload_hash)
            )
        """
    )
    connection.execute(
        """
        create or replace temp table absent as
        select standing.invoice_id, standing.partition_date as day, 'standing' as was
        from standing
        inner join asked_day using (partition_date)
        where not standing.is_missing
            and standing.invoice_id not in (select invoice_id from incoming)
            and standing.known_at <= asked_day.asked_at
            and raw.could_be_brought(standing.origin_status, asked_day.include_preliminary)
            and partition_date not in (select day from suspended)
        union all
        select quarantine.invoice_id, asked_day.partition_date, 'quarantined'
        from raw.quarantine
        -- earlier versions of this package left some without a day: the first is as good as any
        inner join asked_day
            on asked_day.partition_date = coalesce(
                quarantine.partition_date, (select min(partition_date) from asked_day)
            )
        where quarantine.company = $company
            and quarantine.invoice_id is not null
            and quarantine.invoice_id not in (select invoice_id from incoming)
            and quarantine.fetched_at < asked_day.asked_at
            and asked_day.partition_date not in (select day from suspended)
        union all
        -- a window written late brings an invoice that a later fetch of its day did not
        select difference.invoice_id, difference.day, 'overtaken'
        from difference
        inner join raw.fetched_days as day
            on day.company = $company and day.partition_date = difference.invoice_date
        where difference.change = 'new' and difference.window_day is not null
            and day.fetched_at > difference.asked_at and not day.closures_suspended
        """,
        company,
    )
    connection.execute(
        """
        create or replace temp table to_ask as
        select invoice_id, day from absent where invoice_id not in (select invoice_id from answer)
        """
    )


def _name_those_under_two_dates(connection: duckdb.DuckDBPyConnection, names: dict[str, str]) -> None:
    """Warn of invoices that an earlier batch of this run brought under another date: each load would write both."""
    for row in connection.execute(
        """
        select $company, invoice_id, standing.partition_date, accepted.invoice_date
        from accepted
        inner join standing using (invoice_id)
        where accepted.change = 'redated' and accepted.window_day is not null and standing.run_id = $run_id
        order by invoice_id
        """,
        names,
    ).fetchall():
        log.warning(
            "Company %s: invoice %d came under %s and under %s in one load: it has just moved, or the ERP lists it twice. "
            "The later answer stands; what is listed twice gets two new versions with each load until it is corrected there.",
            *row,
        )


def _write_versions(connection: duckdb.DuckDBPyConnection, names: dict[str, str]) -> None:
    company = {"company": names["company"]}
    connection.execute(
        """
        update raw.customer_invoices as version
        set
            latest = false,
            superseded_at = coalesce(version.superseded_at, accepted.asked_at),
            end_reason = coalesce(version.end_reason, accepted.change)
        from accepted
        where version.company = $company and version.latest and version.invoice_id = accepted.invoice_id
        """,
        company,
    )
    connection.execute(
        """
        update raw.customer_invoices as version
        set superseded_at = answer.asked_at, end_reason = 'missing'
        from answer
        where version.company = $company and version.latest and version.end_reason is null
            and version.invoice_id = answer.invoice_id and not answer.is_found
            and answer.invoice_id in (select invoice_id from absent)
            -- its own day, not the one that it is in quarantine under
            and version.partition_date is not null and version.partition_date not in (select day from suspended)
        """,
        company,
    )
    # An overtaken invoice that the ERP no longer knows was seen all the same: it is kept, ended as missing.
    connection.execute(
        """
        insert into raw.customer_invoices by name
        select
            $company as company,
            accepted.invoice_id,
            accepted.invoice_date as partition_date,
            received.payload,
            accepted.payload_normalised,
            accepted.origin_status,
            accepted.payload_hash,
            accepted.asked_at as fetched_at,
            answer.asked_at as superseded_at,
            accepted.change,
            if(answer.invoice_id is not null, 'missing', null) as end_reason,
            true as latest,
            $run_id as run_id
        from received
        inner join accepted using (seq)
        left join answer on answer.invoice_id = accepted.invoice_id and not answer.is_found
        """,
        names,
    )


def _write_quarantine(connection: duckdb.DuckDBPyConnection, names: dict[str, str]) -> None:
    company = {"company": names["company"]}
    # Cleared by a good answer, by another payload of the same invoice, or by the ERP not knowing the id any more.
    connection.execute(
        """
        delete from raw.quarantine
        using (
            select incoming.invoice_id, incoming.asked_at, bad.payload as bad_payload
            from incoming
            left join (from received inner join unreadable using (seq)) as bad using (seq)
            left join standing on standing.invoice_id = incoming.invoice_id
            where standing.invoice_id is null or incoming.asked_at >= standing.known_at
            union all
            select invoice_id, asked_at, null from answer where not is_found
        ) as seen
        where quarantine.company = $company
            and quarantine.invoice_id = seen.invoice_id
            and quarantine.fetched_at <= seen.asked_at
            and quarantine.payload is distinct from seen.bad_payload
        """,
        company,
    )
    # An object without a readable id is gone when a later complete fetch of the day that brought it does not.
    connection.execute(
        """
        delete from raw.quarantine
        using asked_day
        where quarantine.company = $company
            and quarantine.invoice_id is null
            and quarantine.partition_date = asked_day.partition_date
            and quarantine.fetched_at < asked_day.asked_at
            and quarantine.payload not in (select payload from received where invoice_id is null)
        """,
        company,
    )
    connection.execute(
        """
        insert into raw.quarantine by name
        select distinct on (received.invoice_id, received.payload)
            $company as company,
            coalesce(if(received.invoice_id is null, null, received.invoice_date), received.day) as partition_date,
            received.asked_at as fetched_at,
            $run_id as run_id,
            received.invoice_id,
            unreadable.field,
            unreadable.reason,
            received.payload
        from received
        inner join unreadable using (seq)
        where not exists (
            select 1
            from raw.quarantine as standing
            where standing.company = $company
                and standing.invoice_id is not distinct from received.invoice_id
                and standing.payload = received.payload
        )
        """,
        names,
    )


def _write_fetched_days(connection: duckdb.DuckDBPyConnection, names: dict[str, str]) -> None:
    connection.execute(
        """
        create or replace temp table newest_day as
        select
            partition_date,
            max(asked_at) as asked_at,
            arg_max(include_preliminary, asked_at) as include_preliminary,
            partition_date in (select day from suspended) as closures_suspended
        from asked_day
        where not exists (
            select 1
            from raw.fetched_days as standing
            where standing.company = $company
                and standing.partition_date = asked_day.partition_date
                and standing.fetched_at > asked_day.asked_at
        )
        group by all
        """,
        {"company": names["company"]},
    )
    connection.execute(
        """
        delete from raw.fetched_days
        where company = $company and partition_date in (select partition_date from newest_day)
        """,
        {"company": names["company"]},
    )
    connection.execute(
        """
        insert into raw.fetched_days by name
        select
            $company as company,
            partition_date,
            newest_day.asked_at as fetched_at,
            count(received.seq)::integer as invoice_count,
            include_preliminary,
            closures_suspended,
            $run_id as run_id
        from newest_day
        left join received
            on received.window_day = newest_day.partition_date and received.asked_at = newest_day.asked_at
        group by all
        """,
        names,
    )


def _write_fetches(connection: duckdb.DuckDBPyConnection, names: dict[str, str]) -> None:
    """A row for the batch, two where it was asked for over midnight: as_of at a moment is the day of the newest by then.

    Written anew with those that stand: each row inserted by itself would take up a row group, a quarter of a megabyte.
    """
    connection.execute(
        """
        create or replace temp table fetches as
        from raw.fetches where company = $company
        union all
        select $company, min(asked_at) as fetched_at, $run_id
        from (select asked_at from asked_day union all select asked_at from answer)
        group by (asked_at at time zone 'Europe/Stockholm')::date
        having min(asked_at) not in (select fetched_at from raw.fetches where company = $company)
        """,
        names,
    )
    connection.execute("delete from raw.fetches where company = $company", {"company": names["company"]})
    connection.execute("insert into raw.fetches by name from fetches")


def _days_landed(connection: duckdb.DuckDBPyConnection) -> tuple[DayLanded, ...]:
    rows = connection.execute(
        """
        with outcome as (
            select window_day as day, 'received' as what from received where window_day is not null
            union all
            select day, change from accepted
            union all
            select day, 'missing' from absent
            inner join answer using (invoice_id)
            where was = 'standing' and not is_found
            union all
            select day, 'quarantined' from unreadable inner join received using (seq)
        )

        select
            partition_date,
            count(*) filter (where what = 'received'),
            count(*) filter (where what = 'new'),
            count(*) filter (where what = 'changed'),
            count(*) filter (where what = 'redated'),
            count(*) filter (where what = 'returned'),
            count(*) filter (where what = 'missing'),
            count(*) filter (where what = 'quarantined')
        from (select distinct partition_date from asked_day) as asked
        left join outcome on outcome.day = asked.partition_date
        group by partition_date
        order by partition_date
        """
    ).fetchall()
    return tuple(DayLanded(*row) for row in rows)


def _any(connection: duckdb.DuckDBPyConnection, rows: str, names: dict[str, str] | None = None) -> bool:
    """Whether there is any of these rows: most mornings there is none, and nothing to do about them."""
    return bool(connection.execute(f"{rows} limit 1", names or {}).fetchall())
