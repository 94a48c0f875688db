"""One day with one invoice of one row: no command speaks of 1 days, 1 invoices or 1 rows."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from softone_pipeline.cli import progress
from softone_pipeline.sandbox import DEFAULT, Company, Sandbox
from softone_pipeline_tests.cli.conftest import FIRST_DAY, Shell

DAY = ("--from", str(FIRST_DAY), "--to", str(FIRST_DAY))
# A column's heading stands alone, and a comma makes a new part of the sentence.
WRONG = re.compile(r"\b1 (?:new |other |more )?[a-z]+s\b(?! (?:old|to|is|has|of)\b)|\b1 of 1 [a-z]+s\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    company = Company(first_day=FIRST_DAY, last_day=FIRST_DAY, invoices_per_day=3)
    first, *others = company.invoices()
    for other in others:
        company.remove(other["InvoiceId"])
    row = first["InvoiceRows"][0] | {
        "SumAmount": 100,
        "SumAmountCurrency": 100,
        "VatAmount": 25,
        "VatAmountCurrency": 25,
    }
    amounts = {"TotalAmount": 125, "TotalAmountCurrency": 125, "VATAmount": 25, "VATAmountCurrency": 25}
    company.put(first | amounts | {"InvoiceRows": [row], "CustomerNr": "1138", "Currency": "SEK", "OriginStatus": 3})
    with Sandbox(company) as sandbox:
        settings = {"SOFTONE_START_DATE": str(FIRST_DAY), "SOFTONE_HASH_KEY": "en nyckel som är lång nog"}
        shell = Shell(tmp_path_factory.mktemp("one"), DEFAULT.environment(sandbox.base_url) | settings)
        done = shell.run("backfill", *DAY)
        assert done.returncode == 0, done.stderr
        assert "1 of 1 day stands." in done.stdout
        assert "1 invoice received, 1 new version," in done.stderr
        assert not WRONG.search(done.stdout + done.stderr), done.stdout + done.stderr
        yield shell


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", *DAY), "1 of 1 day is whole. 1 invoice is the same"),
        (("explain", "vat", "2026-02"), "1 invoice, the largest first"),
        (("explain", "vat", "2026-02", "6"), "1 day of the month has been fetched"),
        (("explain", "balance", "1138"), "1 invoice, the largest first"),
        (("reconcile", "--period", "2026-02", "--receivables", "1"), "DIFFERS"),
        (("report", "--since", "2026-01-01"), " to look at."),
        (("export", "--sql", "select 1 as a", "--to", "a.csv"), "1 row, 1 column."),
        (("export", "--sql", "select '=1' as a", "--to", "b.csv"), "1 text begins"),
        (("export", "--sql", "select 12345678901234567 as a", "--to", "c.xlsx"), "1 number has"),
        (("backup", "one.zip"), " tables to"),
        (("pseudonymise", "--yes"), "pseudonymised."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_count_of_one_has_its_word_in_the_singular(one: Shell, arguments: tuple[str, ...], said: str) -> None:
    done = one.run(*arguments)
    printed = " ".join((done.stdout + done.stderr).split())
    assert said in printed
    assert not WRONG.search(printed), printed


def test_one_invoice_in_a_second_is_told_in_the_singular(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter((0.0, 1.0))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(now)))
    with progress.loading_progress(1):
        logging.getLogger("softone_pipeline").info("loaded", extra={"days_done": 1, "invoices_received": 1})
    assert "loaded (1 of 1 day, 1 invoice/s, 0 s left)" in capsys.readouterr().err
