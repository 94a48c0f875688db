"""A terminal that knows no UTF-8 is given plain letters; it used to end commands with an error."""

from __future__ import annotations

import json

import pytest

from softone_pipeline.sandbox import Company, Sandbox
from softone_pipeline_tests.cli.conftest import FIRST_DAY, Shell

DAY = ("--from", str(FIRST_DAY), "--to", str(FIRST_DAY))


@pytest.fixture
def plain(shell: Shell) -> Shell:
    shell.variables |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    return shell


def test_check_and_its_json_in_a_terminal_without_utf_8(plain: Shell) -> None:
    done = plain.run("check")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("* Every setting is present")
    assert "gron teknik" in done.stdout
    done = plain.run("check", "--json")
    assert json.loads(done.stdout)["settings"]["SOFTONE_TAX_REDUCTION_WORDS"].endswith("grön teknik")


def test_amounts_keep_their_sign_and_names_their_letters_as_far_as_they_can(plain: Shell) -> None:
    company = Company(first_day=FIRST_DAY, last_day=FIRST_DAY, invoices_per_day=5)
    number = company.invoices()[0]["InvoiceId"]
    company.put(company.invoice(number) | {"InvoiceNr": "17", "CustomerName": "Örebro \u2212 Łódź ✓ AB 株"})
    with Sandbox(company) as erp:
        plain.variables["SOFTONE_BASE_URL"] = erp.base_url
        assert plain.run("backfill", *DAY).returncode == 0
    told = plain.run("explain", "invoice", "17")
    assert told.returncode == 0, told.stderr
    assert told.stdout.isascii()
    assert "Orebro - ?odz * AB ?" in told.stdout
    as_json = plain.run("explain", "invoice", "17", "--json")
    assert as_json.returncode == 0, as_json.stderr
    assert "Örebro" in str(json.loads(as_json.stdout))
