"""The files of docs/deployment: read by what reads them, and PostgreSQL as Dagster's storage for real."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster_shared.yaml_utils import safe_load_yaml

import softone_pipeline
from softone_pipeline.definitions import build_definitions
from softone_pipeline.orchestration.backfill import run_backfill
from softone_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, RAW, Plant, days_between, known, truth

PACKAGE = Path(softone_pipeline.__file__).parent
FILES = PACKAGE / "docs" / "deployment"
POSTGRES_BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


def test_the_settings_for_postgresql_are_the_packaged_ones_and_the_storage() -> None:
    packaged = (PACKAGE / "orchestration" / "dagster.yaml").read_text("utf-8")
    _, _, body = packaged.partition("\n\n")
    here = (FILES / "dagster.yaml").read_text("utf-8")
    assert here.endswith("\n\n" + body)
    ours, theirs = safe_load_yaml(here), safe_load_yaml(packaged)
    assert ours.pop("storage").keys() == {"postgres"}
    assert theirs.pop("storage").keys() == {"custom"}
    assert ours == theirs


@pytest.mark.parametrize("name", ["compose.yaml", "values.yaml"])
def test_no_secret_stands_in_a_file_and_every_volume_is_declared(name: str) -> None:
    content = safe_load_yaml((FILES / name).read_text("utf-8"))
    text = str(content)
    for key in ("API_KEY", "SOFTONE_PASSWORD", "SOFTONE_TOKEN"):
        assert key not in text
    if name == "compose.yaml":
        used = {mount.partition(":")[0] for service in content["services"].values() for mount in service["volumes"]}
        assert used == set(content["volumes"])
        assert content["services"]["webserver"]["ports"] == ["127.0.0.1:3000:3000"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", ["softone-webserver.service", "softone-daemon.service"])
def test_systemd_finds_nothing_wrong_with_the_units(unit: str, tmp_path: Path) -> None:
    # The program is not installed at its place here, and its absence is all that may be said.
    text = (FILES / unit).read_text("utf-8").replace("/opt/softone/venv/bin/", f"{tmp_path}/")
    for program in ("dagster-webserver", "dagster-daemon"):
        (tmp_path / program).write_text("#!/bin/sh\n", "utf-8")
        (tmp_path / program).chmod(0o755)
    copy = tmp_path / unit
    copy.write_text(text, "utf-8")
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    said = [line for line in (checked.stdout + checked.stderr).splitlines() if unit in line]
    assert said == []
    assert "EnvironmentFile=" in text
    assert "NoNewPrivileges=yes" in text


@pytest.fixture
def postgres(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """PostgreSQL on a free port of this machine, run by a user who is not root, named in Dagster's variables."""
    if POSTGRES_BIN is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        if os.getuid() == 0:
            shutil.chown(folder, user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]

        def pg(program: str, *arguments: str) -> None:
            subprocess.run(
                [str(POSTGRES_BIN / program), *arguments],
                user=user if os.getuid() == 0 else None,
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=True,
            )

        password = Path(folder, "password")
        password.write_text("pg-password-of-the-test\n", "utf-8")
        if os.getuid() == 0:
            shutil.chown(password, user)
        data = f"{folder}/data"
        pg("initdb", "-D", data, "-U", "dagster", "-A", "scram-sha-256", f"--pwfile={password}", "-N", "-E", "UTF8")
        listen = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
        pg("pg_ctl", "-D", data, "-w", "-o", listen, "-l", f"{folder}/log", "start")
        try:
            for name, value in {
                "HOST": "127.0.0.1",
                "PORT": str(port),
                "DB": "postgres",
                "USERNAME": "dagster",
                "PASSWORD": "pg-password-of-the-test",
            }.items():
                monkeypatch.setenv(f"DAGSTER_PG_{name}", value)
            yield
        finally:
            pg("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def test_a_backfill_with_its_history_in_postgresql(plant: Plant, postgres: None, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(FILES / "dagster.yaml", home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        outcome = run_backfill(build_definitions(), instance, plant.settings.warehouse_path, FIRST_DAY, LAST_DAY)
        assert outcome.succeeded, outcome.failures
        run_ids = set(outcome.run_ids)
    with dg.DagsterInstance.from_config(str(home)) as again:
        assert "Postgres" in type(again.run_storage).__name__
        assert {run.run_id for run in again.get_runs()} == run_ids
        assert again.get_materialized_partitions(RAW) == {str(day) for day in days_between(FIRST_DAY, LAST_DAY)}
        assert again.global_op_concurrency_default_limit == 1
    assert known(plant.settings.duckdb_path) == truth(plant.company)
    assert not list(home.rglob("*.db"))
