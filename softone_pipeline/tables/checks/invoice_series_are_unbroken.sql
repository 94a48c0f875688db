-- Numbers left out within a series of invoice numbers, one row per run of them.
--
-- A series is what stands before the last digits ("F-", "2026-"), and the length where numbers are padded with zeros;
-- the invoice's own year at the start of seven digits or more counts as such a prefix. Two numbers so far apart that
-- more would be missing between them than there are in all, and more than a thousand, belong to two series.
-- Cancelled, missing and quarantined invoices occupy their numbers; preliminary ones have none yet.
with occupied as (
    select company, trim(invoice_nr) as invoice_nr, invoice_date
    from core.invoices
    where origin_status is distinct from 1
    union all
    select company, trim(regexp_extract(payload, '"InvoiceNr"\s*:\s*"([^"\\]*)"', 1)), partition_date
    from raw.quarantine
    where not regexp_matches(payload, '"OriginStatus"\s*:\s*"?1\b')
),

split as (
    select
        company,
        invoice_nr,
        invoice_date,
        regexp_matches(invoice_nr, '^[0-9]{7,}$') and invoice_nr[:4] = year(invoice_date)::varchar as starts_with_year,
        -- the last digits, as many as a number can hold
        if(starts_with_year, invoice_nr[5:], regexp_extract(invoice_nr, '[0-9]{1,18}$')) as digits,
        invoice_nr[:len(invoice_nr) - len(digits)] as prefix
    from occupied
),

padded as (
    select
        *,
        bool_or(starts_with(digits, '0') and len(digits) > 1) over (partition by company, prefix, len(digits)) as is_padded
    from split
    where digits <> ''
),

number as (
    select
        company,
        prefix,
        if(is_padded, len(digits), 0) as padded_to,
        digits::bigint as number,
        coalesce(arg_min(invoice_nr, invoice_date), min(invoice_nr)) as invoice_nr,
        min(invoice_date) as invoice_date
    from padded
    group by all
),

step as (
    select
        *,
        lead(number) over series as next_number,
        lead(invoice_nr) over series as next_invoice_nr,
        lead(invoice_date) over series as next_invoice_date,
        count(*) over (partition by company, prefix, padded_to) as numbers
    from number
    window series as (partition by company, prefix, padded_to order by number)
),

gap as (
    select
        *,
        next_number - number - 1 as missing_count,
        prefix || lpad((number + 1)::varchar, greatest(padded_to, len((number + 1)::varchar))::integer, '0') as first_missing,
        prefix || lpad((next_number - 1)::varchar, greatest(padded_to, len((next_number - 1)::varchar))::integer, '0') as last_missing
    from step
    where next_number - number - 1 between 1 and greatest(1000, numbers)
)

select
    company,
    first_missing,
    last_missing,
    missing_count,
    invoice_nr as number_before,
    next_invoice_nr as number_after,
    if(missing_count = 1, 'number ' || first_missing || ' is', 'numbers ' || first_missing || ' to ' || last_missing || ' (' || missing_count || ') are')
    || ' missing between ' || invoice_nr || ' of ' || coalesce(invoice_date::varchar, '(no date)') || ' and '
    || next_invoice_nr || ' of ' || coalesce(next_invoice_date::varchar, '(no date)') as what
from gap
order by next_invoice_date desc nulls last, first_missing desc
