"""Loading as an ordinary morning does it, many times over."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from softone_pipeline.sandbox import DEFAULT, Company, Sandbox
from softone_pipeline.settings import ErpSettings
from softone_pipeline.softone import SoftOneClient
from softone_pipeline.tables import MACROS, TABLES
from softone_pipeline.tables.raw.loading import load_days
from softone_pipeline.warehouse import Warehouse

DAY = dt.date(2026, 3, 2)


def test_many_small_loads_do_not_leave_the_database_in_small_pieces(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "x_pipeline.duckdb", TABLES, macros=MACROS)
    mornings = 12
    with (
        Sandbox(Company(first_day=DAY, last_day=DAY + dt.timedelta(days=mornings), invoices_per_day=4)) as sandbox,
        SoftOneClient(
            ErpSettings.load(
                **{
                    name.removeprefix("SOFTONE_").lower(): value
                    for name, value in DEFAULT.environment(sandbox.base_url).items()
                }
            )
        ) as client,
    ):
        for morning in range(mornings):
            days = [DAY + dt.timedelta(days=morning)]
            for batch in load_days(client, warehouse, company="default", run_id=f"{morning}", days=days):
                assert not batch.failed
    with warehouse.connect() as connection:
        days, row_groups = connection.execute(
            """
            select
                (select count(distinct partition_date) from raw.customer_invoices),
                (select count(distinct row_group_id) from pragma_storage_info('raw.customer_invoices'))
            """
        ).fetchall()[0]
    assert days > mornings / 2
    assert row_groups <= 2
