"""The days: one partition per Stockholm calendar day, today included."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import dagster as dg

from softone_pipeline.settings import STOCKHOLM, PipelineSettings


def daily_partitions(settings: PipelineSettings) -> dg.DailyPartitionsDefinition:
    """From SOFTONE_START_DATE to today (plus SOFTONE_DAYS_AHEAD), Europe/Stockholm."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(),
        timezone=STOCKHOLM.key,
        end_offset=1 + settings.days_ahead,
    )


def days(partition_keys: Sequence[str]) -> list[dt.date]:
    """Partition keys as dates, in order."""
    return sorted(dt.date.fromisoformat(key) for key in partition_keys)


def range_tags(first_day: dt.date, last_day: dt.date) -> dict[str, str]:
    """The tags that make one run cover a range of days (inclusive)."""
    return {
        "dagster/asset_partition_range_start": first_day.isoformat(),
        "dagster/asset_partition_range_end": last_day.isoformat(),
    }
