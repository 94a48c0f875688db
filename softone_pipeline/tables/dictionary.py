"""The data dictionary: every table and column in Markdown, from the declarations.

`python -m softone_pipeline.tables.dictionary` writes it to README.md beside this file; a test keeps it fresh.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from softone_pipeline.tables import TABLES
from softone_pipeline.warehouse import Table

DICTIONARY = Path(__file__).with_name("README.md")

_OPENING = """\
# Data dictionary

Written by `python -m softone_pipeline.tables.dictionary` from the declarations in this folder; do not edit it.
The same texts stand as comments in the database (`select comment from duckdb_columns()`).

Money is DECIMAL from the wire to the mart, never a floating-point number. A column without suffix is in accounting
currency (`SOFTONE_ACCOUNTING_CURRENCY`), one with `_currency` in the invoice's own. Credit invoices are negative in
`core` and `mart`. Days are calendar days in Europe/Stockholm; moments are TIMESTAMPTZ.
"""


def dictionary() -> str:
    """The whole dictionary as Markdown."""
    return "\n".join([_OPENING, *(line for table in TABLES for line in _table(table))])


def _table(table: Table) -> Iterator[str]:
    yield f"## {table.qualified_name}\n"
    yield f"{table.description}\n"
    yield f"Unique: {', '.join(f'`{name}`' for name in table.key)}.\n"
    yield "| column | type | meaning |"
    yield "|---|---|---|"
    for column in table.columns:
        required = "" if column.nullable else " Never NULL."
        yield f"| `{column.name}` | {column.type} | {column.description.replace('|', chr(92) + '|')}{required} |"
    yield ""


if __name__ == "__main__":
    DICTIONARY.write_text(dictionary(), encoding="utf-8")
