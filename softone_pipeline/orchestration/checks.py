"""The checks as Dagster sees them: those that follow from a table's declaration, those of tables/checks, and Search.

Results read as sentences, and name what they are about.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import dagster as dg
import duckdb

from softone_pipeline.orchestration.placement import Placement
from softone_pipeline.readable import counted, plural
from softone_pipeline.tables.checks import CHECKS, Check
from softone_pipeline.tables.raw.payments import PaymentsLoaded
from softone_pipeline.warehouse import Table

# So many findings are named; how many there are is always told.
_SHOWN = 20

_SEVERITY = {"error": dg.AssetCheckSeverity.ERROR, "warning": dg.AssetCheckSeverity.WARN}

SEARCH_IS_COMPLETE = "search_is_complete"

# Begins the last line of a result that did not pass.
TO_DO = "To do: "
_OURS = "This is a defect of ours: report it with the rows that the check finds."


def check_specs(table: Table, place: Placement) -> list[dg.AssetCheckSpec]:
    """What follows from the table's declaration, and what its numbers should say (tables/checks)."""
    key = place.key(table)
    required = ", ".join(column.name for column in table.columns if not column.nullable)
    return [
        dg.AssetCheckSpec("not_null", asset=key, description=f"Never NULL: {required}."),
        dg.AssetCheckSpec("unique", asset=key, description=f"One row per {', '.join(table.key)}."),
        *(
            dg.AssetCheckSpec(check.name, asset=key, description=check.holds, metadata={"query": check.select})
            for check in CHECKS
            if check.table is table
        ),
    ]


def check_results(
    table: Table, place: Placement, connection: duckdb.DuckDBPyConnection, company: str
) -> list[dg.AssetCheckResult]:
    """The results of `check_specs`."""
    return [
        *declared_check_results(table, place, connection),
        *(_number_check_result(check, place, connection, company) for check in CHECKS if check.table is table),
    ]


def declared_check_results(
    table: Table, place: Placement, connection: duckdb.DuckDBPyConnection
) -> list[dg.AssetCheckResult]:
    sentences = {
        "not_null": (
            "row has NULL where the declaration forbids it",
            "rows have NULL where the declaration forbids it",
        ),
        "unique": ("key stands more than once", "keys stand more than once"),
    }
    return [
        dg.AssetCheckResult(
            asset_key=place.key(table),
            check_name=name,
            passed=count == 0,
            description=f"{counted(count, *sentences[name])} in {table.qualified_name}."
            + (f"\n{TO_DO}{_OURS}" if count else ""),
            metadata={"violations": count},
        )
        for name, count in table.violations(connection).items()
    ]


def _number_check_result(
    check: Check, place: Placement, connection: duckdb.DuckDBPyConnection, company: str
) -> dg.AssetCheckResult:
    total, named = check.find(connection, company, _SHOWN)
    more = [f"and {total - len(named)} more"] if total > len(named) else []
    return dg.AssetCheckResult(
        asset_key=place.key(check.table),
        check_name=check.name,
        passed=total == 0,
        severity=_SEVERITY[check.severity],
        description=(
            "\n".join([f"{check.findings}: {total} (company {company})", *named, *more, f"{TO_DO}{check.to_do}"])
            if total
            else check.holds
        ),
        metadata={"findings": total, "query": check.select},
    )


def search_check(table: Table, place: Placement) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        SEARCH_IS_COMPLETE,
        asset=place.key(table),
        description=(
            "Every date that may hold an open invoice had an uncut answer. A warning where the ERP has no Search for us: "
            "payments are unknown then. An error where it has one and did not come through: balances are older than "
            "invoices."
        ),
    )


def search_check_result(
    table: Table, place: Placement, loaded: PaymentsLoaded, as_of: dt.date | None
) -> dg.AssetCheckResult:
    stands = f"Balances are as of {as_of}." if as_of else "No search has been complete yet: payments are unknown."
    severity = dg.AssetCheckSeverity.ERROR
    if loaded.reason is not None:
        severity = dg.AssetCheckSeverity.WARN
        sentence = f"Payments cannot be asked for: {loaded.reason} {stands}"
        to_do = "Ask SoftOne for the right to Search; until then read balances as invoiced, never as outstanding."
    elif loaded.failed:
        windows = f" (and {len(loaded.failed) - 1} more)" if len(loaded.failed) > 1 else ""
        sentence = f"The search for payments failed: {loaded.failed[0]}{windows} {stands}"
        to_do = f"Materialize {place.key(table).to_user_string()} again."
    elif loaded.cut_days:
        sentence = f"Search cuts its answers short, so payments are unknown of {_listed(loaded.cut_days)}. {stands}"
        to_do = "Ask SoftOne how many rows Search may give for one day; balances of those days' customers are unknown."
    elif loaded.unreadable:
        severity = dg.AssetCheckSeverity.WARN
        count = len(loaded.unreadable)
        more = [f"and {count - _SHOWN} more"] if count > _SHOWN else []
        sentence = "\n".join(
            [
                f"Payments of {counted(count, 'invoice')} cannot be read exactly and are unknown:",
                *loaded.unreadable[:_SHOWN],
                *more,
            ]
        )
        to_do = "Correct those invoices in the ERP, then materialize this again."
    else:
        sentence = (
            f"Search answered for {counted(loaded.answered, 'invoice')} in {counted(loaded.requests, 'request')}."
        )
        to_do = None
    return dg.AssetCheckResult(
        asset_key=place.key(table),
        check_name=SEARCH_IS_COMPLETE,
        passed=loaded.is_complete and not loaded.unreadable,
        severity=severity,
        description=f"{sentence}\n{TO_DO}{to_do}" if to_do else sentence,
        metadata={"query": "from raw.payment_search order by asked_at desc"},
    )


def _listed(days: Sequence[dt.date]) -> str:
    rest = len(days) - _SHOWN
    more = f" and {rest} more {plural(rest, 'day')}" if rest > 0 else ""
    return ", ".join(str(day) for day in days[:_SHOWN]) + more
