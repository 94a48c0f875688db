"""softone backfill, and the loading of a range that the demo shares."""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from softone_pipeline.cli.console import EXIT_FAILED, err, marked, out, print_json
from softone_pipeline.cli.days import Date, range_of_days
from softone_pipeline.cli.progress import loading_progress
from softone_pipeline.errors import WarehouseAccessError
from softone_pipeline.readable import counted
from softone_pipeline.settings import ErpSettings, PipelineSettings

if TYPE_CHECKING:
    from softone_pipeline.orchestration.backfill import BackfillOutcome

# Findings of a check that are printed; the UI names more.
_SHOWN = 3


@click.command()
@click.option("--from", "first", type=Date(), required=True, metavar="YYYY-MM-DD", help="First day to load.")
@click.option("--to", "last", type=Date(), required=True, metavar="YYYY-MM-DD", help="Last day to load (inclusive).")
@click.option("--json", "as_json", is_flag=True, help="Say what came of it as one JSON object.")
def backfill(first: dt.datetime, last: dt.datetime, as_json: bool) -> None:
    """Load a range of days, then refresh every table and the published copy.

    The same assets as in the UI, recorded in the same history (DAGSTER_HOME, or .dagster in this folder). Days that
    have not changed write nothing, so a range may be loaded as often as you like. Exit status 0 only if every day
    and every table stands; days that failed are named, and the others are kept.
    """
    from softone_pipeline.warehouse import unwritable

    settings = PipelineSettings.load()
    ErpSettings.load()
    first_day, last_day = range_of_days(settings, first, last)
    # Now, and not after an hour of fetching.
    if trouble := unwritable(settings.duckdb_path.parent):
        raise WarehouseAccessError(f"{trouble} SOFTONE_DUCKDB_PATH says where.", path=str(settings.duckdb_path))
    outcome = load_range(settings, first_day, last_day)
    if as_json:
        facts = asdict(outcome) | {"succeeded": outcome.succeeded, "published": settings.duckdb_path}
        print_json(facts, indent=None)
    else:
        report(outcome)
    if not outcome.succeeded:
        sys.exit(EXIT_FAILED)
    if not as_json:
        out.print(f"The published copy: {settings.duckdb_path}", soft_wrap=True)


def load_range(settings: PipelineSettings, first_day: dt.date, last_day: dt.date) -> BackfillOutcome:
    from softone_pipeline.definitions import build_definitions
    from softone_pipeline.orchestration.backfill import run_backfill
    from softone_pipeline.orchestration.instance import instance

    days = (last_day - first_day).days + 1
    with instance() as dagster_instance, loading_progress(days):
        return run_backfill(build_definitions(settings), dagster_instance, settings.warehouse_path, first_day, last_day)


def report(outcome: BackfillOutcome, *, with_checks: bool = True) -> None:
    from softone_pipeline.orchestration.checks import TO_DO

    for failure in outcome.failures:
        err.print(marked("bold red", "Failed:", failure), soft_wrap=True)
    for sentence in outcome.failed_checks if with_checks else ():
        first, *lines = sentence.splitlines()
        to_do = [line for line in lines if line.startswith(TO_DO)]
        findings = [line for line in lines if line not in to_do]
        err.print(marked("bold yellow", "Needs a look:", first), soft_wrap=True)
        for finding in findings[:_SHOWN]:
            err.print(f"   {finding}", soft_wrap=True)
        if len(findings) > _SHOWN:
            err.print("   … the others are named in the UI, under the asset's checks", soft_wrap=True)
        for line in to_do:
            err.print(f"   {line}", soft_wrap=True)
    out.print(f"   {outcome.days_standing} of {counted(outcome.days_asked, 'day stands', 'days stand')}.")
