-- Per invoice and position of the ledger, what core makes it: the total for 'receivables', VAT by rate for 'vat-<rate>'.
-- Every status, so that what is not counted can explain a difference. Reads temp table line (invoice_lines.sql).
with total as (
    select company, invoice_id, 'receivables' as position, total_amount as amount
    from core.invoices
    inner join chosen using (company, invoice_id)
    union all
    select company, invoice_id, 'vat-' || vat_class, sum(vat_amount)
    from line
    where vat_class in (select unnest($classes::varchar[]))
    group by all
)

select
    total.invoice_id,
    total.position,
    total.amount,
    invoices.invoice_nr,
    invoices.invoice_date,
    coalesce(invoices.invoice_date between $first_day and $last_day, false) as is_in_period,
    invoices.billing_type_name,
    invoices.status_class
from total
inner join core.invoices as invoices using (company, invoice_id)
