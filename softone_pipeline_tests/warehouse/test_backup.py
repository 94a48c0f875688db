"""Backups: whole while others write, believed only when every byte is right, and never in the way of newer data."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest

from softone_pipeline.errors import BackupRefusedError
from softone_pipeline.settings import PipelineSettings
from softone_pipeline.tables.rebuild import rebuild_derived
from softone_pipeline.warehouse import SCHEMA_VERSION, Warehouse, back_up, read_manifest, restore, wal
from softone_pipeline_tests.warehouse.test_migrations import _HISTORY, _version_1


def _fetch(warehouse: Warehouse, day: int) -> None:
    with warehouse.transaction() as connection:
        connection.execute(
            "insert into raw.fetched_days values ('default', ?::date, ?::timestamptz, 0, true, false, 'run')",
            [f"2026-03-{day:02}", f"2026-03-{day:02} 06:00+01"],
        )


def _days(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    with warehouse.connect() as connection:
        return connection.execute("select day(partition_date) from raw.fetched_days order by all").fetchall()


@pytest.fixture
def source(warehouse: Warehouse, tmp_path: Path) -> Path:
    _fetch(warehouse, 1)
    back_up(warehouse, tmp_path / "kept" / "it.zip")
    return tmp_path / "kept" / "it.zip"


def test_a_backup_brings_back_what_was_lost(warehouse: Warehouse, source: Path) -> None:
    manifest = read_manifest(source)
    assert (manifest.schema_version, manifest.rows["raw.fetched_days"]) == (SCHEMA_VERSION, 1)
    assert stat.S_IMODE(source.stat().st_mode) == 0o600
    assert [path.name for path in source.parent.iterdir()] == ["it.zip"]
    warehouse.path.unlink()
    assert restore(warehouse, source).replaced is None
    assert _days(warehouse) == [(1,)]
    assert stat.S_IMODE(warehouse.path.stat().st_mode) == 0o600


def test_a_newer_database_is_replaced_only_by_force_and_kept(warehouse: Warehouse, source: Path) -> None:
    _fetch(warehouse, 2)
    with pytest.raises(BackupRefusedError, match="newer than the backup"):
        restore(warehouse, source)
    assert _days(warehouse) == [(1,), (2,)]
    replaced = restore(warehouse, source, force=True).replaced
    assert _days(warehouse) == [(1,)]
    assert replaced is not None
    with duckdb.connect(str(replaced), read_only=True) as connection:
        assert connection.execute("select count(*) from raw.fetched_days").fetchall() == [(2,)]


@pytest.mark.parametrize("damage", ["cut", "flipped", "no zip", "empty", "another zip", "absent"])
def test_a_damaged_or_foreign_backup_is_refused_and_nothing_changes(
    warehouse: Warehouse, source: Path, damage: str
) -> None:
    content = bytearray(source.read_bytes())
    match damage:
        case "cut":
            source.write_bytes(content[: len(content) // 2])
        case "flipped":
            content[len(content) // 2] ^= 1
            source.write_bytes(content)
        case "no zip":
            source.write_text("hello")
        case "empty":
            source.write_bytes(b"")
        case "another zip":
            with zipfile.ZipFile(source, "w") as archive:
                archive.writestr("manifest.json", '{"format": "another"}')
        case _:
            source.unlink()
    before = warehouse.path.read_bytes()
    with pytest.raises(BackupRefusedError):
        restore(warehouse, source, force=True)
    assert warehouse.path.read_bytes() == before
    assert [path.name for path in warehouse.path.parent.iterdir()] == [warehouse.path.name]


def test_every_flipped_bit_that_matters_is_found(warehouse: Warehouse, source: Path) -> None:
    content = source.read_bytes()
    warehouse.path.unlink()
    for position in range(0, len(content), len(content) // 15):
        source.write_bytes(content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :])
        try:
            restore(warehouse, source, force=True)
        except BackupRefusedError:
            continue
        # in a field that nobody reads (a time stamp of the archive): then what came out is right
        assert _days(warehouse) == [(1,)]


def test_a_database_that_cannot_be_opened_is_replaced_and_kept(warehouse: Warehouse, source: Path) -> None:
    warehouse.path.write_bytes(b"damaged " * 5000)
    replaced = restore(warehouse, source).replaced
    assert replaced is not None
    assert replaced.read_bytes().startswith(b"damaged")
    assert _days(warehouse) == [(1,)]


def test_the_log_of_a_database_that_is_gone_is_kept_out_of_the_restored_ones_way(
    warehouse: Warehouse, source: Path
) -> None:
    killed = "import duckdb, os, sys; held = duckdb.connect(sys.argv[1]); held.execute('create table lost (n int)'); os._exit(0)"
    subprocess.run([sys.executable, "-c", killed, str(warehouse.path)], check=True)
    log = wal(warehouse.path).read_bytes()
    warehouse.path.unlink()
    replaced = restore(warehouse, source).replaced
    assert replaced is not None
    assert replaced.read_bytes() == log
    assert _days(warehouse) == [(1,)]


def test_a_backup_of_an_earlier_version_is_brought_up_to_date(
    warehouse: Warehouse, settings: PipelineSettings, tmp_path: Path
) -> None:
    history = _version_1(warehouse.path)
    assert back_up(warehouse, tmp_path / "old.zip").schema_version == 1
    warehouse.path.unlink()
    restore(warehouse, tmp_path / "old.zip", prepare=lambda connection: rebuild_derived(connection, settings))
    with warehouse.connect() as connection:
        assert connection.execute(_HISTORY).fetchall() == history
        assert connection.execute("select version from raw.warehouse_version").fetchall() == [(SCHEMA_VERSION,)]
        assert connection.execute("select count(*) from core.invoices").fetchall() == [(2,)]


def test_backups_made_while_a_run_writes_are_each_of_one_moment(warehouse: Warehouse, tmp_path: Path) -> None:
    with warehouse.connect():
        pass
    failed: list[BaseException] = []

    def write() -> None:
        try:
            for day in range(1, 13):
                with warehouse.transaction() as connection:
                    for company in ("one", "two"):
                        connection.execute(
                            "insert into raw.fetched_days values (?, ?::date, now(), 0, true, false, 'run')",
                            [company, f"2026-03-{day:02}"],
                        )
        except BaseException as error:
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    for number in range(2):
        back_up(warehouse, tmp_path / f"{number}.zip")
    writer.join()
    assert not failed
    for number in range(2):
        restore(warehouse, tmp_path / f"{number}.zip", force=True)
        with warehouse.connect() as connection:
            counts = connection.execute("select company, count(*) from raw.fetched_days group by all").fetchall()
        assert len({count for _, count in counts}) <= 1
