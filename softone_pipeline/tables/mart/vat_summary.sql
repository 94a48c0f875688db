-- Invoices by month and VAT class. For every invoice the lines add up to its total, exactly, in both currencies.
with row_line as (
    select
        company,
        invoice_id,
        case row_kind when 'rounding' then 'rounding' else vat_class end as vat_class,
        case row_kind when 'rounding' then 'header' else 'row' end as rate_source,
        sum(coalesce(net_amount, 0)) as net_amount,
        sum(coalesce(vat_amount, 0)) as vat_amount,
        sum(coalesce(net_amount_currency, 0)) as net_amount_currency,
        sum(coalesce(vat_amount_currency, 0)) as vat_amount_currency,
        count(*) as row_count,
        count(*) filter (where is_flagged) as flagged_count
    from core.invoice_rows
    where row_kind <> 'subtotal'
    group by all
),

-- an invoice without rows: the one rate that its header agrees with
header_rate as (
    select
        *,
        list_filter(
            coalesce(getvariable('vat_rates'), [25, 12, 6]::decimal(5, 2)[]),
            lambda rate: abs(
                vat_amount_currency::decimal(38, 4) - rate * 0.01::decimal(3, 2) * (total_amount_currency - vat_amount_currency)
            ) <= 0.01 + 0.005 * rate
        ) as rates
    from core.invoices
    where price_basis = 'header'
),

header_line as (
    select
        company,
        invoice_id,
        case
            when vat_amount_currency = 0 then '0'
            when len(rates) = 1 then rtrim(rtrim(rates[1]::varchar, '0'), '.')
            else 'unknown'
        end as vat_class,
        'header' as rate_source,
        net_amount,
        vat_amount,
        net_amount_currency,
        vat_amount_currency,
        0 as row_count,
        if(vat_amount_currency <> 0 and len(rates) <> 1, 1, 0) as flagged_count
    from header_rate
),

rounding_line as (
    select
        company,
        invoice_id,
        'rounding' as vat_class,
        'header' as rate_source,
        rounding_amount as net_amount,
        0 as vat_amount,
        rounding_amount_currency as net_amount_currency,
        0 as vat_amount_currency,
        0 as row_count,
        0 as flagged_count
    from core.invoices
    where rounding_amount <> 0 or rounding_amount_currency <> 0
),

-- what the header says beyond its rows and rounding
adjustment_line as (
    select
        company,
        invoice_id,
        'header_adjustment' as vat_class,
        'header' as rate_source,
        total_amount - vat_amount - net_amount - rounding_amount as net_amount,
        vat_amount - row_vat_amount as vat_amount,
        total_amount_currency - vat_amount_currency - net_amount_currency - rounding_amount_currency
            as net_amount_currency,
        vat_amount_currency - row_vat_amount_currency as vat_amount_currency,
        0 as row_count,
        if(price_basis = 'unreconciled' or not header_vat_within_tolerance, 1, 0) as flagged_count
    from core.invoices
    where price_basis <> 'header'
),

line as (
    select * from row_line
    union all by name
    select * from header_line
    union all by name
    select * from rounding_line
    union all by name
    select * from adjustment_line
    where net_amount <> 0 or vat_amount <> 0 or net_amount_currency <> 0 or vat_amount_currency <> 0
)

select
    company,
    date_trunc('month', invoices.invoice_date)::date as period_month,
    invoices.currency,
    invoices.billing_type_name,
    invoices.status_class,
    line.vat_class,
    line.rate_source,
    sum(line.net_amount)::decimal(18, 2) as net_amount,
    sum(line.vat_amount)::decimal(18, 2) as vat_amount,
    sum(line.net_amount_currency)::decimal(18, 2) as net_amount_currency,
    sum(line.vat_amount_currency)::decimal(18, 2) as vat_amount_currency,
    -- an invoice has one line at most of each class and source
    count(*) as invoice_count,
    sum(line.row_count)::bigint as row_count,
    sum(line.flagged_count)::bigint as flagged_count
from line
inner join core.invoices as invoices using (company, invoice_id)
group by all
