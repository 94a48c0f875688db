-- One row: what the company's invoices come to, by status.
select
    count(*) filter (where status_class = 'counted') as invoice_count,
    coalesce(sum(total_amount) filter (where status_class = 'counted'), 0) as invoiced,
    count(*) filter (where status_class = 'preliminary') as draft_count,
    coalesce(sum(total_amount) filter (where status_class = 'preliminary'), 0) as draft_amount,
    min(invoice_date) filter (where status_class = 'counted') as first_invoice_date,
    max(invoice_date) filter (where status_class = 'counted') as last_invoice_date
from core.invoices
where company = $company
