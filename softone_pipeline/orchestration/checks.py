"""The checks that follow from a table's declaration, and the one that quarantine is empty. Results read as sentences."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import dagster as dg
import duckdb

from softone_pipeline.orchestration.metadata import asset_key
from softone_pipeline.tables.raw.payments import PaymentsLoaded
from softone_pipeline.tables.raw.quarantine import QUARANTINE
from softone_pipeline.warehouse import Table

# So many findings are named; how many there are is always told.
_SHOWN = 20

SEARCH_IS_COMPLETE = "search_is_complete"


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


def search_check(table: Table) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        SEARCH_IS_COMPLETE,
        asset=asset_key(table),
        description=(
            "Every date that may hold an open invoice had an uncut answer. A warning where the ERP has no Search for us: "
            "payments are unknown then. An error where it has one and did not come through: balances are older than "
            "invoices."
        ),
    )


def search_check_result(table: Table, loaded: PaymentsLoaded, as_of: dt.date | None) -> dg.AssetCheckResult:
    stands = f"Balances are as of {as_of}." if as_of else "No search has been complete yet: payments are unknown."
    severity = dg.AssetCheckSeverity.ERROR
    if loaded.reason is not None:
        severity = dg.AssetCheckSeverity.WARN
        sentence = f"Payments cannot be asked for: {loaded.reason} {stands}"
    elif loaded.failed:
        windows = f" (and {len(loaded.failed) - 1} more)" if len(loaded.failed) > 1 else ""
        sentence = f"The search for payments failed: {loaded.failed[0]}{windows} {stands} Materialize raw/payment_status again."
    elif loaded.cut_days:
        sentence = f"Search cuts its answers short, so payments are unknown of {_listed(loaded.cut_days)}. {stands}"
    elif loaded.unreadable:
        severity = dg.AssetCheckSeverity.WARN
        named = "; ".join(f"{day}: {what}" for day, what in loaded.unreadable[:_SHOWN])
        sentence = f"Payments of {len(loaded.unreadable)} days cannot be read exactly and are unknown: {named}"
    else:
        sentence = f"Search answered for {loaded.answered} invoices in {loaded.requests} requests."
    return dg.AssetCheckResult(
        asset_key=asset_key(table),
        check_name=SEARCH_IS_COMPLETE,
        passed=loaded.is_complete and not loaded.unreadable,
        severity=severity,
        description=sentence,
        metadata={"query": "from raw.payment_search order by asked_at desc"},
    )


def _listed(days: Sequence[dt.date]) -> str:
    more = f" and {len(days) - _SHOWN} more days" if len(days) > _SHOWN else ""
    return ", ".join(str(day) for day in days[:_SHOWN]) + more
