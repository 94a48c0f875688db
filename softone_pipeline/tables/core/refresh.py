"""Brings core.invoices and core.invoice_rows up to date with raw, for just the invoices that differ.

What differs is found by comparing, not remembered: so it does not matter which days were fetched, in which
order, or whether an earlier refresh was lost. Both tables are written in the caller's one transaction.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from softone_pipeline.tables.core.build_state import BUILD_STATE
from softone_pipeline.tables.core.invoice_rows import INVOICE_ROWS
from softone_pipeline.tables.core.invoices import INVOICES
from softone_pipeline.tables.macros import MACROS

if TYPE_CHECKING:
    import duckdb

    from softone_pipeline.settings import PipelineSettings

# So many invoices are derived at a time, that memory does not grow with their number.
_AT_ONCE = 200_000

_ALL = "select invoice_id from raw.customer_invoices where latest and company = $company"

# An invoice differs when its newest version, its being missing, or its flag is not what core was derived from.
_DIFFERENT = """
select coalesce(version.invoice_id, invoices.invoice_id) as invoice_id
from (
    select
        invoice_id,
        fetched_at,
        end_reason is not null as is_missing,
        invoice_id in (
            select quarantine.invoice_id from raw.quarantine
            where quarantine.company = $company and quarantine.invoice_id is not null
        ) as has_quarantined_update
    from raw.customer_invoices
    where latest and company = $company
) as version
full join (
    select invoice_id, fetched_at, status_class = 'missing' as is_missing, has_quarantined_update
    from core.invoices
    where company = $company
) as invoices
    using (invoice_id)
where version.fetched_at is distinct from invoices.fetched_at
    or version.is_missing is distinct from invoices.is_missing
    or version.has_quarantined_update is distinct from invoices.has_quarantined_update
"""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did: invoices derived again, and how many invoices and rows there are now."""

    invoices_refreshed: int
    invoices: int
    invoice_rows: int


def refresh_core(connection: duckdb.DuckDBPyConnection, settings: PipelineSettings) -> Refreshed:
    """Derive the invoices of the settings' company again where raw has moved on. Run it in a transaction."""
    company = {"company": settings.company}
    set_variables(connection, settings)
    fingerprint = _fingerprint(settings)
    built = connection.execute("select fingerprint from core.build_state where company = $company", company).fetchone()
    whole = built != (fingerprint,)
    if whole:
        connection.execute("delete from core.build_state where company = $company", company)
        connection.execute(
            f"insert into {BUILD_STATE.qualified_name} values (?, ?, now())", [settings.company, fingerprint]
        )
    connection.execute(
        f"""
        create or replace temp table different as
        select invoice_id, (row_number() over (order by invoice_id) - 1) // {_AT_ONCE} as part
        from ({_ALL if whole else _DIFFERENT})
        """,
        company,
    )
    derived_again = "true" if whole else "invoice_id in (select invoice_id from different)"
    for table in (INVOICE_ROWS, INVOICES):
        connection.execute(f"delete from {table.qualified_name} where company = $company and {derived_again}", company)
    for (part,) in connection.execute("select distinct part from different order by part").fetchall():
        connection.execute(
            "set variable invoice_ids = (select list(invoice_id) from different where part = $part)", {"part": part}
        )
        for table in (INVOICE_ROWS, INVOICES):
            table.insert_selected(connection)
    connection.execute("reset variable invoice_ids")
    refreshed = _count(connection, "different")
    connection.execute("drop table different")
    return Refreshed(
        invoices_refreshed=refreshed,
        invoices=_count(connection, INVOICES.qualified_name),
        invoice_rows=_count(connection, INVOICE_ROWS.qualified_name),
    )


def set_variables(connection: duckdb.DuckDBPyConnection, settings: PipelineSettings) -> None:
    """Set what the SELECTs of core and mart read by getvariable(): without them they use Swedish defaults."""
    for name, value in _variables(settings).items():
        connection.execute(f"set variable {name} = $value", {"value": value})


def _variables(settings: PipelineSettings) -> dict[str, Any]:
    return {
        "company": settings.company,
        "accounting_currency": settings.accounting_currency,
        "vat_rates": list(settings.vat_rates),
        "tax_reduction_words": list(settings.tax_reduction_words),
    }


def _fingerprint(settings: PipelineSettings) -> str:
    parts = [*MACROS, INVOICES.select, INVOICE_ROWS.select, json.dumps(_variables(settings), default=str)]
    return hashlib.sha256("\x1e".join(str(part) for part in parts).encode()).hexdigest()


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0
