"""What is measured, each as a process of its own: `python -m softone_pipeline_tests.bench.contender NAME`.

Settings come from the environment like in real life. A contender prints nothing but its own remarks (JSON).
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from softone_pipeline.settings import ErpSettings, PipelineSettings


def _days(first: str, count: str) -> list[dt.date]:
    return [dt.date.fromisoformat(first) + dt.timedelta(days=n) for n in range(int(count))]


def library(days: list[dt.date]) -> None:
    """Everything but Dagster: land, refresh core, rebuild the marts, publish."""
    from softone_pipeline.softone import SoftOneClient
    from softone_pipeline.tables import MACROS, MART_TABLES, TABLES
    from softone_pipeline.tables.core.refresh import refresh_core, set_variables
    from softone_pipeline.tables.raw.loading import load_days
    from softone_pipeline.warehouse import Warehouse, publish

    settings = PipelineSettings.load()
    warehouse = Warehouse(settings.warehouse_path, TABLES, macros=MACROS)
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        seconds[step] = round(time.perf_counter() - started, 3)

    with timed("land"), SoftOneClient(ErpSettings.load()) as client:
        for batch in load_days(client, warehouse, company=settings.company, run_id="bench", days=days):
            if batch.failed:
                raise batch.failed[0]
    with timed("core"), warehouse.transaction() as connection:
        refresh_core(connection, settings)
    with timed("mart"):
        for table in MART_TABLES:
            with warehouse.transaction() as connection:
                set_variables(connection, settings)
                table.rebuild(connection)
    with timed("publish"), warehouse.connect() as connection:
        publish(connection, settings.duckdb_path)
    print(json.dumps(seconds))


def fetch(days: list[dt.date]) -> None:
    """Only fetching, through our client."""
    from softone_pipeline.softone import SoftOneClient, Window

    with SoftOneClient(ErpSettings.load()) as client:
        for window in client.read_windows((day, day) for day in days):
            assert isinstance(window, Window)


if __name__ == "__main__":
    {"library": library, "fetch": fetch}[sys.argv[1]](_days(*sys.argv[2:4]))
