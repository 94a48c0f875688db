"""Brings core.invoices and core.invoice_rows up to date with raw, for just the invoices that differ.

What differs is found by comparing, not remembered: so it does not matter which days were fetched, in which
order, or whether an earlier refresh was lost. Both tables are written in the caller's one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from softone_pipeline.tables.core.invoice_rows import INVOICE_ROWS
from softone_pipeline.tables.core.invoices import INVOICES
from softone_pipeline.tables.macros import MACROS

if TYPE_CHECKING:
    import duckdb

    from softone_pipeline.settings import PipelineSettings

_SQL = (*MACROS, *(part for table in (INVOICES, INVOICE_ROWS) for part in (table.select, *table.create_statements())))
_SQL_DIGEST = hashlib.sha256("\x1e".join(map(str, _SQL)).encode()).hexdigest()

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
    """Derive the invoices of the settings' company again where raw has moved on. Run it in a transaction.

    After an upgrade also those of the other companies in the database, with the settings that they were last derived with:
    none is to be without its tables until its own next run.
    """
    variables = _variables(settings)
    built = connection.execute(f"select {', '.join(variables)}, sql_digest from core.build_state").fetchall()
    built_with = {row[0]: (dict(zip(variables, row[:-1], strict=True)), row[-1]) for row in built}
    is_current = built_with.pop(settings.company, None) == (variables, _SQL_DIGEST)
    refreshed = _refresh_company(connection, variables, whole=not is_current)
    for other, its_digest in built_with.values():
        if its_digest != _SQL_DIGEST:
            refreshed += _refresh_company(connection, other, whole=True)
    return Refreshed(
        invoices_refreshed=refreshed,
        invoices=_count(connection, INVOICES.qualified_name),
        invoice_rows=_count(connection, INVOICE_ROWS.qualified_name),
    )


def set_variables(connection: duckdb.DuckDBPyConnection, settings: PipelineSettings) -> None:
    """Set what SELECTs read by getvariable(): without them they use Swedish defaults."""
    _set(connection, _variables(settings))


def _refresh_company(connection: duckdb.DuckDBPyConnection, variables: Mapping[str, Any], *, whole: bool) -> int:
    """Derive one company's invoices again, the `whole` of them or those that differ; returns how many."""
    company = {"company": variables["company"]}
    _set(connection, variables)
    if whole:
        connection.execute("delete from core.build_state where company = $company", company)
        state = {**variables, "sql_digest": _SQL_DIGEST}
        said = ", ".join(f"${name} as {name}" for name in state)
        connection.execute(f"insert into core.build_state by name select {said}, now() as built_at", state)
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
    return refreshed


def _set(connection: duckdb.DuckDBPyConnection, variables: Mapping[str, Any]) -> None:
    for name, value in variables.items():
        connection.execute(f"set variable {name} = $value", {"value": value})


def _variables(settings: PipelineSettings) -> dict[str, Any]:
    """What an invoice is derived with. The columns of core.build_state are named alike."""
    return {
        "company": settings.company,
        "accounting_currency": settings.accounting_currency,
        "vat_rates": list(settings.vat_rates),
        "tax_reduction_words": list(settings.tax_reduction_words),
    }


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0
