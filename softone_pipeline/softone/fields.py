"""The ERP's names for an invoice's fields, by what they hold. How each is read exactly stands in `models.py`."""

from __future__ import annotations

HEADER_AMOUNTS = frozenset({"TotalAmount", "TotalAmountCurrency", "VATAmount", "VATAmountCurrency"})
ROW_AMOUNTS = frozenset({"SumAmount", "SumAmountCurrency", "VatAmount", "VatAmountCurrency"})
QUANTITIES = frozenset({"Quantity", "UnitPrice", "UnitPriceCurrency"})
HEADER_INTEGERS = frozenset({"InvoiceId", "BillingType", "OriginStatus"})
ROW_INTEGERS = frozenset({"AttestState"})
DATES = frozenset({"InvoiceDate", "DueDate"})
HEADER_TEXTS = frozenset({"InvoiceNr", "CustomerNr", "CustomerName", "CustomerOrgNr", "Currency"})
ROW_TEXTS = frozenset({"ProductNr", "Text", "AttestStateName"})

HEADER_NUMBERS = HEADER_AMOUNTS | HEADER_INTEGERS
ROW_NUMBERS = ROW_AMOUNTS | QUANTITIES | ROW_INTEGERS
HEADER = HEADER_NUMBERS | DATES | HEADER_TEXTS | {"InvoiceRows"}
