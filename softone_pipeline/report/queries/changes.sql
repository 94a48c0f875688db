-- The latest changes after a moment: one row per version of an invoice known before, or that went missing, with the total
-- before and after as the ERP sent it.
with version as (
    select
        invoice_id,
        origin_status = 1 as is_draft,
        partition_date,
        change,
        end_reason,
        fetched_at,
        superseded_at,
        raw.read_invoice_header(coalesce(payload_normalised, payload)) as invoice
    from raw.customer_invoices
    where company = $company
        and invoice_id in (
            select invoice_id
            from raw.customer_invoices
            where company = $company
                and (fetched_at > $since and change <> 'new' or superseded_at > $since and end_reason = 'missing')
        )
),

compared as (
    select
        *,
        lag(invoice.TotalAmount) over earlier as total_before,
        lag(partition_date) over earlier as date_before
    from version
    window earlier as (partition by invoice_id order by fetched_at)
)

select
    'missing' as change,
    invoice_id,
    invoice.InvoiceNr as invoice_nr,
    is_draft,
    invoice.CustomerName as customer_name,
    partition_date as date_before,
    null::date as date_after,
    invoice.TotalAmount::decimal(18, 2) as total_before,
    null::decimal(18, 2) as total_after,
    superseded_at as known_at
from compared
where end_reason = 'missing' and superseded_at > $since
union all
select
    change,
    invoice_id,
    invoice.InvoiceNr,
    is_draft,
    invoice.CustomerName,
    date_before,
    partition_date,
    total_before::decimal(18, 2),
    invoice.TotalAmount::decimal(18, 2),
    fetched_at
from compared
where fetched_at > $since and change <> 'new'
order by known_at desc, invoice_id
limit $shown
