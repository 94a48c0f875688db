-- The newest version of each invoice. In two halves, for DuckDB reads a table of up to 122,880 rows on one core.
create or replace macro raw.latest_versions() as table
from (
    from raw.customer_invoices where invoice_id % 2 = 0
    union all
    from raw.customer_invoices where invoice_id % 2 <> 0
)
where latest;

-- Whether a question could have brought an invoice: only of a known status, and no preliminary one, where it said so.
create or replace macro raw.could_be_brought(origin_status, include_preliminary) as
    include_preliminary or origin_status in (2, 3, 4, 5);
