"""The data dictionary: every table and column in Markdown, from the declarations, and where each value comes from.

`python -m softone_pipeline.tables.dictionary` writes it to README.md beside this file, and the column lineage to
lineage.json; a test keeps both fresh.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from softone_pipeline.tables import TABLES
from softone_pipeline.tables.checks import CHECKS
from softone_pipeline.tables.lineage import lineage, origin, write_lineage
from softone_pipeline.warehouse import Table

DICTIONARY = Path(__file__).with_name("README.md")

_OPENING = """\
# Data dictionary

Written by `python -m softone_pipeline.tables.dictionary` from the declarations in this folder; do not edit it.
The same texts stand as comments in the database (`select comment from duckdb_columns()`).

Money is DECIMAL from the wire to the mart, never a floating-point number. A column without suffix is in accounting
currency (`SOFTONE_ACCOUNTING_CURRENCY`), one with `_currency` in the invoice's own. Credit invoices are negative in
`core` and `mart`. Days are calendar days in Europe/Stockholm; moments are TIMESTAMPTZ.

"From" names the columns whose values make a column up, as DuckDB's plan of the table's SELECT tells them. What merely
filters, joins or groups rows is left out; a plain count of rows comes from no column.
"""


def dictionary() -> str:
    """The whole dictionary as Markdown."""
    return "\n".join([_OPENING, *(line for table in TABLES for line in _table(table)), *_checks()])


def _table(table: Table) -> Iterator[str]:
    yield f"## {table.qualified_name}\n"
    yield f"{table.description}\n"
    yield f"Unique: {', '.join(f'`{name}`' for name in table.key)}.\n"
    sources = lineage().get(table.qualified_name)
    yield f"| column | type | meaning |{' from |' if sources else ''}"
    yield f"|---|---|---|{'---|' if sources else ''}"
    for column in table.columns:
        required = "" if column.nullable else " Never NULL."
        meaning = column.description.replace("|", chr(92) + "|") + required
        came_from = f" {origin(sources[column.name])} |" if sources else ""
        yield f"| `{column.name}` | {column.type} | {meaning} |{came_from}"
    yield ""


def _checks() -> Iterator[str]:
    yield "## Checks\n"
    yield "After each refresh these are tried, and shown at their table in Dagster. An error is a wrong number; a warning"
    yield "needs a look. Each is a SELECT in `checks/` that gives the findings, and runs as it stands on the published copy.\n"
    yield "| check | table | severity | what is true when it passes | what to do when it does not |"
    yield "|---|---|---|---|---|"
    for check in CHECKS:
        yield f"| `{check.name}` | {check.table.qualified_name} | {check.severity} | {check.holds} | {check.to_do} |"
    yield ""


if __name__ == "__main__":
    write_lineage()
    DICTIONARY.write_text(dictionary(), encoding="utf-8")
