"""The check that raw/customer_invoices is whole, by asking the ERP again; in a job of its own, weekly if turned on.

It is no part of `refresh`: it reads the ERP a second time. What is compared lives in tables/proof/verify.py.
(Dagster reads the annotation of `context` as it stands, so no `from __future__ import annotations` here.)
"""

import datetime as dt
from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from softone_pipeline.orchestration.checks import TO_DO
from softone_pipeline.orchestration.placement import Placement
from softone_pipeline.settings import PipelineSettings, stockholm_today
from softone_pipeline.softone import SoftOneClient
from softone_pipeline.tables.proof.verify import DayCertificate, other_settings, summary, verify
from softone_pipeline.tables.raw.customer_invoices import CUSTOMER_INVOICES
from softone_pipeline.tables.raw.pseudonymising import Privacy

_DAYS_BACK = 14
_SHOWN = 20


class VerifyConfig(dg.Config):
    """Which days to verify; without any, the last fourteen before today."""

    first_day: str | None = Field(default=None, description="YYYY-MM-DD.")
    last_day: str | None = Field(default=None, description="YYYY-MM-DD, inclusive.")


def verified(place: Placement) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(place.key(CUSTOMER_INVOICES), "verified_against_erp")


def build_verification(settings: PipelineSettings, place: Placement) -> dg.AssetChecksDefinition:
    check = verified(place)

    @dg.multi_asset_check(
        name=f"{check.asset_key.to_python_identifier()}_{check.name}",
        specs=[
            dg.AssetCheckSpec(
                check.name,
                asset=check.asset_key,
                description=(
                    "The days read again from the ERP, in other pages and windows, hold the same invoices byte for byte. A "
                    "warning: a change in the ERP since the last load cannot be told from a loss by one look. Load again "
                    "first."
                ),
            )
        ],
        # So that a run may leave it out.
        can_subset=True,
        required_resource_keys={place.softone_key, place.warehouse_key},
    )
    def verified_against_erp(
        context: dg.AssetCheckExecutionContext, config: VerifyConfig
    ) -> Iterator[dg.AssetCheckResult]:
        if check.asset_key in context.job_def.asset_layer.selected_asset_keys:
            # Dagster adds an asset's checks to every run of it that the UI launches; a load is not to read the ERP twice.
            context.log.info("Left out: this run loads the days itself. The job that verifies is one of its own.")
            return
        softone, warehouse = place.softone(context), place.warehouse(context)
        first, last = _days(settings, config)
        with SoftOneClient(other_settings(softone.settings()), pace_file=settings.pace_file) as client:
            days = verify(
                client,
                warehouse.get_connection,
                company=settings.company,
                first_day=first,
                last_day=last,
                privacy=Privacy.of(settings),
            )
        yield _result(settings.company, days)

    return verified_against_erp


def _days(settings: PipelineSettings, config: VerifyConfig) -> tuple[dt.date, dt.date]:
    """The days that are asked for: the last fourteen up to yesterday, where the config does not say."""
    try:
        yesterday = stockholm_today() - dt.timedelta(days=1)
        last = dt.date.fromisoformat(config.last_day) if config.last_day else yesterday
        recent = max(settings.start_date, last - dt.timedelta(days=_DAYS_BACK - 1))
        first = dt.date.fromisoformat(config.first_day) if config.first_day else recent
    except ValueError as error:
        raise dg.Failure(f"first_day and last_day are days like 2026-11-30: {error}.", allow_retries=False) from None
    if not settings.start_date <= first <= last <= settings.last_day:
        raise dg.Failure(
            f"There is nothing to verify from {first} to {last}: days go from {settings.start_date} to {settings.last_day}, "
            "and without a config up to yesterday.",
            allow_retries=False,
        )
    return first, last


def _result(company: str, days: list[DayCertificate]) -> dg.AssetCheckResult:
    whole = sum(day.is_whole for day in days)
    sentences = [f"{day.day}: {day.failed}" for day in days if day.failed] + [
        f"{finding.day} {finding.kind}: invoice {finding.invoice_id}: {finding.says}"
        for day in days
        for finding in day.findings
    ]
    table = [
        "| day | here | ERP | matched | total here, öre | total ERP, öre | whole |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {day.day} | {day.here} | {_known(day.there)} | {_known(day.matched)} | {day.total_here_oere} "
            f"| {_known(day.total_there_oere)} | {day.verdict} |"
            for day in days
        ),
    ]
    said = f"Company {company}: {summary(days)}. " + "; ".join(sentences[:_SHOWN])
    wanting = [day.day for day in days if not day.is_whole]
    to_do = (
        f"\n{TO_DO}load {min(wanting)} to {max(wanting)} again, then verify again. What stays is worth a report to us."
        if wanting
        else ""
    )
    return dg.AssetCheckResult(
        passed=whole == len(days),
        severity=dg.AssetCheckSeverity.WARN,
        description=said + to_do,
        metadata={
            "certificate": dg.MetadataValue.md("\n".join(table)),
            "days": len(days),
            "days_whole": whole,
            "invoices_matched": sum(day.matched or 0 for day in days),
            "differences": len(sentences),
        },
    )


def _known(value: int | None) -> str:
    return "—" if value is None else str(value)
