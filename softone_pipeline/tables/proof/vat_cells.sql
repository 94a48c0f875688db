-- The cells of mart.vat_summary that were asked for, beside what their invoices come to (temp table line): as core has
-- it, and as the payloads say. A cell that only one side has is kept: that is a residual too.
with said as (
    select currency, billing_type_name, vat_class, rate_source,
        net_amount as mart_net, vat_amount as mart_vat,
        net_amount_currency as mart_net_currency, vat_amount_currency as mart_vat_currency
    from mart.vat_summary
    where company = $company and period_month is not distinct from $month and status_class = $status
        and ($vat_class is null or vat_class = $vat_class)
),

found as (
    select currency, billing_type_name, vat_class, rate_source,
        sum(net_amount) as core_net, sum(vat_amount) as core_vat,
        sum(net_amount_currency) as core_net_currency, sum(vat_amount_currency) as core_vat_currency,
        sum(sent_net) as payload_net, sum(sent_vat) as payload_vat,
        sum(sent_net_currency) as payload_net_currency, sum(sent_vat_currency) as payload_vat_currency,
        count(distinct invoice_id) as invoice_count,
        count(row_nr) as row_count,
        count(distinct invoice_id) filter (where sign_normalised) as turned_negative_count
    from line
    where $vat_class is null or vat_class = $vat_class
    group by all
)

select
    coalesce(said.vat_class, found.vat_class) as vat_class,
    coalesce(said.currency, found.currency) as currency,
    coalesce(said.billing_type_name, found.billing_type_name) as billing_type_name,
    coalesce(said.rate_source, found.rate_source) as rate_source,
    coalesce(found.invoice_count, 0) as invoice_count,
    coalesce(found.row_count, 0) as row_count,
    coalesce(found.turned_negative_count, 0) as turned_negative_count,
    coalesce(mart_net, 0) as mart_net, coalesce(mart_vat, 0) as mart_vat,
    coalesce(core_net, 0) as core_net, coalesce(core_vat, 0) as core_vat,
    coalesce(payload_net, 0) as payload_net, coalesce(payload_vat, 0) as payload_vat,
    coalesce(mart_net_currency, 0) as mart_net_currency, coalesce(mart_vat_currency, 0) as mart_vat_currency,
    coalesce(core_net_currency, 0) as core_net_currency, coalesce(core_vat_currency, 0) as core_vat_currency,
    coalesce(payload_net_currency, 0) as payload_net_currency, coalesce(payload_vat_currency, 0) as payload_vat_currency,
from said
full join found
    on said.currency is not distinct from found.currency
    and said.billing_type_name = found.billing_type_name
    and said.vat_class = found.vat_class
    and said.rate_source = found.rate_source
order by all
