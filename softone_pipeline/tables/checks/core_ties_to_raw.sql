-- Invoices in which core and the newest version in raw differ: one of them absent, another total or VAT, or rows that
-- come to another sum. The amounts are read from the payload once more, by a reading of the check's own. A credit sent
-- positive is negative in core.
with sent as (
    select
        company,
        invoice_id,
        from_json_strict(coalesce(payload_normalised, payload), '{
            "TotalAmount": "DECIMAL(18,2)",
            "TotalAmountCurrency": "DECIMAL(18,2)",
            "VATAmount": "DECIMAL(18,2)",
            "VATAmountCurrency": "DECIMAL(18,2)",
            "InvoiceRows": [{
                "SumAmount": "DECIMAL(18,2)",
                "SumAmountCurrency": "DECIMAL(18,2)",
                "VatAmount": "DECIMAL(18,2)",
                "VatAmountCurrency": "DECIMAL(18,2)"
            }]
        }') as invoice
    from raw.latest_versions()
),

sent_amount as (
    select
        company,
        invoice_id,
        invoice.TotalAmount as total_amount,
        invoice.TotalAmountCurrency as total_amount_currency,
        invoice.VATAmount as vat_amount,
        invoice.VATAmountCurrency as vat_amount_currency,
        len(invoice.InvoiceRows) as row_count,
        coalesce(list_sum([r.SumAmount for r in invoice.InvoiceRows]), 0) as row_sum,
        coalesce(list_sum([r.SumAmountCurrency for r in invoice.InvoiceRows]), 0) as row_sum_currency,
        coalesce(list_sum([r.VatAmount for r in invoice.InvoiceRows]), 0) as row_vat,
        coalesce(list_sum([r.VatAmountCurrency for r in invoice.InvoiceRows]), 0) as row_vat_currency
    from sent
),

row_amount as (
    select
        company,
        invoice_id,
        coalesce(sum(sum_amount), 0) as row_sum,
        coalesce(sum(sum_amount_currency), 0) as row_sum_currency,
        coalesce(sum(vat_amount), 0) as row_vat,
        coalesce(sum(vat_amount_currency), 0) as row_vat_currency
    from core.invoice_rows
    group by company, invoice_id
),

core_amount as (
    select
        invoices.*,
        if(sign_normalised, -1, 1) as sign,
        coalesce(row_sum, 0) as row_sum,
        coalesce(row_sum_currency, 0) as row_sum_currency,
        coalesce(row_vat, 0) as row_vat,
        coalesce(row_vat_currency, 0) as row_vat_currency
    from core.invoices as invoices
    left join row_amount using (company, invoice_id)
)

select
    company,
    invoice_id,
    core_amount.invoice_nr,
    'invoice ' || coalesce(core_amount.invoice_nr, '(no number)') || ' (id ' || invoice_id || '): ' || case
        when core_amount.total_amount is null then 'only in raw'
        when sent_amount.total_amount is null then 'only in core'
        else 'total ' || core_amount.total_amount || ' for ' || sent_amount.total_amount || ' sent, VAT '
            || core_amount.vat_amount || ' for ' || sent_amount.vat_amount || ', rows ' || core_amount.row_sum || ' for '
            || sent_amount.row_sum
    end as what
from core_amount
full join sent_amount using (company, invoice_id)
where core_amount.total_amount is null
    or sent_amount.total_amount is null
    or core_amount.total_amount <> sign * sent_amount.total_amount
    or core_amount.total_amount_currency <> sign * sent_amount.total_amount_currency
    or core_amount.vat_amount <> sign * sent_amount.vat_amount
    or core_amount.vat_amount_currency <> sign * sent_amount.vat_amount_currency
    or core_amount.row_count <> sent_amount.row_count
    or core_amount.row_sum <> sign * sent_amount.row_sum
    or core_amount.row_sum_currency <> sign * sent_amount.row_sum_currency
    or core_amount.row_vat <> sign * sent_amount.row_vat
    or core_amount.row_vat_currency <> sign * sent_amount.row_vat_currency
order by invoice_id
