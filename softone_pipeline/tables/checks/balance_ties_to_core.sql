-- Balances that are not the total of the customer's definitive invoices.
with line as (
    select 'mart' as side, company, customer_nr, currency, invoice_count, net_invoiced as total
    from mart.customer_balance
    union all
    select 'core', company, customer_nr, currency, 1, total_amount
    from core.invoices
    where status_class = 'counted'
),

compared as (
    select
        company,
        customer_nr,
        currency,
        sum(invoice_count) filter (where side = 'mart') as balance_count,
        sum(invoice_count) filter (where side = 'core') as invoice_count,
        sum(total) filter (where side = 'mart') as balance,
        sum(total) filter (where side = 'core') as invoiced
    from line
    group by all
)

select
    *,
    'customer ' || coalesce(customer_nr, '(no number)') || ' ' || coalesce(currency, '(no currency)') || ': invoiced '
    || coalesce(balance, 0) || ' on ' || coalesce(balance_count, 0)
    || if(balance_count = 1, ' invoice', ' invoices') || ', in core ' || coalesce(invoiced, 0)
    || ' on ' || coalesce(invoice_count, 0) as what
from compared
where balance is distinct from invoiced or balance_count is distinct from invoice_count
order by customer_nr, currency
