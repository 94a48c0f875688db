"""How fresh the published copy is: read from the copy itself, for that is what analysts see."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from softone_pipeline.readable import plural
from softone_pipeline.settings import STOCKHOLM, PipelineSettings
from softone_pipeline.warehouse import open_published


@dataclass(frozen=True, slots=True)
class Freshness:
    """Whether the copy holds yesterday, read not too long ago, and the sentence that says so."""

    is_fresh: bool
    sentence: str


def freshness(settings: PipelineSettings, now: dt.datetime) -> Freshness:
    """Fresh means: yesterday (in Sweden) was fetched, and some day within SOFTONE_STALE_AFTER_HOURS.

    Yesterday alone says nothing of a schedule that stopped; the newest fetch alone may have been of an old day.
    """
    yesterday = now.astimezone(STOCKHOLM).date() - dt.timedelta(days=1)
    if not settings.duckdb_path.exists():
        return Freshness(False, f"Nothing has been published yet: there is no {settings.duckdb_path}.")
    with open_published(settings.duckdb_path) as connection:
        row = connection.execute(
            """
            select max(fetched_at), max(partition_date), coalesce(bool_or(partition_date = $yesterday), false)
            from raw.fetched_days
            where company = $company
            """,
            {"company": settings.company, "yesterday": yesterday},
        ).fetchone()
    newest, last_day, has_yesterday = row or (None, None, False)
    who = f"company {settings.company}"
    if newest is None:
        return Freshness(False, f"Nothing of {who} has been fetched yet.")
    hours = (now - newest).total_seconds() / 3600
    age = f"{hours:.0f} {plural(round(hours), 'hour')}"
    if not has_yesterday:
        return Freshness(False, f"Yesterday, {yesterday}, is not in the copy for {who}; the last day is {last_day}.")
    if hours > settings.stale_after_hours:
        return Freshness(
            False,
            f"The newest fetch of {who} is {age} old, more than the {settings.stale_after_hours} allowed.",
        )
    return Freshness(True, f"Yesterday, {yesterday}, is in the copy; the newest fetch of {who} is {age} old.")
