-- What each chosen invoice (temp table chosen) puts on each line of mart.vat_summary, one row per invoice row or header
-- line, twice: as core has it, and as its payload says. From the payload come all amounts; from core only the judgement
-- (kind and class of a row, price basis, sign), so that figures changed by hand in core or mart do not agree with it.
with version as (
    select
        raw.company,
        raw.invoice_id,
        raw.read_invoice(coalesce(raw.payload_normalised, raw.payload)) as sent
    from raw.customer_invoices as raw
    inner join chosen using (company, invoice_id)
    where raw.latest
),

header as (
    select
        invoices.*,
        if(invoices.sign_normalised, -1, 1) as sign,
        sign * version.sent.TotalAmount as sent_total,
        sign * version.sent.TotalAmountCurrency as sent_total_currency,
        sign * version.sent.VATAmount as sent_vat,
        sign * version.sent.VATAmountCurrency as sent_vat_currency,
        version.sent.InvoiceRows as sent_rows
    from core.invoices as invoices
    inner join chosen using (company, invoice_id)
    inner join version using (company, invoice_id)
),

sent_row as (
    select
        company,
        invoice_id,
        sign,
        price_basis,
        generate_subscripts(sent_rows, 1)::integer as row_nr,
        unnest(sent_rows) as sent
    from header
),

row_line as (
    select
        core.company,
        core.invoice_id,
        core.row_nr,
        core.row_kind as line_kind,
        case core.row_kind when 'rounding' then 'rounding' else core.vat_class end as vat_class,
        case core.row_kind when 'rounding' then 'header' else 'row' end as rate_source,
        core.net_amount,
        coalesce(core.vat_amount, 0) as vat_amount,
        core.net_amount_currency,
        coalesce(core.vat_amount_currency, 0) as vat_amount_currency,
        core.row_net(sent_row.sign * sent.SumAmount, sent_row.sign * sent.VatAmount, sent_row.price_basis, core.row_kind)
            as sent_net,
        sent_row.sign * coalesce(sent.VatAmount, 0) as sent_vat,
        core.row_net(
            sent_row.sign * sent.SumAmountCurrency, sent_row.sign * sent.VatAmountCurrency, sent_row.price_basis, core.row_kind
        ) as sent_net_currency,
        sent_row.sign * coalesce(sent.VatAmountCurrency, 0) as sent_vat_currency
    from core.invoice_rows as core
    inner join chosen using (company, invoice_id)
    left join sent_row using (company, invoice_id, row_nr)
),

row_sum as (
    select
        company,
        invoice_id,
        sum(net_amount) as net_amount,
        sum(vat_amount) as vat_amount,
        sum(net_amount_currency) as net_amount_currency,
        sum(vat_amount_currency) as vat_amount_currency,
        sum(sent_net) as sent_net,
        sum(sent_vat) as sent_vat,
        sum(sent_net_currency) as sent_net_currency,
        sum(sent_vat_currency) as sent_vat_currency,
    from row_line
    where line_kind <> 'subtotal'
    group by company, invoice_id
),

-- an invoice without rows: one line from its header, at the one rate that its VAT agrees with
header_line as (
    select
        company,
        invoice_id,
        list_filter(
            core.vat_rates(),
            lambda rate: abs(100 * sent_vat_currency::decimal(38, 2) - rate * (sent_total_currency - sent_vat_currency)) <= 1 + 0.5 * rate
        ) as rates,
        case
            when sent_vat_currency = 0 then '0'
            when len(rates) = 1 then rtrim(rtrim(rates[1]::varchar, '0'), '.')
            else 'unknown'
        end as vat_class,
        net_amount,
        vat_amount,
        net_amount_currency,
        vat_amount_currency,
        sent_total - sent_vat as sent_net,
        sent_vat,
        sent_total_currency - sent_vat_currency as sent_net_currency,
        sent_vat_currency
    from header
    where price_basis = 'header'
),

-- the rounding as the payload has it in invoice currency; its share in accounting currency is core's
rounding as (
    select
        header.*,
        rows.* exclude (company, invoice_id, net_amount, vat_amount, net_amount_currency, vat_amount_currency, sent_vat,
            sent_vat_currency),
        rows.sent_vat as rows_sent_vat,
        rows.sent_vat_currency as rows_sent_vat_currency,
        rows.net_amount as rows_net,
        rows.vat_amount as rows_vat,
        rows.net_amount_currency as rows_net_currency,
        rows.vat_amount_currency as rows_vat_currency,
        case price_basis
            when 'net' then sent_total_currency - rows.sent_net_currency - header.sent_vat_currency
            when 'gross' then sent_total_currency - rows.sent_net_currency - rows.sent_vat_currency
            else 0
        end as sent_rounding_currency
    from header
    inner join row_sum as rows using (company, invoice_id)
    where price_basis <> 'header'
),

line as (
    select * from row_line
    union all by name
    select * exclude (rates), 'header' as line_kind, 'header' as rate_source from header_line
    union all by name
    select
        company,
        invoice_id,
        'rounding' as line_kind,
        'rounding' as vat_class,
        'header' as rate_source,
        rounding_amount as net_amount,
        0 as vat_amount,
        rounding_amount_currency as net_amount_currency,
        0 as vat_amount_currency,
        rounding_amount as sent_net,
        0 as sent_vat,
        sent_rounding_currency as sent_net_currency,
        0 as sent_vat_currency
    from rounding
    where rounding_amount <> 0 or rounding_amount_currency <> 0 or sent_rounding_currency <> 0
    union all by name
    select
        company,
        invoice_id,
        'adjustment' as line_kind,
        'header_adjustment' as vat_class,
        'header' as rate_source,
        total_amount - vat_amount - rounding_amount - rows_net as net_amount,
        vat_amount - rows_vat as vat_amount,
        total_amount_currency - vat_amount_currency - rounding_amount_currency - rows_net_currency as net_amount_currency,
        vat_amount_currency - rows_vat_currency as vat_amount_currency,
        sent_total - sent_vat - rounding_amount - sent_net as sent_net,
        sent_vat - rows_sent_vat as sent_vat,
        sent_total_currency - sent_vat_currency - sent_rounding_currency - sent_net_currency as sent_net_currency,
        sent_vat_currency - rows_sent_vat_currency as sent_vat_currency
    from rounding
)

select
    line.* replace (
        line.net_amount::decimal(38, 2) as net_amount,
        line.vat_amount::decimal(38, 2) as vat_amount,
        line.net_amount_currency::decimal(38, 2) as net_amount_currency,
        line.vat_amount_currency::decimal(38, 2) as vat_amount_currency
    ),
    invoices.invoice_nr,
    invoices.customer_nr,
    invoices.customer_name,
    invoices.invoice_date,
    invoices.currency,
    invoices.billing_type_name,
    invoices.status_class,
    invoices.sign_normalised,
    invoices.price_basis
from line
inner join core.invoices as invoices using (company, invoice_id)
where line_kind not in ('subtotal', 'adjustment')
    or (line_kind = 'adjustment' and (
        line.net_amount <> 0 or line.vat_amount <> 0 or line.net_amount_currency <> 0 or line.vat_amount_currency <> 0
        or sent_net <> 0 or sent_vat <> 0 or sent_net_currency <> 0 or sent_vat_currency <> 0
    ))
