"""A pretend ERP over real HTTP, with seeded realistic data and switchable faults. Imports no other room.

company = Company(seed=1, first_day=date(2026, 1, 1), last_day=date(2026, 3, 31))
with Sandbox(company, faults=["token-expires", "slow:0.2", "page-cap:50"]) as sandbox:
    os.environ.update(sandbox.environment())
    ...                             # run the pipeline; compare with company.invoices()
    company.advance()               # an evening passes; run it again
"""

from softone_pipeline.sandbox.company import EXAMPLE_DAY, EXAMPLE_ID, Company
from softone_pipeline.sandbox.credentials import DEFAULT, Credentials
from softone_pipeline.sandbox.faults import BAD_INVOICE_KINDS, FAULTS, Fault, FaultKind, parse_fault
from softone_pipeline.sandbox.records import BadInvoice, Changes
from softone_pipeline.sandbox.server import RequestRecord, Sandbox
from softone_pipeline.sandbox.wire import Invoice

__all__ = [
    "BAD_INVOICE_KINDS",
    "DEFAULT",
    "EXAMPLE_DAY",
    "EXAMPLE_ID",
    "FAULTS",
    "BadInvoice",
    "Changes",
    "Company",
    "Credentials",
    "Fault",
    "FaultKind",
    "Invoice",
    "RequestRecord",
    "Sandbox",
    "parse_fault",
]
