"""The ERP as it speaks: client, auth, paging, wire models. Knows no DuckDB, no Dagster.

received.py    what comes out: invoices as received, windows, traffic
client.py      SoftOneClient: windows, single invoices, check, Search; the threads they run on
paging.py      all pages of a question, none lost, none moved
sending.py     one request until it is answered: retries, waits, which path
auth.py        keys, token, login
transport.py   what every HTTP request passes through: pace, meter, proxy; quiet logs
answers.py     what an HTTP answer means
pages.py       a body into its invoices' exact texts
pseudonyms.py  the person out of a payload
fields.py      the names of an invoice's fields
models.py      the exact reading of one odd invoice; Search's rows
dates.py, jsontext.py, redaction.py, threads.py    tools: days, JSON by position, secrets out of texts, order
"""

from softone_pipeline.softone.client import SoftOneClient
from softone_pipeline.softone.models import WHOLE_INVOICE, InvoiceUnreadable, SearchInvoice, normalise_invoice
from softone_pipeline.softone.pages import invoice_date_of
from softone_pipeline.softone.pseudonyms import Mode, Pseudonymiser, customer_nr_of, identity_of, is_pseudonym
from softone_pipeline.softone.received import (
    ConnectionReport,
    InvoiceAnswer,
    ReceivedInvoice,
    Traffic,
    Window,
)

__all__ = [
    "WHOLE_INVOICE",
    "ConnectionReport",
    "InvoiceAnswer",
    "InvoiceUnreadable",
    "Mode",
    "Pseudonymiser",
    "ReceivedInvoice",
    "SearchInvoice",
    "SoftOneClient",
    "Traffic",
    "Window",
    "customer_nr_of",
    "identity_of",
    "invoice_date_of",
    "is_pseudonym",
    "normalise_invoice",
]
