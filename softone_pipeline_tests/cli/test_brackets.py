"""Names, numbers and arguments that look like style or like emoji are printed as they stand, by every command."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from softone_pipeline.cli.console import err, out
from softone_pipeline.cli.progress import loading_progress
from softone_pipeline.sandbox import DEFAULT, Company, Sandbox
from softone_pipeline_tests.cli.conftest import FIRST_DAY, LAST_DAY, Shell

RANGE = ("--from", str(FIRST_DAY), "--to", str(LAST_DAY))
LABEL = "Firman [/] [red]:car:"
NAME = "Bolaget [/x] AB [bold]:car:"
CUSTOMER = "[/b]C5"
NUMBER = "[/red]3"
PRODUCT = "[a]\\"
TEXT = "Vara [/] [link=x]:car:"
CURRENCY = "[/]"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    company = Company(first_day=FIRST_DAY, last_day=LAST_DAY, invoices_per_day=3)
    odd, spoilt = company.invoices()[0], company.invoices()[1]
    rows = [row | {"Text": TEXT, "ProductNr": PRODUCT} for row in odd["InvoiceRows"]]
    names = {"InvoiceNr": NUMBER, "CustomerNr": CUSTOMER, "CustomerName": NAME}
    company.put(odd | names | {"InvoiceRows": rows, "Currency": CURRENCY})
    company.put(spoilt | names | {"InvoiceNr": "4[/]"})
    company.spoil(spoilt["InvoiceId"], "surplus-decimals")
    with Sandbox(company) as sandbox:
        settings = {"SOFTONE_START_DATE": "2026-01-01", "SOFTONE_COMPANY": LABEL, "SOFTONE_HASH_KEY": "[/nyckel] " * 3}
        shell = Shell(
            tmp_path_factory.mktemp("[b]house", numbered=False), DEFAULT.environment(sandbox.base_url) | settings
        )
        done = shell.run("backfill", *RANGE)
        assert done.returncode == 0, done.stderr
        yield shell


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("check",), 0, [f"SOFTONE_COMPANY = {LABEL}", "[b]house"]),
        (("verify", *RANGE), 1, [LABEL]),
        (("explain", "vat", "2026-02"), 0, [LABEL, NUMBER, CUSTOMER]),
        (("explain", "vat", "2026-02", "[/]"), 2, ["'[/]' is no VAT class"]),
        (("explain", "balance", CUSTOMER), 0, [f"Customer {CUSTOMER} {NAME}, {CURRENCY} invoices", NUMBER]),
        (("explain", "balance", "[/red]"), 2, ["'[/red]'", LABEL]),
        (
            ("explain", "invoice", NUMBER),
            0,
            [f"Invoice {NUMBER} ", f"{CUSTOMER} {NAME}: ", PRODUCT, TEXT, f"balance {CUSTOMER!r}"],
        ),
        (("explain", "invoice", "[/red]9"), 2, ["'[/red]9'", LABEL]),
        (("reconcile", "--period", "2026-02", "--receivables", "[/]1"), 2, ["[/]1"]),
        (("reconcile", "--period", "2026-02", "--receivables", "1"), 1, [LABEL]),
        (("report", "--out", "[red]r.html"), 0, ["[red]r.html: "]),
        (("export", "mart.customer_balance", "--to", "[red]b.csv"), 0, ["[red]b.csv: "]),
        (("export", "--sql", "select '[/]' from [/]", "--to", "c.csv"), 2, ["[/]"]),
        (("forget", "[/red]9"), 2, ["[/red]9", LABEL]),
        (("forget", CUSTOMER, "--dry-run"), 0, ["What would be done"]),
        (("backup", "[red]b.zip"), 0, ["[red]b.zip"]),
        (("restore", "[red]none.zip"), 1, ["[red]none.zip"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_text_that_is_not_ours_is_printed_as_it_stands(
    loaded: Shell, arguments: tuple[str, ...], status: int, said: list[str]
) -> None:
    done = loaded.run(*arguments)
    assert "Unexpected" not in done.stderr, done.stderr
    assert done.returncode == status, done.stderr + done.stdout
    # A table's title is broken where the table ends.
    printed = " ".join((done.stdout + done.stderr).split())
    for text in said:
        assert text in printed


def test_a_log_line_beside_the_progress_is_printed_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    with loading_progress(1):
        logging.getLogger("softone_pipeline").info("%s", NAME)
    assert NAME in capsys.readouterr().err


def test_neither_console_reads_style_or_emoji_out_of_text() -> None:
    for console in (out, err):
        assert str(console.render_str(NAME)) == NAME
