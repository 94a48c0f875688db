"""The files of docs/deployment: read by what reads them, and PostgreSQL as Dagster's storage for real."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator
from dagster_shared.yaml_utils import safe_load_yaml

import softone_pipeline
from softone_pipeline.definitions import build_definitions
from softone_pipeline.orchestration.backfill import run_backfill
from softone_pipeline.settings import ErpSettings, PipelineSettings, variable_name
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


def test_what_compose_and_the_image_name_is_there() -> None:
    compose = safe_load_yaml((FILES / "compose.yaml").read_text("utf-8"))
    root = PACKAGE.parent
    lines = (FILES / "Dockerfile").read_text("utf-8").splitlines()
    copied = next(line.split()[1:-1] for line in lines if line.startswith("COPY softone_pipeline"))
    assert all((root / path).is_file() for path in copied)
    in_image = {Path(path).name for path in copied}
    programs = {script.name for script in entry_points(group="console_scripts")}
    settings = {variable_name(name) for kind in (ErpSettings, PipelineSettings) for name in kind.model_fields}
    asked_for = set(re.findall(r"env: (DAGSTER_PG_\w+)", (FILES / "dagster.yaml").read_text("utf-8")))
    assert len(asked_for) == 5
    for name in ("webserver", "daemon"):
        service = compose["services"][name]
        dockerfile = FILES / service["build"]["context"] / service["build"]["dockerfile"]
        assert dockerfile.resolve() == (FILES / "Dockerfile").resolve()
        program, *arguments = service["command"].split()
        assert program in programs
        assert arguments[arguments.index("-w") + 1] in in_image
        assert asked_for <= set(service["environment"])
        assert set(service["environment"]) - asked_for <= settings
        assert set(service["depends_on"]) <= set(compose["services"])
    database = compose["services"]["postgres"]["environment"]
    pipeline = compose["services"]["daemon"]["environment"]
    for theirs, ours in (("USER", "USERNAME"), ("DB", "DB"), ("PASSWORD", "PASSWORD")):
        assert database[f"POSTGRES_{theirs}"] == pipeline[f"DAGSTER_PG_{ours}"]


def test_the_chart_gives_dagster_the_packaged_settings(tmp_path: Path) -> None:
    values = safe_load_yaml((FILES / "values.yaml").read_text("utf-8"))
    daemon = values["dagsterDaemon"]
    # As the chart's template writes dagster.yaml: without a block of what is off, and the additional last.
    assert daemon["runRetries"] == daemon["runCoordinator"] == {"enabled": False}
    given = {
        "run_monitoring": {_snake(name): value for name, value in daemon["runMonitoring"].items()},
        "python_logs": {_snake(name): value for name, value in values["pythonLogs"].items()},
        "telemetry": values["telemetry"],
        **values["additionalInstanceConfig"],
    }
    packaged = safe_load_yaml((PACKAGE / "orchestration" / "dagster.yaml").read_text("utf-8"))
    for name in ("concurrency", "run_monitoring", "run_retries", "python_logs", "telemetry"):
        assert given[name] == packaged[name], name
    (tmp_path / "dagster.yaml").write_text(json.dumps(given), "utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.global_op_concurrency_default_limit == 1
        assert isinstance(instance.run_coordinator, QueuedRunCoordinator)


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda capital: f"_{capital.group().lower()}", name)


def test_the_charts_deployment_loads_our_definitions_and_names_settings_that_exist() -> None:
    values = safe_load_yaml((FILES / "values.yaml").read_text("utf-8"))
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert deployment["dagsterApiGrpcArgs"] == ["-m", "softone_pipeline.definitions"]
    settings = {variable_name(name) for kind in (ErpSettings, PipelineSettings) for name in kind.model_fields}
    assert {variable["name"] for variable in deployment["env"]} <= settings
    assert {mount["name"] for mount in deployment["volumeMounts"]} == {
        volume["name"] for volume in deployment["volumes"]
    }
    group = str(deployment["podSecurityContext"]["fsGroup"])
    assert f"--uid {group} softone" in (FILES / "Dockerfile").read_text("utf-8")
    run = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["podSpecConfig"]
    assert run["securityContext"] == deployment["podSecurityContext"]


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
