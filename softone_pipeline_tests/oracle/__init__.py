"""An independent oracle: tables.md once more, in plain Python and whole öre, without a look at the SQL.

Lives here: what must stand in core and mart for a list of received invoices (`facts`, `marts`), and a
generator of invoices that meets every case (`generate`). Not here: DuckDB, Dagster, HTTP, versions.

    wires = [random_invoice(random.Random(1), n) for n in range(1, 1001)]
    texts = [to_json(wire) for wire in wires]                  # what the ERP would send
    invoices, rows = core(parse(text) for text in texts)       # what core.* must say
    lines = vat_summary(invoices, rows)                        # what mart.vat_summary must say

Where tables.md leaves a choice, the choice is numbered in `readings.py`, with
an invoice for each one that changes a number.
"""

from softone_pipeline_tests.oracle.facts import Fact, Wire, core, core_invoice, parse
from softone_pipeline_tests.oracle.generate import invoice_batches, invoices, random_invoice, to_json
from softone_pipeline_tests.oracle.marts import customer_balance, vat_lines, vat_return_draft, vat_summary

__all__ = [
    "Fact",
    "Wire",
    "core",
    "core_invoice",
    "customer_balance",
    "invoice_batches",
    "invoices",
    "parse",
    "random_invoice",
    "to_json",
    "vat_lines",
    "vat_return_draft",
    "vat_summary",
]
