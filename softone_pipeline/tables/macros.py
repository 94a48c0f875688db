"""The SQL macros that the SELECTs in this room call. Each .sql file says what its macros are for."""

from pathlib import Path

_HERE = Path(__file__).parent

MACROS = tuple(
    (_HERE / path).read_text(encoding="utf-8")
    for path in (
        "raw/read_invoice.sql",
        "raw/read_invoice_header.sql",
        "raw/macros.sql",
        "core/macros.sql",
        "mart/receivables_as_known.sql",
        "mart/customer_balance_as_known.sql",
    )
)
