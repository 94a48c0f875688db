"""mart.customer_balance: the declaration. The SELECT stands beside it, in macros that also answer for earlier moments."""

from softone_pipeline.tables.declare import AMOUNT, COMPANY, sql_beside
from softone_pipeline.warehouse import Column, Table

_OPEN = "NULL unless payments are known."

CUSTOMER_BALANCE = Table(
    schema="mart",
    name="customer_balance",
    description=(
        "One row per company, customer and invoice currency, as of one day; amounts in accounting currency, counted "
        "invoices only, credits negative. With payment_basis 'unknown' the ERP has not said what is paid: read the "
        "invoiced amounts as invoiced, never as outstanding. With 'known', the ageing buckets plus unapplied_credit "
        "are open_amount exactly. A customer is 'known' only when the payment of every one of its invoices is; an "
        "invoice without a date cannot be searched for by date. A payment takes the sign of its invoice: where Search "
        "gives the total with the other sign (a credit sent positive), the payment is turned round. "
        "The invoices behind a row: FROM mart.receivables_as_known(NULL). The balance as it was known at an earlier "
        "moment: FROM mart.customer_balance_as_known(timestamptz '2026-02-28 18:00:00 Europe/Stockholm')."
    ),
    key=("company", "as_of", "customer_nr", "currency"),
    select=sql_beside(__file__),
    columns=(
        COMPANY,
        Column(
            "as_of",
            "DATE",
            "The Stockholm day of the last complete Search for payments; without one, of the newest fetch.",
            nullable=False,
        ),
        Column("customer_nr", "VARCHAR", "The customer's number; NULL for invoices without one."),
        Column("currency", "VARCHAR", "The invoices' own currency (ISO 4217)."),
        Column("customer_name", "VARCHAR", "The newest name by invoice date."),
        Column("invoice_count", "BIGINT", "Counted invoices.", nullable=False),
        Column("debit_invoiced", AMOUNT, "Sum of debit invoices.", nullable=False),
        Column("credited", AMOUNT, "Sum of credit invoices (negative).", nullable=False),
        Column("interest", AMOUNT, "Sum of interest invoices.", nullable=False),
        Column("reminder", AMOUNT, "Sum of reminder fees.", nullable=False),
        Column("other_invoiced", AMOUNT, "Sum of invoices of an unknown billing type.", nullable=False),
        Column("net_invoiced", AMOUNT, "The sum of the five.", nullable=False),
        Column(
            "past_due_invoiced",
            AMOUNT,
            "Sum of invoices above 0 that were due before as_of, whatever has been paid of them.",
            nullable=False,
        ),
        Column("payment_basis", "VARCHAR", "'known' or 'unknown'.", nullable=False),
        Column("paid_amount", AMOUNT, f"What has been paid. {_OPEN}"),
        Column("open_amount", AMOUNT, f"Total - paid, over all invoices. {_OPEN}"),
        Column(
            "unapplied_credit",
            AMOUNT,
            f"Open amounts below 0: credits and overpayments not used yet. {_OPEN}",
        ),
        Column("not_due", AMOUNT, f"Open, due on as_of or later. {_OPEN}"),
        Column("due_1_30", AMOUNT, f"Open, 1 to 30 days past due. {_OPEN}"),
        Column("due_31_60", AMOUNT, f"Open, 31 to 60 days past due. {_OPEN}"),
        Column("due_61_90", AMOUNT, f"Open, 61 to 90 days past due. {_OPEN}"),
        Column("due_over_90", AMOUNT, f"Open, more than 90 days past due. {_OPEN}"),
        Column("no_due_date", AMOUNT, f"Open, on invoices without a due date. {_OPEN}"),
        Column("last_invoice_date", "DATE", "Date of the newest invoice."),
        Column(
            "unknown_payment_count",
            "BIGINT",
            "Invoices whose payment the ERP has not said; with any, payment_basis is 'unknown'.",
            nullable=False,
        ),
        Column(
            "payment_total_differs_count",
            "BIGINT",
            "Invoices for which Search gives another total than the invoice has; open counts from the invoice's.",
            nullable=False,
        ),
    ),
)
