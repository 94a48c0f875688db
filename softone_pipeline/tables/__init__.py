"""The tables: one declaration each, one SELECT per derived table, and how raw and core are kept.

The path is the name: `core/invoices.py` declares core.invoices, `core/invoices.sql` derives it.
`checks` and `proof` derive nothing: they hold the tables against each other, and against what is outside.
"""

from softone_pipeline.tables.core.build_state import BUILD_STATE
from softone_pipeline.tables.core.invoice_rows import INVOICE_ROWS
from softone_pipeline.tables.core.invoices import INVOICES
from softone_pipeline.tables.macros import MACROS
from softone_pipeline.tables.mart.customer_balance import CUSTOMER_BALANCE
from softone_pipeline.tables.mart.vat_return_draft import VAT_RETURN_DRAFT
from softone_pipeline.tables.mart.vat_summary import VAT_SUMMARY
from softone_pipeline.tables.raw.customer_invoices import CUSTOMER_INVOICES
from softone_pipeline.tables.raw.fetched_days import FETCHED_DAYS
from softone_pipeline.tables.raw.fetches import FETCHES
from softone_pipeline.tables.raw.payment_search import PAYMENT_SEARCH
from softone_pipeline.tables.raw.payment_status import PAYMENT_STATUS
from softone_pipeline.tables.raw.privacy import FORGOTTEN, PRIVACY
from softone_pipeline.tables.raw.quarantine import QUARANTINE

RAW_TABLES = (CUSTOMER_INVOICES, QUARANTINE, FETCHED_DAYS, FETCHES, PAYMENT_STATUS, PAYMENT_SEARCH, PRIVACY, FORGOTTEN)
CORE_TABLES = (INVOICES, INVOICE_ROWS, BUILD_STATE)
# In the order in which they are built: the return draft reads the summary.
MART_TABLES = (VAT_SUMMARY, VAT_RETURN_DRAFT, CUSTOMER_BALANCE)
TABLES = (*RAW_TABLES, *CORE_TABLES, *MART_TABLES)

__all__ = ["CORE_TABLES", "MACROS", "MART_TABLES", "RAW_TABLES", "TABLES"]
