"""core.build_state: the declaration. Read and written by refresh.py."""

from softone_pipeline.tables.declare import COMPANY
from softone_pipeline.warehouse import Column, Table

BUILD_STATE = Table(
    schema="core",
    name="build_state",
    description="One row per company: what its core tables were last derived with. A difference means: derive all again.",
    key=("company",),
    columns=(
        COMPANY,
        Column("accounting_currency", "VARCHAR", "SOFTONE_ACCOUNTING_CURRENCY then.", nullable=False),
        Column("vat_rates", "DECIMAL(5,2)[]", "SOFTONE_VAT_RATES then, in per cent.", nullable=False),
        Column("tax_reduction_words", "VARCHAR[]", "SOFTONE_TAX_REDUCTION_WORDS then.", nullable=False),
        Column("sql_digest", "VARCHAR", "Digest of the SQL that derived them.", nullable=False),
        Column("built_at", "TIMESTAMPTZ", "When the tables were last derived whole.", nullable=False),
    ),
)
