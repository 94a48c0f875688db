-- The customers' balances as they were known at a moment; NULL is now, and that is what mart.customer_balance holds.
--
--     from mart.customer_balance_as_known(timestamptz '2026-02-28 18:00:00 Europe/Stockholm')
--
-- answers what the pipeline knew by that evening: an invoice, a change or a payment that was fetched later is not in
-- it, and one that has gone missing since then is. as_of is the day of the last complete Search until then.
create or replace macro mart.customer_balance_as_known(as_known_at) as table
with balance as (
    select
        company,
        as_of,
        customer_nr,
        currency,
        arg_max(customer_name, (coalesce(invoice_date, date '0001-01-01'), invoice_id)) as customer_name,
        count(*) as invoice_count,
        sum(total_amount) filter (where billing_type_name = 'debit') as debit_invoiced,
        sum(total_amount) filter (where billing_type_name = 'credit') as credited,
        sum(total_amount) filter (where billing_type_name = 'interest') as interest,
        sum(total_amount) filter (where billing_type_name = 'reminder') as reminder,
        sum(total_amount) filter (where billing_type_name = 'unknown') as other_invoiced,
        sum(total_amount) as net_invoiced,
        sum(total_amount) filter (where total_amount > 0 and days_past_due > 0) as past_due_invoiced,
        count(*) filter (where paid_amount is null) as unknown_payment_count,
        count(*) filter (where payment_total_differs) as payment_total_differs_count,
        sum(paid_amount) as paid_amount,
        sum(open_amount) as open_amount,
        sum(open_amount) filter (where ageing = 'unapplied_credit') as unapplied_credit,
        sum(open_amount) filter (where ageing = 'not_due') as not_due,
        sum(open_amount) filter (where ageing = 'due_1_30') as due_1_30,
        sum(open_amount) filter (where ageing = 'due_31_60') as due_31_60,
        sum(open_amount) filter (where ageing = 'due_61_90') as due_61_90,
        sum(open_amount) filter (where ageing = 'due_over_90') as due_over_90,
        sum(open_amount) filter (where ageing = 'no_due_date') as no_due_date,
        max(invoice_date) as last_invoice_date
    from mart.receivables_as_known(as_known_at)
    group by company, as_of, customer_nr, currency
)

select
    company,
    as_of,
    customer_nr,
    currency,
    customer_name,
    invoice_count,
    coalesce(debit_invoiced, 0)::decimal(18, 2) as debit_invoiced,
    coalesce(credited, 0)::decimal(18, 2) as credited,
    coalesce(interest, 0)::decimal(18, 2) as interest,
    coalesce(reminder, 0)::decimal(18, 2) as reminder,
    coalesce(other_invoiced, 0)::decimal(18, 2) as other_invoiced,
    net_invoiced::decimal(18, 2) as net_invoiced,
    coalesce(past_due_invoiced, 0)::decimal(18, 2) as past_due_invoiced,
    case when unknown_payment_count = 0 then 'known' else 'unknown' end as payment_basis,
    case when unknown_payment_count = 0 then paid_amount end::decimal(18, 2) as paid_amount,
    case when unknown_payment_count = 0 then open_amount end::decimal(18, 2) as open_amount,
    case when unknown_payment_count = 0 then coalesce(unapplied_credit, 0) end::decimal(18, 2) as unapplied_credit,
    case when unknown_payment_count = 0 then coalesce(not_due, 0) end::decimal(18, 2) as not_due,
    case when unknown_payment_count = 0 then coalesce(due_1_30, 0) end::decimal(18, 2) as due_1_30,
    case when unknown_payment_count = 0 then coalesce(due_31_60, 0) end::decimal(18, 2) as due_31_60,
    case when unknown_payment_count = 0 then coalesce(due_61_90, 0) end::decimal(18, 2) as due_61_90,
    case when unknown_payment_count = 0 then coalesce(due_over_90, 0) end::decimal(18, 2) as due_over_90,
    case when unknown_payment_count = 0 then coalesce(no_due_date, 0) end::decimal(18, 2) as no_due_date,
    last_invoice_date,
    unknown_payment_count,
    payment_total_differs_count
from balance
