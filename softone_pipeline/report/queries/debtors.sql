-- One row per customer and payment basis: the largest by what is open, or by what was invoiced.
select
    payment_basis,
    customer_nr,
    arg_max(customer_name, coalesce(last_invoice_date, date '0001-01-01')) as customer_name,
    sum(net_invoiced) as net_invoiced,
    sum(past_due_invoiced) as past_due_invoiced,
    sum(open_amount) as open_amount,
    sum(due_1_30) + sum(due_31_60) + sum(due_61_90) + sum(due_over_90) as past_due_open,
    sum(due_over_90) as due_over_90,
    row_number() over (
        partition by payment_basis order by coalesce(sum(open_amount), sum(net_invoiced)) desc, customer_nr
    ) as place
from mart.customer_balance
where company = $company
group by payment_basis, customer_nr
qualify place <= 15
order by payment_basis, place
