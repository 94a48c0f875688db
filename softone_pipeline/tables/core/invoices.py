"""core.invoices: the declaration. The SELECT stands beside it, the refresh in refresh.py."""

from softone_pipeline.tables.declare import COMPANY, INVOICE_ID, amount, sql_beside
from softone_pipeline.warehouse import Column, Table

INVOICES = Table(
    schema="core",
    name="invoices",
    description=(
        "One row per company and invoice now known: the current version, or the last one of an invoice that the ERP no "
        "longer has (status_class 'missing'). Amounts are signed: credit invoices are negative. "
        "net_amount + vat_amount + rounding_amount = total_amount where header and rows agree; what they disagree by is "
        "the line header_adjustment in mart.vat_summary."
    ),
    key=("company", "invoice_id"),
    select=sql_beside(__file__),
    columns=(
        COMPANY,
        INVOICE_ID,
        Column(
            "invoice_nr",
            "VARCHAR",
            "The invoice number as printed (UI: Fakturanr). Not always a number, not unique.",
        ),
        Column("customer_nr", "VARCHAR", "The customer's number (UI: Kundnr)."),
        Column("customer_name", "VARCHAR", "The customer's name on this invoice (UI: Kundnamn)."),
        Column("customer_org_nr", "VARCHAR", "Organisation or personal number, as sent."),
        Column("invoice_date", "DATE", "UI: Fakturadatum; a Stockholm day. NULL where none was sent that exists."),
        Column("due_date", "DATE", "UI: Förfallodatum; a Stockholm day. NULL where none was sent that exists."),
        Column("billing_type", "INTEGER", "The ERP's code: 1 debit, 2 credit, 3 interest, 4 reminder."),
        Column(
            "billing_type_name",
            "VARCHAR",
            "'debit', 'credit', 'interest', 'reminder', or 'unknown' for any other code or none.",
            nullable=False,
        ),
        Column(
            "origin_status",
            "INTEGER",
            "The ERP's code: 0 none, 1 draft (preliminär), 2 definitive, 3 voucher (Verifikat), 4 cancelled, 5 exported.",
        ),
        Column(
            "status_class",
            "VARCHAR",
            "'counted' (2, 3, 5), 'preliminary' (1), 'cancelled' (4), 'missing' (gone from the ERP), 'unknown' (other).",
            nullable=False,
        ),
        Column("currency", "VARCHAR", "The invoice's own currency (ISO 4217)."),
        *amount("total_amount", "Belopp inkl. moms: with VAT and the rounding to a whole krona.", nullable=False),
        *amount("vat_amount", "VAT as the header states it.", nullable=False),
        *amount(
            "net_amount",
            "Without VAT: the sum of the rows' net amounts; without rows, total - VAT.",
            nullable=False,
        ),
        *amount(
            "rounding_amount",
            "Öresavrundning: what the header's total was rounded by beyond its rows. 0 where the rounding was sent as a row: "
            "it is in net_amount then.",
            nullable=False,
        ),
        *amount("row_vat_amount", "VAT as the rows state it, summed.", nullable=False),
        Column("row_count", "INTEGER", "Rows of the invoice.", nullable=False),
        Column(
            "price_basis",
            "VARCHAR",
            "How the invoice foots: 'net' (row sums without VAT), 'gross' (with VAT), 'header' (no rows), "
            "'unreconciled' (rows and header disagree by more than the rounding allows).",
            nullable=False,
        ),
        Column(
            "header_vat_class",
            "VARCHAR",
            "The VAT class of an invoice without rows: that of the one rate r with |VAT - r·(total - VAT)| <= 0.01 + 0.5·r in "
            "invoice currency, '0' without VAT, 'unknown' where no rate fits or several do. NULL where rows say it.",
        ),
        Column(
            "sign_normalised",
            "BOOLEAN",
            "True for a credit that was sent with positive amounts.",
            nullable=False,
        ),
        Column(
            "header_vat_within_tolerance",
            "BOOLEAN",
            "Whether header VAT and row VAT agree to 0.01 · ceil((rows + 1) / 2) in invoice currency.",
            nullable=False,
        ),
        Column(
            "has_quarantined_update",
            "BOOLEAN",
            "True when a newer payload of the invoice could not be typed (raw.quarantine): these are older figures.",
            nullable=False,
        ),
        Column("partition_date", "DATE", "The Dagster partition: the invoice's own date."),
        Column("fetched_at", "TIMESTAMPTZ", "When this version was first asked for.", nullable=False),
    ),
)
