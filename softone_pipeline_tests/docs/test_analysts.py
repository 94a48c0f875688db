"""The analysts' page: each of its queries runs as it stands, and answers what the tables hold by another way."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

import softone_pipeline
from softone_pipeline_tests.loaded import FIRST_DAY, LAST_DAY, load_company

PAGE = Path(softone_pipeline.__file__).parent / "docs" / "analysts.md"
QUERIES = dict(re.findall(r"```sql\n-- ([\w-]+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    settings = load_company(tmp_path_factory.mktemp("loaded"))
    with duckdb.connect(str(settings.duckdb_path), read_only=True) as connection:
        yield connection


def records(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    result = connection.execute(sql)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def scalar(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


def test_there_are_ten_questions() -> None:
    assert len(QUERIES) == PAGE.read_text(encoding="utf-8").count("```sql") == 10


@pytest.mark.parametrize("name", QUERIES)
def test_each_query_answers_with_rows(published: duckdb.DuckDBPyConnection, name: str) -> None:
    found = records(published, QUERIES[name])
    assert found or name == "unknown-vat"
    for row in found:
        # a ratio may be a double; an amount never
        doubles = {column for column, value in row.items() if isinstance(value, float)}
        assert doubles <= {"days_sales_outstanding", "credited_percent"}


def test_nothing_in_the_published_file_calls_what_duckdb_1_5_does_not_have(
    published: duckdb.DuckDBPyConnection,
) -> None:
    macros = published.execute(
        """
        select schema_name || '.' || function_name, macro_definition from duckdb_functions()
        where schema_name in ('raw', 'core', 'mart') and macro_definition is not null
        """
    ).fetchall()
    assert len(macros) == 20
    # 2.0 stores `if(…)` as a call of a function, which it has become there.
    assert [name for name, definition in macros if re.search(r"\bif\"?\(", definition)] == []
    # 1.5 reads no moment with a zone but without seconds.
    assert not re.search(r"timestamptz '[\d-]+ \d\d:\d\d [A-Z]", PAGE.read_text(encoding="utf-8"))


_IN_ANOTHER_DUCKDB = """
import sys, duckdb
assert duckdb.__version__.startswith("1.5."), duckdb.__version__
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    for sql in sys.argv[2:]:
        connection.sql(sql).fetchall()
"""


@pytest.mark.skipif("DUCKDB_1_5" not in os.environ, reason="no folder with DuckDB 1.5 (pip install --target)")
def test_each_query_runs_in_the_oldest_duckdb_that_the_page_promises(published: duckdb.DuckDBPyConnection) -> None:
    file = scalar(published, "select path from duckdb_databases() where not internal")
    as_known = ["from mart.receivables_as_known(null)", "from mart.customer_balance_as_known(null)"]
    done = subprocess.run(
        [sys.executable, "-c", _IN_ANOTHER_DUCKDB, file, *QUERIES.values(), *as_known],
        env=os.environ | {"PYTHONPATH": os.environ["DUCKDB_1_5"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_largest_debtor_is_the_one_with_most_open(published: duckdb.DuckDBPyConnection) -> None:
    first, *others = records(published, QUERIES["who-owes-most"])
    most = scalar(published, "select max(open_amount) from mart.customer_balance where payment_basis = 'known'")
    assert first["open_amount"] == most > others[0]["open_amount"]


def test_the_buckets_of_the_ageing_add_up(published: duckdb.DuckDBPyConnection) -> None:
    for row in records(published, QUERIES["ageing"]):
        parts = [value for value in row.values() if isinstance(value, Decimal)]
        assert sum(parts[:-1]) == row["open_amount"]


def test_vat_by_month_comes_to_the_totals_of_the_invoices(published: duckdb.DuckDBPyConnection) -> None:
    total = scalar(published, "select sum(total_amount) from core.invoices where status_class = 'counted'")
    assert sum(row["net"] + row["vat"] for row in records(published, QUERIES["vat-by-month"])) == total


def test_what_changed_names_what_the_evening_changed(published: duckdb.DuckDBPyConnection) -> None:
    found = records(published, QUERIES["changed-since-close"])
    gone = scalar(published, "select count(*) from raw.customer_invoices where end_reason = 'missing'")
    assert sum(row["end_reason"] == "missing" for row in found) == gone > 0
    assert {row["change"] for row in found} >= {"changed", "redated"}


def test_what_changed_names_new_invoices_of_what_was_closed_and_no_later_ones(
    published: duckdb.DuckDBPyConnection,
) -> None:
    last_day = FIRST_DAY + dt.timedelta(days=20)
    sql = QUERIES["changed-since-close"].replace("date '2026-01-31'", f"date '{last_day}'")
    assert sql != QUERIES["changed-since-close"]
    new = [row for row in records(published, sql) if row["change"] == "new" and row["end_reason"] != "missing"]
    assert {row["invoice_id"] for row in new} == {
        invoice_id
        for invoice_id, day in published.execute(
            "select invoice_id, partition_date from raw.customer_invoices "
            "where change = 'new' and end_reason is distinct from 'missing'"
        ).fetchall()
        if day is None or day <= last_day
    }
    assert len(new) > 20


def test_what_changed_leaves_out_what_was_known_when_the_books_were_closed(
    published: duckdb.DuckDBPyConnection,
) -> None:
    closed_at = scalar(published, "select max(fetched_at) from raw.customer_invoices where run_id = 'first'")
    sql = QUERIES["changed-since-close"].replace("2026-02-10 17:00:00 Europe/Stockholm", closed_at.isoformat())
    sql = sql.replace("date '2026-01-31'", f"date '{LAST_DAY}'")
    found = records(published, sql)
    since = scalar(published, "select count(*) from raw.customer_invoices where run_id = 'second'")
    assert sum(row["fetched_at"] > closed_at for row in found) == since > 0
    assert all(row["fetched_at"] > closed_at or row["end_reason"] == "missing" for row in found)


def test_a_moved_invoice_is_told_with_both_dates(published: duckdb.DuckDBPyConnection) -> None:
    found = records(published, QUERIES["redated"])
    assert len(found) == scalar(published, "select count(*) from raw.customer_invoices where end_reason = 'redated'")
    assert all(row["earlier_date"] != row["later_date"] for row in found)


def test_the_balance_known_in_a_far_future_is_the_balance_now(published: duckdb.DuckDBPyConnection) -> None:
    found = records(published, QUERIES["balance-as-known"])
    assert sum(row["net_invoiced"] for row in found) == scalar(
        published, "select sum(net_invoiced) from mart.customer_balance"
    )


def test_days_of_sales_outstanding_is_open_over_invoiced(published: duckdb.DuckDBPyConnection) -> None:
    (row,) = records(published, QUERIES["dso"])
    assert row["days_sales_outstanding"] == pytest.approx(float(90 * row["open_amount"] / row["invoiced"]), abs=0.06)


@pytest.fixture
def altered(published: duckdb.DuckDBPyConnection, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of the published file that may be written to."""
    file = scalar(published, "select path from duckdb_databases() where not internal")
    with duckdb.connect(str(shutil.copy(file, tmp_path / "altered.duckdb"))) as connection:
        yield connection


def test_days_of_sales_outstanding_leave_a_customer_out_whose_payments_are_unknown(
    altered: duckdb.DuckDBPyConnection,
) -> None:
    (before,) = records(altered, QUERIES["dso"])
    altered.execute(
        """
        create temp table customer as
        select company, customer_nr, currency, open_amount, as_of
        from mart.customer_balance
        where payment_basis = 'known' and last_invoice_date > as_of - 90 and open_amount <> 0 and customer_nr is not null
        order by open_amount desc limit 1;
        update mart.customer_balance set payment_basis = 'unknown', open_amount = null
        from customer
        where customer_balance.customer_nr = customer.customer_nr and customer_balance.currency = customer.currency
        """
    )
    its_sales = scalar(
        altered,
        "select sum(total_amount) from core.invoices inner join customer using (company, customer_nr, currency) "
        "where status_class = 'counted' and invoice_date between as_of - 89 and as_of",
    )
    (after,) = records(altered, QUERIES["dso"])
    assert after["open_amount"] == before["open_amount"] - scalar(altered, "select open_amount from customer")
    assert after["invoiced"] == before["invoiced"] - its_sales
    assert its_sales > 0


@pytest.mark.parametrize("sent", ["quantity", "-quantity"])
def test_revenue_by_article_takes_back_what_is_credited_whichever_sign_its_quantity_has(
    altered: duckdb.DuckDBPyConnection, sent: str
) -> None:
    before = records(altered, QUERIES["revenue-by-article"])
    article = before[0]["product_nr"]
    altered.execute(
        f"""
        create temp table credited as
        select * replace ({sent} as quantity, -net_amount as net_amount, 'credit' as billing_type_name)
        from core.invoice_rows
        where product_nr = ? and row_kind = 'item' and status_class = 'counted' and billing_type_name = 'debit'
            and net_amount > 0 and quantity > 0
        limit 1;
        """,
        [article],
    )
    altered.execute("insert into core.invoice_rows select * replace (row_nr + 100000 as row_nr) from credited")
    altered.execute(
        "insert into core.invoice_rows "
        "select * replace (row_nr + 200000 as row_nr, 'interest' as billing_type_name, 1000 as net_amount) from credited"
    )
    (row,) = (row for row in records(altered, QUERIES["revenue-by-article"]) if row["product_nr"] == article)
    ((quantity, net),) = altered.execute("select abs(quantity), net_amount from credited").fetchall()
    assert net < 0 < quantity
    assert (row["quantity"], row["net"]) == (before[0]["quantity"] - quantity, before[0]["net"] + net)


def test_every_table_and_column_of_the_published_file_says_what_it_is(published: duckdb.DuckDBPyConnection) -> None:
    silent = published.execute(
        """
        select schema_name, table_name, null as column_name from duckdb_tables() where coalesce(comment, '') = ''
        union all
        select schema_name, view_name, null from duckdb_views() where not internal and coalesce(comment, '') = ''
        union all
        select schema_name, table_name, column_name from duckdb_columns() where not internal and coalesce(comment, '') = ''
        """
    ).fetchall()
    assert silent == []
