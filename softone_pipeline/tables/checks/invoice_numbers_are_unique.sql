-- Invoice numbers that two invoices or more have. A cancelled or missing invoice still occupies its number; a
-- preliminary one has none yet.
with used_again as (
    select company, invoice_nr
    from core.invoices
    where invoice_nr is not null and origin_status is distinct from 1
    group by company, invoice_nr
    having count(*) > 1
)

select
    company,
    invoice_nr,
    count(*) as invoice_count,
    list(invoice_id order by invoice_id) as invoice_ids,
    'number ' || invoice_nr || ': ' || string_agg(
        'invoice id ' || invoice_id || ' of ' || coalesce(invoice_date::varchar, '(no date)')
        || if(status_class = 'counted', '', ' (' || status_class || ')'),
        ' and ' order by invoice_id
    ) as what
from core.invoices
inner join used_again using (company, invoice_nr)
where origin_status is distinct from 1
group by company, invoice_nr
order by invoice_nr
