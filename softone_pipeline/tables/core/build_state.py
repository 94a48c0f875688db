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
        Column("fingerprint", "VARCHAR", "Digest of the SQL and the settings.", nullable=False),
        Column("built_at", "TIMESTAMPTZ", "When the tables were last derived whole.", nullable=False),
    ),
)
