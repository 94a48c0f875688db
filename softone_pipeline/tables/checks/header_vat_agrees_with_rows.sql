-- Definitive invoices whose header VAT is beyond what rounding row by row can explain.
select
    company,
    invoice_id,
    invoice_nr,
    invoice_date,
    vat_amount_currency,
    row_vat_amount_currency,
    'invoice ' || coalesce(invoice_nr, '(no number)') || ' (id ' || invoice_id || ') of '
    || coalesce(invoice_date::varchar, '(no date)') || ': header VAT ' || vat_amount_currency || ', rows '
    || row_vat_amount_currency || ' ' || coalesce(currency, '(no currency)') as what
from core.invoices
where not header_vat_within_tolerance and status_class = 'counted'
order by abs(vat_amount_currency - row_vat_amount_currency) desc, invoice_id
