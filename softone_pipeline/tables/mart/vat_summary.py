"""mart.vat_summary: the declaration. The SELECT stands beside it."""

from softone_pipeline.tables.declare import COMPANY, amount, sql_beside
from softone_pipeline.warehouse import Column, Table

VAT_SUMMARY = Table(
    schema="mart",
    name="vat_summary",
    description=(
        "One row per company, month, currency, billing type, status class, VAT class and rate source. For every invoice, "
        "net plus VAT over its lines is its total, exactly, in both currencies. Class '0' cannot tell export, EU, "
        "reverse charge and exempt sales apart. The rate is never derived from accounting-currency amounts, and never "
        "rejected by date."
    ),
    key=(
        "company",
        "period_month",
        "currency",
        "billing_type_name",
        "status_class",
        "vat_class",
        "rate_source",
    ),
    select=sql_beside(__file__),
    columns=(
        COMPANY,
        Column("period_month", "DATE", "First day of the invoice date's month; NULL for invoices without a date."),
        Column("currency", "VARCHAR", "The invoices' own currency (ISO 4217)."),
        Column("billing_type_name", "VARCHAR", "As in core.invoices.", nullable=False),
        Column("status_class", "VARCHAR", "As in core.invoices.", nullable=False),
        Column(
            "vat_class",
            "VARCHAR",
            "'25', '12', '6', '0', 'unknown', 'none' (no amounts), 'tax_reduction' (money the buyer does not pay, not a "
            "sale without VAT), 'rounding' (öresavrundning, as net), 'header_adjustment' (what headers say beyond their "
            "rows and rounding).",
            nullable=False,
        ),
        Column("rate_source", "VARCHAR", "'row' when rows gave the class, 'header' otherwise.", nullable=False),
        *amount("net_amount", "Sum without VAT; credits are negative.", nullable=False),
        *amount("vat_amount", "Sum of VAT; credits are negative.", nullable=False),
        Column("invoice_count", "BIGINT", "Invoices with something on this line.", nullable=False),
        Column("row_count", "BIGINT", "Invoice rows on this line.", nullable=False),
        Column(
            "flagged_count",
            "BIGINT",
            "Rows or invoices on this line that need a look: unknown class, negative rows without VAT, headers "
            "that disagree with their rows.",
            nullable=False,
        ),
    ),
)
