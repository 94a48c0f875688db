"""How the declarations in this room are written: a few columns that recur, and the SQL file beside a declaration."""

from __future__ import annotations

from pathlib import Path

from softone_pipeline.warehouse import Column

COMPANY = Column("company", "VARCHAR", "Label of the SoftOne company (setting SOFTONE_COMPANY).", nullable=False)
INVOICE_ID = Column("invoice_id", "BIGINT", "The ERP's InvoiceId: the one key of an invoice.", nullable=False)

AMOUNT = "DECIMAL(18,2)"
QUANTITY = "DECIMAL(18,6)"


def sql_beside(declaration: str) -> str:
    """The text of the .sql file that stands beside a declaration's module (`__file__`)."""
    return Path(declaration).with_suffix(".sql").read_text(encoding="utf-8")


def amount(name: str, description: str, *, nullable: bool = True) -> tuple[Column, Column]:
    """A pair of columns: in accounting currency, and with the suffix _currency in the invoice's own."""
    return (
        Column(name, AMOUNT, f"{description} In accounting currency.", nullable),
        Column(f"{name}_currency", AMOUNT, f"{description} In invoice currency.", nullable),
    )
