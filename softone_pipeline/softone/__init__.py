"""The ERP as it speaks: client, auth, paging, wire models. Knows no DuckDB, no Dagster.

received.py    what comes out: invoices as received, windows, traffic
client.py      SoftOneClient: windows, single invoices, check, Search; the threads they run on
paging.py      all pages of a question, none lost, none moved
sending.py     one request until it is answered: retries, waits, which path
auth.py        keys, token, login
transport.py   what every HTTP request passes through: pace, meter, proxy; quiet logs
answers.py     what an HTTP answer means
pages.py       a body into its invoices' exact texts
models.py      the exact reading of one odd invoice; Search's rows
dates.py, jsontext.py, redaction.py, threads.py    tools: days, JSON by position, secrets out of texts, order
"""

from softone_pipeline.softone.client import SoftOneClient
from softone_pipeline.softone.models import InvoiceUnreadable, SearchInvoice, normalise_invoice
from softone_pipeline.softone.received import (
    ConnectionReport,
    InvoiceAnswer,
    ReceivedInvoice,
    Traffic,
    Window,
)

__all__ = [
    "ConnectionReport",
    "InvoiceAnswer",
    "InvoiceUnreadable",
    "ReceivedInvoice",
    "SearchInvoice",
    "SoftOneClient",
    "Traffic",
    "Window",
    "normalise_invoice",
]
