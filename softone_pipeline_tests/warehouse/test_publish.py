"""The copy for analysts: complete, atomic, and in nobody's way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from softone_pipeline.errors import WarehouseAccessError
from softone_pipeline.settings import PipelineSettings
from softone_pipeline.tables import TABLES
from softone_pipeline.warehouse import Warehouse, publish


@pytest.fixture
def published(settings: PipelineSettings, warehouse: Warehouse) -> Path:
    _publish(settings, warehouse, "first")
    return settings.duckdb_path


def _publish(settings: PipelineSettings, warehouse: Warehouse, digest: str) -> None:
    with warehouse.connect() as connection:
        connection.execute("delete from core.build_state")
        connection.execute("insert into core.build_state (company, sql_digest) values ('default', ?)", [digest])
    publish(warehouse, settings.duckdb_path)


def _digest(connection: duckdb.DuckDBPyConnection) -> str:
    row = connection.execute("select sql_digest from core.build_state").fetchone()
    assert row is not None
    return str(row[0])


def test_the_copy_holds_every_table_with_its_comments(published: Path) -> None:
    with duckdb.connect(str(published), read_only=True) as connection:
        found = dict(
            connection.execute("select schema_name || '.' || table_name, comment from duckdb_tables()").fetchall()
        )
        connection.execute("""select raw.read_invoice_header('{}') from range(0)""")
    assert {table.qualified_name: table.description for table in TABLES}.items() <= found.items()


def test_whoever_has_the_old_copy_open_keeps_reading_it(
    published: Path, settings: PipelineSettings, warehouse: Warehouse
) -> None:
    analyst = duckdb.connect(str(published), read_only=True)
    assert _digest(analyst) == "first"
    _publish(settings, warehouse, "second")
    assert _digest(analyst) == "first"
    analyst.close()
    with duckdb.connect(str(published), read_only=True) as connection:
        assert _digest(connection) == "second"


def test_a_wal_that_a_killed_analyst_left_does_not_stop_the_next_copy(
    published: Path, settings: PipelineSettings, warehouse: Warehouse
) -> None:
    published.chmod(0o600)
    killed = """
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1], config={"checkpoint_threshold": "1GB"})
connection.execute("create table core.mine as select range as x from range(1000)")
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", killed, str(published)], check=False)
    wal = published.with_name(published.name + ".wal")
    assert wal.exists()
    _publish(settings, warehouse, "second")
    with duckdb.connect(str(published), read_only=True) as connection:
        assert _digest(connection) == "second"


def test_only_the_two_databases_lie_in_the_folder(published: Path, warehouse: Warehouse) -> None:
    (published.parent / f".{published.name}.new").write_text("left by a killed process")
    publish(warehouse, published)
    assert sorted(path.name for path in published.parent.iterdir()) == [
        "softone.duckdb",
        "softone_pipeline.duckdb",
    ]


def test_a_copy_that_cannot_be_written_leaves_the_old_one(published: Path, warehouse: Warehouse) -> None:
    (published.parent / f".{published.name}.new").mkdir()
    with pytest.raises(WarehouseAccessError, match="earlier copy still stands"):
        publish(warehouse, published)
    with duckdb.connect(str(published), read_only=True) as connection:
        assert _digest(connection) == "first"
