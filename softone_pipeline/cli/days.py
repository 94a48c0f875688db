"""The days a command is asked for: how they are written, and which there are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import click

from softone_pipeline.settings import PipelineSettings


class Date(click.DateTime):
    """YYYY-MM-DD. What cannot be read is told to be no date: a day may be written well and yet not exist."""

    def __init__(self, formats: Sequence[str] = ("%Y-%m-%d",), *, like: str = "2026-11-30") -> None:
        super().__init__(formats)
        self._like = like

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is no date: write one like {self._like}.", param, ctx)


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
