"""Whether the published copy is fresh: judged by the clock in Sweden, also on days of 23 and 25 hours."""

from __future__ import annotations

import datetime as dt

import pytest

from softone_pipeline.settings import STOCKHOLM, PipelineSettings
from softone_pipeline.tables.freshness import freshness
from softone_pipeline.warehouse import Warehouse, publish

DAY = dt.date(2026, 11, 28)


def clock(day: dt.date, hour: int, minute: int = 0) -> dt.datetime:
    """A moment by the clock on a Swedish wall."""
    return dt.datetime.combine(day, dt.time(hour, minute), STOCKHOLM)


def read(warehouse: Warehouse, settings: PipelineSettings, at: dt.datetime, *days: dt.date) -> None:
    """These days were fetched at this moment, and published."""
    with warehouse.connect() as connection:
        for day in days:
            connection.execute("delete from raw.fetched_days where partition_date = ?", [day])
            connection.execute(
                "insert into raw.fetched_days values (?, ?, ?, 5, true, false, 'run')", [settings.company, day, at]
            )
    publish(warehouse, settings.duckdb_path)


@pytest.mark.parametrize(
    "day", [DAY, dt.date(2025, 3, 30), dt.date(2024, 10, 27)], ids=["24 hours", "23 hours", "25 hours"]
)
def test_a_day_that_was_only_read_before_it_had_ended_is_stale_from_noon_of_the_next(
    warehouse: Warehouse, settings: PipelineSettings, day: dt.date
) -> None:
    after = day + dt.timedelta(days=1)
    read(warehouse, settings, clock(day, 23, 59), day)
    # Through the night and the morning's run nothing is wrong.
    for now in (clock(after, 0), clock(after, 5, 30), clock(after, 11, 59)):
        found = freshness(settings, now.astimezone(dt.UTC))
        assert found.is_fresh
        assert f"{day}, is in the copy as it was at {day} 23:59;" in found.sentence
    found = freshness(settings, clock(after, 12).astimezone(dt.UTC))
    assert not found.is_fresh
    assert f"{day}, was last read for company default at {day} 23:59, before it had ended" in found.sentence
    read(warehouse, settings, clock(after, 0), day)
    assert freshness(settings, clock(after, 12)).is_fresh
    assert freshness(settings, clock(after, 23, 59)).is_fresh


def test_who_loads_later_in_the_day_says_so_by_the_hours_allowed(
    warehouse: Warehouse, settings: PipelineSettings
) -> None:
    after = DAY + dt.timedelta(days=1)
    read(warehouse, settings, clock(DAY, 14), DAY)
    later = settings.model_copy(update={"stale_after_hours": 40})
    assert freshness(later, clock(after, 15, 59)).is_fresh
    assert "before it had ended" in freshness(later, clock(after, 16)).sentence
    # Fewer hours are about the newest fetch, and never about the night.
    sooner = settings.model_copy(update={"stale_after_hours": 12})
    assert freshness(sooner, clock(after, 1)).is_fresh
    assert "more than the 12 allowed" in freshness(sooner, clock(after, 3)).sentence


def test_a_day_read_early_counts_whatever_was_read_of_others_since(
    warehouse: Warehouse, settings: PipelineSettings
) -> None:
    after = DAY + dt.timedelta(days=1)
    read(warehouse, settings, clock(DAY, 5, 30), DAY)
    read(warehouse, settings, clock(after, 11), dt.date(2026, 1, 1), after)
    assert "before it had ended" in freshness(settings, clock(after, 13)).sentence
    assert "is not in the copy" in freshness(settings, clock(after + dt.timedelta(days=2), 1)).sentence
