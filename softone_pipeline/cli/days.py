"""The days a command is asked for: which there are."""

from __future__ import annotations

import datetime as dt

import click

from softone_pipeline.settings import PipelineSettings

DATE = click.DateTime(formats=["%Y-%m-%d"])


def range_of_days(settings: PipelineSettings, first: dt.datetime, last: dt.datetime) -> tuple[dt.date, dt.date]:
    """The days of --from and --to, or a usage error where a load could not bring all of them."""
    first_day, last_day = first.date(), last.date()
    if first_day > last_day:
        raise click.UsageError(f"--from {first_day} is after --to {last_day}.")
    if last_day > settings.last_day:
        raise click.UsageError(
            f"--to {last_day} lies in the future: the last day is {settings.last_day}. "
            "SOFTONE_DAYS_AHEAD makes later days available."
        )
    if first_day < settings.start_date:
        raise click.UsageError(
            f"--from {first_day} is before the first day, {settings.start_date}. SOFTONE_START_DATE moves it."
        )
    return first_day, last_day
