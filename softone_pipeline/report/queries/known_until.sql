-- One row: the newest moment that the copy knows of, and how its days stand.
select
    max(fetched_at) as known_until,
    min(partition_date) as first_day,
    max(partition_date) as last_day,
    date_diff('day', min(partition_date), max(partition_date)) + 1 - count(*) as days_never_fetched
from raw.fetched_days
where company = $company
