"""mart.vat_return_draft: the declaration. The SELECT stands beside it."""

from softone_pipeline.tables.declare import COMPANY, sql_beside
from softone_pipeline.warehouse import Column, Table

VAT_RETURN_DRAFT = Table(
    schema="mart",
    name="vat_return_draft",
    description=(
        "One row per company, month and box of the Swedish VAT return (Skatteverket SKV 4700), sales side only. A draft: "
        "it follows faktureringsmetoden with the invoice date, counts definitive debit and credit invoices, and knows "
        "neither purchases (boxes 48 and 49) nor the cash method. Interest and reminders are outside VAT; those that carry "
        "VAT all the same are in no box and told in the note. Days never fetched are not looked for."
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
            "Whole kronor: summed in öre, then cut towards zero once per box. In accounting currency: where that is EUR, "
            "whole euros.",
        ),
        Column(
            "coverage",
            "VARCHAR",
            "'derived' when all that may be taxable of the month's invoices is in a box; 'partial' when some is in none "
            "(class unknown, header_adjustment, a rate of SOFTONE_VAT_RATES that the return has no box for; VAT on invoices "
            "of unknown status, or of a type other than debit and credit; invoices in quarantine), or when "
            "SOFTONE_ACCOUNTING_CURRENCY is not SEK; 'not_derivable' when the box cannot be known from here.",
            nullable=False,
        ),
        Column(
            "note",
            "VARCHAR",
            "What the figure rests on, and a sentence for each kind of thing that is in no box: how many invoices, and "
            "their amounts added up without signs, for what one adds another may take away. In accounting currency.",
            nullable=False,
        ),
    ),
)
