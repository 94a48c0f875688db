-- One row per month of definitive invoices, the newest 13 months.
select
    date_trunc('month', invoice_date)::date as period_month,
    count(*) as invoice_count,
    coalesce(sum(total_amount - vat_amount) filter (where billing_type_name <> 'credit'), 0) as debited,
    coalesce(sum(total_amount - vat_amount) filter (where billing_type_name = 'credit'), 0) as credited,
    sum(vat_amount) as vat_amount,
    sum(total_amount) as total_amount
from core.invoices
where company = $company and status_class = 'counted' and invoice_date is not null
group by period_month
qualify row_number() over (order by period_month desc) <= 13
order by period_month
