"""softone backfill: a range stands whole, or the exit status and the words say what does not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from softone_pipeline.sandbox import Company, Sandbox
from softone_pipeline_tests.cli.conftest import FIRST_DAY, LAST_DAY, Shell, truth

RANGE = ("--from", str(FIRST_DAY), "--to", str(LAST_DAY))
# Credits that were sent positive are negative in core, so totals are compared without their sign.
IN_CORE = "select invoice_id, abs(total_amount)::varchar from core.invoices"


def _unsigned(facts: set[tuple[int, str]]) -> set[tuple[int, str]]:
    return {(invoice_id, total.removeprefix("-")) for invoice_id, total in facts}


def test_a_range_is_loaded_published_and_loading_it_again_writes_nothing(shell: Shell, company: Company) -> None:
    done = shell.run("backfill", *RANGE)
    assert done.returncode == 0, done.stderr
    assert "14 of 14 days stand." in done.stdout
    assert set(shell.query(IN_CORE)) == _unsigned(truth(company))
    example = shell.query(
        "select price_basis, rounding_amount::varchar, net_amount::varchar from core.invoices where invoice_id = 12677557"
    )
    assert example == [("net", "0.42", "502.06")]
    assert shell.query("select count(*) > 0 from mart.vat_summary") == [(True,)]
    before = shell.query("select count(*), max(fetched_at) from raw.customer_invoices")
    assert shell.run("backfill", *RANGE).returncode == 0
    assert shell.query("select count(*), max(fetched_at) from raw.customer_invoices") == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "2026-02-30", "--to", "2026-03-01"), "'2026-02-30' is no date: write one like 2026-11-30."),
        (("--from", "igår", "--to", "2026-03-01"), "'igår' is no date: write one like 2026-11-30."),
        (("--from", "2026-03-02", "--to", "2026-03-01"), "is after"),
        (("--from", "2026-03-01", "--to", "2199-01-01"), "future"),
        (("--from", "2025-12-31", "--to", "2026-03-01"), "SOFTONE_START_DATE"),
        (("--from", "2026-03-01"), "--to"),
    ],
)
@pytest.mark.parametrize("command", ["backfill", "verify"])
def test_a_range_that_makes_no_sense_is_refused(
    shell: Shell, command: str, arguments: tuple[str, ...], said: str
) -> None:
    done = shell.run(command, *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_missing_and_malformed_settings_are_named_all_at_once(shell: Shell) -> None:
    del shell.variables["SOFTONE_COMPANY_API_KEY"]
    shell.variables |= {"SOFTONE_PASSWORD": "", "SOFTONE_PAGE_SIZE": "many"}
    done = shell.run("backfill", *RANGE)
    assert done.returncode == 2
    for name in ("SOFTONE_COMPANY_API_KEY", "SOFTONE_PASSWORD", "SOFTONE_PAGE_SIZE"):
        assert name in done.stderr


def test_a_malformed_start_date_is_named(shell: Shell) -> None:
    shell.variables["SOFTONE_START_DATE"] = "in spring"
    done = shell.run("backfill", *RANGE)
    assert done.returncode == 2
    assert "SOFTONE_START_DATE" in done.stderr


def test_a_refused_login_shows_the_servers_message_after_one_try(shell: Shell, erp: Sandbox) -> None:
    shell.variables["SOFTONE_PASSWORD"] = "wrong"
    done = shell.run("backfill", *RANGE)
    assert done.returncode == 1
    assert "Felaktigt användarnamn eller lösenord" in done.stderr
    assert len(erp.requests("login")) == 1


def test_a_server_that_never_gives_a_list_fails_by_day_and_page_and_writes_nothing(shell: Shell, erp: Sandbox) -> None:
    erp.switch(["html:rate=1"])
    shell.variables["SOFTONE_MAX_ATTEMPTS"] = "3"
    done = shell.run("backfill", "--from", "2026-02-23", "--to", "2026-02-24")
    assert done.returncode == 1
    assert "2026-02-23" in done.stderr
    assert "page 0" in done.stderr
    assert "0 of 2 days stand." in done.stdout
    assert not (shell.folder / "data" / "softone.duckdb").exists()


def test_an_invoice_that_cannot_be_typed_is_named_and_the_others_load(shell: Shell) -> None:
    company = Company(first_day=FIRST_DAY, last_day=LAST_DAY, invoices_per_day=5)
    spoilt = company.invoices()[7]["InvoiceId"]
    company.spoil(spoilt, "surplus-decimals")
    with Sandbox(company) as erp:
        shell.variables["SOFTONE_BASE_URL"] = erp.base_url
        done = shell.run("backfill", *RANGE)
    assert done.returncode == 0, done.stderr
    assert f"invoice {spoilt}" in done.stderr
    assert shell.query("select invoice_id from raw.quarantine") == [(spoilt,)]
    loaded = {invoice_id for (invoice_id,) in shell.query("select invoice_id from core.invoices")}
    assert loaded == {invoice["InvoiceId"] for invoice in company.invoices()} - {spoilt}


@pytest.mark.parametrize("seconds", [3.0, 4.5])
def test_a_killed_run_leaves_nothing_half_written_and_the_same_command_finishes(
    shell: Shell, company: Company, erp: Sandbox, seconds: float
) -> None:
    erp.switch(["slow:0.1,rate=1"])
    process = shell.start("backfill", *RANGE)
    deadline = time.monotonic() + seconds
    while not erp.log and time.monotonic() < deadline + 30:
        time.sleep(0.05)
    time.sleep(seconds - 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    erp.switch([])
    done = shell.run("backfill", *RANGE)
    assert done.returncode == 0, done.stderr
    assert set(shell.query(IN_CORE)) == _unsigned(truth(company))
    assert shell.query("select count(*) = count(distinct invoice_id) from raw.customer_invoices") == [(True,)]


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to the command", "to all of it, as a terminal does"])
def test_ctrl_c_stops_at_once_and_says_how_to_go_on(
    shell: Shell, erp: Sandbox, send: Callable[[int, int], None]
) -> None:
    erp.switch(["slow:60,every=2"])
    process = shell.start("backfill", *RANGE)
    # Logged are a login and a window; the one asked for between them is under way.
    while len(erp.log) < 2:
        time.sleep(0.05)
    send(process.pid, signal.SIGINT)
    # Sooner than its answer comes.
    said, _ = process.communicate(timeout=45)
    assert process.returncode == 130
    assert "The same command again goes on" in said
    assert "Traceback" not in said


def test_a_load_goes_on_when_nobody_watches_it_any_more(shell: Shell) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "softone_pipeline", "backfill", *RANGE, "--json"],
        cwd=shell.folder,
        env=shell.environment,
        stdout=subprocess.PIPE,
        stderr=write,
        text=True,
        timeout=120,
        check=False,
    )
    os.close(write)
    assert done.returncode == 0
    assert json.loads(done.stdout)["days_standing"] == 14
    assert (shell.folder / "data" / "softone.duckdb").exists()


def test_json_is_one_object_on_stdout_and_progress_stands_on_stderr(shell: Shell) -> None:
    done = shell.run("backfill", *RANGE, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["succeeded"], told["days_standing"], told["days_asked"], told["failures"]) == (True, 14, 14, [])
    assert len(told["run_ids"]) == 2
    assert "14 of 14 days" in done.stderr
    assert "invoices/s" in done.stderr
    assert "0 s left" in done.stderr
