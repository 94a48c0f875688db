"""The jobs, when they run by themselves, and the sensor that keeps what lies behind raw fresh.

`refresh` reads the last days again every morning; `reread` goes through the older ones, a calendar month of every
year each week, so that every day since the start is seen again within twelve weeks. `verify` compares, and loads nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from softone_pipeline.orchestration.partitions import range_tags
from softone_pipeline.orchestration.placement import Placement
from softone_pipeline.orchestration.verification import verified
from softone_pipeline.readable import plural
from softone_pipeline.settings import STOCKHOLM, PipelineSettings

REFRESH_CRON = "30 5 * * *"
REREAD_CRON = "0 2 * * 0"
VERIFY_CRON = "30 7 * * 1"

_MONTHS = 12


def build_jobs(assets: Sequence[dg.AssetsDefinition], place: Placement) -> list[dg.UnresolvedAssetJobDefinition]:
    """Of these assets and no other: there may be a project around them."""
    refresh = dg.define_asset_job(
        place.name("refresh"),
        # Verifying reads the ERP a second time: that has a job of its own. Freshness is looked at by the hour, and says
        # nothing of a backfill of older days.
        selection=dg.AssetSelection.assets(*assets) - dg.AssetSelection.checks(verified(place), place.freshness),
        description="Fetch a range of days, then refresh every table and the published copy.",
        # Steps write one file, one at a time: a process for each would only cost its start.
        executor_def=dg.in_process_executor,
    )
    verify = dg.define_asset_job(
        place.name("verify"),
        selection=dg.AssetSelection.checks(verified(place)),
        executor_def=dg.in_process_executor,
        description="Read recent days (or those in the config) again from the ERP and certify that raw has them whole.",
    )
    return [refresh, verify]


def build_sensor(assets: Sequence[dg.AssetsDefinition], place: Placement) -> dg.AutomationConditionSensorDefinition:
    return dg.AutomationConditionSensorDefinition(
        place.name("keep_derived_tables_fresh"),
        target=dg.AssetSelection.assets(*(asset for asset in assets if asset.partitions_def is None)),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Refreshes payments, core, marts and the copy when raw has moved on outside a full run.",
    )


def when_fed() -> dg.AutomationCondition[Any]:
    """When something upstream is newer and nothing upstream is under way, even if some days never came.

    `eager()` would wait for every upstream partition, and so for ever after one day that failed. Each `since` has
    one plain condition on either side: only then does Dagster compare times to the second, and without that a
    load that ends between two ticks, after a refresh in the same half minute, would never be passed on.
    """
    condition = dg.AutomationCondition
    fed = condition.any_deps_match(condition.newly_updated())
    is_older = fed.since(condition.newly_updated())
    # Whatever was loaded before the sensor looked for the first time.
    is_first = condition.missing() & condition.any_deps_match(~condition.missing())
    # A refresh that failed is not asked for again at every tick, but when there is something new.
    was_asked_for = condition.newly_requested().since(fed)
    return (
        (((is_older | is_first) & ~was_asked_for) | condition.any_deps_match(condition.will_be_requested()))
        & ~condition.any_deps_in_progress()
        & ~condition.in_progress()
    ).with_label("when_fed")


def when_fed_but_once_an_hour() -> dg.AutomationCondition[Any]:
    """As `when_fed`, for what asks the ERP: days loaded one by one in the UI are followed by one search an hour.

    Whoever wants it sooner presses Materialize, and a full run or `softone backfill` searches every time.
    """
    condition = dg.AutomationCondition
    searched_this_hour = condition.newly_updated().since(condition.cron_tick_passed("0 * * * *"))
    return (when_fed() & ~searched_this_hour).with_label("when_fed_but_once_an_hour")


def build_schedules(
    settings: PipelineSettings,
    place: Placement,
    *,
    refresh_cron: str | None = REFRESH_CRON,
    reread_cron: str | None = REREAD_CRON,
    verify_cron: str | None = VERIFY_CRON,
) -> list[dg.ScheduleDefinition]:
    """The schedules that have a time (Europe/Stockholm); None leaves one out."""
    schedules = []
    if refresh_cron:
        schedules.append(_refresh_recent_days(settings, place, refresh_cron))
    if reread_cron:
        schedules.append(_reread_older_days(settings, place, reread_cron))
    if verify_cron:
        schedules.append(_verify_recent_days(place, verify_cron))
    return schedules


def _last_days(count: int) -> str:
    return plural(count, "today", f"the last {count} days")


def _refresh_recent_days(settings: PipelineSettings, place: Placement, cron: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=place.name("refresh_recent_days"),
        job_name=place.name("refresh"),
        cron_schedule=cron,
        execution_timezone=STOCKHOLM.key,
        description=f"Every morning: {_last_days(settings.lookback_days)} again, then core, marts and the copy.",
    )
    def refresh_recent_days(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        today = context.scheduled_execution_time.astimezone(STOCKHOLM).date()
        first = max(settings.start_date, today - dt.timedelta(days=settings.lookback_days - 1))
        last = today + dt.timedelta(days=settings.days_ahead)
        return dg.RunRequest(run_key=f"refresh {today}", tags=range_tags(first, last))

    return refresh_recent_days


def _reread_older_days(settings: PipelineSettings, place: Placement, cron: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=place.name("reread_older_days"),
        job_name=place.name("refresh"),
        cron_schedule=cron,
        execution_timezone=STOCKHOLM.key,
        description="Sunday nights: one calendar month of every year again, so that every older day is seen within 12 weeks.",
    )
    def reread_older_days(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        today = context.scheduled_execution_time.astimezone(STOCKHOLM).date()
        for first, last in older_ranges(settings, today):
            yield dg.RunRequest(run_key=f"reread {today} {first}", tags=range_tags(first, last))

    return reread_older_days


def _verify_recent_days(place: Placement, cron: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=place.name("verify_recent_days"),
        job_name=place.name("verify"),
        cron_schedule=cron,
        execution_timezone=STOCKHOLM.key,
        description="Monday mornings unless told otherwise, after the refresh: the last fourteen days, read again and compared.",
    )


def older_ranges(settings: PipelineSettings, today: dt.date) -> Iterator[tuple[dt.date, dt.date]]:
    """This week's share of the days before the look-back: one calendar month, of every year since the start.

    Which month follows from the number of weeks since a fixed Sunday, so no memory is needed and none is skipped.
    """
    month = (today - dt.date(2024, 1, 7)).days // 7 % _MONTHS + 1
    oldest_recent = today - dt.timedelta(days=settings.lookback_days - 1)
    for year in range(settings.start_date.year, today.year + 1):
        first = max(dt.date(year, month, 1), settings.start_date)
        next_month = dt.date(year + month // _MONTHS, month % _MONTHS + 1, 1)
        last = min(next_month, oldest_recent) - dt.timedelta(days=1)
        if first <= last:
            yield first, last
