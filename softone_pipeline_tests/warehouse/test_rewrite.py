"""Writing the pipeline's own file anew, and who may read it and what lies beside it meanwhile."""

from __future__ import annotations

import os
import stat
import threading

import duckdb
import pytest

from softone_pipeline.errors import SettingsError, WarehouseAccessError
from softone_pipeline.settings import PipelineSettings
from softone_pipeline.tables import MACROS, TABLES
from softone_pipeline.warehouse import Warehouse, publish, wal


def _fill(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "insert into core.build_state (company, sql_digest) select 'x' || range, 'of somebody ' || hash(range) from range(50000)"
    )


def test_a_rewritten_file_holds_no_byte_of_what_was_deleted(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("insert into core.build_state (company, sql_digest) values ('x', repeat('SECRETNAME', 3))")
        connection.execute("checkpoint")
        connection.execute("delete from core.build_state")
    inode = warehouse.path.stat().st_ino
    warehouse.rewrite()
    assert warehouse.path.stat().st_ino != inode
    assert b"SECRETNAME" not in warehouse.path.read_bytes()
    assert [path.name for path in warehouse.path.parent.iterdir()] == [warehouse.path.name]
    with warehouse.connect() as connection:
        assert connection.execute("select count(*) from core.build_state").fetchall() == [(0,)]


def test_a_rewrite_that_fails_leaves_the_file(warehouse: Warehouse) -> None:
    with warehouse.connect():
        pass
    (warehouse.path.parent / f".{warehouse.path.name}.new").mkdir()
    with pytest.raises(WarehouseAccessError, match="still stands"):
        warehouse.rewrite()
    with warehouse.connect() as connection:
        assert connection.execute("select count(*) from raw.fetched_days").fetchall() == [(0,)]


@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_no_file_is_ever_readable_more_widely_than_asked_for(settings: PipelineSettings, mode: int) -> None:
    warehouse = Warehouse(settings.warehouse_path, TABLES, macros=MACROS, mode=mode)
    seen: dict[str, set[int]] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for path in settings.warehouse_path.parent.glob("**/*"):
                try:
                    found = path.stat()
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(found.st_mode):
                    seen.setdefault(path.name, set()).add(stat.S_IMODE(found.st_mode))

    before = os.umask(0o002)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with warehouse.transaction() as connection:
            _fill(connection)
        with warehouse.connect() as connection:
            connection.execute("insert into core.build_state (company, sql_digest) values ('y', 'z')")
            seen[wal(warehouse.path).name] = {stat.S_IMODE(wal(warehouse.path).stat().st_mode)}
            _fill(connection)
        publish(warehouse, settings.duckdb_path, mode=0o440)
        warehouse.rewrite()
        assert os.umask(0o002) == 0o002
    finally:
        done.set()
        watcher.join()
        os.umask(before)
    published = seen.pop(settings.duckdb_path.name)
    assert published == {0o440}
    allowed = mode | 0o440
    assert {name: modes for name, modes in seen.items() if any(found & ~allowed for found in modes)} == {}
    own = {found for name, modes in seen.items() if name.startswith(warehouse.path.name) for found in modes}
    assert own == {mode}


@pytest.mark.parametrize(
    ("name", "value"), [("DUCKDB_MODE", "0644x"), ("DUCKDB_MODE", "0400"), ("PUBLISHED_MODE", "777")]
)
def test_rights_that_make_no_sense_are_a_setting_error(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"SOFTONE_{name}", value)
    with pytest.raises(SettingsError, match=f"SOFTONE_{name}"):
        PipelineSettings.load()
