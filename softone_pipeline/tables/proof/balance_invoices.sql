-- A customer's counted invoices with total, payment and age, worked out anew from core, the payloads and Search's answers.
with as_of as (
    select any_value(as_of) as as_of from mart.customer_balance where company = $company
),

invoice as (
    select
        invoices.*,
        (if(invoices.sign_normalised, -1, 1)
            * raw.read_invoice_header(coalesce(version.payload_normalised, version.payload)).TotalAmount)::decimal(18, 2)
            as sent_total,
        as_of.as_of - invoices.due_date as days_past_due
    from core.invoices as invoices
    cross join as_of
    left join raw.customer_invoices as version
        on version.company = invoices.company and version.invoice_id = invoices.invoice_id and version.latest
    where invoices.company = $company
        and coalesce(invoices.customer_nr, '') = $customer_nr
        and invoices.status_class = 'counted'
),

-- the payment has the sign of its own total; where the invoice has the other sign it was turned round, and it with it
paid as (
    select
        invoice.*,
        case
            when payment.total_amount <> 0 and invoice.total_amount <> 0
                then if((payment.total_amount > 0) = (invoice.total_amount > 0), 1, -1) * payment.paid_amount
            when invoice.sign_normalised then -payment.paid_amount
            else payment.paid_amount
        end::decimal(18, 2) as paid_amount
    from invoice
    left join raw.payment_status as payment
        on payment.company = invoice.company and payment.invoice_id = invoice.invoice_id and payment.superseded_at is null
),

opened as (
    select *, (total_amount - paid_amount)::decimal(18, 2) as open_amount from paid
)

select
    invoice_id,
    invoice_nr,
    invoice_date,
    due_date,
    billing_type_name,
    currency,
    total_amount,
    sent_total,
    paid_amount,
    open_amount,
    days_past_due,
    case
        when open_amount is null then 'unknown'
        when open_amount = 0 then 'settled'
        when open_amount < 0 then 'unapplied_credit'
        when due_date is null then 'no_due_date'
        when days_past_due <= 0 then 'not_due'
        when days_past_due <= 30 then 'due_1_30'
        when days_past_due <= 60 then 'due_31_60'
        when days_past_due <= 90 then 'due_61_90'
        else 'due_over_90'
    end as ageing
from opened
order by abs(total_amount) desc, invoice_id
