"""raw.payment_status: the declaration. How it is written stands in payments.py."""

from softone_pipeline.tables.declare import AMOUNT, COMPANY, INVOICE_ID
from softone_pipeline.warehouse import Column, Table

PAYMENT_STATUS = Table(
    schema="raw",
    name="payment_status",
    description=(
        "One row per company, invoice and version of what the ERP's Search says about its payment. Amounts are in "
        "accounting currency, signed as Search sends them: paid_amount has the sign of the total_amount beside it. Only "
        "uncut answers count. One that says the same writes nothing, one that says otherwise closes the version and "
        "opens a new one, and one that no longer has an invoice of its dates closes it: the payment is unknown then, as it is "
        "while its row cannot be read exactly (the amounts are NULL). An answer with a row whose id cannot be read closes "
        "nothing for being left out of it. "
        "superseded_at IS NULL selects what is known now; as_of <= T AND (superseded_at IS NULL OR superseded_at > T) "
        "selects what was known at T. Asked for are the dates of all invoices not known to be fully paid, the last year "
        "whatever is paid, and each older month once in thirty days (payments are reversed as well)."
    ),
    key=("company", "invoice_id", "as_of"),
    columns=(
        COMPANY,
        INVOICE_ID,
        Column(
            "total_amount",
            AMOUNT,
            "The invoice's total, VAT included, as Search gives it; it may differ from core.invoices. NULL like paid_amount.",
        ),
        Column(
            "paid_amount",
            AMOUNT,
            "What has been paid of it; NULL when Search does not say, or not so that it can be read exactly, which is not 0.",
        ),
        Column("fully_paid", "BOOLEAN", "Whether paid_amount equals total_amount; false when too much is paid."),
        Column("as_of", "TIMESTAMPTZ", "When the answer that first said so was asked for.", nullable=False),
        Column(
            "superseded_at",
            "TIMESTAMPTZ",
            "When an answer that says otherwise, or nothing, was asked for; NULL while current.",
        ),
        Column("run_id", "VARCHAR", "The Dagster run that wrote the version.", nullable=False),
    ),
)
