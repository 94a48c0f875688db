"""softone demo."""

from __future__ import annotations

import datetime as dt
import os
import sys
from contextlib import chdir
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from softone_pipeline.cli.backfill import load_range, report
from softone_pipeline.cli.console import EXIT_FAILED, marked, out, print_json, print_table
from softone_pipeline.cli.sandbox import SANDBOX_PORT
from softone_pipeline.settings import PipelineSettings, stockholm_today

if TYPE_CHECKING:
    import duckdb

# How a demo's own .env begins. One that was pointed at a real ERP since is no longer the demo's.
_ENV_BEGINS = f"""# Made by `softone demo`; the keys open nothing but the sandbox.
SOFTONE_BASE_URL=http://127.0.0.1:{SANDBOX_PORT}
"""

# What came out, table by table: title, columns, SELECT.
_SHOWN = (
    (
        "History kept in raw.customer_invoices",
        ("began as", "ended as", "versions"),
        """
        select change, coalesce(end_reason, '(current)'), count(*)
        from raw.customer_invoices group by all order by all
        """,
    ),
    (
        "mart.customer_balance: who owes most, and since when (SEK)",
        ("customer", "name", "currency", "invoiced", "paid", "open", "credit", "not due", "1-30", "31-60", "61+"),
        """
        select customer_nr, customer_name, currency, net_invoiced, paid_amount, open_amount, unapplied_credit, not_due,
            due_1_30, due_31_60, due_61_90 + due_over_90
        from mart.customer_balance order by open_amount desc nulls last, net_invoiced desc limit 5
        """,
    ),
    (
        "mart.customer_balance: all customers, and how old what they owe is (SEK)",
        ("payments", "customers", "invoiced", "open", "credit", "not due", "1-30", "31-60", "61+"),
        """
        select payment_basis, count(*), sum(net_invoiced), sum(open_amount), sum(unapplied_credit), sum(not_due),
            sum(due_1_30), sum(due_31_60), sum(due_61_90 + due_over_90)
        from mart.customer_balance group by payment_basis order by payment_basis
        """,
    ),
    (
        "mart.vat_summary: one month (SEK)",
        ("month", "VAT class", "net", "VAT", "invoices"),
        """
        select period_month, vat_class, sum(net_amount), sum(vat_amount), sum(invoice_count)
        from mart.vat_summary
        where status_class = 'counted'
            and period_month = (
                select period_month from mart.vat_summary group by period_month order by sum(row_count) desc limit 1
            )
        group by all order by sum(net_amount) desc
        """,
    ),
    (
        "mart.vat_return_draft: sales side, a draft (whole kronor)",
        ("month", "box 05", "box 10", "box 11", "box 12", "without VAT"),
        """
        pivot (select strftime(period_month, '%Y-%m') as month, box, amount_kr from mart.vat_return_draft)
        on box in ('05', '10', '11', '12', '0-base') using any_value(amount_kr) order by month
        """,
    ),
)


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("softone-demo"),
    show_default=True,
    help="Where the demo keeps its database, its settings and Dagster's history.",
)
@click.option("--days", type=click.IntRange(2, 730), default=90, show_default=True, help="Days to load.")
@click.option("--json", "as_json", is_flag=True, help="Say what came of it as one JSON object.")
def demo(folder: Path, days: int, as_json: bool) -> None:
    """Load about 90 days from a pretend ERP, and show what came out.

    Starts the sandbox on this machine, loads it through a real Dagster run over real HTTP, lets an evening pass in
    which invoices change, move and vanish, and loads again. Nothing outside this machine is contacted. A folder that
    holds settings or data of anything but an earlier demo is left alone.
    """
    if found := _of_somebody_else(folder):
        raise click.UsageError(
            f"{folder.absolute()} holds {found}, which no demo made and which this one would write over. Let --folder "
            "name one that is empty, or that is not there yet."
        )
    from softone_pipeline.report import report_path
    from softone_pipeline.sandbox import DEFAULT, Company, Sandbox
    from softone_pipeline.warehouse import open_published

    out.quiet = as_json
    folder.mkdir(parents=True, exist_ok=True)
    today = stockholm_today()
    company = Company(first_day=today - dt.timedelta(days=days - 1), last_day=today)
    with Sandbox(company) as sandbox:
        environment = DEFAULT.environment(sandbox.base_url) | {
            "SOFTONE_COMPANY": "Demobolaget AB",
            "SOFTONE_START_DATE": (today - dt.timedelta(days=days - 1)).isoformat(),
            "SOFTONE_LOOKBACK_DAYS": str(min(days, 60)),
        }
        (folder / ".env").write_text(
            _ENV_BEGINS
            + "".join(f"{name}={value}\n" for name, value in environment.items() if name != "SOFTONE_BASE_URL"),
            encoding="utf-8",
        )
        for name in [name for name in os.environ if name.startswith("SOFTONE_")]:
            del os.environ[name]
        os.environ |= environment
        # The demo has a history of its own, whatever home the user has.
        os.environ["DAGSTER_HOME"] = str((folder / ".dagster").absolute())
        with chdir(folder):
            settings = PipelineSettings.load()
            out.print(
                marked(
                    "bold",
                    "1.",
                    f"A pretend SoftOne GO answers on {sandbox.base_url} ({len(company.invoices())} invoices).",
                )
            )
            out.print(marked("bold", "2.", f"Loading {days} days through Dagster."))
            loads = [load_range(settings, settings.start_date, today)]
            report(loads[0], with_checks=False)
            company.advance()
            out.print(marked("bold", "3.", "An evening passes in the ERP, and the last days are read again."))
            loads.append(load_range(settings, max(settings.start_date, today - dt.timedelta(days=59)), today))
            report(loads[1])
            with open_published(settings.duckdb_path) as connection:
                rows = _show_tables(connection)
                for title, columns, select in _SHOWN:
                    print_table(title, columns, connection.execute(select).fetchall())
    path = folder / settings.duckdb_path
    succeeded = all(load.succeeded for load in loads)
    if as_json:
        print_json(
            {
                "succeeded": succeeded,
                "folder": str(folder),
                "published": str(path),
                "report": str(folder / report_path(settings)),
                "loads": [asdict(load) for load in loads],
                "rows": rows,
            }
        )
    out.print(Text.assemble("\nThe database: ", (str(path), "bold")), soft_wrap=True)
    out.print(f'  duckdb -readonly {path} -c "from mart.vat_summary"', soft_wrap=True)
    out.print(
        f"  python -c \"import duckdb; duckdb.connect('{path}', read_only=True).sql('from core.invoices').show()\"",
        soft_wrap=True,
    )
    out.print(
        Text.assemble("The report, to open in a browser: ", (str(folder / report_path(settings)), "bold")),
        soft_wrap=True,
    )
    out.print(f"The Dagster UI on the same data: cd {folder} && softone up --sandbox", soft_wrap=True)
    if not succeeded:
        sys.exit(EXIT_FAILED)


def _of_somebody_else(folder: Path) -> str | None:
    """What lies where the demo would write, unless an earlier one put it there; None when the folder is free."""
    own = folder / ".env"
    if own.is_file() and own.read_bytes().startswith(_ENV_BEGINS.encode()):
        return None
    return next((name for name in (own.name, "data", ".dagster") if (folder / name).exists()), None)


def _show_tables(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    tables = connection.execute(
        """
        select schema_name || '.' || table_name, split_part(comment, '.', 1)
        from duckdb_tables()
        where schema_name in ('raw', 'core', 'mart')
        order by list_position(['raw', 'core', 'mart'], schema_name), table_name
        """
    ).fetchall()
    # Counted: DuckDB's own estimate still holds rows that were deleted.
    rows = [
        (table, count[0] if (count := connection.execute(f"select count(*) from {table}").fetchone()) else 0, grain)
        for table, grain in tables
    ]
    print_table("What came out", ("table", "rows", "one row per …"), rows)
    return {table: count for table, count, _ in rows}
