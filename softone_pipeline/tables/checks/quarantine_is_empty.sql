-- Invoices that could not be typed exactly, the newest first.
select
    company,
    partition_date,
    invoice_id,
    field,
    reason,
    'invoice ' || coalesce(invoice_id::varchar, '(no readable id)') || ' of ' || coalesce(partition_date::varchar, '(no date)')
    || ': ' || field || ' ' || reason as what
from raw.quarantine
order by fetched_at desc, partition_date, invoice_id
