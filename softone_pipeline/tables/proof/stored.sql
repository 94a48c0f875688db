-- What the store held of these days and of these ids at the moment the ERP was asked ($asked_at), one row per invoice.
-- Preliminary invoices and those of unknown status are left out where the question could not have brought them.
select
    invoice_id,
    partition_date,
    payload_hash,
    fetched_at,
    core.in_oere(raw.read_invoice_header(coalesce(payload_normalised, payload)).TotalAmount) as total_oere
from raw.customer_invoices
where company = $company
    and fetched_at <= $asked_at
    and (superseded_at is null or superseded_at > $asked_at)
    and (
        invoice_id in (select unnest($ids::bigint[]))
        or (
            partition_date between $first_day and $last_day
            and raw.could_be_brought(origin_status, $include_preliminary)
        )
    )
