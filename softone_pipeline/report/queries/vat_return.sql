-- One row per month: the boxes of the draft return, the newest 6 months.
select
    period_month,
    max(amount_kr) filter (where box = '05') as box_05,
    max(amount_kr) filter (where box = '10') as box_10,
    max(amount_kr) filter (where box = '11') as box_11,
    max(amount_kr) filter (where box = '12') as box_12,
    max(amount_kr) filter (where box = '0-base') as zero_base,
    bool_and(coverage = 'derived') filter (where box <> '0-base') as is_complete
from mart.vat_return_draft
where company = $company
group by period_month
order by period_month desc
limit 6
