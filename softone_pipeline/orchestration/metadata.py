"""What the UI shows of a table, from its declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

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
