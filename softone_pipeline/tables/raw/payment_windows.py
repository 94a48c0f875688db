"""Which dates Search is asked for, in which windows. What its answers prove stands in payment_answers.py.

Every date that holds an invoice not known to be fully paid, however old; the last year whatever has been paid, because
payments are reversed too; of the years before that, each month once in thirty days; and today, so that every search
asks for something.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import duckdb

from softone_pipeline.softone.dates import days_between

_WINDOW_DAYS = 31
_RECENT_DAYS = 366
_ROUND_DAYS = 30
_ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class KnownDay:
    """What raw knows of one date."""

    invoices: int
    awaited: tuple[int, ...]
    """Invoices that Search should answer for: neither preliminary nor cancelled."""
    is_asked: bool


def known_days(connection: duckdb.DuckDBPyConnection, company: str, today: dt.date) -> dict[dt.date, KnownDay]:
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
    return {day: KnownDay(invoices, tuple(awaited), is_asked) for day, invoices, awaited, is_asked in rows}


def windows_to_ask(
    known: Mapping[dt.date, KnownDay], today: dt.date, most_invoices: int
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
                more = sum(
                    known[between].invoices for between in days_between(last + _ONE_DAY, day) if between in known
                )
                if invoices + more <= most_invoices:
                    window, invoices = (first, day), invoices + more
                    continue
            yield window
        window, invoices = (day, day), known[day].invoices if day in known else 0
    if window is not None:
        yield window
