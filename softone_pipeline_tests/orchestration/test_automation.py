"""When the sensor refreshes what lies behind raw: judged on real runs, tick by tick."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import dagster as dg
import pytest

from softone_pipeline.definitions import build_definitions
from softone_pipeline.orchestration.partitions import range_tags
from softone_pipeline_tests.orchestration.conftest import (
    BALANCE,
    BEHIND_RAW,
    DERIVED,
    FIRST_DAY,
    LAST_DAY,
    PAYMENTS,
    PUBLISHED,
    RAW,
    Plant,
    known,
    truth,
)

SECOND_DAY = FIRST_DAY + dt.timedelta(days=1)


class Sensor:
    """keep_derived_tables_fresh, ticked by hand."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.definitions = build_definitions()
        self._cursor: dg.AssetDaemonCursor | None = None

    def tick(self, *, later: dt.timedelta = dt.timedelta()) -> set[dg.AssetKey]:
        """The assets that it asks for now, or some time later."""
        result = dg.evaluate_automation_conditions(
            defs=self.definitions,
            instance=self.plant.instance,
            cursor=self._cursor,
            evaluation_time=dt.datetime.now(dt.UTC) + later,
            asset_selection=dg.AssetSelection.assets(*BEHIND_RAW),
        )
        self._cursor = result.cursor
        return {key for key in BEHIND_RAW if result.get_num_requested(key)}

    def run(
        self, keys: Collection[dg.AssetKey] | None, first_day: dt.date | None = None, last_day: dt.date | None = None
    ) -> bool:
        """A run of the job over some assets (None: all), and over days if raw is among them."""
        return (
            self.definitions.resolve_job_def("refresh")
            .execute_in_process(
                instance=self.plant.instance,
                asset_selection=sorted(keys) if keys else None,
                tags=range_tags(first_day, last_day or first_day) if first_day else None,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )
            .success
        )


@pytest.fixture
def sensor(plant: Plant) -> Sensor:
    return Sensor(plant)


def test_new_days_in_raw_are_passed_on_once(sensor: Sensor, plant: Plant) -> None:
    assert sensor.tick() == set()
    assert sensor.run({RAW}, FIRST_DAY, LAST_DAY)
    assert sensor.tick() == BEHIND_RAW
    assert sensor.run(BEHIND_RAW)
    assert sensor.tick() == set()
    assert sensor.tick() == set()
    assert known(plant.settings.duckdb_path) == truth(plant.company)


def test_days_that_were_loaded_before_the_sensor_looked_for_the_first_time_are_passed_on(sensor: Sensor) -> None:
    assert sensor.run({RAW}, FIRST_DAY)
    assert sensor.tick() == BEHIND_RAW


def test_a_full_run_needs_no_other(sensor: Sensor) -> None:
    assert sensor.tick() == set()
    assert sensor.run(None, FIRST_DAY, LAST_DAY)
    assert sensor.tick() == set()
    assert sensor.tick() == set()


def test_a_load_right_after_a_full_run_is_passed_on_though_no_tick_came_between(sensor: Sensor) -> None:
    assert sensor.tick() == set()
    assert sensor.run(None, FIRST_DAY, LAST_DAY)
    assert sensor.run({RAW}, FIRST_DAY)
    assert sensor.tick() == DERIVED


def test_days_loaded_one_by_one_are_followed_by_one_search_for_payments_an_hour(sensor: Sensor) -> None:
    assert sensor.tick() == set()
    assert sensor.run(None, FIRST_DAY, LAST_DAY)
    assert sensor.tick() == set()
    for day in (FIRST_DAY, SECOND_DAY):
        assert sensor.run({RAW}, day)
        assert sensor.tick() == DERIVED
        assert sensor.run(DERIVED)
        assert sensor.tick() == set()
    assert sensor.tick(later=dt.timedelta(hours=1)) == {PAYMENTS, BALANCE, *PUBLISHED}


def test_the_days_that_stand_of_a_full_run_that_failed_are_passed_on(sensor: Sensor, plant: Plant) -> None:
    assert sensor.run(None, FIRST_DAY, LAST_DAY)
    assert sensor.tick() == set()
    plant.gate.broken.add(SECOND_DAY)
    assert not sensor.run(None, FIRST_DAY, LAST_DAY)
    assert sensor.tick() == BEHIND_RAW


def test_a_refresh_that_fails_is_asked_for_again_only_when_there_is_something_new(
    sensor: Sensor, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sensor.tick() == set()
    assert sensor.run({RAW}, FIRST_DAY)
    assert sensor.tick() == BEHIND_RAW
    warehouse = plant.settings.warehouse_path
    warehouse.rename(warehouse.with_suffix(".away"))
    warehouse.mkdir()
    assert not sensor.run(BEHIND_RAW)
    assert [sensor.tick() for _ in range(4)] == [set()] * 4
    warehouse.rmdir()
    warehouse.with_suffix(".away").rename(warehouse)
    assert sensor.run({RAW}, SECOND_DAY)
    assert sensor.tick() == BEHIND_RAW
    assert sensor.run(BEHIND_RAW)
    assert sensor.tick() == set()


def test_core_made_by_hand_is_passed_on_to_what_reads_it(sensor: Sensor) -> None:
    assert sensor.run(None, FIRST_DAY, LAST_DAY)
    assert sensor.tick() == set()
    core = {dg.AssetKey(["core", "invoices"]), dg.AssetKey(["core", "invoice_rows"])}
    assert sensor.run(core)
    assert sensor.tick() == DERIVED - core
