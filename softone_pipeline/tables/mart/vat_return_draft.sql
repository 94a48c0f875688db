-- The sales side of the Swedish VAT return, month by month, from the counted debit and credit invoices.
with month as (
    select distinct company, period_month
    from mart.vat_summary
    where period_month is not null
),

counted as (
    select
        *,
        -- what no box takes and no line explains: unknown, header_adjustment, and rates that the return has no box for
        vat_class not in ('25', '12', '6', '0', 'none', 'tax_reduction', 'rounding')
            and (net_amount <> 0 or vat_amount <> 0) as is_unplaced
    from mart.vat_summary
    where status_class = 'counted' and billing_type_name in ('debit', 'credit')
),

box_amount as (
    select
        company,
        period_month,
        sum(net_amount) filter (where vat_class in ('25', '12', '6')) as box_05,
        sum(vat_amount) filter (where vat_class = '25') as box_10,
        sum(vat_amount) filter (where vat_class = '12') as box_11,
        sum(vat_amount) filter (where vat_class = '6') as box_12,
        sum(net_amount) filter (where vat_class = '0') as zero_base,
        sum(net_amount) filter (where is_unplaced) as unclear_net,
        sum(vat_amount) filter (where is_unplaced) as unclear_vat,
        coalesce(bool_or(is_unplaced), false) as is_unclear
    from month
    left join counted using (company, period_month)
    group by company, period_month
),

box as (
    select
        company,
        period_month,
        is_unclear,
        unclear_net,
        unclear_vat,
        unnest(['05', '10', '11', '12', '0-base']) as box,
        unnest([
            coalesce(box_05, 0), coalesce(box_10, 0), coalesce(box_11, 0), coalesce(box_12, 0), coalesce(zero_base, 0)
        ]) as amount
    from box_amount
)

select
    company,
    period_month,
    box,
    -- whole kronor, cut towards zero once per box
    ((amount::decimal(38, 2) * 100)::hugeint // 100)::bigint as amount_kr,
    case when box = '0-base' or is_unclear then 'partial' else 'derived' end as coverage,
    'Draft by invoice date (faktureringsmetoden), from customer invoices only.'
    || case box
        when '0-base' then ' Sales without VAT: export, EU, reverse charge and exempt cannot be told apart here (boxes 35-42).'
        else ''
    end
    || case
        when is_unclear
            then ' Not in any box this month: net ' || coalesce(unclear_net, 0)::varchar || ' and VAT '
                || coalesce(unclear_vat, 0)::varchar || ' whose rate is not known or has no box.'
        else ''
    end as note
from box
