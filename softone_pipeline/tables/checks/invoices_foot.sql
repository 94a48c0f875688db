-- Definitive invoices whose rows and header disagree by more than rounding can explain.
select
    company,
    invoice_id,
    invoice_nr,
    invoice_date,
    total_amount_currency,
    net_amount_currency,
    row_vat_amount_currency,
    vat_amount_currency,
    'invoice ' || coalesce(invoice_nr, '(no number)') || ' (id ' || invoice_id || ') of '
    || coalesce(invoice_date::varchar, '(no date)') || ': total ' || total_amount_currency || ' and VAT '
    || vat_amount_currency || ' ' || coalesce(currency, '(no currency)') || ', rows ' || net_amount_currency || ' and VAT '
    || row_vat_amount_currency as what
from core.invoices
where price_basis = 'unreconciled' and status_class = 'counted'
order by invoice_date desc nulls first, invoice_id
