"""The result that is to be exported: one SELECT on the published copy, with nothing else within its reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from softone_pipeline.errors import OutputRefusedError
from softone_pipeline.tables import TABLES
from softone_pipeline.warehouse import open_published

_BATCH = 10_000
_ORDER_BY = " order by "
_KEYS = {table.qualified_name: table.key for table in TABLES}


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of the result, by DuckDB's own name of its type; `meaning` is its comment, where it has one."""

    name: str
    type: str
    meaning: str | None = None

    @property
    def quoted(self) -> str:
        return '"' + self.name.replace('"', '""') + '"'

    @property
    def is_decimal(self) -> bool:
        return self.type.startswith("DECIMAL") and not self._is_list

    @property
    def scale(self) -> int:
        """Decimals of a DECIMAL."""
        return int(self.type.rstrip(")").rsplit(",", 1)[1])

    @property
    def is_floating(self) -> bool:
        return self.type in {"DOUBLE", "FLOAT"}

    @property
    def is_integer(self) -> bool:
        return self.type.removeprefix("U") in {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"}

    @property
    def is_moment(self) -> bool:
        return self.type == "TIMESTAMP WITH TIME ZONE"

    @property
    def is_text(self) -> bool:
        """Text, and whatever is written as text: JSON, lists, structs."""
        if self._is_list:
            return True
        plain = self.is_decimal or self.is_floating or self.is_integer or self.is_moment
        return not plain and self.type not in {"BOOLEAN", "DATE", "TIME"} and not self.type.startswith("TIMESTAMP")

    @property
    def _is_list(self) -> bool:
        return self.type.endswith("]")


@dataclass(frozen=True)
class Result:
    """What a SELECT gives: a temporary view `exported`, read anew by each writer."""

    connection: duckdb.DuckDBPyConnection
    columns: tuple[ResultColumn, ...]

    @cached_property
    def row_count(self) -> int:
        row = self.connection.execute("select count(*) from exported").fetchone()
        assert row is not None
        return int(row[0])

    def batches(self, expressions: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        """The rows, as these expressions over the columns, a batch at a time."""
        cursor = self.connection.execute(f"select {', '.join(expressions)} from exported")
        while rows := cursor.fetchmany(_BATCH):
            yield rows


@contextmanager
def open_result(database: Path, query: str, *, writable: Path) -> Iterator[Result]:
    """The result of a query on the published copy. DuckDB may touch no other file than `writable`.

    Raises OutputRefusedError when the query is not one SELECT that runs, NothingPublishedError without a database.
    """
    with open_published(database) as connection:
        connection.execute("set timezone = 'Europe/Stockholm'")
        connection.execute("set allowed_paths = [?]", [str(writable)])
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        _refuse_other_than_select(database, query)
        try:
            connection.execute(f"create temporary view exported as {query}")
        except duckdb.Error as error:
            raise OutputRefusedError(f"The query cannot be run: {error}", path=str(database)) from None
        yield Result(connection, tuple(_columns(connection, query)))


def table_query(database: Path, table: str) -> str:
    """The SELECT that gives a whole table, written schema.table, in the order of its key.

    Raises OutputRefusedError when there is none.
    """
    with open_published(database) as connection:
        known = dict(
            connection.execute(
                "select table_schema || '.' || table_name as name, list(column_name) from information_schema.columns "
                "group by name order by name"
            ).fetchall()
        )
    if table not in known:
        raise OutputRefusedError(
            f"{database} has no table {table}. It has: {', '.join(known)}. For a query of your own: --sql 'select …'",
            path=str(database),
        )
    # A copy of an earlier version may lack a column.
    key = [column for column in _KEYS.get(table, ()) if column in known[table]]
    return f"from {table}{_ORDER_BY}{', '.join(key)}" if key else f"from {table}"


def _refuse_other_than_select(database: Path, query: str) -> None:
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as error:
        raise OutputRefusedError(f"The query cannot be read: {error}", path=str(database)) from None
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise OutputRefusedError("Give exactly one SELECT; an export reads and changes nothing.", path=str(database))


def _columns(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[ResultColumn]:
    table = query.removeprefix("from ").partition(_ORDER_BY)[0]
    meanings = dict(
        connection.execute(
            "select column_name, comment from duckdb_columns() where schema_name || '.' || table_name = ?", [table]
        ).fetchall()
    )
    for name, type_, *_ in connection.execute("describe exported").fetchall():
        yield ResultColumn(name, type_, meanings.get(name))
