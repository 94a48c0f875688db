"""softone verify."""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import click

from softone_pipeline.cli.console import EXIT_FAILED, err, marked, out, print_json, print_table
from softone_pipeline.cli.days import Date, range_of_days
from softone_pipeline.readable import counted
from softone_pipeline.settings import ErpSettings, PipelineSettings

_MOST_DAYS_SHOWN = 62
_KINDS = ("changed", "moved", "not_here", "not_there", "quarantined")


@click.command()
@click.option("--from", "first", type=Date(), required=True, metavar="YYYY-MM-DD", help="First day to verify.")
@click.option("--to", "last", type=Date(), required=True, metavar="YYYY-MM-DD", help="Last day to verify (inclusive).")
@click.option(
    "--page-size", type=click.IntRange(1, 100_000), help="Invoices per page; by default other than loading's."
)
@click.option("--json", "as_json", is_flag=True, help="The certificate as JSON.")
def verify(first: dt.datetime, last: dt.datetime, page_size: int | None, as_json: bool) -> None:
    """Read a range again from the ERP and certify, day by day, that the store has it all.

    Other pages and other windows than loading uses; invoices and hashes are compared with the published copy, what
    differs is asked for by id, and nothing is changed. Exit status 0 only when every day is whole.
    """
    from softone_pipeline.softone import SoftOneClient
    from softone_pipeline.tables.proof import verify as proof
    from softone_pipeline.tables.raw.pseudonymising import Privacy
    from softone_pipeline.warehouse import open_published

    settings, erp = PipelineSettings.load(), ErpSettings.load()
    first_day, last_day = range_of_days(settings, first, last)
    with SoftOneClient(proof.other_settings(erp, page_size), pace_file=settings.pace_file) as client:
        days = proof.verify(
            client,
            lambda: open_published(settings.duckdb_path),
            company=settings.company,
            first_day=first_day,
            last_day=last_day,
            privacy=Privacy.of(settings),
        )
    if as_json:
        print_json(
            {
                "company": settings.company,
                "is_whole": all(day.is_whole for day in days),
                "days": [_json(d) for d in days],
            }
        )
    else:
        _print(settings.company, days)
    if not all(day.is_whole for day in days):
        sys.exit(EXIT_FAILED)


def _print(company: str, days: list[Any]) -> None:
    from softone_pipeline.tables.proof.verify import summary

    shown = days if len(days) <= _MOST_DAYS_SHOWN else [day for day in days if not day.is_whole]
    print_table(
        f"Certificate for {company}, {days[0].day} to {days[-1].day}: the store and the ERP, in Swedish time",
        (
            "day",
            "here",
            "in the ERP",
            "matched",
            "changed",
            "moved",
            "not here",
            "not there",
            "quarantined",
            "total here",
            "total in the ERP",
            "fetched",
            "verified",
            "whole",
        ),
        [
            (
                day.day,
                day.here,
                _known(day.there),
                _known(day.matched),
                *(_known(day.count(kind)) for kind in _KINDS),
                Decimal(day.total_here_oere).scaleb(-2),
                _known(None if day.total_there_oere is None else Decimal(day.total_there_oere).scaleb(-2)),
                day.fetched_at or "never",
                day.verified_at or "not",
                day.verdict,
            )
            for day in shown
        ],
    )
    for day in days:
        if day.failed:
            err.print(marked("bold red", f"{day.day} could not be verified:", day.failed), soft_wrap=True)
        for finding in day.findings:
            which = (
                f"invoice {finding.invoice_id}" if finding.invoice_id is not None else "an invoice without readable id"
            )
            err.print(
                marked("bold yellow", f"{finding.day} {finding.kind}:", f"{which}: {finding.says}."), soft_wrap=True
            )
    matched = counted(sum(day.matched or 0 for day in days), "invoice is", "invoices are")
    out.print(f"{summary(days)}. {matched} the same, byte for byte, here and in the ERP.", soft_wrap=True)


def _known(value: int | Decimal | None) -> int | Decimal | str:
    return "—" if value is None else value


def _json(day: Any) -> dict[str, Any]:
    facts = asdict(day) | {kind: day.count(kind) for kind in _KINDS}
    del facts["findings"]
    findings = [{"kind": f.kind, "invoice_id": f.invoice_id, "says": f.says} for f in day.findings]
    return {"day": day.day, "is_whole": day.is_whole, **facts, "findings": findings}
