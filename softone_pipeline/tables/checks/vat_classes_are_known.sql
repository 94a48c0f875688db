-- Months in which more than one in a hundred rows of definitive invoices, or kronor, have no VAT class that is known.
-- An invoice without rows counts as one row.
with line as (
    select
        company,
        period_month,
        vat_class = 'unknown' as is_unknown,
        if(rate_source = 'row', row_count, invoice_count) as row_count,
        abs(net_amount) + abs(vat_amount) as amount
    from mart.vat_summary
    where status_class = 'counted' and vat_class not in ('none', 'rounding', 'header_adjustment')
),

month as (
    select
        company,
        period_month,
        sum(row_count)::bigint as row_count,
        coalesce(sum(row_count) filter (where is_unknown), 0)::bigint as unknown_count,
        sum(amount) as amount,
        coalesce(sum(amount) filter (where is_unknown), 0) as unknown_amount
    from line
    group by company, period_month
),

unknown_row as (
    select
        company,
        date_trunc('month', invoice_date)::date as period_month,
        list_sort(list(distinct coalesce(invoice_nr, 'id ' || invoice_id))) as invoice_nrs
    from core.invoice_rows
    where vat_class = 'unknown' and status_class = 'counted'
    group by all
)

select
    month.*,
    coalesce(strftime(month.period_month, '%Y-%m'), '(no date)') || ': ' || unknown_count || ' of ' || month.row_count
    || if(month.row_count = 1, ' row, ', ' rows, ') || unknown_amount || ' of ' || amount || coalesce(
        '; invoices ' || array_to_string(invoice_nrs[:20], ', ') || if(len(invoice_nrs) > 20, ', …', ''), ''
    ) as what
from month
left join unknown_row
    on unknown_row.company = month.company and unknown_row.period_month is not distinct from month.period_month
where unknown_count * 100 > month.row_count or unknown_amount * 100 > amount
order by month.period_month desc nulls first
