"""Files of other schema versions: ours of old is brought up to date, all others are left alone."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import Any

import duckdb
import pytest

from softone_pipeline.errors import WarehouseVersionError
from softone_pipeline.settings import PipelineSettings
from softone_pipeline.tables import MACROS, TABLES
from softone_pipeline.tables.raw.pseudonymising import Privacy
from softone_pipeline.tables.rebuild import rebuild_derived
from softone_pipeline.warehouse import SCHEMA_VERSION, STORAGE_VERSION, Table, Warehouse
from softone_pipeline_tests.invoices import dumps, example_invoice, invoice

_VERSION_1 = Path(__file__).with_name("version_1.sql")
_HISTORY = "select * from raw.customer_invoices order by invoice_id, fetched_at"


def _version_1(path: Path) -> list[tuple[Any, ...]]:
    """A file as version 1 left it: two invoices, one of them in two versions. Returns its history."""
    path.parent.mkdir(parents=True, exist_ok=True)
    versions = [
        (12677557, dumps(example_invoice()), "2026-03-01 06:00+01", None, None, True),
        (
            7,
            dumps(invoice(7, CustomerName="Åsa Öberg")),
            "2026-03-01 06:00+01",
            "2026-03-02 06:00+01",
            "changed",
            False,
        ),
        (7, dumps(invoice(7, total="250.00", vat="50.00")), "2026-03-02 06:00+01", None, None, True),
    ]
    with duckdb.connect(str(path), config={"storage_compatibility_version": STORAGE_VERSION}) as connection:
        connection.execute(_VERSION_1.read_text(encoding="utf-8"))
        for invoice_id, payload, fetched_at, superseded_at, end_reason, latest in versions:
            connection.execute(
                """
                insert into raw.customer_invoices values
                ('default', $id, date '2026-02-23', $payload, null, 3, md5($payload), $fetched, $superseded,
                'new', $reason, $latest, 'a run of then')
                """,
                {
                    "id": invoice_id,
                    "payload": payload,
                    "fetched": fetched_at,
                    "superseded": superseded_at,
                    "reason": end_reason,
                    "latest": latest,
                },
            )
        return connection.execute(_HISTORY).fetchall()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_of_version_1_keeps_its_history_and_gets_todays_tables(
    warehouse: Warehouse, settings: PipelineSettings
) -> None:
    history = _version_1(warehouse.path)
    with warehouse.transaction() as connection:
        rebuild_derived(connection, settings)
    with warehouse.connect() as connection:
        assert connection.execute(_HISTORY).fetchall() == history
        assert connection.execute("select version from raw.warehouse_version").fetchall() == [(SCHEMA_VERSION,)]
        assert connection.execute("select company, mode, key_check from raw.privacy").fetchall() == [
            ("default", "none", None)
        ]
        boxes = dict(connection.execute("select box, amount_kr from mart.vat_return_draft").fetchall())
        assert boxes == {"05": 602, "10": 150, "11": 0, "12": 0, "0-base": 0}
        assert all(table.violations(connection) == {"not_null": 0, "unique": 0} for table in TABLES)
        # what stood before pseudonyms were heard of was written without
        Privacy().begin(connection, "default")


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_that_kept_no_fetches_gets_those_that_it_still_knows_of(warehouse: Warehouse, version: int) -> None:
    _version_1(warehouse.path)
    if version == 2:
        with warehouse.connect() as connection:
            connection.execute("drop table raw.fetches")
            connection.execute("update raw.warehouse_version set version = 2")
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("set timezone = 'Europe/Stockholm'")
        connection.execute(
            """
            update raw.customer_invoices set superseded_at = '2026-03-05 00:30', end_reason = 'missing'
            where invoice_id = 12677557;
            insert into raw.quarantine values ('default', '2026-02-23', '2026-03-07 06:00', 'quarantined', 8, 'f', 'r', '{}');
            insert into raw.fetched_days values
                ('default', '2026-02-23', '2026-03-09 06:00', 1, true, false, 'newest'),
                ('default', '2026-02-22', '2026-03-09 05:00', 0, true, false, 'earlier'),
                ('other', '2026-02-22', '2026-03-08 05:00', 0, true, false, 'other');
            """
        )
    with warehouse.connect() as connection:
        connection.execute("set timezone = 'Europe/Stockholm'")
        assert connection.execute(
            "select company, strftime(fetched_at, '%d %H:%M'), run_id from raw.fetches order by all"
        ).fetchall() == [
            ("default", "01 06:00", "a run of then"),
            ("default", "02 06:00", "a run of then"),
            # what ended it as missing was asked for by its id, by a run that is not known
            ("default", "05 00:30", None),
            ("default", "07 06:00", "quarantined"),
            ("default", "09 05:00", "earlier"),
            ("other", "08 05:00", "other"),
        ]
        as_known = (
            "select distinct day(as_of) from mart.receivables_as_known(timestamptz '2026-03-{} Europe/Stockholm')"
        )
        for moment, day in {"01 05:59": None, "01 07:00": 1, "04 23:00": 2, "06 12:00": 5, "10 12:00": 9}.items():
            found = connection.execute(as_known.format(moment + ":00")).fetchall()
            assert found == ([] if day is None else [(day,)])


def test_a_migrated_file_is_kept_as_it_was(warehouse: Warehouse) -> None:
    history = _version_1(warehouse.path)
    with warehouse.connect():
        pass
    kept = warehouse.path.with_name("softone_pipeline.duckdb.version1")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    with duckdb.connect(str(kept), read_only=True) as connection:
        assert connection.execute(_HISTORY).fetchall() == history
        assert connection.execute("select version from raw.warehouse_version").fetchall() == [(1,)]


def test_a_migration_that_fails_leaves_the_file_at_its_version(warehouse: Warehouse) -> None:
    history = _version_1(warehouse.path)
    with pytest.raises(duckdb.Error), Warehouse(warehouse.path, TABLES, macros=("create nonsense",)).connect():
        pass
    with duckdb.connect(str(warehouse.path)) as connection:
        assert connection.execute(_HISTORY).fetchall() == history
        assert connection.execute("select version from raw.warehouse_version").fetchall() == [(1,)]
        assert connection.execute("select count(*) from duckdb_tables() where table_name = 'privacy'").fetchall() == [
            (0,)
        ]


@pytest.mark.parametrize("version", ["999", "0", "null"])
def test_a_file_of_a_newer_or_unknown_version_is_left_alone(warehouse: Warehouse, version: str) -> None:
    _version_1(warehouse.path)
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute(f"update raw.warehouse_version set version = {version}")
    before = _digest(warehouse.path)
    with pytest.raises(WarehouseVersionError, match="left alone"), warehouse.connect():
        pass
    assert _digest(warehouse.path) == before


def test_derived_tables_of_another_shape_are_made_anew_from_raw(
    warehouse: Warehouse, settings: PipelineSettings
) -> None:
    _version_1(warehouse.path)
    with warehouse.transaction() as connection:
        rebuild_derived(connection, settings)
        connection.execute("alter table core.invoices add column of_then integer")
        connection.execute("update raw.warehouse_version set declarations = 'of then'")
    with warehouse.transaction() as connection:
        rebuild_derived(connection, settings)
    with warehouse.connect() as connection:
        columns = connection.execute(
            "select column_name from duckdb_columns() where schema_name = 'core' and table_name = 'invoices'"
        ).fetchall()
        assert ("of_then",) not in columns
        assert connection.execute("select count(*) from core.invoices").fetchall() == [(2,)]


def test_raw_tables_that_no_step_leads_to_are_refused(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("alter table raw.quarantine add column mine integer")
        connection.execute("update raw.warehouse_version set declarations = 'other'")
    with pytest.raises(WarehouseVersionError, match=r"raw\.quarantine has other columns"), warehouse.connect():
        pass
    with duckdb.connect(str(warehouse.path)) as connection:
        assert connection.execute("select declarations from raw.warehouse_version").fetchall() == [("other",)]


def test_declared_types_are_written_as_the_catalogue_writes_them(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        for table in TABLES:
            assert _catalogued(connection, table) == table.shape
    assert MACROS


def _catalogued(connection: duckdb.DuckDBPyConnection, table: Table) -> tuple[tuple[str, str], ...]:
    return tuple(
        connection.execute(
            """
            select column_name, data_type from duckdb_columns()
            where schema_name = ? and table_name = ? order by column_index
            """,
            [table.schema, table.name],
        ).fetchall()
    )
