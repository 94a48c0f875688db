-- Boxes of the VAT return that are missing, superfluous, or not the sum of their classes cut to whole kronor.
with placed as (
    select
        company,
        period_month,
        unnest(case vat_class
            when '25' then [{'box': '05', 'amount': net_amount}, {'box': '10', 'amount': vat_amount}]
            when '12' then [{'box': '05', 'amount': net_amount}, {'box': '11', 'amount': vat_amount}]
            when '6' then [{'box': '05', 'amount': net_amount}, {'box': '12', 'amount': vat_amount}]
            when '0' then [{'box': '0-base', 'amount': net_amount}]
        end, recursive := true)
    from mart.vat_summary
    where status_class = 'counted' and billing_type_name in ('debit', 'credit') and period_month is not null
),

expected as (
    select month.company, month.period_month, box.box, coalesce(sum(placed.amount), 0) as amount
    from (select distinct company, period_month from mart.vat_summary where period_month is not null) as month
    cross join (select unnest(['05', '10', '11', '12', '0-base']) as box) as box
    left join placed using (company, period_month, box)
    group by all
)

select
    company,
    period_month,
    box,
    draft.amount_kr,
    expected.amount,
    strftime(period_month, '%Y-%m') || ' box ' || box || ': ' || coalesce(draft.amount_kr::varchar, 'nothing') || ' kr, its classes '
    || coalesce(expected.amount::varchar, 'none') as what
from mart.vat_return_draft as draft
full join expected using (company, period_month, box)
where draft.amount_kr is distinct from trunc(expected.amount)
order by period_month desc, box
