"""core.invoice_rows: the declaration. The SELECT stands beside it, the refresh in refresh.py."""

from softone_pipeline.tables.declare import AMOUNT, COMPANY, INVOICE_ID, QUANTITY, amount, sql_beside
from softone_pipeline.warehouse import Column, Table

INVOICE_ROWS = Table(
    schema="core",
    name="invoice_rows",
    description=(
        "One row per company, invoice and invoice row, for every invoice in core.invoices that has rows. Sums are as "
        "sent (but a credit sent positive is turned negative), net_amount is always without VAT. Footing, subtotals and "
        "the VAT class are decided on the amounts in invoice currency and carried over. A missing row amount counts as "
        "0 in sums. Words of a tax reduction are looked for in text and article, each by itself, on an invoice with any row "
        "that has VAT, also where the VAT cancels out. A tiny row is the invoice's rounding (row_kind 'rounding') only where some other row is not zero."
    ),
    key=("company", "invoice_id", "row_nr"),
    select=sql_beside(__file__),
    columns=(
        COMPANY,
        INVOICE_ID,
        Column("row_nr", "INTEGER", "Position on the invoice, from 1, as received.", nullable=False),
        Column("partition_date", "DATE", "The Dagster partition: the invoice's own date."),
        Column("invoice_date", "DATE", "UI: Fakturadatum; a Stockholm day."),
        Column("invoice_nr", "VARCHAR", "The invoice number as printed."),
        Column("customer_nr", "VARCHAR", "The customer's number."),
        Column("currency", "VARCHAR", "The invoice's own currency (ISO 4217)."),
        Column("billing_type_name", "VARCHAR", "As in core.invoices.", nullable=False),
        Column("status_class", "VARCHAR", "As in core.invoices.", nullable=False),
        Column("product_nr", "VARCHAR", "Article number (UI: Artikel)."),
        Column("text", "VARCHAR", "Description (UI: Beskrivning)."),
        Column("quantity", QUANTITY, "Quantity invoiced (UI: Antal), as sent."),
        Column("unit_price", QUANTITY, "Price per unit (UI: Pris), as sent. In accounting currency."),
        Column("unit_price_currency", QUANTITY, "Price per unit (UI: Pris), as sent. In invoice currency."),
        *amount("sum_amount", "Row sum (UI: Summa); with VAT only where price_basis is 'gross'."),
        *amount("net_amount", "Row sum without VAT; 0 for a subtotal row.", nullable=False),
        *amount("vat_amount", "VAT of the row."),
        Column(
            "discount_amount_currency",
            AMOUNT,
            "|quantity · unit price|, rounded half away from zero, less |row sum|. In invoice currency.",
        ),
        Column(
            "row_kind",
            "VARCHAR",
            "'item', 'text' (no article and no amount), 'subtotal', 'rounding' (öresavrundning sent as a row), "
            "'tax_reduction' (ROT, RUT, grön teknik).",
            nullable=False,
        ),
        Column(
            "vat_class",
            "VARCHAR",
            "'25', '12', '6', '0', 'none' (no amounts), 'tax_reduction', 'rounding', or 'unknown'; NULL for a subtotal. "
            "'0' cannot tell export, EU, reverse charge and exempt apart.",
        ),
        Column("vat_rate", "DECIMAL(5,2)", "The rate in per cent; NULL where the class is no rate."),
        Column(
            "vat_status",
            "VARCHAR",
            "How the class was found: 'exact' or 'near' (within 0.01) a rate; 'zero' or 'small' (|sum| <= 0.08) for "
            "class 0; why not, for 'unknown': 'missing_amount', "
            "'vat_without_base', 'sign_conflict', 'small_amount', 'no_rate_match'; NULL where there is no rate to find.",
        ),
        Column(
            "is_flagged",
            "BOOLEAN",
            "True for what needs a look: class 'unknown', and money taken off without VAT on an invoice with VAT whose "
            "text says nothing of a tax reduction.",
            nullable=False,
        ),
        Column("price_basis", "VARCHAR", "How the row's invoice foots, as in core.invoices.", nullable=False),
        Column("sign_normalised", "BOOLEAN", "True when the row's amounts were turned negative.", nullable=False),
        Column("attest_state", "INTEGER", "The ERP's code of the attestation state."),
        Column("attest_state_name", "VARCHAR", "Name of the attestation state."),
        Column(
            "accounts",
            "JSON",
            "Accounting distribution of the row: numbers and order as received, blanks and escapes not always.",
        ),
    ),
)
