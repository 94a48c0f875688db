-- Cells of the VAT summary (month, currency, billing type, status) that are not the total of their invoices.
with summary as (
    select
        company,
        period_month,
        currency,
        billing_type_name,
        status_class,
        sum(net_amount + vat_amount) as total,
        sum(net_amount_currency + vat_amount_currency) as total_currency
    from mart.vat_summary
    group by all
),

invoiced as (
    select
        company,
        date_trunc('month', invoice_date)::date as period_month,
        currency,
        billing_type_name,
        status_class,
        sum(total_amount) as total,
        sum(total_amount_currency) as total_currency
    from core.invoices
    group by all
),

compared as (
    select
        company,
        period_month,
        currency,
        billing_type_name,
        status_class,
        sum(total) filter (where side = 'mart') as summary,
        sum(total) filter (where side = 'core') as invoiced,
        sum(total_currency) filter (where side = 'mart') as summary_currency,
        sum(total_currency) filter (where side = 'core') as invoiced_currency
    from (
        select 'mart' as side, * from summary
        union all by name
        select 'core' as side, * from invoiced
    )
    group by company, period_month, currency, billing_type_name, status_class
)

select
    *,
    coalesce(strftime(period_month, '%Y-%m'), '(no date)') || ' ' || coalesce(currency, '(no currency)') || ' '
    || billing_type_name || ' ' || status_class || ': summary ' || coalesce(summary, 0) || ' and '
    || coalesce(summary_currency, 0) || ' in invoice currency, invoices ' || coalesce(invoiced, 0) || ' and '
    || coalesce(invoiced_currency, 0) as what
from compared
where coalesce(summary, 0) <> coalesce(invoiced, 0) or coalesce(summary_currency, 0) <> coalesce(invoiced_currency, 0)
order by period_month desc nulls first, currency, billing_type_name, status_class
