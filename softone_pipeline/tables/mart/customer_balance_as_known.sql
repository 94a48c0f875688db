-- The customers' balances as they were known at a moment; NULL is now, and that is what mart.customer_balance holds.
--
--     from mart.customer_balance_as_known(timestamptz '2026-02-28 18:00:00 Europe/Stockholm')
--
-- answers what the pipeline knew by that evening: an invoice, a change or a payment that was fetched later is not in
-- it, and one that has gone missing since then is. as_of is the day of the last complete Search until then;
-- without one, of the newest fetch until then.
create or replace macro mart.customer_balance_as_known(as_known_at) as table
select
    company,
    as_of,
    customer_nr,
    currency,
    arg_max(customer_name, (coalesce(invoice_date, date '0001-01-01'), invoice_id)) as customer_name,
    count(*) as invoice_count,
    coalesce(sum(total_amount) filter (where billing_type_name = 'debit'), 0)::decimal(18, 2) as debit_invoiced,
    coalesce(sum(total_amount) filter (where billing_type_name = 'credit'), 0)::decimal(18, 2) as credited,
    coalesce(sum(total_amount) filter (where billing_type_name = 'interest'), 0)::decimal(18, 2) as interest,
    coalesce(sum(total_amount) filter (where billing_type_name = 'reminder'), 0)::decimal(18, 2) as reminder,
    coalesce(sum(total_amount) filter (where billing_type_name = 'unknown'), 0)::decimal(18, 2) as other_invoiced,
    sum(total_amount)::decimal(18, 2) as net_invoiced,
    coalesce(sum(total_amount) filter (where total_amount > 0 and days_past_due > 0), 0)::decimal(18, 2) as past_due_invoiced,
    case when count(paid_amount) = count(*) then 'known' else 'unknown' end as payment_basis,
    case payment_basis when 'known' then sum(paid_amount) end::decimal(18, 2) as paid_amount,
    case payment_basis when 'known' then sum(open_amount) end::decimal(18, 2) as open_amount,
    case payment_basis when 'known' then coalesce(sum(open_amount) filter (where ageing = 'unapplied_credit'), 0) end::decimal(18, 2) as unapplied_credit,
    case payment_basis when 'known' then coalesce(sum(open_amount) filter (where ageing = 'not_due'), 0) end::decimal(18, 2) as not_due,
    case payment_basis when 'known' then coalesce(sum(open_amount) filter (where ageing = 'due_1_30'), 0) end::decimal(18, 2) as due_1_30,
    case payment_basis when 'known' then coalesce(sum(open_amount) filter (where ageing = 'due_31_60'), 0) end::decimal(18, 2) as due_31_60,
    case payment_basis when 'known' then coalesce(sum(open_amount) filter (where ageing = 'due_61_90'), 0) end::decimal(18, 2) as due_61_90,
    case payment_basis when 'known' then coalesce(sum(open_amount) filter (where ageing = 'due_over_90'), 0) end::decimal(18, 2) as due_over_90,
    case payment_basis when 'known' then coalesce(sum(open_amount) filter (where ageing = 'no_due_date'), 0) end::decimal(18, 2) as no_due_date,
    max(invoice_date) as last_invoice_date,
    count(*) - count(paid_amount) as unknown_payment_count,
    count(*) filter (where payment_total_differs) as payment_total_differs_count
from mart.receivables_as_known(as_known_at)
group by company, as_of, customer_nr, currency
