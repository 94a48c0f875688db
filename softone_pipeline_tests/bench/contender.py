"""What is measured of ours, each as a process of its own: `python -m softone_pipeline_tests.bench.contender NAME DAYS`.

Settings come from the environment like in real life. A contender prints nothing but its own remarks (JSON).
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Sequence

from softone_pipeline.settings import ErpSettings, PipelineSettings
from softone_pipeline.softone import SoftOneClient, Window
from softone_pipeline.tables import MART_TABLES
from softone_pipeline.tables.core.refresh import refresh_core
from softone_pipeline.tables.raw.loading import load_days
from softone_pipeline.tables.rebuild import warehouse_of
from softone_pipeline.warehouse import publish
from softone_pipeline_tests.bench.data import first_days

LOOKBACK_DAYS = 60
_LOOKBACKS = 5


class Library:
    """The pipeline without Dagster. Notes the seconds of each step."""

    def __init__(self) -> None:
        self.settings = PipelineSettings.load()
        self.warehouse = warehouse_of(self.settings)
        self.requests = 0
        self.seconds: dict[str, float] = {}

    def load(self, days: Sequence[dt.date]) -> None:
        """Everything that a run of the job `refresh` does to the days' invoices."""
        self.land(days)
        self.core()
        self.marts()
        self.publish()

    def land(self, days: Sequence[dt.date]) -> None:
        started = time.perf_counter()
        with SoftOneClient(ErpSettings.load()) as client:
            for batch in load_days(client, self.warehouse, company=self.settings.company, run_id="bench", days=days):
                if batch.failed:
                    raise batch.failed[0]
            self.requests = client.traffic.requests
        self._note("land", started)

    def core(self) -> None:
        started = time.perf_counter()
        with self.warehouse.transaction() as connection:
            refresh_core(connection, self.settings)
        self._note("core", started)

    def marts(self) -> None:
        began = time.perf_counter()
        for table in MART_TABLES:
            started = time.perf_counter()
            with self.warehouse.transaction() as connection:
                table.rebuild(connection)
            self._note(table.qualified_name, started)
        self._note("mart", began)

    def publish(self) -> None:
        started = time.perf_counter()
        publish(self.warehouse, self.settings.duckdb_path)
        self._note("publish", started)

    def _note(self, step: str, started: float) -> None:
        self.seconds[step] = round(time.perf_counter() - started, 3)


def library(days: Sequence[dt.date]) -> dict[str, float]:
    """Everything but Dagster: land, refresh core, rebuild the marts, publish."""
    ours = Library()
    ours.load(days)
    return {**ours.seconds, "requests": ours.requests}


def fetch(days: Sequence[dt.date]) -> dict[str, float]:
    """Only fetching, through our client."""
    started = time.perf_counter()
    with SoftOneClient(ErpSettings.load()) as client:
        for window in client.read_windows((day, day) for day in days):
            assert isinstance(window, Window)
    return {"fetch": round(time.perf_counter() - started, 3), "requests": client.traffic.requests}


def look_back(days: Sequence[dt.date]) -> dict[str, float]:
    """After a load: the last days, unchanged, a few times over, each beside fetching those days alone."""
    ours = Library()
    ours.load(days)
    recent = days[-LOOKBACK_DAYS:]
    again: list[float] = []
    alone: list[float] = []
    sizes = [ours.settings.warehouse_path.stat().st_size]
    for _ in range(_LOOKBACKS):
        for work, took in ((ours.load, again), (fetch, alone)):
            started = time.perf_counter()
            work(recent)
            took.append(time.perf_counter() - started)
        sizes.append(ours.settings.warehouse_path.stat().st_size)
    middle = _LOOKBACKS // 2
    return {
        **{f"again: {step}": seconds for step, seconds in ours.seconds.items()},
        "again": round(sorted(again)[middle], 3),
        "fetch": round(sorted(alone)[middle], 3),
        **{f"file MB {number}": round(size / 1e6, 2) for number, size in enumerate(sizes)},
        "grown MB": round((sizes[-1] - sizes[0]) / 1e6, 2),
    }


def day(days: Sequence[dt.date]) -> dict[str, float]:
    """All days but the last, then that one day: what a refresh costs when much stands already."""
    ours = Library()
    ours.load(days[:-1])
    whole = {f"whole {step}": seconds for step, seconds in ours.seconds.items()}
    ours.load(days[-1:])
    return {**whole, **{f"day {step}": seconds for step, seconds in ours.seconds.items()}}


_CONTENDERS = {"library": library, "fetch": fetch, "lookback": look_back, "day": day}

if __name__ == "__main__":
    name, count = sys.argv[1:]
    print(json.dumps(_CONTENDERS[name](first_days(int(count)))))
