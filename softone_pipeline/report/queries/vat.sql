-- One row per month and VAT class of definitive invoices, the newest 13 months.
select
    period_month,
    vat_class,
    sum(net_amount) as net_amount,
    sum(vat_amount) as vat_amount,
    sum(flagged_count)::bigint as flagged_count
from mart.vat_summary
where company = $company and status_class = 'counted' and period_month is not null
group by period_month, vat_class
having sum(net_amount) <> 0 or sum(vat_amount) <> 0
qualify dense_rank() over (order by period_month desc) <= 13
order by period_month, try_cast(vat_class as decimal(5, 2)) desc nulls last, vat_class
