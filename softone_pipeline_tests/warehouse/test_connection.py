"""Opening the pipeline's own file: locks, versions, foreign files, and letting go."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from softone_pipeline.errors import (
    WarehouseAccessError,
    WarehouseLockedError,
    WarehouseMemoryError,
    WarehouseVersionError,
)
from softone_pipeline.settings import PipelineSettings
from softone_pipeline.tables import MACROS, TABLES
from softone_pipeline.warehouse import Warehouse, open_published, publish

_HOLD = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def _hold(path: Path, seconds: float) -> subprocess.Popen[str]:
    """Another process that has the file open for a while."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_every_declared_table_and_column_is_there_with_its_comment(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        for table in TABLES:
            found = connection.execute(
                """
                select column_name, comment from duckdb_columns()
                where schema_name = ? and table_name = ? order by column_index
                """,
                [table.schema, table.name],
            ).fetchall()
            assert found == [(column.name, column.description) for column in table.columns]


def test_both_files_are_in_the_format_that_analysts_tools_can_open(
    settings: PipelineSettings, warehouse: Warehouse
) -> None:
    publish(warehouse, settings.duckdb_path)
    for path in (settings.warehouse_path, settings.duckdb_path):
        # The main header: checksum (8 bytes), "DUCK", storage version. 68 is what 1.5 writes, 999 is 2.0's own.
        header = path.read_bytes()[8:20]
        assert header[:4] == b"DUCK"
        assert int.from_bytes(header[4:], "little") == 68


def test_only_the_owner_may_read_the_pipelines_own_file(warehouse: Warehouse) -> None:
    with warehouse.connect():
        pass
    assert stat.S_IMODE(warehouse.path.stat().st_mode) == 0o600


def test_a_mode_that_cannot_be_kept_is_told_once(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with warehouse.connect():
        pass
    warehouse.path.chmod(0o644)

    def refused(*_: object) -> None:
        raise PermissionError

    # As for a file of somebody else's; the tests may run as root, to whom nothing is refused.
    monkeypatch.setattr("os.chmod", refused)
    for _ in range(2):
        with warehouse.connect():
            pass
    told = [record.getMessage() for record in caplog.records if "SOFTONE_DUCKDB_MODE" in record.getMessage()]
    assert [f"{warehouse.path} has mode 0644, and it cannot be made 0600" in text for text in told] == [True]


def test_what_went_wrong_is_told_also_when_there_is_nothing_left_to_roll_back(warehouse: Warehouse) -> None:
    def fail() -> None:
        with warehouse.transaction() as connection:
            connection.close()
            raise ValueError("the cause")

    with pytest.raises(ValueError, match="the cause"):
        fail()


def test_a_locked_file_is_waited_for(warehouse: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    with warehouse.connect():
        pass
    holder = _hold(warehouse.path, 1.5)
    with warehouse.connect() as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    holder.communicate()
    program = Path(sys.executable).resolve().name
    assert f"Waiting for {warehouse.path}: process {holder.pid} ({program}) has it open. Waited 0 s" in caplog.text
    # Said once in ten seconds, however often it was tried.
    assert caplog.text.count("Waiting for") == 1


def test_a_published_copy_that_is_open_for_writing_is_waited_for_as_well(
    settings: PipelineSettings, warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    publish(warehouse, settings.duckdb_path, mode=0o600)
    holder = _hold(settings.duckdb_path, 1.5)
    with open_published(settings.duckdb_path) as connection:
        assert connection.execute("select count(*) from core.invoices").fetchone() == (0,)
    holder.communicate()
    assert f"Waiting for {settings.duckdb_path}: process {holder.pid} " in caplog.text


def test_a_damaged_block_is_no_lock_and_is_not_waited_for(settings: PipelineSettings, warehouse: Warehouse) -> None:
    with warehouse.connect():
        pass
    content = bytearray(warehouse.path.read_bytes())
    # After the three headers of 4 KiB each come the blocks, each with a checksum.
    content[3 * 4096 + 100 :] = bytes(byte ^ 0xFF for byte in content[3 * 4096 + 100 :])
    warehouse.path.write_bytes(content)
    with pytest.raises(WarehouseAccessError, match="block"), warehouse.connect():
        pass


def test_a_file_that_stays_locked_is_an_error_that_says_what_to_do(settings: PipelineSettings) -> None:
    patient = Warehouse(settings.warehouse_path, TABLES, macros=MACROS)
    with patient.connect():
        pass
    hasty = Warehouse(settings.warehouse_path, TABLES, macros=MACROS, lock_timeout_seconds=0.3)
    holder = _hold(settings.warehouse_path, 30)
    try:
        with pytest.raises(WarehouseLockedError, match="published copy instead") as told, hasty.connect():
            pass
        assert f"held by process {holder.pid} " in str(told.value)
    finally:
        holder.kill()
        holder.communicate()


def test_the_file_is_let_go_of_after_an_exception(warehouse: Warehouse) -> None:
    with pytest.raises(ZeroDivisionError), warehouse.connect():
        raise ZeroDivisionError
    holder = _hold(warehouse.path, 0)
    holder.communicate()
    assert holder.returncode == 0


def test_a_transaction_that_fails_leaves_nothing(warehouse: Warehouse) -> None:
    with pytest.raises(duckdb.ConversionException), warehouse.transaction() as connection:
        connection.execute(
            "insert into core.build_state (company, sql_digest) values ('x', 'y'); select 'no number'::integer"
        )
    with warehouse.connect() as connection:
        assert connection.execute("select count(*) from core.build_state").fetchone() == (0,)


def test_too_little_memory_is_an_error_that_names_the_setting(settings: PipelineSettings) -> None:
    warehouse = Warehouse(settings.warehouse_path, TABLES, macros=MACROS, config={"memory_limit": "20MB"})
    with (
        pytest.raises(WarehouseMemoryError, match="SOFTONE_DUCKDB_MEMORY_LIMIT higher"),
        warehouse.transaction() as connection,
    ):
        connection.execute("create temp table numbers as select list(number) from range(20_000_000) as t(number)")
    with warehouse.connect() as connection:
        assert connection.execute("select count(*) from raw.customer_invoices").fetchall() == [(0,)]


def test_a_database_that_we_did_not_make_is_left_alone(warehouse: Warehouse) -> None:
    warehouse.path.parent.mkdir(parents=True)
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("create table mine (x integer)")
    with pytest.raises(WarehouseVersionError, match="did not make"), warehouse.connect():
        pass
    with duckdb.connect(str(warehouse.path)) as connection:
        assert connection.execute("select table_name from duckdb_tables()").fetchall() == [("mine",)]


def test_a_database_of_a_newer_version_is_left_alone(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("update raw.warehouse_version set version = 999")
    with pytest.raises(WarehouseVersionError, match="schema version 999"), warehouse.connect():
        pass


def test_a_file_that_is_no_database_is_a_clear_error(warehouse: Warehouse) -> None:
    warehouse.path.parent.mkdir(parents=True)
    warehouse.path.write_text("hello " * 1000)
    with pytest.raises(WarehouseAccessError, match="cannot be opened"), warehouse.connect():
        pass


def test_changed_declarations_are_brought_into_an_existing_file(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("comment on table core.invoices is 'old words'")
        connection.execute("update raw.warehouse_version set declarations = 'old'")
    with warehouse.connect() as connection:
        comment = connection.execute(
            "select comment from duckdb_tables() where schema_name = 'core' and table_name = 'invoices'"
        ).fetchone()
    assert comment is not None
    assert comment[0].startswith("One row per company and invoice")
