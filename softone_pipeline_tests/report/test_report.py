"""The report says what the tables say, opens offline in a real browser, and runs nothing that a customer is called."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import duckdb
import pytest
from click.testing import CliRunner
from playwright.sync_api import sync_playwright

from softone_pipeline import report
from softone_pipeline.cli import main
from softone_pipeline.readable import amount, short, whole
from softone_pipeline.report import report_path, write_report
from softone_pipeline.report.words import WORDS
from softone_pipeline.report.writing import Language
from softone_pipeline.settings import PipelineSettings
from softone_pipeline.warehouse import Warehouse, handed_over, publish
from softone_pipeline_tests.invoices import invoice, row
from softone_pipeline_tests.loaded import load_company
from softone_pipeline_tests.tables.conftest import House

LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
LANGUAGES: tuple[Language, ...] = ("sv", "en")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> PipelineSettings:
    return load_company(tmp_path_factory.mktemp("loaded"))


@pytest.fixture(scope="module")
def page(loaded: PipelineSettings, tmp_path_factory: pytest.TempPathFactory) -> str:
    written = write_report(loaded, tmp_path_factory.mktemp("page") / "report.html", since=LONG_AGO)
    return written.path.read_text(encoding="utf-8")


@pytest.fixture
def hostile(warehouse: object, settings: PipelineSettings) -> House:
    house = House(warehouse, settings)  # type: ignore[arg-type]
    name = '<script>alert(1)</script> "&" <img src=http://evil.example/x>'
    house.land(house.window(1, [invoice(1, CustomerName=name), invoice(2, OriginStatus=1, total="99.00", vat="19.80")]))
    return house


def _published(house: House) -> PipelineSettings:
    house.refresh()
    publish(house.warehouse, house.settings.duckdb_path)
    return house.settings


def _one(settings: PipelineSettings, sql: str) -> Decimal:
    with duckdb.connect(str(settings.duckdb_path), read_only=True) as connection:
        row = connection.execute(sql).fetchone()
    assert row is not None
    return Decimal(row[0])


def test_numbers_are_written_the_swedish_way() -> None:
    assert amount(Decimal("-1234567.80")) == "−1\u00a0234\u00a0567,80"
    assert amount(None) == "—"
    assert whole(1234) == "1\u00a0234"
    assert (short(1_500_000), short(-20_000), short(0)) == ("1,5\u00a0mn", "−20\u00a0tusen", "0")


@pytest.mark.parametrize(
    "sql",
    [
        "select sum(open_amount) from mart.customer_balance where payment_basis = 'known'",
        "select sum(due_31_60) from mart.customer_balance where payment_basis = 'known'",
        "select sum(total_amount) from core.invoices where status_class = 'counted' "
        "group by date_trunc('month', invoice_date) order by count(*) desc limit 1",
        "select sum(vat_amount) from mart.vat_summary where status_class = 'counted' and vat_class = '25' "
        "group by period_month order by period_month desc limit 1",
    ],
)
def test_the_figures_are_those_of_the_tables_to_the_oere(loaded: PipelineSettings, page: str, sql: str) -> None:
    assert f">{amount(_one(loaded, sql))}<" in page


def test_what_changed_is_counted_and_named(loaded: PipelineSettings, page: str) -> None:
    missing = _one(loaded, "select count(*) from raw.customer_invoices where end_reason = 'missing'")
    assert missing > 0
    word = "borttagen" if missing == 1 else "borttagna"
    assert f"<strong>{missing}</strong> {word} i affärssystemet" in page
    assert page.count("<td>borttagen i affärssystemet</td>") == missing
    assert "<td>flyttad till annat datum</td>" in page
    assert "<td>ändrad</td>" in page


def test_one_of_a_thing_is_told_in_the_singular_and_a_draft_by_what_it_is(
    warehouse: Warehouse, settings: PipelineSettings, tmp_path: Path
) -> None:
    house = House(warehouse, settings)
    for hour, total in ((1, "500.00"), (2, "501.00")):
        sent = [
            invoice(1, total=total, InvoiceNr=None),
            invoice(12812586, total=total, OriginStatus=1, InvoiceNr=None),
        ]
        house.land(house.window(hour, sent))
    settings = _published(house)
    sv, en = (
        write_report(settings, tmp_path / f"{name}.html", since=LONG_AGO, language=name).path.read_text("utf-8")
        for name in LANGUAGES
    )
    assert '<th scope="row">utkast, id 12812586</th>' in sv
    assert '<th scope="row">utan nummer, id 1</th>' in sv
    assert '<th scope="row">draft, id 12812586</th>' in en
    assert "1 faktura. Ingår inte" in sv
    assert "1 invoice. Not part" in en
    assert "titta på, 1 träff<" in sv.replace("</td>", "<")
    assert "1 finding<" in en
    assert "<small>Betalning okänd, 1 kund</small>" in sv
    assert "<small>Payment unknown, 1 customer</small>" in en
    assert not re.search(r">1 (träffar|findings|fakturor|invoices|kunder|customers)", sv + en)


def test_what_a_check_found_is_marked_as_its_own_english_words(page: str) -> None:
    assert "och vad den fann, på engelska som den skrev det" in page
    assert '<ul lang="en"><li>invoice ' in page


def test_every_word_is_used_in_both_languages() -> None:
    assert WORDS["sv"].keys() == WORDS["en"].keys()
    room = Path(report.__file__).parent
    used = "".join((room / name).read_text("utf-8") for name in ("page.html", "writing.py", "figures.py"))
    # Made of what a row holds: how an invoice changed, how often, and the VAT class.
    made = ("one_", "class_")
    assert [
        word for word in WORDS["sv"] if not word.startswith(made) and not re.search(rf'words\.{word}\b|"{word}"', used)
    ] == []


def test_it_asks_for_nothing_from_outside_and_holds_no_script(page: str) -> None:
    assert not re.search(r"<(script|link|iframe|img|object)\b", page)
    assert not re.search(r"(?:src|href)\s*=|url\(|@import", page)
    assert "default-src 'none'" in page
    assert page.count("<svg") == page.count('role="img"') == page.count("<desc>") == 3


def test_a_hostile_name_is_text(hostile: House, tmp_path: Path) -> None:
    page = write_report(_published(hostile), tmp_path / "r.html").path.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_without_known_payments_it_says_invoiced_and_never_outstanding(hostile: House, tmp_path: Path) -> None:
    page = write_report(_published(hostile), tmp_path / "r.html").path.read_text(encoding="utf-8")
    assert "Fakturerat netto" in page
    assert "utestående" not in page.replace("inte vad som är utestående", "").lower()
    assert f"<strong>{amount(Decimal(99)).removesuffix(',00')} kr</strong>" in page  # the draft, apart


@pytest.mark.parametrize(("language", "word"), [("sv", "faktura"), ("en", "invoice")])
def test_one_invoice_is_told_in_the_singular(
    hostile: House, tmp_path: Path, language: Literal["sv", "en"], word: str
) -> None:
    page = write_report(_published(hostile), tmp_path / "r.html", language=language).path.read_text(encoding="utf-8")
    assert f"<small>1 {word}, 2026-" in page
    assert f"<small>1 {word}. " in page
    assert not re.search(r"\b1 (fakturor|invoices|träffar|findings|dagar|days)", page)


def test_changes_count_from_the_report_that_stood_there(hostile: House, tmp_path: Path) -> None:
    target = tmp_path / "r.html"
    settings = _published(hostile)
    assert write_report(settings, target, since=LONG_AGO).changes == 2
    assert write_report(settings, target).changes == 0
    hostile.land(hostile.window(5, [invoice(1, total="250.00", vat="50.00"), invoice(2, OriginStatus=1)]))
    again = write_report(_published(hostile), target)
    assert again.changes == 2
    assert "250,00" in target.read_text(encoding="utf-8")
    (entry,) = handed_over(settings.duckdb_path)
    assert (entry.command, entry.path) == ("report", target)
    assert target.stat().st_mode & 0o777 == 0o440


def test_a_company_without_invoices_has_a_page_that_says_so(warehouse: object, settings: PipelineSettings) -> None:
    page = write_report(_published(House(warehouse, settings))).path.read_text(encoding="utf-8")  # type: ignore[arg-type]
    assert "Inga definitiva fakturor än." in page


def test_sales_without_vat_alone_are_a_page_without_that_chart(
    warehouse: Warehouse, settings: PipelineSettings, tmp_path: Path
) -> None:
    house = House(warehouse, settings)
    rows = [row("100.00", "0.00")]
    house.land(house.window(1, [invoice(1, total="100.00", vat="0.00", rows=rows)]))
    page = write_report(_published(house), tmp_path / "r.html").path.read_text(encoding="utf-8")
    assert "0\u00a0%" in page
    assert page.count("<svg") == 1


def test_other_rates_are_drawn_as_they_are_set(
    warehouse: Warehouse, settings: PipelineSettings, tmp_path: Path
) -> None:
    house = House(warehouse, settings.model_copy(update={"vat_rates": (Decimal("25.5"), Decimal(14))}))
    rows = [row("1000.00", "255.00"), row("1000.00", "140.00")]
    house.land(house.window(1, [invoice(1, total="2395.00", vat="395.00", rows=rows)]))
    page = write_report(_published(house), tmp_path / "r.html").path.read_text(encoding="utf-8")
    assert page.index("25,5\u00a0%: 255") < page.index("14\u00a0%: 140")
    assert "<td>25,5\u00a0%</td>" in page


@pytest.mark.parametrize(
    ("currency", "fields", "units", "complete"),
    [("SEK", {}, "kronor", "ja"), ("SEK", {"BillingType": None}, "kronor", "nej"), ("EUR", {}, "EUR", "nej")],
)
def test_the_return_says_its_currency_and_whether_its_basis_is_complete(
    warehouse: Warehouse, settings: PipelineSettings, currency: str, fields: dict[str, Any], units: str, complete: str
) -> None:
    house = House(warehouse, settings.model_copy(update={"accounting_currency": currency}))
    house.land(house.window(1, [invoice(1, Currency=currency), invoice(2, Currency=currency, **fields)]))
    page = write_report(_published(house)).path.read_text(encoding="utf-8")
    assert f"enligt faktureringsmetoden, i hela {units}." in page
    assert re.findall("<td>(ja|nej)</td>", page) == [complete]


def test_each_company_in_a_database_has_a_report_of_its_own(settings: PipelineSettings) -> None:
    named = settings.model_copy(update={"company": "Åkeri & Co/2"})
    assert report_path(settings).name == "softone_report.html"
    assert report_path(named).name == "softone_report_Åkeri_Co_2.html"


def test_the_command_writes_it_in_english_too(
    loaded: PipelineSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOFTONE_DUCKDB_PATH", str(loaded.duckdb_path))
    monkeypatch.setenv("SOFTONE_COMPANY", loaded.company)
    done = CliRunner().invoke(main, ["report", "--out", "r.html", "--language", "en", "--json"])
    assert done.exit_code == 0, done.output
    assert '"failed_checks"' in done.stdout
    page = Path("r.html").read_text(encoding="utf-8")
    assert '<html lang="en">' in page
    assert "Kundfordringar" not in page


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: the page is not opened in a browser")
def test_a_real_browser_lays_it_out_and_prints_it(page: str, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    dom = _browse(tmp_path, "--dump-dom")
    assert "Provbolaget" in dom
    assert dom.count("<svg") == 3
    _browse(tmp_path, f"--screenshot={tmp_path / 'report.png'}", "--window-size=390,844")
    _browse(tmp_path, f"--print-to-pdf={tmp_path / 'report.pdf'}", "--no-pdf-header-footer")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: the page is not opened in a browser")
def test_on_a_phone_charts_fit_and_a_table_that_is_wider_scrolls_in_its_own_region(page: str, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        phone = browser.new_page(viewport={"width": 390, "height": 844})
        phone.goto((tmp_path / "report.html").as_uri())
        assert phone.evaluate("document.documentElement.scrollWidth") == 390
        charts = phone.evaluate("[...document.querySelectorAll('svg')].map(one => one.getBoundingClientRect().right)")
        wide = phone.evaluate(
            "[...document.querySelectorAll('.wide')].filter(one => one.scrollWidth > one.clientWidth)"
            ".map(one => [one.tabIndex, getComputedStyle(one).backgroundAttachment])"
        )
        phone.emulate_media(media="print")
        on_paper = phone.evaluate("getComputedStyle(document.querySelector('.wide')).backgroundImage")
        browser.close()
    assert len(charts) == 3
    assert max(charts) <= 390
    assert len(wide) > 2
    assert all(index == 0 and shadow == "local, local, scroll, scroll" for index, shadow in wide)
    assert on_paper == "none"


def _browse(folder: Path, *arguments: str) -> str:
    assert CHROMIUM
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={folder / 'profile'}", *arguments, (folder / "report.html").as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env=os.environ | {"HOME": str(folder)},
    )
    return done.stdout
