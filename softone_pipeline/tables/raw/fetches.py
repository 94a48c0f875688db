"""raw.fetches: the declaration. How it is written stands in landing.py."""

from softone_pipeline.tables.declare import COMPANY
from softone_pipeline.warehouse import Column, Table

FETCHES = Table(
    schema="raw",
    name="fetches",
    description=(
        "One row per company, batch of days that was fetched and Stockholm day on which it was asked for, whether "
        "anything had changed or not. Without a complete Search the Stockholm day of the newest is the balances' as_of; "
        "the earlier ones are kept for balances as they were known (mart.customer_balance_as_known)."
    ),
    key=("company", "fetched_at"),
    columns=(
        COMPANY,
        Column("fetched_at", "TIMESTAMPTZ", "When the first of the batch was asked for on that day.", nullable=False),
        Column(
            "run_id",
            "VARCHAR",
            "The Dagster run that fetched it; NULL where that is not known, of a load before this table was there.",
        ),
    ),
)
