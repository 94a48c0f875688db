-- One row per counted invoice with what is paid of it and how old it is, as it was known at a moment; NULL is now.
-- The one place where payment, sign and age meet: mart.customer_balance sums it.
--
--     from mart.receivables_as_known(timestamptz '2026-02-28 18:00:00 Europe/Stockholm') where customer_nr = '11357'
--
-- Now is read from core. An earlier moment is read from raw's versions, for core holds only the newest. as_of is the
-- Stockholm day of the last complete Search until the moment; without one, of the newest fetch until then.
create or replace macro mart.receivables_as_known(as_known_at) as table
with
as_of as (
    select
        company,
        (coalesce(last_search.asked_at, last_fetch.fetched_at) at time zone 'Europe/Stockholm')::date as as_of
    from (
        select company, max(fetched_at) as fetched_at
        from raw.fetches
        where fetched_at <= coalesce(as_known_at::timestamptz, 'infinity'::timestamptz)
        group by company
    ) as last_fetch
    left join (
        select company, max(asked_at) as asked_at
        from raw.payment_search
        where asked_at <= coalesce(as_known_at::timestamptz, 'infinity'::timestamptz)
        group by company
    ) as last_search using (company)
),

version as (
    select
        company,
        invoice_id,
        coalesce(payload_normalised, payload) as payload,
        raw.read_invoice_header(coalesce(payload_normalised, payload)) as invoice
    from raw.customer_invoices
    where as_known_at is not null
        and fetched_at <= as_known_at::timestamptz
        and (superseded_at is null or superseded_at > as_known_at::timestamptz)
        and core.status_class(origin_status, false) = 'counted'
),

signed as (
    select
        *,
        core.is_sent_positive(invoice.BillingType, invoice.TotalAmountCurrency, payload) as sign_normalised
    from version
),

invoice as (
    select
        company,
        invoice_id,
        invoice_nr,
        customer_nr,
        customer_name,
        billing_type_name,
        currency,
        invoice_date,
        due_date,
        total_amount,
        sign_normalised
    from core.invoices
    where as_known_at is null and status_class = 'counted'
    union all
    select
        company,
        invoice_id,
        invoice.InvoiceNr,
        invoice.CustomerNr,
        invoice.CustomerName,
        core.billing_type_name(invoice.BillingType),
        invoice.Currency,
        try_cast(invoice.InvoiceDate[:10] as date),
        try_cast(invoice.DueDate[:10] as date),
        (case when sign_normalised then -invoice.TotalAmount else invoice.TotalAmount end)::decimal(18, 2),
        sign_normalised
    from signed
),

payment as (
    select company, invoice_id, total_amount, paid_amount, as_of
    from raw.payment_status
    where as_of <= coalesce(as_known_at::timestamptz, 'infinity'::timestamptz)
        and (superseded_at is null or superseded_at > coalesce(as_known_at::timestamptz, 'infinity'::timestamptz))
),

-- A paid amount has the sign of the total that Search gives with it. Where that is not the sign that the invoice
-- has here, the payment is turned round: for a credit sent positive by Filter and Search alike, that is with it.
paid as (
    select
        invoice.*,
        as_of.as_of,
        as_of.as_of - invoice.due_date as days_past_due,
        case
            when payment.total_amount <> 0 and invoice.total_amount <> 0 then case
                when (payment.total_amount > 0) = (invoice.total_amount > 0) then payment.paid_amount
                else -payment.paid_amount
            end
            when invoice.sign_normalised then -payment.paid_amount
            else payment.paid_amount
        end::decimal(18, 2) as paid_amount,
        payment.as_of as payment_as_of,
        coalesce(abs(payment.total_amount) <> abs(invoice.total_amount), false) as payment_total_differs
    from invoice
    inner join as_of using (company)
    left join payment using (company, invoice_id)
),

opened as (
    select *, (total_amount - paid_amount)::decimal(18, 2) as open_amount
    from paid
)

select
    company,
    as_of,
    invoice_id,
    invoice_nr,
    customer_nr,
    customer_name,
    billing_type_name,
    currency,
    invoice_date,
    due_date,
    days_past_due,
    total_amount,
    paid_amount,
    open_amount,
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
    end as ageing,
    sign_normalised,
    payment_as_of,
    payment_total_differs
from opened
