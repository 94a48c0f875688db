"""The checks that follow from a table's declaration, and the one that quarantine is empty. Results read as sentences."""

from __future__ import annotations

import dagster as dg
import duckdb

from softone_pipeline.orchestration.metadata import asset_key
from softone_pipeline.tables.raw.quarantine import QUARANTINE
from softone_pipeline.warehouse import Table

_SHOWN = 20


def declared_checks(table: Table) -> list[dg.AssetCheckSpec]:
    required = ", ".join(column.name for column in table.columns if not column.nullable)
    return [
        dg.AssetCheckSpec("not_null", asset=asset_key(table), description=f"Never NULL: {required}."),
        dg.AssetCheckSpec("unique", asset=asset_key(table), description=f"One row per {', '.join(table.key)}."),
    ]


def declared_check_results(table: Table, connection: duckdb.DuckDBPyConnection) -> list[dg.AssetCheckResult]:
    sentences = {
        "not_null": "rows have NULL where the declaration forbids it",
        "unique": "keys stand more than once",
    }
    return [
        dg.AssetCheckResult(
            asset_key=asset_key(table),
            check_name=name,
            passed=count == 0,
            description=f"{count} {sentences[name]} in {table.qualified_name}.",
            metadata={"violations": count},
        )
        for name, count in table.violations(connection).items()
    ]


def quarantine_check(table: Table) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        "quarantine_is_empty",
        asset=asset_key(table),
        description="Every invoice received could be typed exactly. Those that could not wait in raw.quarantine.",
    )


def quarantine_check_result(table: Table, connection: duckdb.DuckDBPyConnection, company: str) -> dg.AssetCheckResult:
    rows = connection.execute(
        f"""
        select invoice_id, partition_date, field, reason, count(*) over () as total
        from {QUARANTINE.qualified_name}
        where company = ?
        order by fetched_at desc, partition_date, invoice_id
        limit {_SHOWN}
        """,
        [company],
    ).fetchall()
    total = rows[0][4] if rows else 0
    named = "; ".join(
        f"invoice {invoice_id if invoice_id is not None else '(no readable id)'} of {day}: {field} {reason}"
        for invoice_id, day, field, reason, _ in rows
    )
    return dg.AssetCheckResult(
        asset_key=asset_key(table),
        check_name="quarantine_is_empty",
        passed=total == 0,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{total} of company {company} in quarantine: {named}" if total else "Nothing is in quarantine.",
        metadata={
            "quarantined": total,
            "query": f"from {QUARANTINE.qualified_name} order by fetched_at desc",
        },
    )
