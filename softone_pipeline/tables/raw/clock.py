"""The machine's clock against what stands: the newest question wins, so none may have been asked in the future.

With a moment in the future every later change would look older than what stands, and be dropped without a word.
"""

from __future__ import annotations

import datetime as dt

import duckdb

from softone_pipeline.errors import ClockError
from softone_pipeline.readable import moment

# Of two machines that load in turn: what their clocks may differ by.
_TOLERANCE = dt.timedelta(minutes=5)

_NEWEST = """
select greatest(
    (select max(fetched_at) from raw.fetched_days where company = $company),
    (select max(fetched_at) from raw.fetches where company = $company),
    (select greatest(max(fetched_at), max(superseded_at)) from raw.customer_invoices where company = $company),
    (select max(fetched_at) from raw.quarantine where company = $company),
    (select greatest(max(as_of), max(superseded_at)) from raw.payment_status where company = $company),
    (select max(asked_at) from raw.payment_search where company = $company)
)
"""


def refuse_future(connection: duckdb.DuckDBPyConnection, company: str, now: dt.datetime) -> None:
    """Raise ClockError where something of the company was asked for after `now`, this machine's moment."""
    (newest,) = connection.execute(_NEWEST, {"company": company}).fetchall()[0]
    if newest is None or newest <= now + _TOLERANCE:
        return
    raise ClockError(
        f"What stands of company {company} was asked for at {moment(newest)}, and this machine's clock says {moment(now)} "
        "(Swedish time): either it is wrong, or the one of an earlier run was. Nothing was written, for every change would "
        "look older than what stands.",
        company=company,
        newest=newest,
        now=now,
    )
