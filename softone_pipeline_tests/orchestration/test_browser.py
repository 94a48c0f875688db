"""The UI in a real browser: the graph, a backfill over a range from the launch dialog, and what an asset's page shows.

Screenshots are kept in .ci/out. With UPDATE_IMAGES=1 the two for the documents are written anew.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

import softone_pipeline
from softone_pipeline.sandbox import DEFAULT, Company, Sandbox
from softone_pipeline.settings import stockholm_today
from softone_pipeline.tables import MART_TABLES
from softone_pipeline.tables.core.invoice_rows import INVOICE_ROWS
from softone_pipeline.tables.core.invoices import INVOICES
from softone_pipeline.tables.lineage import lineage, origin
from softone_pipeline.tables.raw.customer_invoices import CUSTOMER_INVOICES
from softone_pipeline.tables.raw.payment_status import PAYMENT_STATUS
from softone_pipeline_tests.orchestration.conftest import days_between, query
from softone_pipeline_tests.orchestration.server import Server

CHROMIUM = Path("/usr/bin/chromium")
PACKAGE = Path(softone_pipeline.__file__).parent
PICTURES = PACKAGE.parent / ".ci" / "out"
# The machine's sandbox, GPU and background services are of no use to a test.
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DAYS = 40

SHOWN = (CUSTOMER_INVOICES, PAYMENT_STATUS, INVOICES, INVOICE_ROWS, *MART_TABLES)

pytestmark = [
    pytest.mark.timeout(420),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed (Debian: apt-get install chromium)"),
]


@dataclass
class Desk:
    """A browser at the UI, and what lies behind it."""

    page: Page
    server: Server
    days: list[dt.date]
    database: Path

    def open(self, path: str) -> None:
        self.page.goto(f"http://127.0.0.1:{self.server.port}{path}")

    def picture(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png")
        if os.environ.get("UPDATE_IMAGES") and name in {"graph", "asset"}:
            (PACKAGE / "docs" / "images").mkdir(exist_ok=True)
            self.page.screenshot(path=PACKAGE / "docs" / "images" / f"{name}.png")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    today = stockholm_today()
    days = days_between(today - dt.timedelta(days=DAYS - 1), today)
    database = tmp_path / "data" / "softone.duckdb"
    with Sandbox(Company(first_day=days[0], last_day=today, invoices_per_day=10)) as sandbox:
        variables = DEFAULT.environment(sandbox.base_url) | {
            "SOFTONE_START_DATE": days[0].isoformat(),
            "SOFTONE_DUCKDB_PATH": str(database),
        }
        with Server(tmp_path, variables) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
            page = browser.new_page(viewport={"width": 1500, "height": 900}, locale="sv-SE")
            page.set_default_timeout(30_000)
            expect.set_options(timeout=30_000)
            yield Desk(page, server, days, database)
            browser.close()


def test_a_range_is_loaded_by_mouse_and_its_pages_tell_what_came(desk: Desk) -> None:
    page = desk.page
    first, last = desk.days[5], desk.days[24]

    # The way that the README tells.
    desk.open("/")
    page.get_by_role("link", name="Catalog").first.click()
    page.get_by_role("link", name="customer_invoices").first.click()
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog").or_(page.locator(".dagster-dialog")).first
    partitions = dialog.locator("input[type=text]").first
    partitions.fill(f"[{first}...{last}]")
    partitions.press("Enter")
    expect(dialog.get_by_text("20 partitions", exact=True)).to_be_visible()
    desk.picture("launch")
    dialog.get_by_role("button", name=re.compile("Launch")).last.click()

    (backfill,) = desk.server.until("the backfill's run", desk.server.runs, timeout=90)
    assert desk.server.wait_for(backfill.id).status == "SUCCESS"
    assert desk.server.materialized(backfill.id) == {
        "raw/customer_invoices": {day.isoformat() for day in days_between(first, last)}
    }
    follows = desk.server.until(
        "the sensor's run",
        lambda: next((run for run in desk.server.runs() if "published/database" in run.assets and run.has_ended), None),
        timeout=120,
    )
    assert follows.status == "SUCCESS"

    desk.open("/runs")
    expect(page.get_by_text("Success").first).to_be_visible()
    desk.picture("runs")

    desk.open("/asset-groups")
    expect(page.get_by_text("published").first).to_be_visible()
    page.wait_for_timeout(2_000)
    page.keyboard.press("Alt+KeyE")
    for name in ("customer_invoices", "invoices", "vat_summary", "vat_return_draft", "customer_balance", "database"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    page.wait_for_timeout(2_000)
    desk.picture("graph")

    desk.open("/assets/raw/customer_invoices")
    for column in CUSTOMER_INVOICES.columns[:3]:
        expect(page.get_by_text(column.description).first).to_be_visible()
    expect(page.get_by_text("team:finance").or_(page.get_by_text("finance", exact=True)).first).to_be_visible()
    desk.picture("raw")

    # Not simply the last day of the range: on a Sunday nothing is invoiced.
    ((busy_day, invoiced),) = query(
        desk.database,
        """
        select partition_date, sum(total_amount) from core.invoices where status_class = 'counted'
        group by all order by 1 desc limit 1
        """,
    )
    desk.open(f"/assets/raw/customer_invoices?view=partitions&partition={busy_day}")
    expect(page.get_by_text("received", exact=True).first).to_be_visible()
    expect(page.get_by_text(f"{invoiced} SEK", exact=True).first).to_be_visible()
    desk.picture("day")

    for table in SHOWN:
        desk.open(f"/assets/{table.schema}/{table.name}")
        expect(page.get_by_text(table.description[:60]).first).to_be_visible()
        expect(page.get_by_text(f'-c "from {table.qualified_name} limit 20"').first).to_be_visible()
        last_column = table.columns[-1].name
        expect(page.get_by_text(last_column, exact=True).first).to_be_visible()
        for sources in lineage().get(table.qualified_name, {}).values():
            if sources:
                expect(page.get_by_text(f"From {origin(sources)}.").first).to_be_visible()
    for name, command in (("database", '-c "show all tables"'), ("report", "python -m webbrowser")):
        desk.open(f"/assets/published/{name}")
        expect(page.get_by_text(command).first).to_be_visible()

    desk.open("/assets/mart/vat_summary")
    (rows,) = query(desk.database, "select count(*) from mart.vat_summary")[0]
    expect(page.get_by_text(re.compile(rf"^{rows}$")).first).to_be_visible()
    page.wait_for_timeout(1_000)
    desk.picture("asset")

    desk.open("/assets/mart/vat_summary?view=checks")
    expect(page.get_by_text("unique", exact=True).first).to_be_visible()
    desk.picture("checks")
