"""mart.vat_return_draft: the declaration. The SELECT stands beside it."""

from softone_pipeline.tables.declare import COMPANY, sql_beside
from softone_pipeline.warehouse import Column, Table

VAT_RETURN_DRAFT = Table(
    schema="mart",
    name="vat_return_draft",
    description=(
        "One row per company, month and box of the Swedish VAT return (Skatteverket SKV 4700), sales side only. A draft: "
        "it follows faktureringsmetoden with the invoice date, counts definitive debit and credit invoices, and knows "
        "neither purchases (boxes 48 and 49) nor the cash method. Interest and reminders are outside VAT."
    ),
    key=("company", "period_month", "box"),
    select=sql_beside(__file__),
    columns=(
        COMPANY,
        Column("period_month", "DATE", "First day of the month.", nullable=False),
        Column(
            "box",
            "VARCHAR",
            "'05' taxable sales (25, 12 and 6 %), '10', '11', '12' output VAT at 25, 12 and 6 %, '0-base' sales without "
            "VAT that are not allocated to a box.",
            nullable=False,
        ),
        Column(
            "amount_kr",
            "BIGINT",
            "Whole kronor: summed in öre, then cut towards zero once per box. In accounting currency.",
        ),
        Column(
            "coverage",
            "VARCHAR",
            "'derived' when all of the month's invoices could be placed, 'partial' when some could not (class unknown, "
            "header_adjustment, or a rate of SOFTONE_VAT_RATES that the return has no box for), "
            "'not_derivable' when the box cannot be known from here.",
            nullable=False,
        ),
        Column("note", "VARCHAR", "What the figure rests on and what it leaves out.", nullable=False),
    ),
)
