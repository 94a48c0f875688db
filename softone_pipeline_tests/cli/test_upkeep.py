"""backup, restore, pseudonymise and forget on a database of a few invoices, in this process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from softone_pipeline.cli import main
from softone_pipeline.warehouse import Warehouse
from softone_pipeline_tests.cli.conftest import Shell
from softone_pipeline_tests.invoices import EXAMPLE_DAY, Number, invoice, row
from softone_pipeline_tests.tables.conftest import House, house

__all__ = ["house"]

KEY = "a key of the tests, long enough"
NAME = "Åsa Öberg"
TEXT = "ROT-avdrag för Åsa Öbergs tak"
VAT = "from mart.vat_summary order by all"


@pytest.fixture
def loaded(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """Two versions of one customer's invoice, one that cannot be read, and somebody else's."""
    monkeypatch.setenv("SOFTONE_HASH_KEY", KEY)
    theirs: dict[str, Any] = {"CustomerNr": "4711", "CustomerName": NAME, "CustomerOrgNr": "811218-9876"}
    deduction = [row("1000.00", "250.00", Text=NAME), row("-350.00", "0.00", Text=TEXT)]
    first = invoice(1, total="900.00", vat="250.00", rows=deduction, **theirs)
    house.land(house.window(1, [first, invoice(2), invoice(3, TotalAmount=Number("10.005"), **theirs)]))
    house.land(
        house.window(2, [first | {"InvoiceNr": "2"}, invoice(2), invoice(3, TotalAmount=Number("10.005"), **theirs)])
    )
    house.refresh()
    return house


def run(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == code, (done.output, done.exception)
    return done


def names_them(house: House) -> bool:
    tables = ("raw.customer_invoices", "raw.quarantine", "core.invoices", "core.invoice_rows", "mart.customer_balance")
    found = False
    for path in (house.settings.warehouse_path, house.settings.duckdb_path):
        with duckdb.connect(str(path), read_only=True) as connection:
            stored = str([connection.execute(f"from {table}").fetchall() for table in tables])
        found |= any(text in stored for text in (NAME, "811218", "8112189876", "'4711'", '"4711"'))
    return found


def test_a_customer_is_forgotten_in_history_and_quarantine_and_vat_stays(loaded: House) -> None:
    before, history = loaded.rows(VAT), loaded.versions(1)
    said = run("forget", "4711", "--yes")
    assert "What was done" in said.output
    assert not names_them(loaded)
    assert loaded.rows(VAT) == before
    assert loaded.versions(1) == history
    assert loaded.rows("select vat_class from core.invoice_rows where row_nr = 2") == [("tax_reduction",)]
    assert loaded.rows("select count(*) from core.invoices where customer_name = 'Per Persson'") == [(1,)]
    assert loaded.rows("select field, reason from raw.quarantine")[0][0] == "TotalAmount"


def test_forget_asks_and_tells_before_it_does_anything(loaded: House) -> None:
    loaded.refresh()
    before = loaded.rows("from raw.customer_invoices order by all")
    assert "say --yes" in run("forget", "4711", code=2).output
    assert "no customer 4712" in run("forget", "4712", "--yes", code=2).output
    assert "What would be done" in run("forget", "4711", "--dry-run").output
    assert loaded.rows("from raw.customer_invoices order by all") == before


def test_a_restored_backup_does_not_bring_back_whoever_was_forgotten(loaded: House, tmp_path: Path) -> None:
    run("backup", str(tmp_path / "it.zip"))
    said = run("forget", "4711", "--yes")
    assert "it.zip" in said.stderr.replace("\n", "")
    assert "published" in run("restore", str(tmp_path / "it.zip")).output
    assert not names_them(loaded)
    assert loaded.rows("select count(*) from raw.forgotten") == [(1,)]


def test_a_backup_without_a_name_lies_beside_the_database_and_is_restored(loaded: House) -> None:
    run("backup")
    (source,) = Path("data/backups").iterdir()
    before = loaded.rows("from raw.customer_invoices order by all")
    loaded.settings.warehouse_path.unlink()
    run("restore", str(source))
    assert loaded.rows("from raw.customer_invoices order by all") == before
    loaded.land(loaded.window(3, [invoice(9)], day=EXAMPLE_DAY))
    assert "newer than the backup" in run("restore", str(source), code=1).output.replace("\n", " ")
    run("restore", str(source), "--force")
    assert len(list(Path("data").glob("*.replaced-*.duckdb"))) == 1


def test_a_stricter_mode_is_applied_to_all_that_stands(loaded: House, monkeypatch: pytest.MonkeyPatch) -> None:
    before, history = loaded.rows(VAT), loaded.versions(1)
    monkeypatch.setenv("SOFTONE_PSEUDONYMISE", "persons")
    assert "say --yes" in run("pseudonymise", code=2).output
    run("pseudonymise", "--yes")
    with duckdb.connect(str(loaded.settings.duckdb_path), read_only=True) as published:
        stored = str(published.execute("from raw.customer_invoices").fetchall()) + str(
            published.execute("from raw.quarantine").fetchall()
        )
    assert NAME not in stored
    assert "811218" not in stored
    assert "4711" in stored
    assert loaded.rows(VAT) == before
    assert loaded.versions(1) == history
    assert loaded.rows("select company, mode from raw.privacy") == [("default", "persons")]


def test_a_command_that_waits_for_the_database_says_for_whom(shell: Shell, warehouse: Warehouse) -> None:
    shell.variables["SOFTONE_DUCKDB_PATH"] = str(warehouse.path.with_name("softone.duckdb"))
    with warehouse.connect():
        pass
    hold = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(warehouse.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waiting = shell.start("backup", "it.zip")
    assert waiting.stdout is not None
    said = waiting.stdout.readline()
    holder.communicate("\n")
    rest, _ = waiting.communicate(timeout=60)
    assert f"Waiting for {warehouse.path}: process {holder.pid} (" in said
    assert waiting.returncode == 0, rest
    assert "Backed up" in rest
