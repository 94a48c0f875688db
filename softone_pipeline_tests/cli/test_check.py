"""softone check: what works, what does not, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from softone_pipeline.sandbox import Sandbox
from softone_pipeline_tests.cli.conftest import Shell


def test_good_settings_are_confirmed_step_by_step(shell: Shell) -> None:
    done = shell.run("check")
    assert done.returncode == 0, done.stderr
    assert "SOFTONE_PASSWORD = (set)" in done.stdout
    assert "SOFTONE_VAT_RATES = 25,12,6\n" in done.stdout
    assert "/Economy/Billing/CustomerInvoices/Filter answered" in done.stdout


def test_the_other_documented_path_is_found_and_named(shell: Shell, erp: Sandbox) -> None:
    erp.switch(["filter-moved"])
    done = shell.run("check")
    assert done.returncode == 0, done.stderr
    assert "/Economy/CustomerInvoices/Filter answered" in done.stdout


def test_settings_in_a_dotenv_file_count_and_the_environment_wins(shell: Shell) -> None:
    written = "".join(f"{name}={value}\n" for name, value in shell.variables.items()) + "SOFTONE_PAGE_SIZE=7\n"
    (shell.folder / ".env").write_text(written, encoding="utf-8")
    shell.variables = {"SOFTONE_COMPANY": "Åkeri & Co"}
    done = shell.run("check")
    assert done.returncode == 0, done.stderr
    assert "SOFTONE_PAGE_SIZE = 7" in done.stdout
    assert "SOFTONE_COMPANY = Åkeri & Co" in done.stdout


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SOFTONE_BASE_URL", "http://example.com", "https"),
        ("SOFTONE_BASE_URL", "apiexternal.softone.se", "should look like https://apiexternal.softone.se"),
        ("SOFTONE_DUCKDB_PATH", "data/raw.duckdb", "a schema has that name"),
        ("SOFTONE_ACCOUNTING_CURRENCY", "kronor", "SOFTONE_ACCOUNTING_CURRENCY"),
        ("SOFTONE_USERNAME", "", "SOFTONE_USERNAME: is missing"),
    ],
)
def test_a_malformed_setting_is_named_with_what_it_should_look_like(
    shell: Shell, variable: str, value: str, said: str
) -> None:
    shell.variables[variable] = value
    done = shell.run("check")
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "https://no-such-host.invalid", "TLS to the sandbox"])
def test_nobody_at_that_address_is_an_error_that_names_the_setting(shell: Shell, erp: Sandbox, address: str) -> None:
    address = address if "://" in address else erp.base_url.replace("http:", "https:")
    shell.variables |= {"SOFTONE_BASE_URL": address, "SOFTONE_MAX_ATTEMPTS": "2"}
    done = shell.run("check")
    assert done.returncode == 1
    assert "Error:" in done.stderr
    assert "To do: Check SOFTONE_BASE_URL" in done.stderr
    assert "SOFTONE_MAX_CONNECTIONS" not in done.stderr


def test_a_token_given_outright_works_without_a_login(shell: Shell, erp: Sandbox) -> None:
    for name in ("SOFTONE_USERNAME", "SOFTONE_PASSWORD", "SOFTONE_LICENSE"):
        del shell.variables[name]
    shell.variables["SOFTONE_TOKEN"] = erp.issue_token()
    done = shell.run("check")
    assert done.returncode == 0, done.stderr
    assert erp.requests("login") == []


def test_a_folder_that_cannot_be_made_is_named(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    done = shell.run("check")
    assert done.returncode == 1
    assert "SOFTONE_DUCKDB_PATH" in done.stderr


def test_json_is_one_object_without_a_secret(shell: Shell) -> None:
    done = shell.run("check", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["path"] == "/Economy/Billing/CustomerInvoices/Filter"
    assert told["settings"]["SOFTONE_PASSWORD"] == "(set)"
