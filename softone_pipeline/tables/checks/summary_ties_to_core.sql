-- Cells of the VAT summary (month, currency, billing type, status) that are not the total of their invoices.
with line as (
    select
        'mart' as side,
        company,
        period_month,
        currency,
        billing_type_name,
        status_class,
        net_amount + vat_amount as total,
        net_amount_currency + vat_amount_currency as total_currency
    from mart.vat_summary
    union all
    select
        'core',
        company,
        date_trunc('month', invoice_date)::date,
        currency,
        billing_type_name,
        status_class,
        total_amount,
        total_amount_currency
    from core.invoices
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
    from line
    group by all
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
