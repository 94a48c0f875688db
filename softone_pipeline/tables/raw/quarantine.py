"""raw.quarantine: the declaration. How it is written stands in landing.py."""

from softone_pipeline.tables.declare import COMPANY
from softone_pipeline.warehouse import Column, Table

QUARANTINE = Table(
    schema="raw",
    name="quarantine",
    description=(
        "One row per company and payload that could not be typed exactly, until a good fetch of the same invoice "
        "clears it. The invoice's earlier version, if any, stands meanwhile."
    ),
    key=("company", "invoice_id", "payload"),
    columns=(
        COMPANY,
        Column(
            "partition_date",
            "DATE",
            "The invoice's date, or the day it was asked for when it has none or no readable id: loading that day again "
            "clears the row once the ERP has corrected it.",
        ),
        Column("fetched_at", "TIMESTAMPTZ", "When the payload was first asked for.", nullable=False),
        Column("run_id", "VARCHAR", "The Dagster run that wrote the row.", nullable=False),
        Column("invoice_id", "BIGINT", "The ERP's InvoiceId; NULL when it cannot be read."),
        Column(
            "field",
            "VARCHAR",
            "The field that cannot be typed, like InvoiceRows[2].SumAmount.",
            nullable=False,
        ),
        Column("reason", "VARCHAR", "What is wrong with it.", nullable=False),
        Column("payload", "VARCHAR", "The object exactly as received.", nullable=False),
    ),
)
