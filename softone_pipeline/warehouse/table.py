"""What a table's declaration is made of, and the SQL that follows from it.

The declarations themselves live in `tables/`. DDL, COMMENT ON, the generated checks, Dagster's column
schema and the data dictionary all come from here; nothing about a table is written down twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import duckdb

from softone_pipeline.errors import SumTooLargeError

# DuckDB's words for a number that is larger than its type. What else cannot be converted is another matter.
_TOO_LARGE = re.compile(r'value "?[-0-9.]+"? to (?:type )?DECIMAL|Overflow in .*(?:DECIMAL|INT)')


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its DuckDB type, its meaning (unit, currency, sign, time zone), and whether NULL is allowed.

    `compression` overrides DuckDB's choice of how the column is stored.
    """

    name: str
    type: str
    description: str
    nullable: bool = True
    compression: str | None = None

    @property
    def definition(self) -> str:
        """The column as CREATE TABLE wants it."""
        compression = f" using compression {self.compression}" if self.compression else ""
        return f"{self.name} {self.type}{compression}"


@dataclass(frozen=True)
class Table:
    """One table. `description` opens with the grain; `key` are the columns that are unique together.

    `select` is the SELECT that derives the table, None for a table that is written by landing.
    There is no PRIMARY KEY on purpose: it makes the file 2.3 times larger and loading 1.9 times slower,
    so keys are checked instead of enforced (`violations`).
    """

    schema: str
    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    select: str | None = None

    @property
    def qualified_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @cached_property
    def shape(self) -> tuple[tuple[str, str], ...]:
        """Name and type of each column, as DuckDB's catalogue writes them."""
        names = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
        return tuple((column.name, names.get(column.type, column.type)) for column in self.columns)

    def create_statements(self, *, replace: bool = False) -> Iterator[str]:
        """DDL and comments. With `replace`, an existing table is dropped with its rows."""
        columns = ",\n    ".join(column.definition for column in self.columns)
        create = "create or replace table" if replace else "create table if not exists"
        yield f"{create} {self.qualified_name} (\n    {columns}\n)"
        yield f"comment on table {self.qualified_name} is {sql_literal(self.description)}"
        for column in self.columns:
            yield f"comment on column {self.qualified_name}.{column.name} is {sql_literal(column.description)}"

    def rebuild(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Replace the table by what its SELECT gives now; returns the number of rows."""
        for statement in self.create_statements(replace=True):
            connection.execute(statement)
        return self.insert_selected(connection)

    def insert_selected(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Append what the table's SELECT gives now; returns the number of rows. Raises SumTooLargeError."""
        if self.select is None:
            raise TypeError(f"{self.qualified_name} has no SELECT: landing writes it")
        try:
            inserted = connection.execute(f"insert into {self.qualified_name} by name {self.select}").fetchone()
        except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
            said = str(error).splitlines()[0]
            if not _TOO_LARGE.search(said):
                raise
            raise SumTooLargeError(
                f"{self.qualified_name} was left as it was, for a sum does not fit it: {said}"
            ) from error
        return int(inserted[0]) if inserted else 0

    def violations(self, connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
        """Rows that break the declaration: {'not_null': …, 'unique': …}, both 0 when all is well."""
        nulls = " or ".join(f"{column.name} is null" for column in self.columns if not column.nullable)
        key = ", ".join(self.key)
        found = connection.execute(
            f"""
            select
                (select count(*) from {self.qualified_name} where {nulls or "false"}),
                (select count(*) from (select 1 from {self.qualified_name} group by {key} having count(*) > 1))
            """
        ).fetchone()
        assert found is not None
        return {"not_null": int(found[0]), "unique": int(found[1])}


def sql_literal(text: str) -> str:
    """A text as SQL writes it, for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"
