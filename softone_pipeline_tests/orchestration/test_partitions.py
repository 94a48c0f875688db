"""Which days there are, at any moment of any day."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from softone_pipeline.definitions import build_definitions
from softone_pipeline.orchestration.partitions import daily_partitions
from softone_pipeline.settings import STOCKHOLM, PipelineSettings, stockholm_today
from softone_pipeline_tests.orchestration.conftest import RAW, days_between

START = dt.date(2025, 1, 1)
FIRST_MOMENT = dt.datetime(2025, 1, 1, tzinfo=STOCKHOLM).astimezone(dt.UTC)


def keys_at(moment: dt.datetime, *, start: dt.date = START, days_ahead: int = 0) -> list[str]:
    partitions = daily_partitions(PipelineSettings(start_date=start, days_ahead=days_ahead))
    return list(partitions.get_partition_keys(current_time=moment))


@tried(deadline=None)
@given(
    moment=st.integers(0, 6 * 365 * 86_400).map(lambda seconds: FIRST_MOMENT + dt.timedelta(seconds=seconds)),
    days_ahead=st.integers(0, 40),
)
def test_every_calendar_day_in_sweden_from_the_first_to_today_and_as_many_ahead_as_wanted(
    moment: dt.datetime, days_ahead: int
) -> None:
    today = moment.astimezone(STOCKHOLM).date()
    expected = days_between(START, today + dt.timedelta(days=days_ahead))
    assert keys_at(moment, days_ahead=days_ahead) == [day.isoformat() for day in expected]


@pytest.mark.parametrize(
    ("moment", "last"),
    [
        (dt.datetime(2025, 3, 29, 22, 59, 59, tzinfo=dt.UTC), "2025-03-29"),
        (dt.datetime(2025, 3, 29, 23, 0, 0, tzinfo=dt.UTC), "2025-03-30"),
        (dt.datetime(2025, 3, 30, 21, 59, 59, tzinfo=dt.UTC), "2025-03-30"),
        (dt.datetime(2025, 3, 30, 22, 0, 0, tzinfo=dt.UTC), "2025-03-31"),
        (dt.datetime(2025, 10, 25, 21, 59, 59, tzinfo=dt.UTC), "2025-10-25"),
        (dt.datetime(2025, 10, 25, 22, 0, 0, tzinfo=dt.UTC), "2025-10-26"),
        (dt.datetime(2025, 10, 26, 22, 59, 59, tzinfo=dt.UTC), "2025-10-26"),
        (dt.datetime(2025, 10, 26, 23, 0, 0, tzinfo=dt.UTC), "2025-10-27"),
    ],
)
def test_a_new_day_begins_at_midnight_in_sweden_also_where_days_have_23_or_25_hours(
    moment: dt.datetime, last: str
) -> None:
    keys = keys_at(moment)
    assert keys[-1] == last
    assert len(keys) == len(set(keys)) == (dt.date.fromisoformat(last) - START).days + 1


def test_today_is_a_day_and_tomorrow_is_not_yet() -> None:
    before = stockholm_today()
    keys = keys_at(dt.datetime.now(dt.UTC))
    assert keys[-1] in {before.isoformat(), stockholm_today().isoformat()}


def test_days_ahead_and_the_first_day_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTONE_START_DATE", "2025-02-03")
    monkeypatch.setenv("SOFTONE_DAYS_AHEAD", "30")
    partitions = build_definitions().resolve_asset_graph().get(RAW).partitions_def
    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    moment = dt.datetime(2026, 6, 1, 10, tzinfo=dt.UTC)
    keys = partitions.get_partition_keys(current_time=moment)
    assert (keys[0], keys[-1]) == ("2025-02-03", "2026-07-01")
