-- Invoices with a status or a billing type that is no code we know. Those of an unknown status count nowhere; definitive
-- ones of an unknown type are counted, but for the boxes of the VAT return.
select
    company,
    invoice_id,
    invoice_nr,
    invoice_date,
    origin_status,
    billing_type,
    'invoice ' || coalesce(invoice_nr, '(no number)') || ' (id ' || invoice_id || ') of '
    || coalesce(invoice_date::varchar, '(no date)') || ': OriginStatus ' || coalesce(origin_status::varchar, 'null')
    || ', BillingType ' || coalesce(billing_type::varchar, 'null') as what
from core.invoices
where (status_class = 'unknown' or billing_type_name = 'unknown') and status_class <> 'missing'
order by invoice_date desc nulls first, invoice_id
