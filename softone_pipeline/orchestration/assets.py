"""The assets, in the order data walks: raw, core, mart, the published copy and the report.

Bodies stay short: what they do lives in `tables/` and `warehouse/`. Only raw is partitioned: every event costs
Dagster about 14 ms, and core compares itself with raw, so it is right whatever days were loaded, in any order.
(Dagster reads the annotations of `context` as they stand, so no `from __future__ import annotations` here; and it
knows MaterializeResult without its type argument only.)
"""

import datetime as dt
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from softone_pipeline.errors import SoftOneError, WarehouseError, told_together
from softone_pipeline.orchestration import checks
from softone_pipeline.orchestration.instance import WAREHOUSE_POOL
from softone_pipeline.orchestration.metadata import (
    ASSETS,
    day_metadata,
    definition_metadata,
    figures,
    open_with,
    payments_metadata,
    preview,
    traffic_metadata,
)
from softone_pipeline.orchestration.partitions import daily_partitions, days
from softone_pipeline.orchestration.placement import Placement
from softone_pipeline.orchestration.resources import WarehouseResource
from softone_pipeline.orchestration.schedules import when_fed, when_fed_but_once_an_hour
from softone_pipeline.readable import counted
from softone_pipeline.report import report_path, write_report
from softone_pipeline.settings import PipelineSettings, end_of, stockholm_today
from softone_pipeline.tables import MART_TABLES
from softone_pipeline.tables.core.invoice_rows import INVOICE_ROWS
from softone_pipeline.tables.core.invoices import INVOICES
from softone_pipeline.tables.core.refresh import refresh_core
from softone_pipeline.tables.mart.customer_balance import CUSTOMER_BALANCE
from softone_pipeline.tables.mart.vat_return_draft import VAT_RETURN_DRAFT
from softone_pipeline.tables.mart.vat_summary import VAT_SUMMARY
from softone_pipeline.tables.raw.customer_invoices import CUSTOMER_INVOICES
from softone_pipeline.tables.raw.fetched_days import FETCHED_DAYS
from softone_pipeline.tables.raw.landing import DayLanded
from softone_pipeline.tables.raw.loading import load_days
from softone_pipeline.tables.raw.payment_status import PAYMENT_STATUS
from softone_pipeline.tables.raw.payments import last_complete_search, load_payments
from softone_pipeline.tables.raw.pseudonymising import Privacy
from softone_pipeline.tables.raw.standing import DayStanding, standing
from softone_pipeline.warehouse import Table, publish

_Landed = Mapping[dt.date, DayLanded]

_READS: dict[Table, tuple[Table, ...]] = {
    VAT_SUMMARY: (INVOICES, INVOICE_ROWS),
    VAT_RETURN_DRAFT: (VAT_SUMMARY, INVOICES, INVOICE_ROWS),
    CUSTOMER_BALANCE: (INVOICES, PAYMENT_STATUS),
}


def build_assets(settings: PipelineSettings, place: Placement) -> list[dg.AssetsDefinition]:
    """All assets for the company of `settings`, named as `place` says."""
    with warnings.catch_warnings():
        # Used on purpose; a test runs what it does. Silenced here and not for the whole process of whoever imports us.
        warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)
        raw = _customer_invoices(settings, place)
    return [
        raw,
        _payment_status(settings, place),
        _core(settings, place),
        *(_mart(table, settings, place) for table in MART_TABLES),
        _published(settings, place),
        _report(settings, place),
    ]


def _of_table(table: Table, settings: PipelineSettings, place: Placement) -> dict[str, Any]:
    """What Dagster is told of every table alike."""
    return {
        "key": place.key(table),
        "description": table.description,
        "group_name": place.group(table.schema),
        "owners": place.owners,
        "metadata": definition_metadata(table, place, str(settings.duckdb_path)),
    }


def _table_asset(
    table: Table, settings: PipelineSettings, place: Placement, **more: Any
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """`@dg.asset` for one table."""
    decorator: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.asset(
        **_of_table(table, settings, place), pool=WAREHOUSE_POOL, **more
    )
    return decorator


def _customer_invoices(settings: PipelineSettings, place: Placement) -> dg.AssetsDefinition:
    @_table_asset(
        CUSTOMER_INVOICES,
        settings,
        place,
        partitions_def=daily_partitions(settings),
        # However long the range: Dagster's own command line loads ranges of no other policy, memory stays flat, and
        # the repetition of a run that was killed fetches and records only what is missing.
        backfill_policy=dg.BackfillPolicy.single_run(),
        kinds={"duckdb", "json"},
        required_resource_keys={place.softone_key, place.warehouse_key},
        check_specs=checks.check_specs(CUSTOMER_INVOICES, place),
    )
    def customer_invoices(
        context: dg.AssetExecutionContext,
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        softone, warehouse = place.softone(context), place.warehouse(context)
        currency, asked = settings.accounting_currency, days(context.partition_keys)
        already_landed = _landed_by_failed_parents(context, warehouse, settings.company)
        landed: dict[dt.date, DayLanded] = {}
        failed: list[SoftOneError] = []
        cost: dict[str, int | float] = {}
        began = time.monotonic()
        try:
            with softone.client(settings.pace_file) as client:
                for batch in load_days(
                    client,
                    warehouse.warehouse,
                    company=settings.company,
                    run_id=context.run.run_id,
                    days=[day for day in asked if day not in already_landed],
                    privacy=Privacy.of(settings),
                ):
                    landed |= {day.day: day for day in batch.days}
                    failed += batch.failed
                cost = traffic_metadata(client.traffic, time.monotonic() - began)
            if not failed:
                with warehouse.get_connection() as connection:
                    stands = standing(connection, settings.company, asked)
                    results = checks.check_results(CUSTOMER_INVOICES, place, connection, settings.company)
        except SoftOneError as error:
            # First, for its advice counts: it ended the load, whatever single days had failed by then.
            failed.insert(0, error)
        except BaseException:
            # Not foreseen, or the run was stopped, so it goes on as it is; but what stands is known to Dagster first, or
            # nothing would refresh the tables. Without amounts: whoever stops a run does not wait for a database.
            _record(context, landed, {}, currency)
            raise
        if failed:
            _record(context, landed, _standing_beside_failures(warehouse, settings.company, landed, failed), currency)
            to_do = settings.with_own_names(failed[0].to_do)
            # The cause is left out: its traceback would only repeat the sentence.
            raise _failure(failed, days_standing=len(landed), days_asked=len(asked), to_do=to_do) from None
        for day in asked:
            metadata = day_metadata(landed.get(day), stands[day], currency)
            context.add_asset_metadata(metadata, partition_key=day.isoformat())
        return dg.MaterializeResult(metadata=cost, check_results=results)

    return customer_invoices


def _payment_status(settings: PipelineSettings, place: Placement) -> dg.AssetsDefinition:
    @_table_asset(
        PAYMENT_STATUS,
        settings,
        place,
        # The invoices tell which dates to ask for.
        deps=[place.key(CUSTOMER_INVOICES)],
        kinds={"duckdb"},
        required_resource_keys={place.softone_key, place.warehouse_key},
        check_specs=[*checks.check_specs(PAYMENT_STATUS, place), checks.search_check(PAYMENT_STATUS, place)],
        automation_condition=when_fed_but_once_an_hour(),
    )
    def payment_status(
        context: dg.AssetExecutionContext,
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        softone, warehouse = place.softone(context), place.warehouse(context)
        began = time.monotonic()
        # A search that fails is no failed step, but a failed check: the balances and the copy go on from what is known.
        with softone.client(settings.pace_file) as client:
            loaded = load_payments(
                client,
                warehouse.warehouse,
                company=settings.company,
                run_id=context.run.run_id,
                today=stockholm_today(),
            )
            cost = traffic_metadata(client.traffic, time.monotonic() - began)
        with warehouse.get_connection() as connection:
            as_of = last_complete_search(connection, settings.company)
            return dg.MaterializeResult(
                metadata=payments_metadata(loaded, as_of) | cost,
                check_results=[
                    *checks.check_results(PAYMENT_STATUS, place, connection, settings.company),
                    checks.search_check_result(PAYMENT_STATUS, place, loaded, as_of),
                ],
            )

    return payment_status


def _core(settings: PipelineSettings, place: Placement) -> dg.AssetsDefinition:
    tables = (INVOICES, INVOICE_ROWS)

    @dg.multi_asset(
        name=place.name("core"),
        specs=[
            dg.AssetSpec(
                **_of_table(table, settings, place),
                deps=[place.key(CUSTOMER_INVOICES)],
                kinds={"duckdb", "sql"},
                automation_condition=when_fed(),
            )
            for table in tables
        ],
        check_specs=[spec for table in tables for spec in checks.check_specs(table, place)],
        # Not `can_subset`: both are always written together, from one reading. (The sensor's runs would leave out their
        # checks besides, for Dagster holds those of a subset to be another's business.)
        pool=WAREHOUSE_POOL,
        required_resource_keys={place.warehouse_key},
    )
    def core(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        warehouse = place.warehouse(context)
        with warehouse.warehouse.transaction() as connection:
            refreshed = refresh_core(connection, settings)
        rows = {INVOICES: refreshed.invoices, INVOICE_ROWS: refreshed.invoice_rows}
        with warehouse.get_connection() as connection:
            for table in tables:
                yield dg.MaterializeResult(
                    asset_key=place.key(table),
                    metadata={
                        "dagster/row_count": rows[table],
                        "invoices_refreshed": refreshed.invoices_refreshed,
                        **figures(table, connection, settings.company, settings.accounting_currency),
                    },
                    check_results=checks.check_results(table, place, connection, settings.company),
                )

    return core


def _mart(table: Table, settings: PipelineSettings, place: Placement) -> dg.AssetsDefinition:
    @_table_asset(
        table,
        settings,
        place,
        deps=[place.key(read) for read in _READS[table]],
        kinds={"duckdb", "sql"},
        required_resource_keys={place.warehouse_key},
        check_specs=checks.check_specs(table, place),
        automation_condition=when_fed(),
    )
    def mart(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with place.warehouse(context).warehouse.transaction() as connection:
            rows = table.rebuild(connection)
            results = checks.check_results(table, place, connection, settings.company)
            metadata: dict[str, Any] = {
                "dagster/row_count": rows,
                **figures(table, connection, settings.company, settings.accounting_currency),
                **preview(table, connection),
            }
        return dg.MaterializeResult(metadata=metadata, check_results=results)

    return mart


def _published(settings: PipelineSettings, place: Placement) -> dg.AssetsDefinition:
    @dg.asset(
        key=place.published,
        deps=[place.key(table) for table in ASSETS.values()],
        description=(
            "The copy that analysts open: raw, core and mart in one DuckDB file, replaced whole after each run. "
            "Whoever has the old copy open keeps reading it."
        ),
        group_name=place.group("published"),
        kinds={"duckdb"},
        owners=place.owners,
        pool=WAREHOUSE_POOL,
        required_resource_keys={place.warehouse_key},
        metadata={
            "path": dg.MetadataValue.path(str(settings.duckdb_path)),
            "open_with": open_with(f'duckdb -readonly {settings.duckdb_path} -c "show all tables"'),
        },
        automation_condition=when_fed(),
    )
    def database(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        warehouse = place.warehouse(context)
        path = warehouse.placed(settings).duckdb_path
        published = publish(warehouse.warehouse, path, mode=int(settings.published_mode, 8))
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(published.path.resolve())),
                "size_bytes": published.size_bytes,
                "seconds": published.seconds,
            }
        )

    return database


def _report(settings: PipelineSettings, place: Placement) -> dg.AssetsDefinition:
    @dg.asset(
        key=place.report,
        deps=[place.published],
        description=(
            "One HTML page for finance people, from the published copy: receivables and their ageing, invoicing and VAT "
            "by month, what has changed since the last report, and how the checks stand. It opens offline."
        ),
        group_name=place.group("published"),
        kinds={"html"},
        owners=place.owners,
        required_resource_keys={place.warehouse_key},
        metadata={
            "path": dg.MetadataValue.path(str(report_path(settings))),
            "open_with": open_with(f"python -m webbrowser {report_path(settings)}"),
        },
        automation_condition=when_fed(),
    )
    def report(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        written = write_report(place.warehouse(context).placed(settings))
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(written.path.resolve())),
                "changes": written.changes,
                "changes_since": dg.MetadataValue.timestamp(written.since),
                "failed_checks": written.failed_checks,
                "size_bytes": written.size_bytes,
            }
        )

    return report


def _landed_by_failed_parents(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, company: str
) -> set[dt.date]:
    """Days that the failed or stopped runs which this run goes on from have fetched: no need to ask for them again.

    Not those that were fetched before they had ended. A run that was told to do everything again goes on from none.
    """
    runs = []
    run = context.run
    while _goes_on_from_its_parent(run):
        parent = context.instance.get_run_by_id(run.parent_run_id or "")
        if parent is None or not parent.is_failure_or_canceled:
            break
        runs.append(parent.run_id)
        run = parent
    if not runs:
        return set()
    with warehouse.get_connection() as connection:
        rows = connection.execute(
            f"""
            select partition_date, fetched_at from {FETCHED_DAYS.qualified_name}
            where company = ? and run_id in (select unnest(?))
            """,
            [company, runs],
        ).fetchall()
    return {day for day, fetched_at in rows if fetched_at >= end_of(day)}


def _goes_on_from_its_parent(run: dg.DagsterRun) -> bool:
    """Whether it is a re-execution from failure, or one that Dagster began by itself; "all steps" has neither tag."""
    return run.tags.get("dagster/is_resume_retry") == "true" or "dagster/retry_number" in run.tags


def _standing_beside_failures(
    warehouse: WarehouseResource, company: str, landed: _Landed, failed: Sequence[SoftOneError]
) -> dict[dt.date, DayStanding]:
    """What stands for the days that landed though others failed; nothing where it was the database that failed."""
    if not landed or any(isinstance(error, WarehouseError) for error in failed):
        return {}
    with warehouse.get_connection() as connection:
        return standing(connection, company, landed)


def _record(
    context: dg.AssetExecutionContext, landed: _Landed, stands: Mapping[dt.date, DayStanding], currency: str
) -> None:
    """Record the days that landed, so that a re-run from failure repeats only the others: a failed run records nothing."""
    for day, outcome in sorted(landed.items()):
        metadata = day_metadata(outcome, stands.get(day), currency)
        context.log_event(dg.AssetMaterialization(context.asset_key, partition=day.isoformat(), metadata=metadata))


def _failure(failed: Sequence[SoftOneError], *, days_standing: int, days_asked: int, to_do: str) -> dg.Failure:
    reasons = "\n".join(map(str, told_together(failed)))
    return dg.Failure(
        description=(
            f"{days_standing} of {counted(days_asked, 'day stands', 'days stand')}. What failed:\n{reasons}\n"
            f"To do: {to_do} Only the days that are missing are asked for again by Re-execute from failure."
        ),
        metadata={"days_standing": days_standing, "days_asked": days_asked},
        allow_retries=False,
    )
