"""How fresh the published copy is: read from the copy itself, for that is what analysts see."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from softone_pipeline.readable import counted, moment
from softone_pipeline.settings import STOCKHOLM, PipelineSettings, end_of
from softone_pipeline.warehouse import open_published


@dataclass(frozen=True, slots=True)
class Freshness:
    """Whether the copy holds yesterday, read not too long ago, and the sentence that says so."""

    is_fresh: bool
    sentence: str


def freshness(settings: PipelineSettings, now: dt.datetime) -> Freshness:
    """Fresh means: yesterday (in Sweden) was fetched after it had ended, and some day within SOFTONE_STALE_AFTER_HOURS.

    Yesterday alone says nothing of a schedule that stopped; the newest fetch alone may have been of an old day. Until it
    is due, yesterday may be as it was read on the day itself.
    """
    yesterday = now.astimezone(STOCKHOLM).date() - dt.timedelta(days=1)
    if not settings.duckdb_path.exists():
        return Freshness(False, f"Nothing has been published yet: there is no {settings.duckdb_path}.")
    with open_published(settings.duckdb_path) as connection:
        row = connection.execute(
            """
            select max(fetched_at), max(partition_date), max(fetched_at) filter (partition_date = $yesterday)
            from raw.fetched_days
            where company = $company
            """,
            {"company": settings.company, "yesterday": yesterday},
        ).fetchone()
    newest, last_day, last_read = row or (None, None, None)
    who = f"company {settings.company}"
    if newest is None:
        return Freshness(False, f"Nothing of {who} has been fetched yet.")
    hours = (now - newest).total_seconds() / 3600
    age = counted(round(hours), "hour")
    if last_read is None:
        return Freshness(False, f"Yesterday, {yesterday}, is not in the copy for {who}; the last day is {last_day}.")
    is_whole = last_read >= end_of(yesterday)
    if not is_whole and now >= _due(yesterday, settings.stale_after_hours):
        return Freshness(
            False,
            f"Yesterday, {yesterday}, was last read for {who} at {moment(last_read)}, before it had ended: what was "
            "invoiced later that day is missing.",
        )
    if hours > settings.stale_after_hours:
        return Freshness(
            False,
            f"The newest fetch of {who} is {age} old, more than the {settings.stale_after_hours} allowed.",
        )
    so_far = "" if is_whole else f" as it was at {moment(last_read)}"
    return Freshness(True, f"Yesterday, {yesterday}, is in the copy{so_far}; the newest fetch of {who} is {age} old.")


def _due(day: dt.date, stale_after_hours: int) -> dt.datetime:
    """When a day is to have been read whole: at noon of the next (Sweden), which 36 hours from its beginning are.

    Later where more hours are allowed; never earlier, for the morning's run would not have had its time.
    """
    return end_of(day) + dt.timedelta(hours=max(stale_after_hours - 24, 12))
