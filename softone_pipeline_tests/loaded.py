"""A published database with a pretend company's life in it, for tests that only read. Real HTTP, no Dagster."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from softone_pipeline.sandbox import DEFAULT, Company, Sandbox
from softone_pipeline.settings import ErpSettings, PipelineSettings, stockholm_today
from softone_pipeline.softone import SoftOneClient
from softone_pipeline.tables import MACROS, MART_TABLES, TABLES
from softone_pipeline.tables.core.refresh import refresh_core
from softone_pipeline.tables.raw.loading import load_days
from softone_pipeline.tables.raw.payments import load_payments
from softone_pipeline.warehouse import Warehouse, publish

# Up to today: what is open is aged by the day on which it was asked for.
LAST_DAY = stockholm_today()
FIRST_DAY = LAST_DAY - dt.timedelta(days=69)


def load_company(folder: Path, *, payments: bool = True) -> PipelineSettings:
    """Load ten weeks, let an evening pass, load them again, publish. Returns the settings that find the database."""
    settings = PipelineSettings(duckdb_path=folder / "softone.duckdb", company="Provbolaget", start_date=FIRST_DAY)
    warehouse = Warehouse(settings.warehouse_path, TABLES, macros=MACROS)
    company = Company(first_day=FIRST_DAY, last_day=LAST_DAY, invoices_per_day=6)
    days = [FIRST_DAY + dt.timedelta(days=n) for n in range((LAST_DAY - FIRST_DAY).days + 1)]
    with Sandbox(company) as sandbox:
        erp = ErpSettings.load(
            **{
                name.removeprefix("SOFTONE_").lower(): value
                for name, value in DEFAULT.environment(sandbox.base_url).items()
            }
        )
        for run_id in ("first", "second"):
            with SoftOneClient(erp) as client:
                for batch in load_days(client, warehouse, company=settings.company, run_id=run_id, days=days):
                    assert not batch.failed
                if payments:
                    load_payments(client, warehouse, company=settings.company, run_id=run_id, today=LAST_DAY)
            company.advance()
    with warehouse.transaction() as connection:
        refresh_core(connection, settings)
        for table in MART_TABLES:
            table.rebuild(connection)
    publish(warehouse, settings.duckdb_path)
    return settings
