-- The sales side of the Swedish VAT return, month by month, from the counted debit and credit invoices; and what no box
-- takes, which makes the month partial.
with month as (
    select distinct company, period_month
    from mart.vat_summary
    where period_month is not null
),

counted as (
    select *
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
        sum(net_amount) filter (where vat_class = '0') as zero_base
    from month
    left join counted using (company, period_month)
    group by company, period_month
),

-- the lines of each invoice that may be in no box
line as (
    select
        company,
        invoice_id,
        invoice_date,
        billing_type_name,
        status_class,
        vat_class,
        net_amount,
        coalesce(vat_amount, 0) as vat_amount,
        is_flagged
    from core.invoice_rows
    union all
    -- what the header says: all, without rows, and beyond them otherwise
    select
        company,
        invoice_id,
        invoice_date,
        billing_type_name,
        status_class,
        case price_basis when 'header' then header_vat_class else 'header_adjustment' end,
        case price_basis when 'header' then net_amount else total_amount - vat_amount - net_amount - rounding_amount end,
        case price_basis when 'header' then vat_amount else vat_amount - row_vat_amount end,
        case price_basis
            when 'header' then header_vat_class = 'unknown'
            else price_basis = 'unreconciled' or not header_vat_within_tolerance
        end
    from core.invoices
),

-- what no box takes, and why; without signs, for what one invoice adds another may take away
left_out as (
    select
        company,
        invoice_id,
        invoice_date,
        if(vat_class = 'header_adjustment', 'whose header says more or less than the rows', 'whose rate is not known or has no box')
            as reason,
        abs(net_amount) as net_amount,
        abs(vat_amount) as vat_amount
    from line
    where status_class = 'counted'
        and billing_type_name in ('debit', 'credit')
        and vat_class not in ('25', '12', '6', '0', 'none', 'tax_reduction', 'rounding')
        and (is_flagged or net_amount <> 0 or vat_amount <> 0)
    union all
    select
        company,
        invoice_id,
        invoice_date,
        if(status_class = 'unknown', 'of unknown status', 'of billing type ' || billing_type_name),
        null,
        greatest(abs(vat_amount), abs(row_vat_amount))
    from core.invoices
    where (status_class = 'unknown' or status_class = 'counted' and billing_type_name not in ('debit', 'credit'))
        and (vat_amount <> 0 or row_vat_amount <> 0)
    union all
    select company, invoice_id, partition_date, 'in quarantine, but for an earlier version where there is one', null, null
    from raw.quarantine
),

reason as (
    select
        company,
        date_trunc('month', invoice_date)::date as period_month,
        reason,
        count(distinct invoice_id) + count(*) filter (where invoice_id is null) as invoice_count,
        sum(net_amount) as net_amount,
        sum(vat_amount) as vat_amount
    from left_out
    group by all
),

remark as (
    select
        company,
        period_month,
        string_agg(
            ' Not in any box: ' || coalesce('net ' || net_amount || ' and ', '')
            || coalesce('VAT ' || vat_amount || ', signs left aside, of ', '')
            || invoice_count || if(invoice_count = 1, ' invoice ', ' invoices ') || reason || '.',
            '' order by reason
        ) as left_out
    from reason
    group by company, period_month
),

box as (
    select
        company,
        period_month,
        left_out,
        accounting_currency,
        unnest(['05', '10', '11', '12', '0-base']) as box,
        unnest([
            coalesce(box_05, 0), coalesce(box_10, 0), coalesce(box_11, 0), coalesce(box_12, 0), coalesce(zero_base, 0)
        ]) as amount
    from box_amount
    left join remark using (company, period_month)
    left join core.build_state using (company)
)

select
    company,
    period_month,
    box,
    -- whole kronor, cut towards zero once per box
    ((amount::decimal(38, 2) * 100)::hugeint // 100)::bigint as amount_kr,
    case when box = '0-base' or left_out is not null or accounting_currency <> 'SEK' then 'partial' else 'derived' end
        as coverage,
    'Draft by invoice date (faktureringsmetoden), from customer invoices only.'
    || case
        when box = '0-base'
            then ' Sales without VAT: export, EU, reverse charge and exempt cannot be told apart here (boxes 35-42).'
        else ''
    end
    || coalesce(' Amounts are in ' || nullif(accounting_currency, 'SEK') || ', the return is filed in SEK.', '')
    || coalesce(left_out, '') as note
from box
