"""The storage that dagster.yaml names: what it writes is what Dagster's own would write, event by event."""

import contextlib
import datetime as dt
import os
import shutil
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import dagster as dg
import pytest
from dagster._core.events.log import EventLogEntry

from softone_pipeline.orchestration.partitions import range_tags
from softone_pipeline.orchestration.storage import BatchingEventLog

DAYS = dg.DailyPartitionsDefinition("2025-01-01", end_date="2025-01-08")
OURS = """
storage:
  custom:
    module: softone_pipeline.orchestration.storage
    class: BatchingSqliteStorage
    config: {base_dir: {env: DAGSTER_HOME}}
"""
_TABLES = {
    "event_logs": "dagster_event_type, run_id, step_key, asset_key, partition",
    "asset_keys": "asset_key, last_run_id, last_materialization is null, asset_details is null",
    "asset_event_tags": "asset_key, key",
}


@dg.asset(
    partitions_def=DAYS,
    check_specs=[dg.AssetCheckSpec("holds", asset="daily")],
)
def daily(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
    for day in context.partition_keys:
        context.add_asset_metadata({"received": int(day[-2:])}, partition_key=day)
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name="holds")])


@dg.asset(deps=[daily])
def derived() -> None: ...


def _make(home: Path, settings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    (home / "dagster.yaml").write_text(settings + "telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))


def _history(home: Path, settings: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[object, ...]]]:
    """What stands in every database after loading a week, and a part of it once more."""
    _make(home, settings, monkeypatch)
    job = dg.Definitions([daily, derived], jobs=[dg.define_asset_job("both")]).resolve_job_def("both")
    with dg.DagsterInstance.get() as instance:
        for number, last_day in enumerate((dt.date(2025, 1, 7), dt.date(2025, 1, 3))):
            tags = range_tags(dt.date(2025, 1, 1), last_day)
            assert job.execute_in_process(instance=instance, tags=tags, run_id=str(UUID(int=number))).success
        assert instance.get_materialized_partitions(daily.key) == set(DAYS.get_partition_keys())
        latest = instance.get_latest_materialization_event(daily.key)
        assert latest is not None
        assert latest.run_id == str(UUID(int=1))
    found = {}
    for file in sorted((home / "history" / "runs").glob("*.db")):
        with contextlib.closing(sqlite3.connect(file)) as connection:
            for table, columns in _TABLES.items():
                found[f"{file.stem} {table}"] = connection.execute(
                    f"select {columns}, count(*) from {table} group by {columns} order by {columns}"
                ).fetchall()
    return found


def test_a_batch_of_events_stands_as_if_dagster_had_written_them_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    theirs = _history(tmp_path / "theirs", "", monkeypatch)
    # Put back by monkeypatch: the storage sets it for its process.
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "3")
    ours = _history(tmp_path / "ours", OURS, monkeypatch)
    assert theirs["index asset_event_tags"]
    assert ours == theirs
    assert "storing event batch" not in capfd.readouterr().err


def test_events_come_in_batches_where_the_storage_is_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "")
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE")
    sizes: list[int] = []
    store = BatchingEventLog.store_event_batch

    def counted(log: BatchingEventLog, events: Sequence[EventLogEntry]) -> None:
        sizes.append(len(events))
        store(log, events)

    monkeypatch.setattr(BatchingEventLog, "store_event_batch", counted)
    _history(tmp_path / "ours", OURS, monkeypatch)
    assert max(sizes) >= len(DAYS.get_partition_keys())


def test_whoever_watches_a_run_is_told_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the UI does, in another process: what is written has to show in the run's own file."""
    _make(tmp_path / "home", OURS, monkeypatch)
    told = threading.Event()

    @dg.op
    def waits(context: dg.OpExecutionContext) -> None:
        context.log.info("look here")
        assert told.wait(30)

    @dg.job
    def job() -> None:
        waits()

    def look(entry: EventLogEntry, cursor: str) -> None:
        if entry.user_message == "look here":
            told.set()

    run_id = str(UUID(int=7))
    with dg.DagsterInstance.get() as instance, dg.DagsterInstance.get() as other:
        other.watch_event_logs(run_id, None, look)
        assert job.execute_in_process(instance=instance, run_id=run_id).success


def test_a_history_that_was_put_in_the_place_of_another_is_the_one_that_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(tmp_path / "home", OURS, monkeypatch)
    history = tmp_path / "home" / "history"

    @dg.asset
    def one() -> None: ...

    with dg.DagsterInstance.get() as instance:
        assert dg.materialize([one], instance=instance).success
        history.rename(tmp_path / "before")
        shutil.copytree(tmp_path / "before", history)
        second = dg.materialize([one], instance=instance)
        assert second.success
    # All that was written has gone into the file itself.
    assert [path.name for path in history.rglob(f"{second.run_id}*")] == [f"{second.run_id}.db"]
    with dg.DagsterInstance.get() as instance:
        assert len(instance.fetch_materializations(one.key, limit=9).records) == 2


def test_few_files_are_kept_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that looks at thousands of runs must not run out of them."""
    _make(tmp_path / "home", OURS, monkeypatch)

    @dg.op
    def nothing() -> None: ...

    @dg.job
    def job() -> None:
        nothing()

    def files() -> int:
        return len([link for link in Path("/proc/self/fd").iterdir() if "history" in os.path.realpath(link)])

    with dg.DagsterInstance.get() as instance:
        counts = []
        for _ in range(8):
            assert job.execute_in_process(instance=instance).success
            counts.append(files())
        assert counts[-1] == counts[4]
        assert counts[-1] <= 12
