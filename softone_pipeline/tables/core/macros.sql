-- Integer division that rounds half away from zero. DuckDB's DECIMAL ÷ DECIMAL is a DOUBLE, so money is
-- divided in whole öre with this.
create or replace macro core.divide_rounded(numerator, denominator) as
    sign(numerator)::hugeint * sign(denominator)::hugeint
    * ((2 * abs(numerator::hugeint) + abs(denominator::hugeint)) // (2 * abs(denominator::hugeint)));

-- An amount in whole öre (or the currency's hundredths), and back.
create or replace macro core.in_oere(amount) as (amount::decimal(38, 2) * 100)::hugeint;
create or replace macro core.from_oere(oere) as (oere::decimal(38, 2) * 0.01::decimal(3, 2))::decimal(18, 2);

-- What is to be derived: all, but for the variables company and invoice_ids.
create or replace macro core.is_asked_for(company, invoice_id) as
    (getvariable('company') is null or company = getvariable('company'))
    and (getvariable('invoice_ids') is null or invoice_id in (select unnest(getvariable('invoice_ids'))));

-- The VAT rates in per cent that an amount may carry (SOFTONE_VAT_RATES).
create or replace macro core.vat_rates() as coalesce(getvariable('vat_rates'), [25, 12, 6]::decimal(5, 2)[]);

-- Whether a credit was sent with positive amounts. Only such a credit's rows are read.
create or replace macro core.is_sent_positive(billing_type, total, payload) as coalesce(
    case when billing_type = 2 and total > 0 then coalesce(
        list_sum([coalesce(r.SumAmountCurrency, 0) for r in raw.read_invoice(payload).InvoiceRows]), 0
    ) >= 0 end,
    false
);

-- How an invoice's rows and header meet: total, header VAT, and the rows' sums of amount and VAT.
create or replace macro core.price_basis(total, header_vat, row_sum, row_vat) as case
    when abs(total - row_sum - header_vat) <= 0.50
        and not (row_vat <> 0 and abs(total - row_sum) < abs(total - row_sum - header_vat)) then 'net'
    when row_vat <> 0 and abs(total - row_sum) <= 0.50 then 'gross'
    else 'unreconciled'
end;

-- VAT that an amount should carry at a rate in per cent; a gross amount includes it.
create or replace macro core.expected_vat(amount, rate, is_gross) as case
    when is_gross then core.from_oere(core.divide_rounded(core.in_oere(amount) * (rate * 100)::bigint, 10000 + (rate * 100)::bigint))
    -- below a milliard the product fits 18 digits, which DuckDB multiplies ten times as fast as 38
    when abs(amount) < 1e9::decimal(18, 2)
        then (amount::decimal(18, 2) * (rate::decimal(5, 2) * 0.01::decimal(3, 2)))::decimal(18, 2)
    else (amount::decimal(38, 2) * rate::decimal(5, 2) * 0.01::decimal(3, 2))::decimal(18, 2)
end;

-- Quantity times price, rounded half away from zero. Ordinary ones fit 18 digits with all their twelve decimals, and are
-- rounded ten times as fast.
create or replace macro core.row_price(quantity, price) as case
    when abs(quantity) < 10 and abs(price) < 100000
        or abs(quantity) < 1000 and abs(price) < 1000
        or abs(quantity) < 100000 and abs(price) < 10
        then (quantity::decimal(18, 6) * price::decimal(18, 6))::decimal(18, 2)
    else (quantity::decimal(38, 6) * price::decimal(38, 6))::decimal(38, 2)
end;

-- A VAT rate in per cent as the class that it gives: '25', '13.5'. A whole number is told without trimming, five times as fast.
create or replace macro core.rate_class(rate) as
    case when rate = trunc(rate) then rate::integer::varchar else rtrim(rate::varchar, '0') end;

create or replace macro core.billing_type_name(billing_type) as case billing_type
    when 1 then 'debit' when 2 then 'credit' when 3 then 'interest' when 4 then 'reminder' else 'unknown'
end;

create or replace macro core.status_class(origin_status, is_missing) as case
    when is_missing then 'missing'
    when origin_status in (2, 3, 5) then 'counted'
    when origin_status = 1 then 'preliminary'
    when origin_status = 4 then 'cancelled'
    else 'unknown'
end;

-- What a row sells for without VAT. A subtotal repeats other rows and sells nothing; a missing amount counts as 0.
create or replace macro core.row_net(sum_amount, vat_amount, price_basis, row_kind) as case
    when row_kind = 'subtotal' then 0
    when price_basis = 'gross' then coalesce(sum_amount, 0) - coalesce(vat_amount, 0)
    else coalesce(sum_amount, 0)
end::decimal(18, 2);

-- Whether a row may be an invoice's rounding (öresavrundning) sent as a row.
create or replace macro core.is_tiny_without_vat(sum_amount, vat_amount) as
    vat_amount = 0 and abs(sum_amount) between 0.01 and 0.50;
