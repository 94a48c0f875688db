-- Every row of every invoice now known. How an invoice foots is decided in invoice currency, then carried over
-- to accounting currency. Runs for all invoices as it stands, or for those in the variable invoice_ids.
-- An invoice without rows falls out where its rows are unnested: a filter on them up here would be pushed below the
-- reading and make DuckDB read every payload twice.
with version as (
    select
        company,
        invoice_id,
        partition_date,
        end_reason is not null as is_missing,
        raw.read_invoice(coalesce(payload_normalised, payload)) as invoice
    from raw.latest_versions()
    where core.is_asked_for(company, invoice_id)
),

header as (
    select
        company,
        invoice_id,
        partition_date,
        is_missing,
        invoice.InvoiceNr as invoice_nr,
        invoice.CustomerNr as customer_nr,
        try_cast(invoice.InvoiceDate[:10] as date) as invoice_date,
        invoice.Currency as currency,
        invoice.BillingType as billing_type,
        invoice.OriginStatus as origin_status,
        invoice.TotalAmountCurrency as total,
        invoice.VATAmountCurrency as header_vat,
        invoice.InvoiceRows as rows,
        list_sum([coalesce(r.SumAmountCurrency, 0) for r in invoice.InvoiceRows]) as row_sum,
        list_sum([coalesce(r.VatAmountCurrency, 0) for r in invoice.InvoiceRows]) as row_vat,
        -- VAT of rows that cancel each other is VAT all the same
        len([r for r in invoice.InvoiceRows if r.VatAmountCurrency <> 0]) > 0 as has_vat
    from version
),

-- credits are negative: one sent positive is flipped
signed as (
    select *, case when billing_type = 2 and total > 0 and row_sum >= 0 then -1 else 1 end as sign
    from header
),

-- a subtotal repeats the sum of the rows since the previous one; looked for only where the invoice does not foot
marked as (
    select
        *,
        case when core.price_basis(total, header_vat, row_sum, row_vat) = 'unreconciled' then
            list_reduce(
                rows,
                lambda seen, r: case
                    when r.ProductNr is null and r.VatAmountCurrency = 0
                        and r.SumAmountCurrency <> 0 and abs(r.SumAmountCurrency - seen.running) <= 0.01
                        then {'running': 0::decimal(38, 2), 'is_subtotal': list_append(seen.is_subtotal, true)}
                    else {
                        'running': (seen.running + coalesce(r.SumAmountCurrency, 0))::decimal(38, 2),
                        'is_subtotal': list_append(seen.is_subtotal, false)
                    }
                end,
                {'running': 0::decimal(38, 2), 'is_subtotal': []::boolean[]}
            ).is_subtotal
        end as is_subtotal
    from signed
),

kept as (
    select
        *,
        -- the rows that count: all but subtotals
        case
            when is_subtotal is null then rows
            else list_filter(rows, lambda r, i: not is_subtotal[i])
        end as kept_rows
    from marked
),

-- an invoice that foots exactly on whole kronor, with one tiny row without VAT: the rounding was sent as a row
footed as (
    select
        * exclude (row_sum),
        list_sum([coalesce(r.SumAmountCurrency, 0) for r in kept_rows]) as row_sum,
        core.price_basis(
            total, header_vat, list_sum([coalesce(r.SumAmountCurrency, 0) for r in kept_rows]), row_vat
        ) as price_basis
    from kept
),

rounded as (
    select
        * exclude (kept_rows),
        coalesce(
            total = trunc(total)
            and total - row_sum = case price_basis when 'net' then header_vat when 'gross' then 0.00 end
            and len([r for r in kept_rows if core.is_tiny_without_vat(r.SumAmountCurrency, r.VatAmountCurrency)]) = 1
            and len([r for r in kept_rows if r.SumAmountCurrency <> 0 or r.VatAmountCurrency <> 0]) > 1,
            false
        ) as has_rounding_row
    from footed
),

sent_row as (
    select
        * exclude (rows, is_subtotal),
        unnest(rows) as r,
        unnest(is_subtotal) as is_subtotal,
        generate_subscripts(rows, 1)::integer as row_nr
    from rounded
),

amount as (
    select
        * exclude (r, is_subtotal),
        r.ProductNr as product_nr,
        r.Text as text,
        r.Quantity as quantity,
        r.UnitPrice as unit_price,
        r.UnitPriceCurrency as unit_price_currency,
        (r.SumAmount * sign)::decimal(18, 2) as sum_amount,
        (r.SumAmountCurrency * sign)::decimal(18, 2) as sum_amount_currency,
        (r.VatAmount * sign)::decimal(18, 2) as vat_amount,
        (r.VatAmountCurrency * sign)::decimal(18, 2) as vat_amount_currency,
        r.Accounts as accounts,
        r.AttestState as attest_state,
        r.AttestStateName as attest_state_name,
        coalesce(is_subtotal, false) as is_subtotal,
        has_rounding_row
        and not coalesce(is_subtotal, false)
        and coalesce(core.is_tiny_without_vat(r.SumAmountCurrency, r.VatAmountCurrency), false) as is_rounding
    from sent_row
),

-- which of the rates give the row's VAT to the öre
matched as (
    select
        *,
        sum_amount_currency <> 0 and vat_amount_currency <> 0
        and sign(sum_amount_currency) = sign(vat_amount_currency) as is_comparable,
        case when is_comparable then list_filter(
            core.vat_rates(),
            lambda rate: vat_amount_currency = core.expected_vat(sum_amount_currency, rate, price_basis = 'gross')
        ) end as exact_rates,
        -- on an invoice with other VAT: money taken off without VAT (on a credit: given back)
        vat_amount_currency = 0 and has_vat and not is_subtotal and not is_rounding
        and case billing_type when 1 then sum_amount_currency < 0 when 2 then sum_amount_currency > 0 else false end
            as is_deduction
    from amount
),

deduction as (
    select
        *,
        -- which are within one öre, where none is exact
        case when len(exact_rates) = 0 then list_filter(
            core.vat_rates(),
            lambda rate: abs(
                vat_amount_currency - core.expected_vat(sum_amount_currency, rate, price_basis = 'gross')
            ) <= 0.01
        ) end as near_rates,
        -- the bar keeps a word of two parts from being found across the text and the article
        case when is_deduction then regexp_matches(
            nfc_normalize(concat_ws(' | ', text, product_nr)),
            '(?i)(^|[^\pL\pN])('
            || array_to_string(
                [
                    array_to_string(
                        [regexp_escape(part) for part in regexp_split_to_array(nfc_normalize(trim(word)), '\s+')],
                        '[\s\pZ]+'
                    )
                    for word in coalesce(
                        getvariable('tax_reduction_words'),
                        ['rot', 'rut', 'husarbete', 'husavdrag', 'skattereduktion', 'grön teknik']
                    )
                ],
                '|'
            )
            || ')($|[^\pL\pN])'
        ) and len(coalesce(getvariable('tax_reduction_words'), [''])) > 0 else false end as is_tax_reduction
    from matched
),

classed as (
    select
        *,
        case
            when is_subtotal then 'subtotal'
            when is_rounding then 'rounding'
            when is_tax_reduction then 'tax_reduction'
            when product_nr is null and coalesce(sum_amount_currency, 0) = 0 and coalesce(vat_amount_currency, 0) = 0
                then 'text'
            else 'item'
        end as row_kind,
        case
            when is_subtotal then {'class': null, 'rate': null, 'status': null}
            when is_rounding then {'class': 'rounding', 'rate': null, 'status': null}
            when sum_amount_currency is null or vat_amount_currency is null
                then {'class': 'unknown', 'rate': null, 'status': 'missing_amount'}
            when sum_amount_currency = 0 and vat_amount_currency = 0
                then {'class': 'none', 'rate': null, 'status': null}
            when is_tax_reduction then {'class': 'tax_reduction', 'rate': null, 'status': null}
            when vat_amount_currency = 0 then {
                'class': '0',
                'rate': 0,
                'status': if(abs(sum_amount_currency) <= 0.08, 'small', 'zero')
            }
            when sum_amount_currency = 0 then {'class': 'unknown', 'rate': null, 'status': 'vat_without_base'}
            when not is_comparable then {'class': 'unknown', 'rate': null, 'status': 'sign_conflict'}
            when len(exact_rates) = 1 then {'class': 'rate', 'rate': exact_rates[1], 'status': 'exact'}
            when len(exact_rates) > 1 then {'class': 'unknown', 'rate': null, 'status': 'small_amount'}
            when len(near_rates) = 1 then {'class': 'rate', 'rate': near_rates[1], 'status': 'near'}
            when len(near_rates) > 1 then {'class': 'unknown', 'rate': null, 'status': 'small_amount'}
            else {'class': 'unknown', 'rate': null, 'status': 'no_rate_match'}
        end as vat
    from deduction
)

select
    company,
    invoice_id,
    row_nr,
    partition_date,
    invoice_date,
    invoice_nr,
    customer_nr,
    currency,
    core.billing_type_name(billing_type) as billing_type_name,
    core.status_class(origin_status, is_missing) as status_class,
    product_nr,
    text,
    quantity,
    unit_price,
    unit_price_currency,
    sum_amount,
    sum_amount_currency,
    core.row_net(sum_amount, vat_amount, price_basis, row_kind) as net_amount,
    core.row_net(sum_amount_currency, vat_amount_currency, price_basis, row_kind) as net_amount_currency,
    vat_amount,
    vat_amount_currency,
    -- beyond DECIMAL(18,2) only for absurd quantities; NULL then
    try_cast(
        abs(core.row_price(quantity, unit_price_currency)) - abs(sum_amount_currency)
        as decimal(18, 2)
    ) as discount_amount_currency,
    row_kind,
    case vat.class when 'rate' then core.rate_class(vat.rate) else vat.class end as vat_class,
    vat.rate::decimal(5, 2) as vat_rate,
    vat.status as vat_status,
    coalesce(vat.class = 'unknown' or (vat.class = '0' and is_deduction), false) as is_flagged,
    price_basis,
    sign = -1 as sign_normalised,
    attest_state,
    attest_state_name,
    accounts::json as accounts
from classed
