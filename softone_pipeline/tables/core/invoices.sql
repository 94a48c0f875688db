-- One row per invoice now known. The header is read from the payload, how it foots comes from core.invoice_rows.
-- Runs for all invoices as it stands, or for those in the variable invoice_ids.
with version as (
    select
        company,
        invoice_id,
        partition_date,
        fetched_at,
        end_reason is not null as is_missing,
        raw.read_invoice_header(coalesce(payload_normalised, payload)) as invoice
    from raw.latest_versions()
    where core.is_asked_for(company, invoice_id)
),

row_total as (
    select
        company,
        invoice_id,
        count(*)::integer as row_count,
        any_value(price_basis) as price_basis,
        any_value(sign_normalised) as sign_normalised,
        sum(sum_amount_currency) filter (where row_kind <> 'subtotal') as row_sum_currency,
        sum(net_amount) as net_amount,
        sum(net_amount_currency) as net_amount_currency,
        sum(vat_amount) filter (where row_kind <> 'subtotal') as row_vat,
        sum(vat_amount_currency) filter (where row_kind <> 'subtotal') as row_vat_currency
    from core.invoice_rows
    where core.is_asked_for(company, invoice_id)
    group by company, invoice_id
),

-- an invoice without rows is read from its header alone; a credit sent positive is flipped there too
joined as (
    select
        version.* exclude (invoice),
        invoice.*,
        coalesce(row_count, 0) as row_count,
        coalesce(price_basis, 'header') as price_basis,
        coalesce(
            sign_normalised, coalesce(invoice.BillingType = 2 and invoice.TotalAmountCurrency > 0, false)
        ) as sign_normalised,
        coalesce(row_sum_currency, 0) as row_sum_currency,
        net_amount,
        net_amount_currency,
        coalesce(row_vat, 0) as row_vat,
        coalesce(row_vat_currency, 0) as row_vat_currency
    from version
    left join row_total using (company, invoice_id)
),

signed as (
    select
        *,
        (TotalAmount * if(sign_normalised, -1, 1))::decimal(18, 2) as total_amount,
        (TotalAmountCurrency * if(sign_normalised, -1, 1))::decimal(18, 2) as total_amount_currency,
        (VATAmount * if(sign_normalised, -1, 1))::decimal(18, 2) as vat_amount,
        (VATAmountCurrency * if(sign_normalised, -1, 1))::decimal(18, 2) as vat_amount_currency
    from joined
),

footed as (
    select
        *,
        case price_basis
            when 'net' then total_amount_currency - row_sum_currency - vat_amount_currency
            when 'gross' then total_amount_currency - row_sum_currency
            else 0
        end::decimal(18, 2) as rounding_amount_currency,
        -- without rows: which of the rates the header agrees with
        case when price_basis = 'header' then list_filter(
            core.vat_rates(),
            lambda rate: abs(
                vat_amount_currency::decimal(38, 4) - rate * 0.01::decimal(3, 2) * (total_amount_currency - vat_amount_currency)
            ) <= 0.01 + 0.005 * rate
        ) end as header_rates
    from signed
)

select
    company,
    invoice_id,
    InvoiceNr as invoice_nr,
    CustomerNr as customer_nr,
    CustomerName as customer_name,
    CustomerOrgNr as customer_org_nr,
    -- no date where an earlier version landed an impossible one, as in raw's partition_date
    try_cast(InvoiceDate[:10] as date) as invoice_date,
    try_cast(DueDate[:10] as date) as due_date,
    BillingType as billing_type,
    core.billing_type_name(BillingType) as billing_type_name,
    OriginStatus as origin_status,
    core.status_class(OriginStatus, is_missing) as status_class,
    Currency as currency,
    total_amount,
    total_amount_currency,
    vat_amount,
    vat_amount_currency,
    case price_basis when 'header' then total_amount - vat_amount else coalesce(net_amount, 0) end::decimal(18, 2)
        as net_amount,
    case price_basis when 'header' then total_amount_currency - vat_amount_currency else coalesce(net_amount_currency, 0) end
        ::decimal(18, 2) as net_amount_currency,
    case
        when Currency = coalesce(getvariable('accounting_currency'), 'SEK') or total_amount = total_amount_currency
            then rounding_amount_currency
        -- a total of nothing has no exchange rate; what then remains is the header_adjustment
        when total_amount_currency = 0 then 0
        else core.from_oere(core.divide_rounded(
            core.in_oere(rounding_amount_currency) * core.in_oere(total_amount), core.in_oere(total_amount_currency)
        ))
    end::decimal(18, 2) as rounding_amount,
    rounding_amount_currency,
    row_vat::decimal(18, 2) as row_vat_amount,
    row_vat_currency::decimal(18, 2) as row_vat_amount_currency,
    row_count,
    price_basis,
    case
        when price_basis <> 'header' then null
        when vat_amount_currency = 0 then '0'
        when len(header_rates) = 1 then core.rate_class(header_rates[1])
        else 'unknown'
    end as header_vat_class,
    sign_normalised,
    row_count = 0
    or abs(vat_amount_currency - row_vat_currency) <= 0.01 * ((row_count + 2) // 2) as header_vat_within_tolerance,
    exists (
        select 1
        from raw.quarantine
        where quarantine.company = footed.company and quarantine.invoice_id = footed.invoice_id
    ) as has_quarantined_update,
    partition_date,
    fetched_at
from footed
