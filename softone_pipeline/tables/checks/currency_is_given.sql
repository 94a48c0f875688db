-- Invoices that do not say their currency.
select
    company,
    invoice_id,
    invoice_nr,
    invoice_date,
    total_amount,
    'invoice ' || coalesce(invoice_nr, '(no number)') || ' (id ' || invoice_id || ') of '
    || coalesce(invoice_date::varchar, '(no date)') || ': total ' || total_amount as what
from core.invoices
where coalesce(trim(currency), '') = '' and status_class <> 'missing'
order by invoice_date desc nulls first, invoice_id
