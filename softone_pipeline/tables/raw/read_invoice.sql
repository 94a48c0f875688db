-- An invoice's JSON as typed values, exactly: amounts DECIMAL(18,2), unit prices and quantities DECIMAL(18,6).
-- from_json_strict is the one JSON reader of DuckDB that does not go through a double (from 2.0 on).
-- Landing lets a payload pass only where this reads it without rounding; see reading.py.
create or replace macro raw.read_invoice(payload) as from_json_strict(payload, '{
    "InvoiceId": "BIGINT",
    "InvoiceNr": "VARCHAR",
    "CustomerNr": "VARCHAR",
    "CustomerName": "VARCHAR",
    "CustomerOrgNr": "VARCHAR",
    "InvoiceDate": "VARCHAR",
    "DueDate": "VARCHAR",
    "BillingType": "INTEGER",
    "Currency": "VARCHAR",
    "OriginStatus": "INTEGER",
    "TotalAmount": "DECIMAL(18,2)",
    "TotalAmountCurrency": "DECIMAL(18,2)",
    "VATAmount": "DECIMAL(18,2)",
    "VATAmountCurrency": "DECIMAL(18,2)",
    "InvoiceRows": [{
        "ProductNr": "VARCHAR",
        "Quantity": "DECIMAL(18,6)",
        "Text": "VARCHAR",
        "UnitPrice": "DECIMAL(18,6)",
        "UnitPriceCurrency": "DECIMAL(18,6)",
        "VatAmount": "DECIMAL(18,2)",
        "VatAmountCurrency": "DECIMAL(18,2)",
        "SumAmount": "DECIMAL(18,2)",
        "SumAmountCurrency": "DECIMAL(18,2)",
        "Accounts": "VARCHAR",
        "AttestStateName": "VARCHAR",
        "AttestState": "INTEGER"
    }]
}')
