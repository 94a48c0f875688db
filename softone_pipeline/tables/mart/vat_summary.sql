-- Invoices by month and VAT class. For every invoice the lines add up to its total, exactly, in both currencies.
with row_line as (
    select
        company,
        date_trunc('month', invoice_date)::date as period_month,
        currency,
        billing_type_name,
        status_class,
        case row_kind when 'rounding' then 'rounding' else vat_class end as vat_class,
        case row_kind when 'rounding' then 'header' else 'row' end as rate_source,
        sum(coalesce(net_amount, 0)) as net_amount,
        sum(coalesce(vat_amount, 0)) as vat_amount,
        sum(coalesce(net_amount_currency, 0)) as net_amount_currency,
        sum(coalesce(vat_amount_currency, 0)) as vat_amount_currency,
        count(distinct invoice_id) as invoice_count,
        count(*) as row_count,
        count(*) filter (where is_flagged) as flagged_count
    from core.invoice_rows
    where row_kind <> 'subtotal'
    group by all
),

invoice as (
    select *, date_trunc('month', invoice_date)::date as period_month
    from core.invoices
),

header_line as (
    select
        company,
        period_month,
        currency,
        billing_type_name,
        status_class,
        header_vat_class as vat_class,
        net_amount,
        vat_amount,
        net_amount_currency,
        vat_amount_currency,
        if(header_vat_class = 'unknown', 1, 0) as flagged_count
    from invoice
    where price_basis = 'header'
),

rounding_line as (
    select
        company,
        period_month,
        currency,
        billing_type_name,
        status_class,
        'rounding' as vat_class,
        rounding_amount as net_amount,
        0 as vat_amount,
        rounding_amount_currency as net_amount_currency,
        0 as vat_amount_currency,
        0 as flagged_count
    from invoice
    where rounding_amount <> 0 or rounding_amount_currency <> 0
),

-- what the header says beyond its rows and rounding
adjustment_line as (
    select
        company,
        period_month,
        currency,
        billing_type_name,
        status_class,
        'header_adjustment' as vat_class,
        total_amount - vat_amount - net_amount - rounding_amount as net_amount,
        vat_amount - row_vat_amount as vat_amount,
        total_amount_currency - vat_amount_currency - net_amount_currency - rounding_amount_currency
            as net_amount_currency,
        vat_amount_currency - row_vat_amount_currency as vat_amount_currency,
        if(price_basis = 'unreconciled' or not header_vat_within_tolerance, 1, 0) as flagged_count
    from invoice
    where price_basis <> 'header'
),

invoice_line as (
    select * from header_line
    union all by name
    select * from rounding_line
    union all by name
    select * from adjustment_line
    where net_amount <> 0 or vat_amount <> 0 or net_amount_currency <> 0 or vat_amount_currency <> 0
),

line as (
    select * from row_line
    union all by name
    select *, 'header' as rate_source, 1 as invoice_count, 0 as row_count from invoice_line
)

select
    company,
    period_month,
    currency,
    billing_type_name,
    status_class,
    vat_class,
    rate_source,
    sum(net_amount)::decimal(18, 2) as net_amount,
    sum(vat_amount)::decimal(18, 2) as vat_amount,
    sum(net_amount_currency)::decimal(18, 2) as net_amount_currency,
    sum(vat_amount_currency)::decimal(18, 2) as vat_amount_currency,
    sum(invoice_count)::bigint as invoice_count,
    sum(row_count)::bigint as row_count,
    sum(flagged_count)::bigint as flagged_count
from line
group by all
