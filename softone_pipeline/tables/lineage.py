"""Column lineage: from which columns the values of each derived column come.

Derived from the plan that DuckDB itself binds for each table's SELECT, macros and stars resolved, and kept beside
this file as lineage.json (`python -m softone_pipeline.tables.dictionary` writes it; a test keeps it fresh), so that
loading the definitions plans nothing. Only values count: a column that merely filters or joins rows is no source.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from softone_pipeline.tables import MACROS, TABLES
from softone_pipeline.warehouse import Table

LINEAGE = Path(__file__).with_suffix(".json")

# Columns as "schema.table.column".
Sources = frozenset[str]
_Plan = Mapping[str, Any]


@cache
def lineage() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Per derived table ("core.invoices") and column, the source columns ("raw.customer_invoices.payload"), sorted."""
    kept: dict[str, dict[str, list[str]]] = json.loads(LINEAGE.read_text(encoding="utf-8"))
    return kept


def derived_lineage() -> dict[str, dict[str, list[str]]]:
    """What `lineage` should say, from the SELECTs as they stand."""
    with duckdb.connect() as connection:
        for schema in {table.schema for table in TABLES}:
            connection.execute(f"create schema {schema}")
        for statement in (*(line for table in TABLES for line in table.create_statements()), *MACROS):
            connection.execute(statement)
        # Only what leaves out branches that are never reached (an earlier moment's, in the balances) and unties exists().
        optimizers = {name for (name,) in connection.execute("select name from duckdb_optimizers()").fetchall()}
        off = optimizers - {"expression_rewriter", "filter_pushdown", "deliminator"}
        connection.execute("set disabled_optimizers = $off", {"off": ",".join(off)})
        return {table.qualified_name: _of(table, table.select, connection) for table in TABLES if table.select}


def write_lineage() -> None:
    """Put `derived_lineage` where `lineage` reads it."""
    LINEAGE.write_text(json.dumps(derived_lineage(), indent=1) + "\n", encoding="utf-8")
    lineage.cache_clear()


def by_table(sources: Sequence[str]) -> dict[str, list[str]]:
    """Source columns gathered by table: {"core.invoices": ["total_amount"]}."""
    gathered: dict[str, list[str]] = {}
    for source in sources:
        table, _, column = source.rpartition(".")
        gathered.setdefault(table, []).append(column)
    return gathered


def origin(sources: Sequence[str]) -> str:
    """Source columns as readers see them: "core.invoices: billing_type_name, total_amount"; "" for none."""
    return "; ".join(f"{table}: {', '.join(names)}" for table, names in by_table(sources).items())


def _of(table: Table, select: str, connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    found = connection.execute("select json_serialize_plan(?, optimize := true)", [select]).fetchone()
    assert found is not None
    (plan,) = json.loads(found[0])["plans"]
    sources = dict(zip(connection.sql(select).columns, _columns(plan, {}), strict=True))
    return {name: sorted(sources[name]) for name in table.column_names}


def _columns(plan: _Plan, ctes: dict[int, list[Sources]]) -> list[Sources]:  # noqa: PLR0911, PLR0912 (a case an operator)
    """The sources of each column that an operator gives, in its order. References count the columns of its input."""
    match plan["type"]:
        case "LOGICAL_GET":
            data = plan["function_data"]
            names = [plan["names"][column["index"]] for column in plan["column_indexes"]]
            columns = [frozenset({f"{data['schema']}.{data['table']}.{name}"}) for name in names]
            return _kept(columns, plan["projection_ids"])
        case "LOGICAL_MATERIALIZED_CTE":
            inner, outer = plan["children"]
            ctes[plan["table_index"]] = _columns(inner, ctes)
            return _columns(outer, ctes)
        case "LOGICAL_CTE_REF":
            return ctes[plan["cte_index"]]
        case "LOGICAL_DUMMY_SCAN":
            return [frozenset()]
        case "LOGICAL_EMPTY_RESULT":
            return [frozenset()] * len(plan["return_types"])
    below = [_columns(child, ctes) for child in plan["children"]]
    match plan["type"]:
        case "LOGICAL_PROJECTION":
            return [_sources(each, below[0]) for each in plan["expressions"]]
        case "LOGICAL_AGGREGATE_AND_GROUP_BY":
            return [_sources(each, below[0]) for each in (*plan["groups"], *plan["expressions"])]
        case "LOGICAL_UNNEST":
            return [*below[0], *(_sources(each, below[0]) for each in plan["expressions"])]
        case "LOGICAL_FILTER":
            return _kept(below[0], plan["projection_map"])
        case "LOGICAL_DISTINCT":
            return below[0]
        case "LOGICAL_UNION":
            return [frozenset().union(*column) for column in zip(*below, strict=True)]
        case "LOGICAL_COMPARISON_JOIN":
            left = _kept(below[0], plan["left_projection_map"])
            if plan["join_type"] == "MARK":
                marks = (
                    _sources(condition[side], columns)
                    for condition in plan["conditions"]
                    for side, columns in zip(("left", "right"), below, strict=True)
                )
                return [*left, frozenset().union(*marks)]
            return [*left, *_kept(below[1], plan["right_projection_map"])]
    raise NotImplementedError(
        f"{plan['type']} is not known to softone_pipeline/tables/lineage.py: say what its columns are."
    )


def _sources(expression: _Plan, below: Sequence[Sources]) -> Sources:
    return frozenset().union(*(below[index] for index in _references(expression)))


def _references(expression: Any) -> Iterator[int]:
    """Positions in the operator's input. What a lambda takes from there stands beside its body, which counts its own."""
    if isinstance(expression, list):
        for each in expression:
            yield from _references(each)
    elif isinstance(expression, dict):
        if expression.get("type") == "BOUND_REF":
            yield expression["index"]
        for name, value in expression.items():
            if name not in {"function_data", "lambda_expr"}:
                yield from _references(value)


def _kept(columns: list[Sources], positions: Sequence[int]) -> list[Sources]:
    return [columns[position] for position in positions] if positions else columns
