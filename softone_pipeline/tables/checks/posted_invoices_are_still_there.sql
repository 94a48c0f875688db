-- Definitive invoices that the ERP no longer has, the newest disappearance first.
select
    invoices.company,
    invoices.invoice_id,
    invoices.invoice_nr,
    invoices.invoice_date,
    invoices.total_amount,
    version.superseded_at as missing_since,
    'invoice ' || coalesce(invoices.invoice_nr, '(no number)') || ' (id ' || invoices.invoice_id || ') of '
    || coalesce(invoices.invoice_date::varchar, '(no date)') || ': total ' || invoices.total_amount || ', gone since '
    || (version.superseded_at at time zone 'Europe/Stockholm')::date as what
from core.invoices as invoices
inner join raw.customer_invoices as version
    on version.company = invoices.company and version.invoice_id = invoices.invoice_id and version.latest
where invoices.status_class = 'missing' and invoices.origin_status in (2, 3, 5)
order by version.superseded_at desc, invoices.invoice_id
