-- Balances whose parts do not come to the whole, or that say an amount where payments are unknown.
with part as (
    select
        *,
        debit_invoiced + credited + interest + reminder + other_invoiced as invoiced_parts,
        net_invoiced - paid_amount as left_to_pay,
        unapplied_credit + not_due + due_1_30 + due_31_60 + due_61_90 + due_over_90 + no_due_date as open_parts,
        count(distinct as_of) over (partition by company) as as_of_count
    from mart.customer_balance
)

select
    company,
    customer_nr,
    currency,
    net_invoiced,
    open_amount,
    'customer ' || coalesce(customer_nr, '(no number)') || ' ' || coalesce(currency, '(no currency)') || ': invoiced '
    || net_invoiced || ' in parts ' || invoiced_parts || ', paid ' || coalesce(paid_amount::varchar, 'unknown') || ', open '
    || coalesce(open_amount::varchar, 'unknown') || ' in parts ' || coalesce(open_parts::varchar, 'unknown')
    || ', payments ' || payment_basis || if(as_of_count > 1, ', as of more than one day', '') as what
from part
where invoiced_parts is distinct from net_invoiced
    or as_of_count > 1
    or case payment_basis
        when 'known' then open_parts is distinct from open_amount or left_to_pay is distinct from open_amount
            or open_amount is null
        when 'unknown' then coalesce(
            paid_amount, open_amount, unapplied_credit, not_due, due_1_30, due_31_60, due_61_90, due_over_90, no_due_date
        ) is not null
        else true
    end
order by customer_nr, currency
