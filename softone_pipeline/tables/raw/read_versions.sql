-- The newest version of every invoice with its payload read: of all, or of those whose company and ids are in the
-- variables of these names.
create or replace macro raw.read_versions() as table
select
    company,
    invoice_id,
    partition_date,
    fetched_at,
    end_reason is not null as is_missing,
    raw.read_invoice(coalesce(payload_normalised, payload)) as invoice
-- in two halves, for DuckDB reads a table of up to 122,880 rows on one core
from (
    from raw.customer_invoices where invoice_id % 2 = 0
    union all
    from raw.customer_invoices where invoice_id % 2 <> 0
)
where latest
    and (getvariable('company') is null or company = getvariable('company'))
    and (getvariable('invoice_ids') is null or invoice_id in (select unnest(getvariable('invoice_ids'))))
