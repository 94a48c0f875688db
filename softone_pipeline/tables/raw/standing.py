"""What stands for each day in raw: its counted invoices and their sum, known as soon as the day is loaded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_STANDING = """
with version as (
    select
        partition_date,
        coalesce(payload_normalised, payload) as payload,
        raw.read_invoice_header(coalesce(payload_normalised, payload)) as invoice
    from raw.latest_versions()
    where company = $company and end_reason is null
        and partition_date in (select unnest($days))
        and core.status_class(origin_status, false) = 'counted'
),

signed as (
    select
        partition_date,
        if(
            core.is_sent_positive(invoice.BillingType, invoice.TotalAmountCurrency, payload),
            -invoice.TotalAmount,
            invoice.TotalAmount
        ) as total_amount
    from version
)

select partition_date, count(*), sum(total_amount)
from signed
group by partition_date
"""


@dataclass(frozen=True, slots=True)
class DayStanding:
    """A day's counted invoices and the sum of their totals: VAT included, accounting currency, credits negative."""

    invoices: int = 0
    total_amount: Decimal = Decimal("0.00")


def standing(
    connection: duckdb.DuckDBPyConnection, company: str, days: Collection[dt.date]
) -> dict[dt.date, DayStanding]:
    """What stands for each of the days, also for those that have nothing."""
    rows = connection.execute(_STANDING, {"company": company, "days": list(days)}).fetchall()
    return dict.fromkeys(days, DayStanding()) | {day: DayStanding(*facts) for day, *facts in rows}
