"""Opens the pipeline's own DuckDB file: waits for its lock, lets go of it whatever happens, keeps its schema.

Which tables there are is told by the caller. Nothing about the ERP or Dagster is known here.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import tenacity

from softone_pipeline.errors import WarehouseAccessError, WarehouseLockedError, WarehouseVersionError
from softone_pipeline.warehouse.table import Table

log = logging.getLogger(__name__)

# Analysts' tools are built on DuckDB 1.5 and cannot open a file in the default format of 2.0.
STORAGE_VERSION = "v1.5.0"

# Counts up when a table's shape changes; `_MIGRATIONS[n]` brings a file from version n to n + 1.
SCHEMA_VERSION = 1
_MIGRATIONS: dict[int, tuple[str, ...]] = {}


class Warehouse:
    """The pipeline's own database file. One process at a time may hold it, so hold it briefly.

    `tables` and `macros` (SQL statements) are created when missing; `config` is DuckDB's own configuration.
    `lock_timeout_seconds` is how long to wait for another process to let go of the file.
    """

    def __init__(
        self,
        path: Path,
        tables: Iterable[Table],
        *,
        macros: Iterable[str] = (),
        config: Mapping[str, Any] | None = None,
        lock_timeout_seconds: float = 900,
    ) -> None:
        self.path = path
        self.tables = tuple(tables)
        self.macros = tuple(macros)
        self.config = {**(config or {}), "storage_compatibility_version": STORAGE_VERSION}
        self.lock_timeout_seconds = lock_timeout_seconds

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to the file, with every declared table in place; closed on the way out, error or not.

        Raises WarehouseLockedError, WarehouseVersionError or WarehouseAccessError.
        """
        connection = self._open()
        try:
            self._prepare(connection)
            yield connection
        finally:
            connection.close()

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Like `connect`, in one transaction: all of it is written, or nothing."""
        with self.connect() as connection, _transaction(connection):
            yield connection

    def _open(self) -> duckdb.DuckDBPyConnection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseAccessError(
                f"The folder for {self.path} cannot be made: {error.strerror}.", path=str(self.path)
            ) from error
        waiting = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_lock_conflict),
            wait=tenacity.wait_exponential_jitter(multiplier=0.05, max=2, jitter=0.5),
            stop=tenacity.stop_after_delay(self.lock_timeout_seconds),
            before_sleep=self._say_that_we_wait(),
            reraise=True,
        )
        try:
            return waiting(duckdb.connect, str(self.path), config=self.config)
        except duckdb.Error as error:
            if _is_lock_conflict(error):
                raise WarehouseLockedError(
                    f"{self.path} has been held by another process for {self.lock_timeout_seconds:.0f} s. "
                    "Close whatever has it open (analysts open the published copy instead) and run again.",
                    path=str(self.path),
                ) from error
            raise WarehouseAccessError(f"{self.path} cannot be opened: {error}", path=str(self.path)) from error

    def _say_that_we_wait(self) -> Callable[[tenacity.RetryCallState], None]:
        last_said = 0.0

        def say(state: tenacity.RetryCallState) -> None:
            nonlocal last_said
            if time.monotonic() - last_said > 10:
                last_said = time.monotonic()
                log.warning("Waiting for %s: another process has it open.", self.path)

        return say

    def _prepare(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Create what is missing; migrate an older file; refuse a newer or foreign one."""
        known = connection.execute(
            "select count(*) from duckdb_tables() where schema_name = 'raw' and table_name = 'warehouse_version'"
        ).fetchone()
        if known == (0,):
            foreign = connection.execute("select count(*) from duckdb_tables() where not internal").fetchone()
            if foreign != (0,):
                raise WarehouseVersionError(
                    f"{self.path} is a database that this package did not make; it is left alone. "
                    "Set SOFTONE_DUCKDB_PATH to another place.",
                    path=str(self.path),
                )
            with _transaction(connection):
                self._create_all(connection)
            os.chmod(self.path, 0o600)
            return
        row = connection.execute("select version, declarations from raw.warehouse_version").fetchone()
        version, declarations = row or (None, None)
        if version == SCHEMA_VERSION and declarations == self._declarations:
            return
        if version is None or version > SCHEMA_VERSION:
            raise WarehouseVersionError(
                f"{self.path} has schema version {version}, this package knows {SCHEMA_VERSION}: "
                "it was made by a newer softone-pipeline. Upgrade the package; the file is left alone.",
                path=str(self.path),
            )
        with _transaction(connection):
            for step in range(version, SCHEMA_VERSION):
                for statement in _MIGRATIONS[step]:
                    connection.execute(statement)
            self._create_all(connection)

    def _create_all(self, connection: duckdb.DuckDBPyConnection) -> None:
        for schema in ("raw", *(table.schema for table in self.tables)):
            connection.execute(f"create schema if not exists {schema}")
        for statement in self._create_statements():
            connection.execute(statement)
        connection.execute(
            "create or replace table raw.warehouse_version "
            "(version integer, declarations varchar, written_at timestamptz)"
        )
        connection.execute(
            "comment on table raw.warehouse_version is "
            "'One row: the version of the tables'' shape, and a digest of their declarations.'"
        )
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


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.execute("begin")
    try:
        yield
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")


def _is_lock_conflict(error: BaseException) -> bool:
    return isinstance(error, duckdb.IOException) and "lock" in str(error).lower()
