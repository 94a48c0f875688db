"""What the schedules ask for, on any day."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from softone_pipeline.orchestration.partitions import daily_partitions
from softone_pipeline.orchestration.placement import ALONE
from softone_pipeline.orchestration.schedules import build_schedules, older_ranges
from softone_pipeline.settings import STOCKHOLM, PipelineSettings
from softone_pipeline_tests.orchestration.conftest import days_between

SUNDAYS = st.integers(0, 520).map(lambda weeks: dt.date(2025, 1, 5) + dt.timedelta(weeks=weeks))
STARTS = st.dates(dt.date(2015, 1, 1), dt.date(2025, 1, 5))


def asked(settings: PipelineSettings, name: str, moment: dt.datetime) -> list[dg.RunRequest]:
    (schedule,) = (schedule for schedule in build_schedules(settings, ALONE) if schedule.name == name)
    context = dg.build_schedule_context(scheduled_execution_time=moment)
    return list(schedule.evaluate_tick(context).run_requests or [])


def days_of(request: dg.RunRequest) -> list[dt.date]:
    first = dt.date.fromisoformat(request.tags["dagster/asset_partition_range_start"])
    last = dt.date.fromisoformat(request.tags["dagster/asset_partition_range_end"])
    assert first <= last
    return days_between(first, last)


def at(day: dt.date, hour: int, minute: int) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), STOCKHOLM)


@tried(deadline=None, max_examples=40)
@given(
    today=st.dates(dt.date(2025, 1, 5), dt.date(2035, 1, 1)),
    lookback=st.integers(1, 400),
    days_ahead=st.integers(0, 40),
    start=STARTS,
)
def test_every_morning_the_look_back_is_one_run_over_days_that_exist(
    today: dt.date, lookback: int, days_ahead: int, start: dt.date
) -> None:
    settings = PipelineSettings(start_date=start, lookback_days=lookback, days_ahead=days_ahead)
    (request,) = asked(settings, "refresh_recent_days", at(today, 5, 30))
    days = days_of(request)
    assert days[-1] == today + dt.timedelta(days=days_ahead)
    assert days[0] == max(start, today - dt.timedelta(days=lookback - 1))
    keys = set(daily_partitions(settings).get_partition_keys(current_time=at(today, 5, 30)))
    assert {day.isoformat() for day in days} <= keys


def test_without_other_settings_it_is_sixty_days_today_included() -> None:
    (request,) = asked(PipelineSettings(), "refresh_recent_days", at(dt.date(2026, 3, 30), 5, 30))
    assert days_of(request) == days_between(dt.date(2026, 1, 30), dt.date(2026, 3, 30))
    assert len(days_of(request)) == 60
    assert request.run_key == "refresh 2026-03-30"


@tried(deadline=None)
@given(first_sunday=SUNDAYS, lookback=st.integers(1, 400), start=STARTS)
def test_twelve_sundays_in_a_row_ask_for_every_older_day(first_sunday: dt.date, lookback: int, start: dt.date) -> None:
    settings = PipelineSettings(start_date=start, lookback_days=lookback)
    seen: list[dt.date] = []
    for week in range(12):
        sunday = first_sunday + dt.timedelta(weeks=week)
        for first, last in older_ranges(settings, sunday):
            days = days_between(first, last)
            assert 1 <= len(days) <= 31
            assert start <= first <= last <= sunday - dt.timedelta(days=lookback)
            seen += days
    assert len(seen) == len(set(seen))
    older = days_between(start, first_sunday - dt.timedelta(days=lookback))
    assert set(older) <= set(seen)


@tried(deadline=None, max_examples=40)
@given(sunday=SUNDAYS, start=STARTS)
def test_each_of_its_ranges_is_a_run_of_its_own_with_a_key_of_its_own(sunday: dt.date, start: dt.date) -> None:
    settings = PipelineSettings(start_date=start)
    requests = asked(settings, "reread_older_days", at(sunday, 2, 0))
    ranges = [(days[0], days[-1]) for days in map(days_of, requests)]
    assert ranges == list(older_ranges(settings, sunday))
    assert len({request.run_key for request in requests}) == len(requests)


@pytest.mark.parametrize("sunday", [dt.date(2025, 3, 30), dt.date(2025, 10, 26)], ids=["no 02:00", "02:00 twice"])
def test_the_night_the_clocks_change_is_a_sunday_like_any_other(sunday: dt.date) -> None:
    settings = PipelineSettings()
    moments = [dt.datetime.combine(sunday, dt.time(hour), dt.UTC) for hour in (0, 1)]
    for moment in moments:
        requests = asked(settings, "reread_older_days", moment)
        assert [request.run_key for request in requests] == [
            f"reread {sunday} {first}" for first, _ in older_ranges(settings, sunday)
        ]
