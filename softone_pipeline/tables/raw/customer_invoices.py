"""raw.customer_invoices: the declaration. How it is written stands in landing.py."""

from softone_pipeline.tables.declare import COMPANY, INVOICE_ID
from softone_pipeline.warehouse import Column, Table

CUSTOMER_INVOICES = Table(
    schema="raw",
    name="customer_invoices",
    description=(
        "One row per company, invoice and version; a version is a distinct payload. Nothing is ever erased: a changed "
        "payload closes the old version and opens a new one, an invoice that the ERP no longer has is closed as "
        "'missing'. superseded_at IS NULL selects what is true now; fetched_at <= T AND (superseded_at IS NULL OR "
        "superseded_at > T) selects what was known at T."
    ),
    key=("company", "invoice_id", "fetched_at"),
    columns=(
        COMPANY,
        INVOICE_ID,
        Column(
            "partition_date",
            "DATE",
            "The invoice's own date, a Stockholm day; NULL for an invoice without one.",
        ),
        # A third of the size that DuckDB's own choice gives, at the same speed.
        Column("payload", "JSON", "The invoice exactly as received.", nullable=False, compression="zstd"),
        Column(
            "payload_normalised",
            "VARCHAR",
            "The same invoice in plain form, only where the payload as received cannot be read strictly "
            "(a number in quotes, an absent key, a date with a zone). What core reads when it is not NULL.",
        ),
        Column("origin_status", "INTEGER", "The payload's OriginStatus: 1 is preliminary."),
        Column("payload_hash", "VARCHAR", "MD5 of the payload, to tell versions apart.", nullable=False),
        Column("fetched_at", "TIMESTAMPTZ", "When this version was first asked for.", nullable=False),
        Column(
            "superseded_at",
            "TIMESTAMPTZ",
            "When what replaced or ended it was asked for; NULL while current.",
        ),
        Column(
            "change",
            "VARCHAR",
            "Why the version began: 'new', 'changed', 'redated' (it moved to another date), "
            "'returned' (it had been missing).",
            nullable=False,
        ),
        Column("end_reason", "VARCHAR", "Why it ended: NULL while current, 'changed', 'redated' or 'missing'."),
        Column(
            "latest",
            "BOOLEAN",
            "True on the newest version of each invoice, whether it is current or ended as missing.",
            nullable=False,
        ),
        Column("run_id", "VARCHAR", "The Dagster run that wrote the version.", nullable=False),
    ),
)
