"""raw.privacy and raw.forgotten: the declarations. Read and written by pseudonymising.py, forgetting.py and restoring.py."""

from softone_pipeline.tables.declare import COMPANY
from softone_pipeline.warehouse import Column, Table

_KEY_CHECK = "Tells one SOFTONE_HASH_KEY from another, and nothing about the key itself."

PRIVACY = Table(
    schema="raw",
    name="privacy",
    description="One row per company: what its payloads are pseudonymised with (SOFTONE_PSEUDONYMISE).",
    key=("company",),
    columns=(
        COMPANY,
        Column("mode", "VARCHAR", "'none', 'persons' or 'all'.", nullable=False),
        Column("key_check", "VARCHAR", f"{_KEY_CHECK} NULL without pseudonyms."),
        Column("applied_at", "TIMESTAMPTZ", "Since when.", nullable=False),
    ),
)

FORGOTTEN = Table(
    schema="raw",
    name="forgotten",
    description=(
        "One row per company and customer that was forgotten (`softone forget`). Whatever the ERP sends of that "
        "customer later is stored without identity as well."
    ),
    key=("company", "pseudonym"),
    columns=(
        COMPANY,
        Column("pseudonym", "VARCHAR", "What stands in customer_nr instead of the customer's number.", nullable=False),
        Column("key_check", "VARCHAR", _KEY_CHECK, nullable=False),
        Column("forgotten_at", "TIMESTAMPTZ", "When.", nullable=False),
    ),
)
