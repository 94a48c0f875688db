"""Times the marts and the checks on a million invoices: `python -m softone_pipeline_tests.tables.measure_marts`.

Facts are made in core by SQL, so this measures neither landing nor core's own derivation. `--invoices` for less.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import duckdb

from softone_pipeline.settings import PipelineSettings
from softone_pipeline.tables import MACROS, MART_TABLES, TABLES
from softone_pipeline.tables.checks import CHECKS
from softone_pipeline.warehouse import Warehouse

_ROWS_EACH = 5

# Invoices of five rows over four years: 2,000 customers, one in twenty in EUR, one in ten a credit, one in fifty without
# rows, paid in four of five cases.
_INVOICES = """
insert into core.invoices by name
with drawn as (
    select
        i + 1 as invoice_id,
        date '2023-01-01' + (i * 1460 // $invoices)::integer as invoice_date,
        hash(i) % 2000 as customer,
        hash(i, 'currency') % 20 = 0 as is_foreign,
        hash(i, 'credit') % 10 = 0 as is_credit,
        hash(i, 'header') % 50 = 0 as is_header,
        ((hash(i, 'net') % 1000000) * 0.01)::decimal(18, 2) as base
    from range($invoices) as numbers (i)
),

amount as (
    select *, if(is_credit, -1, 1) * base * 5 as net, (if(is_credit, -1, 1) * base * 5 * 0.25)::decimal(18, 2) as vat
    from drawn
)

select
    'default' as company,
    invoice_id,
    invoice_id::varchar as invoice_nr,
    customer::varchar as customer_nr,
    'Customer ' || customer as customer_name,
    invoice_date,
    invoice_date + 30 as due_date,
    if(is_credit, 2, 1) as billing_type,
    if(is_credit, 'credit', 'debit') as billing_type_name,
    3 as origin_status,
    'counted' as status_class,
    if(is_foreign, 'EUR', 'SEK') as currency,
    round(net + vat) * if(is_foreign, 11, 1) as total_amount,
    round(net + vat) as total_amount_currency,
    vat * if(is_foreign, 11, 1) as vat_amount,
    vat as vat_amount_currency,
    if(is_header, round(net + vat) - vat, net) * if(is_foreign, 11, 1) as net_amount,
    if(is_header, round(net + vat) - vat, net) as net_amount_currency,
    if(is_header, 0, round(net + vat) - net - vat) * if(is_foreign, 11, 1) as rounding_amount,
    if(is_header, 0, round(net + vat) - net - vat) as rounding_amount_currency,
    if(is_header, 0, vat) * if(is_foreign, 11, 1) as row_vat_amount,
    if(is_header, 0, vat) as row_vat_amount_currency,
    if(is_header, 0, $rows_each) as row_count,
    if(is_header, 'header', 'net') as price_basis,
    false as sign_normalised,
    true as header_vat_within_tolerance,
    false as has_quarantined_update,
    invoice_date as partition_date,
    timestamptz '2026-12-31 12:00+01' as fetched_at
from amount
"""

_ROWS = """
insert into core.invoice_rows by name
select
    company,
    invoice_id,
    nr::integer as row_nr,
    partition_date,
    invoice_date,
    invoice_nr,
    customer_nr,
    currency,
    billing_type_name,
    status_class,
    '7881005' as product_nr,
    'TVÅLKOPP Ø18-20 MM' as text,
    1 as quantity,
    (net_amount_currency / row_count)::decimal(18, 2) as sum_amount_currency,
    (net_amount / row_count)::decimal(18, 2) as sum_amount,
    (net_amount / row_count)::decimal(18, 2) as net_amount,
    (net_amount_currency / row_count)::decimal(18, 2) as net_amount_currency,
    -- the last row takes what is left of the VAT, so that the rows come to the header
    if(nr = row_count, row_vat_amount - (row_count - 1) * share, share) as vat_amount,
    if(nr = row_count, row_vat_amount_currency - (row_count - 1) * share_currency, share_currency) as vat_amount_currency,
    'item' as row_kind,
    '25' as vat_class,
    25 as vat_rate,
    'exact' as vat_status,
    false as is_flagged,
    price_basis,
    sign_normalised
from (
    select
        *,
        (row_vat_amount / $rows_each)::decimal(18, 2) as share,
        (row_vat_amount_currency / $rows_each)::decimal(18, 2) as share_currency
    from core.invoices
    where row_count > 0
), range(1, $rows_each + 1) as numbers (nr)
"""

_RAW = """
insert into raw.customer_invoices by name
with sent as (
    select
        company, invoice_id, partition_date, fetched_at, origin_status,
        list({
            'ProductNr': product_nr, 'Quantity': quantity, 'Text': text, 'UnitPrice': sum_amount,
            'UnitPriceCurrency': sum_amount_currency, 'VatAmount': lines.vat_amount, 'VatAmountCurrency': lines.vat_amount_currency,
            'SumAmount': sum_amount, 'SumAmountCurrency': sum_amount_currency, 'Accounts': []::varchar[],
            'AttestStateName': null, 'AttestState': 0
        } order by row_nr) filter (where row_nr is not null) as sent_rows,
        any_value({
            'InvoiceId': invoices.invoice_id, 'InvoiceNr': invoices.invoice_nr, 'CustomerNr': invoices.customer_nr,
            'CustomerName': customer_name, 'CustomerOrgNr': customer_org_nr, 'InvoiceDate': invoices.invoice_date,
            'DueDate': due_date, 'BillingType': billing_type, 'Currency': invoices.currency,
            'OriginStatus': origin_status, 'TotalAmount': total_amount, 'TotalAmountCurrency': total_amount_currency,
            'VATAmount': invoices.vat_amount, 'VATAmountCurrency': invoices.vat_amount_currency
        }) as header
    from core.invoices as invoices
    left join core.invoice_rows as lines using (company, invoice_id, partition_date)
    group by all
)

select
    company, invoice_id, partition_date, origin_status, fetched_at, 'new' as change, true as latest, 'measured' as run_id,
    invoice_id::varchar as payload_hash,
    '{"InvoiceRows":' || coalesce(to_json(sent_rows)::varchar, '[]') || ',' || (to_json(header)::varchar)[2:] as payload
from sent
order by partition_date, invoice_id
"""

_PAYMENTS = """
insert into raw.payment_status by name
select
    company, invoice_id, total_amount,
    if(hash(invoice_id, 'paid') % 5 = 0, 0, total_amount) as paid_amount,
    hash(invoice_id, 'paid') % 5 <> 0 as fully_paid,
    fetched_at as as_of, 'measured' as run_id
from core.invoices
"""


def measure(invoices: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Seconds by the clock and of CPU time, of each mart's rebuild and each check, in the order of a refresh."""
    settings = PipelineSettings(duckdb_path=folder / "measure.duckdb")
    warehouse = Warehouse(settings.warehouse_path, TABLES, macros=MACROS)
    size = {"invoices": invoices, "rows_each": _ROWS_EACH}
    with warehouse.transaction() as connection:
        connection.execute(_INVOICES, size)
        connection.execute(_ROWS, {"rows_each": _ROWS_EACH})
        connection.execute(_RAW)
        connection.execute(_PAYMENTS)
        connection.execute(
            "insert into raw.payment_search values ('default', timestamptz '2026-12-31 12:00+01', $invoices, 'measured')",
            {"invoices": invoices},
        )
        connection.execute(
            "insert into raw.fetched_days select 'default', partition_date, max(fetched_at), count(*), true, false, 'measured' "
            "from raw.customer_invoices group by partition_date"
        )
        connection.execute(
            "insert into raw.fetches select distinct company, fetched_at, 'measured' from raw.fetched_days"
        )
    seconds: dict[str, tuple[float, float]] = {}
    for table in MART_TABLES:
        with warehouse.transaction() as connection:
            started = _clocks()
            table.rebuild(connection)
            seconds[table.qualified_name] = _since(started)
    with warehouse.connect() as connection:
        for check in CHECKS:
            started = _clocks()
            found = check.find(connection, "default", 1)
            seconds[f"check {check.name}"] = _since(started)
            if found[0]:
                raise AssertionError(f"{check.name} finds fault with the measured data: {found}")
    return seconds


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(started: tuple[float, float]) -> tuple[float, float]:
    wall, cpu = _clocks()
    return wall - started[0], cpu - started[1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--invoices", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        print(f"DuckDB {duckdb.__version__}, {arguments.invoices} invoices of {_ROWS_EACH} rows")
        for what, (wall, cpu) in measure(arguments.invoices, Path(temporary)).items():
            print(f"{what:45} {wall:7.2f} s {cpu:7.2f} s CPU")
