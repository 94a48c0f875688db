"""Column lineage: as fresh as the SELECTs, and as DuckDB's optimizer sees it, which finds it another way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from softone_pipeline.tables import MACROS, TABLES
from softone_pipeline.tables.lineage import derived_lineage, lineage
from softone_pipeline.warehouse import Table

DERIVED = [table for table in TABLES if table.select is not None]


def test_the_kept_lineage_is_fresh() -> None:
    assert lineage() == derived_lineage(), "run: python -m softone_pipeline.tables.dictionary"


@pytest.fixture(scope="module")
def empty() -> Iterator[duckdb.DuckDBPyConnection]:
    """Every table, without a row. Statistics would tell the optimizer that nothing need be read."""
    with duckdb.connect() as connection:
        for schema in {table.schema for table in TABLES}:
            connection.execute(f"create schema {schema}")
        for statement in (*(line for table in TABLES for line in table.create_statements()), *MACROS):
            connection.execute(statement)
        connection.execute("set disabled_optimizers = 'statistics_propagation'")
        yield connection


def read_for(connection: duckdb.DuckDBPyConnection, query: str) -> set[str]:
    """The columns that DuckDB reads to answer a query: it leaves out all that the answer does not need."""
    found = connection.execute(f"explain (format json) {query}").fetchone()
    assert found is not None

    def scans(operators: list[dict[str, Any]]) -> Iterator[str]:
        for operator in operators:
            facts = operator.get("extra_info", {})
            if "Table" in facts:
                names = facts.get("Projections", [])
                table = ".".join(facts["Table"].split(".")[-2:])
                yield from (f"{table}.{name}" for name in ([names] if isinstance(names, str) else names) if name)
            yield from scans(operator["children"])

    return set(scans(json.loads(found[1])))


@pytest.mark.parametrize("table", DERIVED, ids=lambda table: table.qualified_name)
def test_a_column_is_made_of_what_duckdb_reads_for_it_beyond_what_it_reads_to_know_the_rows(
    table: Table, empty: duckdb.DuckDBPyConnection
) -> None:
    rows = read_for(empty, f"select count(*) from ({table.select})")
    assert rows
    for column, sources in lineage()[table.qualified_name].items():
        read = read_for(empty, f"select {column} from ({table.select})")
        assert set(sources) <= read, column
        assert read <= set(sources) | rows, column


def test_every_source_is_a_column_that_exists() -> None:
    columns = {f"{table.qualified_name}.{name}" for table in TABLES for name in table.column_names}
    assert set(lineage()) == {table.qualified_name for table in DERIVED}
    for table in DERIVED:
        of_table = lineage()[table.qualified_name]
        assert tuple(of_table) == table.column_names
        assert {source for sources in of_table.values() for source in sources} <= columns


def test_what_an_accountant_would_say_of_a_few_columns() -> None:
    assert lineage()["mart.vat_return_draft"]["amount_kr"] == [
        "mart.vat_summary.net_amount",
        "mart.vat_summary.vat_amount",
        "mart.vat_summary.vat_class",
    ]
    assert lineage()["mart.vat_return_draft"]["box"] == []
    assert lineage()["mart.customer_balance"]["credited"] == [
        "core.invoices.billing_type_name",
        "core.invoices.total_amount",
    ]
    assert "raw.payment_status.paid_amount" in lineage()["mart.customer_balance"]["open_amount"]
    assert lineage()["core.invoice_rows"]["net_amount"] == [
        "raw.customer_invoices.payload",
        "raw.customer_invoices.payload_normalised",
    ]
