"""raw.payment_search: the declaration. How it is written stands in payments.py."""

from softone_pipeline.tables.declare import COMPANY
from softone_pipeline.warehouse import Column, Table

PAYMENT_SEARCH = Table(
    schema="raw",
    name="payment_search",
    description=(
        "One row per company and complete Search for payments: one in which every date that may hold an open invoice "
        "had an uncut answer. The Stockholm day of the newest is the balances' as_of; the earlier ones are kept for "
        "balances as they were known (mart.customer_balance_as_known)."
    ),
    key=("company", "asked_at"),
    columns=(
        COMPANY,
        Column("asked_at", "TIMESTAMPTZ", "When the search was begun.", nullable=False),
        Column("invoice_count", "INTEGER", "Invoices it answered for.", nullable=False),
        Column("run_id", "VARCHAR", "The Dagster run that searched.", nullable=False),
    ),
)
