"""Runs that are stopped, or killed without a word: nothing waits for them, and what they did not do is done by the next."""

from __future__ import annotations

import datetime as dt
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from softone_pipeline.definitions import build_definitions
from softone_pipeline.orchestration.instance import instance as instance_of_home
from softone_pipeline.orchestration.lost_runs import fail_lost_runs, sign_of_life
from softone_pipeline.sandbox import Company, Sandbox
from softone_pipeline_tests.orchestration.conftest import (
    BEHIND_RAW,
    FIRST_DAY,
    LAST_DAY,
    RAW,
    Plant,
    days_between,
    known,
    truth,
)
from softone_pipeline_tests.orchestration.gate import Gate
from softone_pipeline_tests.orchestration.server import Server
from softone_pipeline_tests.orchestration.test_automation import Sensor
from softone_pipeline_tests.scenarios.truth import Truth

SLOW = "slow:0.4,rate=1"
NO_SEARCH = "search-missing"


@dataclass
class Shell:
    """`softone backfill` as a process of its own, on the plant's ERP and files."""

    plant: Plant
    folder: Path

    @contextmanager
    def backfill(self, last_day: dt.date = LAST_DAY) -> Iterator[subprocess.Popen[str]]:
        """One that is in the middle of fetching."""
        asked = self.plant.requests()
        process = subprocess.Popen(
            [sys.executable, "-m", "softone_pipeline", "backfill", "--from", str(FIRST_DAY), "--to", str(last_day)],
            cwd=self.folder,
            env=os.environ | {"COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while self.plant.requests() - asked < 4:
            assert process.poll() is None
            time.sleep(0.02)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def shell(open_plant: Callable[..., Plant], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Shell]:
    plant = open_plant(faults=[SLOW])
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SOFTONE_DUCKDB_PATH", str(tmp_path / "softone.duckdb"))
    monkeypatch.setenv("SOFTONE_MAX_CONNECTIONS", "1")
    with instance_of_home() as plant.instance:
        yield Shell(plant, tmp_path)


def tick(plant: Plant) -> str:
    """What the sensor fail_lost_runs says."""
    sensor = build_definitions().get_repository_def().get_sensor_def("fail_lost_runs")
    said = sensor(dg.build_sensor_context(instance=plant.instance))
    assert isinstance(said, dg.SkipReason)
    return str(said.skip_message)


def test_a_killed_backfill_is_marked_as_failed_and_the_tables_behind_raw_are_refreshed_again(shell: Shell) -> None:
    plant = shell.plant
    automation = Sensor(plant)
    assert automation.tick() == set()
    with shell.backfill() as process:
        assert tick(plant) == "No run is lost."
        process.kill()
    (killed,) = plant.instance.get_runs()
    assert killed.status is dg.DagsterRunStatus.STARTED
    plant.sandbox.switch([])
    assert automation.run({RAW}, FIRST_DAY)
    # What this is all about: the days of the killed run are under way, for ever.
    assert automation.tick() == set()
    assert tick(plant) == f"Marked as failed: {killed.run_id}."
    after = plant.instance.get_run_by_id(killed.run_id)
    assert after is not None
    assert after.status is dg.DagsterRunStatus.FAILURE
    assert automation.tick() == BEHIND_RAW
    assert tick(plant) == "No run is lost."


def test_the_next_backfill_marks_the_killed_one_and_says_so(shell: Shell) -> None:
    with shell.backfill() as process:
        process.kill()
    (killed,) = shell.plant.instance.get_runs()
    shell.plant.sandbox.switch([])
    with shell.backfill() as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert f"Run {killed.run_id} is marked as failed: its process is gone." in said
    statuses = sorted(run.status.value for run in shell.plant.instance.get_runs())
    assert statuses == ["FAILURE", "SUCCESS", "SUCCESS"]
    assert not [path for path in shell.folder.iterdir() if "run-" in path.name]


def test_ctrl_c_leaves_recorded_what_stands_and_the_tables_follow(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = shell.plant
    monkeypatch.setenv("SOFTONE_MAX_CONNECTIONS", "4")
    plant.sandbox.switch(["slow:0.1,rate=1"])
    automation = Sensor(plant)
    assert automation.tick() == set()
    days = days_between(FIRST_DAY, FIRST_DAY + dt.timedelta(days=50))
    with shell.backfill(days[-1]) as process:
        assert process.stdout is not None
        while "received" not in (line := process.stdout.readline()):
            assert line, "the first batch never stood"
        plant.sandbox.switch(["slow:60,rate=1"])
        process.send_signal(signal.SIGINT)
        # Sooner than the answers come that are under way.
        said, _ = process.communicate(timeout=45)
    assert process.returncode == 130, said
    stand = {day for (day,) in plant.pipelines_own("select partition_date from raw.fetched_days")}
    assert plant.materialized_days() == stand
    assert stand >= set(days[:31])
    assert stand < set(days)
    # The tables are behind until the sensor looks.
    assert not plant.settings.duckdb_path.exists()
    assert automation.tick() == BEHIND_RAW
    plant.sandbox.switch([])
    assert automation.run(BEHIND_RAW)
    assert known(plant.settings.duckdb_path) == truth(plant.company)
    with shell.backfill(days[-1]) as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert plant.materialized_days() == set(days)


_HOLD = """
import sys
from pathlib import Path
from softone_pipeline.orchestration.lost_runs import sign_of_life
with sign_of_life(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    input()
"""


def test_a_run_is_lost_when_its_last_process_is_and_only_for_the_instance_that_knows_it(plant: Plant) -> None:
    warehouse = plant.settings.warehouse_path
    run = plant.instance.create_run_for_job(build_definitions().resolve_job_def("refresh"))
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(warehouse), run.run_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with sign_of_life(warehouse, run.run_id):
        holder.kill()
        holder.communicate()
        assert fail_lost_runs(plant.instance, warehouse) == []
    with dg.DagsterInstance.ephemeral() as other:
        assert fail_lost_runs(other, warehouse) == []
    assert fail_lost_runs(plant.instance, warehouse) == [run.run_id]
    assert fail_lost_runs(plant.instance, warehouse) == []


def test_a_run_goes_on_where_no_sign_of_life_can_be_left(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    with sign_of_life(tmp_path / "data" / "softone_pipeline.duckdb", "run"):
        pass
    assert (tmp_path / "data").read_text() == "in the way"


def _worker(server: Server, run_id: str) -> int | None:
    """The process of a run, as the run's own log tells it."""
    said = " ".join(event.get("message") or "" for event in server.log(run_id))
    found = re.search(r"Started process for run \(pid: (\d+)\)", said)
    return int(found[1]) if found else None


@pytest.mark.timeout(420)
def test_runs_of_the_ui_whose_process_or_whole_server_is_killed_hold_nobody_up(tmp_path: Path) -> None:
    days = days_between(FIRST_DAY, LAST_DAY)
    company = Company(first_day=FIRST_DAY, last_day=LAST_DAY, invoices_per_day=5)
    with Sandbox(company, faults=("slow:2,rate=1", NO_SEARCH)) as sandbox:
        truth = Truth(company, sandbox)
        variables = sandbox.environment() | {
            "SOFTONE_START_DATE": FIRST_DAY.isoformat(),
            "SOFTONE_DUCKDB_PATH": str(tmp_path / "softone.duckdb"),
            "SOFTONE_MAX_CONNECTIONS": "1",
        }

        def is_fetching(server: Server, run_id: str) -> None:
            asked = len(sandbox.log)
            server.until(
                "the run fetches",
                lambda: server.run(run_id).status == "STARTED" and len(sandbox.log) > asked + 1,
                timeout=90,
            )

        def is_failed_and_will_be_repeated(server: Server, run_id: str) -> bool:
            run = server.run(run_id)
            assert run.status in {"STARTED", "FAILURE"}
            # The daemon looks once a minute.
            return run.status == "FAILURE" and run.tags.get("dagster/will_retry") == "true"

        with Server(tmp_path, variables) as server:
            first, second = (server.launch_range(days[0], days[-1]) for _ in range(2))
            is_fetching(server, first)
            assert server.run(second).status == "QUEUED"
            worker = server.until("the run tells its process", lambda: _worker(server, first), timeout=30)
            os.kill(worker, signal.SIGKILL)
            server.until("its code server tells", lambda: is_failed_and_will_be_repeated(server, first), timeout=60)
            # Its place is free.
            is_fetching(server, second)
            server.kill()
        sandbox.switch([NO_SEARCH])
        done = subprocess.run(
            [sys.executable, "-m", "softone_pipeline", "backfill", "--from", str(FIRST_DAY), "--to", str(LAST_DAY)],
            cwd=tmp_path,
            env=os.environ | variables | {"DAGSTER_HOME": str(server.home), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert f"Run {second} is marked as failed: its process is gone." in done.stderr
        assert truth.wrong(tmp_path / "softone.duckdb") == []


@pytest.mark.timeout(300)
def test_a_run_that_is_cancelled_in_the_ui_leaves_recorded_what_stands_and_goes_on_from_there(tmp_path: Path) -> None:
    days = days_between(FIRST_DAY, FIRST_DAY + dt.timedelta(days=50))
    company = Company(first_day=FIRST_DAY, last_day=LAST_DAY, invoices_per_day=5)
    with Sandbox(company, faults=("slow:0.3,rate=1", NO_SEARCH)) as sandbox, Gate(sandbox.base_url) as gate:
        truth = Truth(company, sandbox)
        variables = sandbox.environment() | {
            "SOFTONE_BASE_URL": gate.url,
            "SOFTONE_START_DATE": FIRST_DAY.isoformat(),
            "SOFTONE_DUCKDB_PATH": str(tmp_path / "softone.duckdb"),
        }
        with Server(tmp_path, variables) as server:

            def stands(run_id: str) -> bool:
                return any("received" in (event.get("message") or "") for event in server.log(run_id))

            def recorded(run_id: str) -> set[str | None]:
                return server.materialized(run_id).get("raw/customer_invoices", set())

            first = server.launch_range(days[0], days[-1])
            server.until("the first batch stands", lambda: stands(first), timeout=120)
            server.terminate(first)
            assert server.wait_for(first).status == "CANCELED"
            assert recorded(first) >= {day.isoformat() for day in days[:31]}
            sandbox.switch([NO_SEARCH])
            gate.asked.clear()
            assert server.wait_for(server.repeat(first)).status == "SUCCESS"
            # The ERP is asked what it can do, besides.
            asked = set(gate.asked) & set(days)
            assert {day.isoformat() for day in asked} == {day.isoformat() for day in days} - recorded(first)
            assert truth.wrong(tmp_path / "softone.duckdb") == []
            gate.asked.clear()
            assert server.wait_for(server.repeat(first, all_steps=True)).status == "SUCCESS"
            assert set(gate.asked) >= set(days)
