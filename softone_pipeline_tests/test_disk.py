"""A disk that fills up and folders that may not be written: a clear error, nothing damaged, and the next run finishes.

"Full" is a limit on how large a file may become (RLIMIT_FSIZE), which every system has and no rights are needed for:
the write fails in the kernel like on a full disk. "Unwritable" is a folder without write permission, seen by a process
that has given up root's right to ignore it.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from softone_pipeline.sandbox import Company, Sandbox
from softone_pipeline_tests.scenarios.truth import Truth, state

FIRST_DAY = dt.date(2025, 3, 24)
DAYS = 4
LAST_DAY = FIRST_DAY + dt.timedelta(days=DAYS - 1)

# Python ignores SIGXFSZ, so that a write beyond the limit is an error (EFBIG) and no signal.
_FULL = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)"
# PR_CAPBSET_DROP of CAP_DAC_OVERRIDE; who is not root has no such right and no need to drop it.
_UNPRIVILEGED = "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)"
_THEN = "; os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"

SOFTONE = ("-m", "softone_pipeline")
# What a run does, without Dagster's seconds.
LOAD = (
    "-c",
    "import datetime as dt; from softone_pipeline_tests.bench.contender import Library\n"
    f"Library().load([dt.date.fromisoformat('{FIRST_DAY}') + dt.timedelta(days=n) for n in range({DAYS})])",
)
BACKFILL = (*SOFTONE, "backfill", "--from", f"{FIRST_DAY}", "--to", f"{LAST_DAY}")
PUBLISH = (
    "-c",
    "from softone_pipeline.settings import PipelineSettings as s; from softone_pipeline.tables import rebuild as r;"
    "from softone_pipeline.warehouse import publish\n"
    "publish(r.warehouse_of(s.load()), s.load().duckdb_path)",
)


@dataclass
class Site:
    """A loaded pipeline in a folder, and an ERP that has changed since."""

    folder: Path
    variables: dict[str, str]
    truth: Truth = field(repr=False)
    before: list[Any] = field(default_factory=list, repr=False)

    @property
    def published(self) -> Path:
        return self.folder / "softone.duckdb"

    @property
    def own(self) -> Path:
        return self.folder / "softone_pipeline.duckdb"

    def run(self, *command: str, full_at: int | None = None) -> subprocess.CompletedProcess[str]:
        """A command in the folder; with `full_at` no file can become larger than that many bytes."""
        start = ("-c", _FULL + _THEN, str(full_at)) if full_at is not None else ("-c", _UNPRIVILEGED + _THEN, "-")
        return subprocess.run(
            [sys.executable, *start, *command],
            cwd=self.folder,
            # A compiled module that was cut short by the limit would stop every later process.
            env=os.environ | self.variables | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )

    def copy_to(self, folder: Path) -> Site:
        """The same in a folder of the test's own."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Site(folder, self.variables | places(folder), self.truth, self.before)

    def left_over(self) -> set[str]:
        """Temporary files that lie about."""
        known = {self.published.name, self.own.name, f"{self.own.name}.wal", "home", "softone_handed_over.jsonl"}
        return {path.name for path in self.folder.iterdir()} - known


def places(folder: Path) -> dict[str, str]:
    return {"SOFTONE_DUCKDB_PATH": str(folder / "softone.duckdb"), "DAGSTER_HOME": str(folder / "home")}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    company = Company(seed=11, first_day=FIRST_DAY, last_day=LAST_DAY, invoices_per_day=60, include_example=False)
    with Sandbox(company, faults=("search-missing",)) as sandbox:
        variables = (
            sandbox.environment()
            | places(folder)
            | {
                "SOFTONE_START_DATE": FIRST_DAY.isoformat(),
                "DAGSTER_DISABLE_TELEMETRY": "yes",
                "COLUMNS": "300",
            }
        )
        site = Site(folder, variables, Truth(company, sandbox))
        done = site.run(*LOAD)
        assert done.returncode == 0, done.stderr
        assert site.truth.wrong(site.published) == []
        site.before = state(site.published)
        company.advance()
        yield site


@pytest.fixture
def site(loaded: Site, tmp_path: Path) -> Site:
    return loaded.copy_to(tmp_path)


def assert_unharmed_and_finished_by_the_next_run(site: Site) -> None:
    """The published file is the earlier state, the pipeline's own opens, and the next run ends in the oracle's tables."""
    assert state(site.published) == site.before
    with duckdb.connect(str(site.own)) as connection:
        connection.execute("from core.invoices").fetchall()
    again = site.run(*LOAD)
    assert again.returncode == 0, again.stderr
    assert site.truth.wrong(site.published) == []
    assert not site.left_over()


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95])
def test_a_disk_that_fills_up_while_days_are_loaded(site: Site, share: float) -> None:
    failed = site.run(*LOAD, full_at=int(site.own.stat().st_size * share))
    assert failed.returncode == 1
    assert "WarehouseAccessError" in failed.stderr
    assert f"{site.folder}/softone" in failed.stderr.splitlines()[-1]
    assert "File too large. Free some space" in failed.stderr.splitlines()[-1]
    assert_unharmed_and_finished_by_the_next_run(site)


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        (30_000, "Error: A file could not be written, here or in DAGSTER_HOME: "),
        # Dagster's own files are smaller than that, ours larger.
        (400_000, "softone_pipeline.duckdb could not be written: File too large. "),
    ],
)
def test_a_first_backfill_on_a_full_disk_says_so(loaded: Site, tmp_path: Path, limit: int, says: str) -> None:
    truth = Truth(loaded.truth.company, loaded.truth.sandbox)
    site = Site(tmp_path, loaded.variables | places(tmp_path), truth)
    failed = site.run(*BACKFILL, full_at=limit)
    assert failed.returncode == 1, failed.stderr
    assert says in failed.stderr
    assert "Free some space (or raise the quota), and run the same again." in failed.stderr
    assert not site.published.exists()
    again = site.run(*LOAD)
    assert again.returncode == 0, again.stderr
    assert site.truth.wrong(site.published) == []


@pytest.mark.parametrize("share", [0.02, 0.6])
def test_a_disk_that_fills_up_while_the_copy_is_published(site: Site, share: float) -> None:
    failed = site.run(*PUBLISH, full_at=int(site.published.stat().st_size * share))
    assert failed.returncode == 1
    assert f"could not be published to {site.published}: File too large. Free some space" in failed.stderr
    assert not site.left_over()
    assert_unharmed_and_finished_by_the_next_run(site)


@pytest.mark.parametrize("limit", [100_000, 1_000_000])
def test_a_disk_that_fills_up_while_a_backup_is_made(site: Site, limit: int) -> None:
    failed = site.run(*SOFTONE, "backup", "kept.zip", full_at=limit)
    assert failed.returncode == 1
    assert "The backup could not be written to kept.zip: File too large. Free some space" in failed.stderr
    assert not site.left_over()
    assert site.run(*SOFTONE, "backup", "kept.zip").returncode == 0
    (site.folder / "kept.zip").unlink()
    assert_unharmed_and_finished_by_the_next_run(site)


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.xlsx"])
def test_a_disk_that_fills_up_while_a_table_is_exported(site: Site, name: str) -> None:
    target = site.folder / name
    target.write_text("what stood there")
    failed = site.run(*SOFTONE, "export", "core.invoice_rows", "--to", name, "--force", full_at=8_000)
    assert failed.returncode == 1
    assert f"Error: {name} cannot be written: File too large. Free some space" in failed.stderr
    assert target.read_text() == "what stood there"
    assert site.left_over() == {name}
    done = site.run(*SOFTONE, "export", "core.invoice_rows", "--to", name, "--force")
    assert done.returncode == 0, done.stderr


def test_a_disk_that_fills_up_while_the_report_is_written(site: Site) -> None:
    failed = site.run(*SOFTONE, "report", full_at=8_000)
    assert failed.returncode == 1
    assert "softone_report.html cannot be written: File too large. Free some space" in failed.stderr
    assert not site.left_over()
    assert site.run(*SOFTONE, "report").returncode == 0


@pytest.mark.parametrize("command", [(*SOFTONE, "check"), BACKFILL])
@pytest.mark.parametrize("variable", ["SOFTONE_DUCKDB_PATH", "DAGSTER_HOME"])
def test_a_folder_that_may_not_be_written_is_named_with_the_setting_that_chooses_it(
    site: Site, command: tuple[str, ...], variable: str
) -> None:
    locked = site.folder / "locked"
    locked.mkdir(mode=0o555)
    site.variables[variable] = str(locked / ("x.duckdb" if variable.startswith("SOFTONE") else "home"))
    failed = site.run(*command)
    assert failed.returncode == 1
    assert re.search(rf"{locked}\S* cannot be written: Permission denied\. Give this user the right", failed.stderr)
    assert f"{variable} says where" in failed.stderr
    assert not list(locked.iterdir())
