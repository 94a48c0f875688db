-- How many invoices came, changed or went missing after a moment, by what happened.
select change, count(*) as invoices
from (
    select change
    from raw.customer_invoices
    where company = $company and fetched_at > $since
    union all
    select 'missing'
    from raw.customer_invoices
    where company = $company and end_reason = 'missing' and superseded_at > $since
)
group by change
