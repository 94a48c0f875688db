"""The checks on what the numbers say: one declaration each, one SELECT each, in the file of the same name.

A check's SELECT gives a row per finding (company, what it is about, and the finding as a sentence in `what`), and
none when all is well. It runs in DuckDB's shell as it stands, on the published copy. How results reach Dagster is
orchestration's business; not-null and unique checks follow from the tables' declarations.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from softone_pipeline.tables.core.invoice_rows import INVOICE_ROWS
from softone_pipeline.tables.core.invoices import INVOICES
from softone_pipeline.tables.mart.customer_balance import CUSTOMER_BALANCE
from softone_pipeline.tables.mart.vat_return_draft import VAT_RETURN_DRAFT
from softone_pipeline.tables.mart.vat_summary import VAT_SUMMARY
from softone_pipeline.tables.raw.customer_invoices import CUSTOMER_INVOICES
from softone_pipeline.warehouse import Table

if TYPE_CHECKING:
    import duckdb

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Check:
    """`error`: a number is wrong. `warning`: somebody should look. `holds` says what is true when it passes."""

    name: str
    table: Table
    severity: Literal["error", "warning"]
    holds: str
    findings: str
    """What its findings are called: "<Findings>: 3"."""
    to_do: str
    """The next step, for whoever sees the findings."""

    @property
    def select(self) -> str:
        return (_HERE / f"{self.name}.sql").read_text(encoding="utf-8")

    def find(self, connection: duckdb.DuckDBPyConnection, company: str, limit: int) -> tuple[int, list[str]]:
        """How many findings the company has, and the first of them as sentences."""
        rows = connection.execute(
            f"with finding as (\n{self.select}\n)\n"
            "select what, count(*) over () from finding where company = $company limit $limit",
            {"company": company, "limit": limit},
        ).fetchall()
        return (rows[0][1] if rows else 0), [row[0] for row in rows]


CHECKS = (
    Check(
        "quarantine_is_empty",
        CUSTOMER_INVOICES,
        "error",
        "Every invoice received could be typed exactly; those that could not wait in raw.quarantine.",
        "Invoices in quarantine",
        "Correct them in the ERP and load their day again: that clears it.",
    ),
    Check(
        "core_ties_to_raw",
        INVOICES,
        "error",
        "Each invoice in raw is in core, once, with its totals, its VAT and its rows' sums to the öre, in both currencies.",
        "Invoices in which core and raw differ",
        "Materialize core and the marts again. If it stays it is a defect of ours: report it with what stands here.",
    ),
    Check(
        "invoices_foot",
        INVOICES,
        "warning",
        "Rows and header of each definitive invoice agree, but for the rounding to a whole krona.",
        "Invoices that do not foot",
        "Look at them in the ERP. They are kept and counted; in VAT the difference is the line header_adjustment.",
    ),
    Check(
        "header_vat_agrees_with_rows",
        INVOICES,
        "warning",
        "The VAT that a definitive invoice's header states is its rows' VAT, within the rounding of the rows.",
        "Invoices whose header states another VAT than their rows",
        "Look at them in the ERP before the VAT return is filed; the difference is the line header_adjustment.",
    ),
    Check(
        "codes_are_known",
        INVOICES,
        "warning",
        "Each invoice has a status and a billing type that are known; one of another status counts nowhere, a definitive one "
        "of another type is counted but is in no box of the VAT return.",
        "Invoices with an unknown status or billing type",
        "Ask what these codes mean in SoftOne, and tell us; until then those of an unknown status are not counted, and those "
        "of an unknown type are counted but left out of the VAT return's boxes.",
    ),
    Check(
        "currency_is_given",
        INVOICES,
        "warning",
        "Each invoice says its currency.",
        "Invoices without a currency",
        "Set the currency on them in the ERP and load their day again.",
    ),
    Check(
        "invoice_numbers_are_unique",
        INVOICES,
        "warning",
        "No invoice number is used twice; preliminary invoices do not count.",
        "Invoice numbers that are used more than once",
        "Ask bookkeeping which of the two stands; nothing is left out of the sums here.",
    ),
    Check(
        "invoice_series_are_unbroken",
        INVOICES,
        "warning",
        "No number is left out within a series of invoice numbers; preliminary invoices do not count.",
        "Gaps in the invoice numbers",
        "Ask bookkeeping about the numbers; a gap may be a draft that was deleted.",
    ),
    Check(
        "posted_invoices_are_still_there",
        INVOICES,
        "error",
        "No definitive invoice has gone missing from the ERP: sums that were reported with it have changed.",
        "Definitive invoices that the ERP no longer has",
        "Ask who removed them in the ERP. Their history is kept in raw, and core marks them missing.",
    ),
    Check(
        "rows_tie_to_invoices",
        INVOICE_ROWS,
        "error",
        "The rows of each invoice come to its net and VAT, to the öre, in both currencies.",
        "Invoices whose rows come to something else",
        "Materialize core and the marts again. If it stays it is a defect of ours: report it with what stands here.",
    ),
    Check(
        "summary_ties_to_core",
        VAT_SUMMARY,
        "error",
        "Net and VAT over all lines are the invoices' totals, to the öre, in both currencies, for each month, currency, "
        "billing type and status.",
        "Cells that are not the total of their invoices",
        "Materialize core and the marts again. If it stays it is a defect of ours: report it with what stands here.",
    ),
    Check(
        "vat_classes_are_known",
        VAT_SUMMARY,
        "warning",
        "At most one in a hundred rows of a month's definitive invoices has no VAT class, and at most one in a hundred kronor.",
        "Months with much of unknown VAT class",
        "Look at these rows before the VAT return is filed: softone explain vat YYYY-MM unknown lists their invoices.",
    ),
    Check(
        "return_ties_to_summary",
        VAT_RETURN_DRAFT,
        "error",
        "Each box is the sum of its classes over definitive debit and credit invoices, cut to whole kronor once.",
        "Boxes that are not the sum of their classes",
        "Materialize the marts again. If it stays it is a defect of ours: report it with what stands here.",
    ),
    Check(
        "balance_ties_to_core",
        CUSTOMER_BALANCE,
        "error",
        "What each customer has been invoiced is the total of its definitive invoices in core, to the öre.",
        "Balances that are not the total of their invoices",
        "Materialize core and the marts again. If it stays it is a defect of ours: report it with what stands here.",
    ),
    Check(
        "balance_adds_up",
        CUSTOMER_BALANCE,
        "error",
        "The parts of what is invoiced, and the ageing of what is open, add up to the whole; what is unknown is NULL.",
        "Balances that do not add up",
        "Materialize the marts again. If it stays it is a defect of ours: report it with what stands here.",
    ),
)
