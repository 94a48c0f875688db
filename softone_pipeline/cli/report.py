"""softone report."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click

from softone_pipeline.cli.console import out, print_json
from softone_pipeline.cli.days import Date
from softone_pipeline.readable import counted, moment
from softone_pipeline.settings import STOCKHOLM, PipelineSettings


@click.command()
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write. Default: …_report….html beside the published database; an earlier one is replaced.",
)
@click.option(
    "--since",
    type=Date(),
    metavar="YYYY-MM-DD",
    help="Show what has changed since this day. Default: since the report that stands there, or seven days.",
)
@click.option(
    "--language", type=click.Choice(["sv", "en"]), default="sv", show_default=True, help="Language of the page."
)
@click.option("--json", "as_json", is_flag=True, help="Say what was written as one JSON object.")
def report(target: Path | None, since: dt.datetime | None, language: Literal["sv", "en"], as_json: bool) -> None:
    """Write one HTML page: receivables, VAT, invoicing by month, what changed, and the state of the data.

    It opens offline in any browser, light or dark, on a phone and on paper, and asks for nothing from outside. It is
    made from the published copy, so it never waits for a load.
    """
    from softone_pipeline.report import write_report

    start = since.replace(tzinfo=STOCKHOLM) if since else None
    written = write_report(PipelineSettings.load(), target, since=start, language=language)
    if as_json:
        print_json(asdict(written), indent=None)
        return
    out.print(
        f"{written.path}: {counted(written.changes, 'change')} since "
        f"{moment(written.since)}, {counted(written.failed_checks, 'check')} to look at.",
        soft_wrap=True,
    )
