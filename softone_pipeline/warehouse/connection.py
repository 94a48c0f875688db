"""Opens the pipeline's own DuckDB file: waits for its lock, lets go of it whatever happens, keeps its schema.

Which tables there are is told by the caller. Nothing about the ERP or Dagster is known here.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from softone_pipeline.errors import WarehouseAccessError, WarehouseMemoryError, WarehouseVersionError
from softone_pipeline.warehouse.copying import STORAGE_VERSION, copy_database, created_with, replaced
from softone_pipeline.warehouse.disk import disk_trouble, inode, why_not_written
from softone_pipeline.warehouse.locking import open_when_free
from softone_pipeline.warehouse.table import Column, Table

log = logging.getLogger(__name__)

# Counts up when a raw table's shape changes; `_MIGRATIONS[n]` brings raw from version n to n + 1. Facts cannot be
# fetched again, so they are migrated step by step; derived tables are made anew from them and need no step.
SCHEMA_VERSION = 3
_MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        # Until then nothing was pseudonymised: what stands is as it was received.
        """
        create table raw.privacy (company varchar, mode varchar, key_check varchar, applied_at timestamptz)
        """,
        """
        insert into raw.privacy
        select company, 'none', null, now()
        from (select company from raw.customer_invoices union select company from raw.quarantine)
        """,
    ),
    2: (
        # Until then only the newest fetch of each day was kept: of the earlier ones there is what they wrote.
        """
        create table raw.fetches (company varchar, fetched_at timestamptz, run_id varchar)
        """,
        """
        insert into raw.fetches
        select distinct on (company, (fetched_at at time zone 'Europe/Stockholm')::date) company, fetched_at, run_id
        from (
            select company, fetched_at, run_id from raw.fetched_days
            union
            select company, fetched_at, run_id from raw.customer_invoices
            union
            select company, fetched_at, run_id from raw.quarantine
            union
            select company, superseded_at, null from raw.customer_invoices where superseded_at is not null
        )
        order by company, (fetched_at at time zone 'Europe/Stockholm')::date, fetched_at, run_id nulls last
        """,
    ),
}

_FACTS = "raw"
_OWNER_ONLY = 0o600
# DuckDB's own, in rows.
_ROW_GROUP = 122_880
# Each takes up a quarter of a megabyte. In a table that would fit one, joining costs nothing; where there are many invoices
# it is the dearest part of a morning, and is put off for two months' mornings.
_SPARE_ROW_GROUPS_OF_SMALL, _SPARE_ROW_GROUPS = 8, 64

_VERSION = Table(
    schema=_FACTS,
    name="warehouse_version",
    description="One row: the version of the tables' shape, and a digest of their declarations.",
    columns=(
        Column("version", "INTEGER", "Counts up when a table changes its shape."),
        Column("declarations", "VARCHAR", "Digest of all declarations and macros."),
        Column("written_at", "TIMESTAMPTZ", "When this version was written."),
    ),
    key=("version",),
)


class Warehouse:
    """The pipeline's own database file. One process at a time may hold it, so hold it briefly.

    `tables` and `macros` (SQL statements) are created when missing; `config` is DuckDB's own configuration.
    `lock_timeout_seconds` is how long to wait for another process to let go of the file, `mode` who may read it.
    `keep_migrated`: a file of an earlier version is kept beside as it was.
    """

    def __init__(
        self,
        path: Path,
        tables: Iterable[Table],
        *,
        macros: Iterable[str] = (),
        config: Mapping[str, Any] | None = None,
        lock_timeout_seconds: float = 900,
        mode: int = _OWNER_ONLY,
        keep_migrated: bool = True,
    ) -> None:
        self.path = path
        self.mode = mode
        self.keep_migrated = keep_migrated
        self.tables = tuple(tables)
        self.macros = tuple(macros)
        self.config = {
            **(config or {}),
            # No table promises an order of its rows, so both cores may write one.
            "preserve_insertion_order": "false",
            # Row groups are joined where `compact` says so. At every checkpoint, much would be written many times.
            "max_vacuum_tasks": "0",
            "write_buffer_row_group_count": "1",
            # What is larger goes into the file at once, instead of into its log first.
            "checkpoint_threshold": "1MB",
            "storage_compatibility_version": STORAGE_VERSION,
        }
        self.lock_timeout_seconds = lock_timeout_seconds

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to the file, with every declared table in place; closed on the way out, error or not.

        Raises WarehouseLockedError, WarehouseVersionError or WarehouseAccessError.
        """
        with self.connect_as_it_is() as connection:
            self._prepare(connection)
            yield connection

    @contextmanager
    def connect_as_it_is(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Like `connect`, but nothing is created or migrated."""
        with created_with(self.mode):
            connection = self._open()
            try:
                _keep_mode(self.path, self.mode)
                yield connection
            except duckdb.OutOfMemoryException as error:
                raise WarehouseMemoryError(
                    f"{self.path}: DuckDB needs more memory than it may take here. Set SOFTONE_DUCKDB_MEMORY_LIMIT higher "
                    "and run again. Nothing of this step is in it; what stood there stands.",
                    path=str(self.path),
                ) from error
            except duckdb.Error as error:
                trouble = disk_trouble(error)
                # The block may write to another file as well, and tells of that one by itself.
                if trouble is None or self.path.name not in str(error):
                    raise
                raise WarehouseAccessError(
                    f"{self.path} could not be written: {trouble} Nothing of this step is in it; what stood there stands.",
                    path=str(self.path),
                ) from error
            finally:
                connection.close()

    @contextmanager
    def transaction(self, *, compact: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Like `connect`, in one transaction: all of it is written, or nothing.

        `compact`: every load leaves a small row group in each table that it writes to. Once one that holds facts has many of
        them (those derived from it have no more), some are joined on the way out, in all tables.
        """
        with self.connect() as connection:
            if compact and any(_is_scattered(connection, table) for table in self.tables if table.schema == _FACTS):
                connection.execute("set max_vacuum_tasks = 4")
            with _transaction(connection):
                yield connection

    def rewrite(self) -> None:
        """Put a fresh copy of the file in its place: what was deleted leaves no bytes behind.

        The file is held all the while, so nobody writes to the old one meanwhile.
        """
        with self.connect_as_it_is() as connection:
            connection.execute("checkpoint")
            self._copy_whole(connection, self.path)

    def _copy_whole(self, connection: duckdb.DuckDBPyConnection, target: Path) -> None:
        """A fresh copy of the connected file at `target`, whole or not at all."""
        with replaced(
            target,
            failing=f"A fresh copy of {self.path} could not be written to",
            still_stands="What stood there still stands.",
        ) as temporary:
            copy_database(connection, temporary, mode=self.mode)

    def _open(self) -> duckdb.DuckDBPyConnection:
        """Opens the file that lies at the path: one that was replaced while we waited for its lock is let go of."""
        while True:
            before = inode(self.path)
            connection = self._open_once()
            if before in (None, inode(self.path)):
                return connection
            connection.close()

    def _open_once(self) -> duckdb.DuckDBPyConnection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseAccessError(
                f"The folder for {self.path} cannot be made: {why_not_written(error)}", path=str(self.path)
            ) from error
        return open_when_free(
            self.path,
            timeout_seconds=self.lock_timeout_seconds,
            advice="Close whatever has it open (analysts open the published copy instead) and run again.",
            config=self.config,
        )

    def _prepare(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Create what is missing; migrate an older file; refuse a newer or foreign one."""
        try:
            row = connection.execute("select version, declarations from raw.warehouse_version").fetchone()
        except duckdb.CatalogException:
            if connection.execute("select count(*) from duckdb_tables() where not internal").fetchone() != (0,):
                raise WarehouseVersionError(
                    f"{self.path} is a database that this package did not make; it is left alone. "
                    "Set SOFTONE_DUCKDB_PATH to another place.",
                    path=str(self.path),
                ) from None
            with _transaction(connection):
                self._create_all(connection)
            return
        version, declarations = row or (None, None)
        if version == SCHEMA_VERSION and declarations == self._declarations:
            return
        if version is None or not min(_MIGRATIONS) <= version <= SCHEMA_VERSION:
            raise WarehouseVersionError(
                f"{self.path} has schema version {version}, this package knows {min(_MIGRATIONS)} to "
                f"{SCHEMA_VERSION}: it was made by a newer softone-pipeline, or by none. Upgrade the package; the "
                "file is left alone.",
                path=str(self.path),
            )
        if version < SCHEMA_VERSION and self.keep_migrated:
            self._keep_a_copy(connection, version)
        with _transaction(connection):
            for step in range(version, SCHEMA_VERSION):
                for statement in _MIGRATIONS[step]:
                    connection.execute(statement)
            self._drop_derived_tables_of_another_shape(connection)
            self._create_all(connection)
            self._refuse_facts_of_another_shape(connection)

    def _keep_a_copy(self, connection: duckdb.DuckDBPyConnection, version: int) -> None:
        """The file as it was, beside it: the way back to the earlier package, made before anything is touched."""
        # Not ending in .duckdb: whoever looks for databases in the folder is not to find it.
        kept = self.path.with_name(f"{self.path.name}.version{version}")
        if not kept.exists():
            self._copy_whole(connection, kept)
        log.warning(
            "%s is brought from schema version %d to %d. As it was it is kept as %s; delete that when you like.",
            self.path,
            version,
            SCHEMA_VERSION,
            kept.name,
        )

    def _drop_derived_tables_of_another_shape(self, connection: duckdb.DuckDBPyConnection) -> None:
        """They are created anew and filled from raw. Then all of them are, for one is derived from another.

        Not one that has no SELECT and is as declared: nothing would fill it.
        """
        derived = [table for table in self.tables if table.schema != _FACTS]
        changed = [table for table in derived if _shape(connection, table) not in (None, table.shape)]
        for table in derived if changed else []:
            if table.select is not None or table in changed:
                connection.execute(f"drop table if exists {table.qualified_name}")

    def _refuse_facts_of_another_shape(self, connection: duckdb.DuckDBPyConnection) -> None:
        for table in self.tables:
            if table.schema == _FACTS and _shape(connection, table) != table.shape:
                raise WarehouseVersionError(
                    f"{self.path}: {table.qualified_name} has other columns than this package declares, and no step "
                    "leads from the one to the other. The file is left alone.",
                    path=str(self.path),
                )

    def _create_all(self, connection: duckdb.DuckDBPyConnection) -> None:
        for schema in (_VERSION.schema, *(table.schema for table in self.tables)):
            connection.execute(f"create schema if not exists {schema}")
        for statement in (*self._create_statements(), *_VERSION.create_statements(replace=True)):
            connection.execute(statement)
        connection.execute(
            "insert into raw.warehouse_version values (?, ?, now())", [SCHEMA_VERSION, self._declarations]
        )

    def _create_statements(self) -> Iterator[str]:
        # In this order: a table macro is checked against the tables that it reads.
        for table in self.tables:
            yield from table.create_statements()
        yield from self.macros

    @cached_property
    def _declarations(self) -> str:
        return hashlib.sha256("\x1e".join(self._create_statements()).encode()).hexdigest()


def _keep_mode(path: Path, mode: int) -> None:
    """Also where a file was made by hand, or under another setting."""
    with contextlib.suppress(OSError):
        os.chmod(path, mode)
    if (found := stat.S_IMODE(path.stat().st_mode)) != mode:
        _warn_of_mode(path, found, mode)


@functools.cache
def _warn_of_mode(path: Path, found: int, mode: int) -> None:
    """Once in a process, for a file is opened again and again."""
    log.warning(
        "%s has mode %04o, and it cannot be made %04o as SOFTONE_DUCKDB_MODE says: others may be able to read or write it. "
        "Have its owner run chmod %04o, or keep it on a disk that knows modes.",
        path,
        found,
        mode,
        mode,
    )


def _is_scattered(connection: duckdb.DuckDBPyConnection, table: Table) -> bool:
    """Whether a table has many more row groups than its rows need."""
    row = connection.execute(
        f"""
        with needed as (select count(*) // {_ROW_GROUP} as row_groups from {table.qualified_name})

        select count(distinct row_group_id) - any_value(needed.row_groups)
            > any_value(if(needed.row_groups = 0, {_SPARE_ROW_GROUPS_OF_SMALL}, {_SPARE_ROW_GROUPS}))
        from pragma_storage_info('{table.qualified_name}')
        cross join needed
        """
    ).fetchone()
    return row == (True,)


def _shape(connection: duckdb.DuckDBPyConnection, table: Table) -> tuple[tuple[str, str], ...] | None:
    """Names and types of a table's columns; None where there is no such table."""
    rows = connection.execute(
        """
        select column_name, data_type from duckdb_columns()
        where schema_name = ? and table_name = ? and database_name = current_database()
        order by column_index
        """,
        [table.schema, table.name],
    ).fetchall()
    return tuple(rows) or None


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.execute("begin")
    try:
        yield
    except BaseException:
        # What cannot be rolled back any more is not what went wrong.
        with contextlib.suppress(duckdb.Error):
            connection.execute("rollback")
        raise
    connection.execute("commit")
