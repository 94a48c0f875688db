"""What the UI shows of a table, from its declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import duckdb

from softone_pipeline.tables.mart.vat_return_draft import VAT_RETURN_DRAFT
from softone_pipeline.tables.mart.vat_summary import VAT_SUMMARY
from softone_pipeline.warehouse import Table


def definition_metadata(table: Table, published: str) -> Mapping[str, Any]:
    """Column schema, the table's name, and a query that opens it."""
    return {
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    name=column.name,
                    type=column.type,
                    description=column.description,
                    constraints=dg.TableColumnConstraints(nullable=column.nullable),
                )
                for column in table.columns
            ],
            constraints=dg.TableConstraints(other=[f"unique: {', '.join(table.key)}"]),
        ),
        "dagster/table_name": table.qualified_name,
        "open_with": dg.MetadataValue.md(
            f'```\nduckdb -readonly {published} -c "from {table.qualified_name} limit 20"\n```'
        ),
    }


# What a preview may show: no table in which a person can be recognised.
_PREVIEWS = {
    VAT_RETURN_DRAFT: "select period_month, box, amount_kr, coverage from {table} order by period_month desc, box limit 15",
    VAT_SUMMARY: """
        select period_month, vat_class, sum(net_amount) as net_amount, sum(vat_amount) as vat_amount
        from {table}
        where status_class = 'counted'
        group by all
        order by period_month desc, vat_class
        limit 15
    """,
}


def preview(table: Table, connection: duckdb.DuckDBPyConnection) -> dict[str, dg.MetadataValue[Any]]:
    """The newest figures as a small table, amounts as exact text; nothing for a table that tells of customers."""
    select = _PREVIEWS.get(table)
    if select is None:
        return {}
    found = connection.execute(select.format(table=table.qualified_name))
    names = [column[0] for column in found.description or []]
    lines = [
        names,
        ["---"] * len(names),
        *(["" if value is None else str(value) for value in row] for row in found.fetchall()),
    ]
    return {"preview": dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))}
