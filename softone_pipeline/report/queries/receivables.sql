-- One row per payment basis: what is open and how old it is, or what was invoiced where payments are not known.
select
    payment_basis,
    max(as_of) as as_of,
    count(distinct customer_nr) as customer_count,
    sum(net_invoiced) as net_invoiced,
    sum(past_due_invoiced) as past_due_invoiced,
    sum(open_amount) as open_amount,
    sum(not_due) as not_due,
    sum(due_1_30) as due_1_30,
    sum(due_31_60) as due_31_60,
    sum(due_61_90) as due_61_90,
    sum(due_over_90) as due_over_90,
    sum(no_due_date) as no_due_date,
    sum(unapplied_credit) as unapplied_credit
from mart.customer_balance
where company = $company
group by payment_basis
