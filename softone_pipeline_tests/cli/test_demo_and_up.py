"""softone demo, up and sandbox: a newcomer's first ten minutes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import duckdb
import httpx
import pytest

from softone_pipeline_tests.cli.conftest import Shell


@pytest.fixture
def newcomer(tmp_path: Path) -> Shell:
    """Nothing set at all."""
    return Shell(tmp_path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_demo_shows_tables_history_a_balance_and_a_vat_month(newcomer: Shell) -> None:
    done = newcomer.run("demo", "--days", "30")
    assert done.returncode == 0, done.stderr
    for words in (
        "30 of 30 days stand.",
        "core.invoice_rows",
        "mart.customer_balance",
        "mart.vat_summary",
        "redated",
        "31-60",
        "box 10",
    ):
        assert words in done.stdout
    for words in (
        "Needs a look: core/invoices: ",
        "numbers that are used more than once: 1",
        "Gaps in the invoice numbers: ",
    ):
        assert words in done.stderr
    # Told once, after the second load.
    assert done.stderr.count("Gaps in the invoice numbers: ") == 1
    database = newcomer.folder / "softone-demo" / "data" / "softone.duckdb"
    assert str(Path("softone-demo/data/softone.duckdb")) in done.stdout
    report = Path("softone-demo/data/softone_report_Demobolaget_AB.html")
    assert str(report) in done.stdout
    assert "Kundfordringar" in (newcomer.folder / report).read_text(encoding="utf-8")
    with duckdb.connect(str(database), read_only=True) as connection:
        assert connection.execute("select count(*) > 100 from core.invoices").fetchone() == (True,)
    assert sorted(path.name for path in newcomer.folder.iterdir()) == ["softone-demo"]


def test_the_demo_tells_a_machine_what_came_of_it(newcomer: Shell) -> None:
    done = newcomer.run("demo", "--days", "3", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["succeeded"] is True
    assert [load["days_standing"] for load in told["loads"]] == [3, 3]
    with duckdb.connect(str(newcomer.folder / told["published"]), read_only=True) as connection:
        for table, rows in told["rows"].items():
            assert connection.execute(f"select count(*) from {table}").fetchone() == (rows,)
    assert told["rows"]["core.invoices"] > 0
    assert (newcomer.folder / told["report"]).exists()


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        (".env", "SOFTONE_COMPANY_API_KEY=my-own\n"),
        (".env", "# Made by `softone demo`; the keys open nothing but the sandbox.\nSOFTONE_COMPANY_API_KEY=my-own\n"),
        ("data/softone_pipeline.duckdb", "my own"),
        (".dagster/dagster.yaml", "my own"),
    ],
)
def test_the_demo_leaves_a_folder_alone_that_is_somebodys_own(newcomer: Shell, name: str, holds: str) -> None:
    own = newcomer.folder / name
    own.parent.mkdir(exist_ok=True)
    own.write_text(holds, encoding="utf-8")
    before = sorted(newcomer.folder.rglob("*"))
    done = newcomer.run("demo", "--folder", ".", "--days", "2")
    assert done.returncode == 2
    assert str(newcomer.folder) in done.stderr
    assert "--folder" in done.stderr
    assert own.read_text(encoding="utf-8") == holds
    assert sorted(newcomer.folder.rglob("*")) == before


def test_the_demo_goes_on_in_its_own_folder_and_leaves_other_files_there_alone(newcomer: Shell) -> None:
    notes = newcomer.folder / "notes.txt"
    notes.write_text("mine", encoding="utf-8")
    for _ in range(2):
        done = newcomer.run("demo", "--folder", ".", "--days", "2")
        assert done.returncode == 0, done.stderr
    assert notes.read_text(encoding="utf-8") == "mine"


def _in_session(leader: int) -> list[str]:
    """State, number and command line of what runs in the session that a process leads; those that only wait to be buried do not."""
    listed = subprocess.run(
        ["ps", "-s", str(leader), "-o", "stat=,pid=,args="], capture_output=True, text=True, check=False
    )
    return [line for line in listed.stdout.splitlines() if not line.startswith("Z")]


@pytest.mark.parametrize(
    ("number", "to_all", "status"),
    [(signal.SIGINT, True, 130), (signal.SIGINT, False, 130), (signal.SIGTERM, False, 0)],
    ids=["Ctrl-C", "kill -INT", "kill"],
)
def test_up_serves_the_ui_and_stops_with_all_its_processes_when_told(
    newcomer: Shell, number: signal.Signals, to_all: bool, status: int
) -> None:
    port = _free_port()
    process = newcomer.start("up", "--port", str(port))
    try:
        deadline = time.monotonic() + 90
        answer = None
        while time.monotonic() < deadline and answer is None:
            try:
                found = httpx.post(
                    f"http://127.0.0.1:{port}/graphql",
                    json={
                        "query": "{ repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } } }"
                    },
                    timeout=5,
                    trust_env=False,
                ).json()
                nodes = found["data"]["repositoriesOrError"]["nodes"]
                answer = [node["location"]["name"] for node in nodes] or None
            except (httpx.HTTPError, ValueError):
                time.sleep(0.5)
        assert answer == ["softone_pipeline"]
        assert (newcomer.folder / ".dagster" / "dagster.yaml").exists()
        assert len(_in_session(process.pid)) >= 4
        (os.killpg if to_all else os.kill)(process.pid, number)
        said, _ = process.communicate(timeout=60)
        assert _in_session(process.pid) == []
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == status
    assert f"http://127.0.0.1:{port}" in said
    assert "superseded" not in said
    assert "Traceback" not in said
    assert said.count("Dagster services shut down.") == 1


def test_up_refuses_a_port_that_is_in_use(newcomer: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = newcomer.run("up", "--port", str(port))
    assert done.returncode == 2
    assert f"The UI cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


def test_up_ends_with_an_error_when_the_daemon_has_ended(newcomer: Shell) -> None:
    process = newcomer.start("up", "--port", str(_free_port()))
    try:
        daemon = None
        while daemon is None:
            assert process.poll() is None
            time.sleep(0.5)
            daemon = next((line for line in _in_session(process.pid) if "dagster._daemon" in line), None)
        os.kill(int(daemon.split()[1]), signal.SIGKILL)
        said, _ = process.communicate(timeout=100)
        assert _in_session(process.pid) == []
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 1
    assert "dagster-daemon process shut down unexpectedly" in said


def test_the_sandbox_prints_the_settings_that_reach_it(newcomer: Shell) -> None:
    process = newcomer.start("sandbox", "--port", "0", "--days", "3")
    assert process.stdout is not None
    lines: list[str] = []
    while not (lines and "SOFTONE_LICENSE" in lines[-1]):
        lines.append(process.stdout.readline())
        assert lines[-1], "the sandbox stopped before it had said how to reach it"
    settings = dict(line.strip().removeprefix("export ").split("=", 1) for line in lines if "export" in line)
    newcomer.variables = settings
    assert newcomer.run("check").returncode == 0
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)


def test_an_unknown_fault_is_refused_and_the_known_ones_are_listed(newcomer: Shell) -> None:
    done = newcomer.run("sandbox", "--fault", "earthquake")
    assert done.returncode == 2
    assert "earthquake" in done.stderr
    listed = newcomer.run("sandbox", "--fault", "list")
    assert listed.returncode == 0
    assert "rate-limit" in listed.stdout
