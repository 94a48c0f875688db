"""raw.fetched_days: the declaration. How it is written stands in landing.py."""

from softone_pipeline.tables.declare import COMPANY
from softone_pipeline.warehouse import Column, Table

FETCHED_DAYS = Table(
    schema="raw",
    name="fetched_days",
    description="One row per company and day: the newest complete fetch of that day, changed or not.",
    key=("company", "partition_date"),
    columns=(
        COMPANY,
        Column("partition_date", "DATE", "The day that was asked for (Stockholm).", nullable=False),
        Column("fetched_at", "TIMESTAMPTZ", "When it was asked for.", nullable=False),
        Column("invoice_count", "INTEGER", "Invoices received for the day.", nullable=False),
        Column("include_preliminary", "BOOLEAN", "Whether preliminary invoices were asked for.", nullable=False),
        Column(
            "closures_suspended",
            "BOOLEAN",
            "True when an object without a readable id was among them, or has this date, so that no invoice was taken for "
            "missing.",
            nullable=False,
        ),
        Column("run_id", "VARCHAR", "The Dagster run that fetched it.", nullable=False),
    ),
)
