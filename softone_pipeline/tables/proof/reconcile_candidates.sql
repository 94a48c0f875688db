-- What may explain a difference (the ledger's less ours), per position: the effect it would have had on the ledger's
-- figure, how many invoices, and a few of them. Reads temp table measure (reconcile_lines.sql) and line.
with counted as (
    select * from measure where status_class = 'counted' and is_in_period
),

-- counted by us; the ledger may have it elsewhere or not at all
without as (
    select position, billing_type_name as reason, -amount as effect, invoice_id
    from counted
    where billing_type_name in ('interest', 'reminder')
),

-- not counted by us; the ledger may have it
with_uncounted as (
    select position, if(status_class = 'unknown', 'unknown_status', status_class) as reason, amount as effect, invoice_id
    from measure
    where is_in_period and status_class <> 'counted'
    union all
    select position, 'no_date', amount, invoice_id
    from measure
    where invoice_date is null and status_class = 'counted'
),

-- parts of counted invoices that a ledger keeps apart
part as (
    select
        measure.position,
        case line.vat_class when 'unknown' then 'unknown_vat_class' else line.vat_class end as reason,
        case
            when measure.position <> 'receivables' then line.vat_amount
            else -line.net_amount
        end as effect,
        line.invoice_id
    from line
    inner join (select distinct position, invoice_id from measure where is_in_period and status_class = 'counted') as own
        using (invoice_id)
    inner join (select distinct position from measure) as measure
        on own.position = 'receivables'
        and case
            when measure.position = 'receivables' then line.vat_class in ('rounding', 'tax_reduction')
            else line.vat_class in ('unknown', 'header_adjustment')
        end
),

-- moved over the period's border: an earlier version had another date
moved as (
    select distinct
        measure.position,
        if(is_in_period, 'redated_into_the_period', 'redated_out_of_the_period') as reason,
        if(is_in_period, -amount, amount) as effect,
        measure.invoice_id
    from measure
    inner join raw.customer_invoices as earlier
        on earlier.company = $company and earlier.invoice_id = measure.invoice_id and not earlier.latest
    where measure.status_class = 'counted'
        and (earlier.partition_date between $first_day and $last_day) <> is_in_period
),

-- first fetched, or given another content, after the ledger's figures were taken
later as (
    select position, 'fetched_after_the_ledger_was_taken', -amount, invoice_id
    from counted
    where invoice_id in (
        select invoice_id from raw.customer_invoices where company = $company
        group by invoice_id having min(fetched_at) > $taken_at::timestamptz
    )
    union all
    select 'receivables', 'changed_after_the_ledger_was_taken',
        if(before_it.sign_normalised, -1, 1) * raw.read_invoice_header(
            coalesce(before_it.payload_normalised, before_it.payload)
        ).TotalAmount - counted.amount,
        counted.invoice_id
    from counted
    inner join (
        select version.*, invoices.sign_normalised
        from raw.customer_invoices as version
        inner join core.invoices as invoices using (company, invoice_id)
        where company = $company and not latest
            and version.fetched_at <= $taken_at::timestamptz and superseded_at > $taken_at::timestamptz
    ) as before_it using (invoice_id)
    where counted.position = 'receivables'
),

waiting as (
    select
        position,
        'quarantined' as reason,
        try_cast(regexp_extract(
            payload,
            if(position = 'receivables', '"TotalAmount"\s*:\s*"?(-?[0-9.]+)', '"VATAmount"\s*:\s*"?(-?[0-9.]+)'),
            1
        ) as decimal(18, 2)) as effect,
        invoice_id
    from raw.quarantine
    cross join (select distinct position from measure)
    where company = $company and partition_date between $first_day and $last_day
),

candidate as (
    select * from without
    union all select * from with_uncounted
    union all select * from part
    union all select * from moved
    union all select * from later
    union all select * from waiting
)

select
    position,
    reason,
    sum(effect) as effect,
    count(distinct invoice_id) as invoice_count,
    list(distinct invoice_id order by invoice_id)[:5] as invoice_ids
from candidate
group by position, reason
having coalesce(sum(effect), 1) <> 0
order by position, reason
