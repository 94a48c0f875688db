"""backup, restore, pseudonymise and forget on a database of a few invoices, in this process."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from softone_pipeline.cli import main
from softone_pipeline.errors import SettingsError
from softone_pipeline.settings import PipelineSettings
from softone_pipeline.tables.raw.landing import land
from softone_pipeline.tables.raw.pseudonymising import Privacy
from softone_pipeline.tables.raw.staging import Staged
from softone_pipeline.tables.rebuild import rebuild_derived
from softone_pipeline.warehouse import Warehouse, publish, registry_of, remember
from softone_pipeline_tests.cli.conftest import FIRST_DAY, Shell
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


@pytest.mark.parametrize(
    "output", ["", "compute_logs: {module: dagster, class: LocalComputeLogManager, config: {base_dir: out}}"]
)
def test_a_home_that_holds_everything_keeps_all_that_is_not_dagsters(
    loaded: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{output}\n")
    run("backup", "kept/it.zip")
    notes = {Path("storage/notes.txt"), Path("history/notes.txt"), Path("data/notes.duckdb.wal"), Path("kept/raw.db")}
    for note in notes:
        note.parent.mkdir(exist_ok=True)
        note.write_text(f"{NAME} called")
    kept = {path: path.read_bytes() for path in (*notes, Path("kept/it.zip"), Path("dagster.yaml"))}
    captured = Path("out" if output else "storage", "run", "compute_logs", "step.err")
    captured.parent.mkdir(parents=True)
    captured.write_text(f"{NAME}, again\n")
    events = Path("history/runs/a-run.db")
    events.parent.mkdir(parents=True)
    for path in (events, Path("kept/own.db")):
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("create table event_logs as select ? as event", [f"of {NAME}"])

    run("forget", "4711", "--yes")
    assert not names_them(loaded)
    assert {path: path.read_bytes() for path in kept} == kept
    assert NAME.encode() in Path("kept/own.db").read_bytes()
    assert NAME.encode() not in events.read_bytes() + captured.read_bytes()


def test_nothing_outside_is_touched_when_the_database_cannot_do_its_part(loaded: House) -> None:
    captured = Path(".dagster/storage/run/compute_logs/step.err")
    captured.parent.mkdir(parents=True)
    captured.write_text(NAME)
    with loaded.warehouse.connect() as connection:
        # A sum that no longer fits its column.
        connection.execute(
            "update raw.customer_invoices set payload = regexp_replace(payload, '\"TotalAmount\":[^,]*', '\"TotalAmount\":9e15')"
        )
        connection.execute("delete from core.build_state")
    run("forget", "4711", "--yes", code=1)
    assert captured.read_text() == NAME


def test_a_restored_backup_does_not_bring_back_whoever_was_forgotten(loaded: House, tmp_path: Path) -> None:
    run("backup", str(tmp_path / "it.zip"))
    said = run("forget", "4711", "--yes")
    assert "it.zip" in said.stderr.replace("\n", "")
    assert "published" in run("restore", str(tmp_path / "it.zip")).output
    assert not names_them(loaded)
    assert loaded.rows("select count(*) from raw.forgotten") == [(1,)]


@pytest.fixture
def shared(loaded: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """Another company in the same database, whose customer was forgotten after the backup."""
    theirs = invoice(7, CustomerNr="4711", CustomerName=NAME, CustomerOrgNr="811218-9876")
    with loaded.warehouse.transaction() as connection:
        land(connection, company="other", run_id="run", staged=Staged([loaded.window(1, [theirs])], []))
    run("forget", "4711", "--yes")
    monkeypatch.setenv("SOFTONE_COMPANY", "other")
    with loaded.warehouse.transaction() as connection:
        rebuild_derived(connection, PipelineSettings.load())
    run("backup", str(tmp_path / "it.zip"))
    run("forget", "4711", "--yes")
    monkeypatch.delenv("SOFTONE_COMPANY")
    return loaded


def other_payloads(house: House) -> str:
    return str(house.rows("select payload from raw.customer_invoices where company = 'other'"))


def test_a_restore_forgets_again_whoever_was_forgotten_of_any_company(shared: House, tmp_path: Path) -> None:
    run("restore", str(tmp_path / "it.zip"))
    assert not names_them(shared)
    assert shared.rows("select company from raw.forgotten order by all") == [("default",), ("other",)]


def test_a_restore_without_the_other_companys_key_tells_who_is_to_mend_it(
    shared: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTONE_HASH_KEY", KEY[::-1])
    said = run("restore", str(tmp_path / "it.zip"), code=1)
    assert "customers of company other" in said.stderr
    assert "published" in said.stdout
    assert NAME in other_payloads(shared)
    monkeypatch.setenv("SOFTONE_COMPANY", "other")
    monkeypatch.setenv("SOFTONE_HASH_KEY", KEY)
    run("pseudonymise", "--yes")
    assert NAME not in other_payloads(shared)


def test_whoever_was_forgotten_stays_so_where_the_others_are_pseudonymised(
    loaded: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("backup", str(tmp_path / "it.zip"))
    run("forget", "4711", "--yes")
    monkeypatch.setenv("SOFTONE_PSEUDONYMISE", "all")
    run("pseudonymise", "--yes")
    payloads = "select payload from raw.customer_invoices order by all"
    stood = loaded.rows(payloads)
    run("restore", str(tmp_path / "it.zip"))
    assert not names_them(loaded)
    assert loaded.rows(payloads) == stood


@pytest.mark.parametrize("damage", ["gone", "damaged", "empty"])
def test_a_restore_over_a_damaged_database_asks_the_published_copy_who_was_forgotten(
    loaded: House, tmp_path: Path, damage: str
) -> None:
    run("backup", str(tmp_path / "it.zip"))
    run("forget", "4711", "--yes")
    _damage(loaded.settings.warehouse_path, damage)
    said = run("restore", str(tmp_path / "it.zip"))
    assert "softone forget" not in said.stderr
    assert not names_them(loaded)


def test_a_restore_that_cannot_know_who_was_forgotten_says_what_to_do(loaded: House, tmp_path: Path) -> None:
    run("backup", str(tmp_path / "it.zip"))
    run("forget", "4711", "--yes")
    for path in (loaded.settings.warehouse_path, loaded.settings.duckdb_path):
        _damage(path, "damaged")
    said = run("restore", str(tmp_path / "it.zip"))
    assert "Run `softone forget` again for each of them" in said.stderr
    assert "published" in said.stdout


def shows(house: House, *texts: str) -> bool:
    """Whether any byte of either file does."""
    paths = (house.settings.warehouse_path, house.settings.duckdb_path)
    return any(text.encode() in path.read_bytes() for path in paths for text in texts)


def test_a_load_goes_on_after_a_backup_without_pseudonyms_was_restored(shell: Shell) -> None:
    days = ("--from", FIRST_DAY.isoformat(), "--to", FIRST_DAY.isoformat())
    assert shell.run("backfill", *days).returncode == 0
    names = [name for (name,) in shell.query("select distinct customer_name from core.invoices")]
    assert names
    assert shell.run("backup", "it.zip").returncode == 0
    shell.variables |= {"SOFTONE_PSEUDONYMISE": "all", "SOFTONE_HASH_KEY": KEY}
    assert shell.run("pseudonymise", "--yes").returncode == 0
    said = shell.run("restore", "it.zip", "--force")
    assert (said.returncode, said.stderr) == (0, "")
    assert "pseudonymised" in said.stdout
    assert shell.run("export", "core.invoices", "--to", "it.csv").returncode == 0
    exported = (shell.folder / "it.csv").read_text(encoding="utf-8")
    assert not [name for name in names if name in exported]
    assert shell.run("backfill", *days).returncode == 0
    assert shell.query("select count(*) from raw.customer_invoices where change <> 'new'") == [(0,)]


@pytest.mark.parametrize("mode", ["persons", "all"])
def test_a_restore_hides_what_the_backup_shows_and_the_settings_do_not(
    loaded: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    before, history = loaded.rows(VAT), loaded.versions(1)
    run("backup", str(tmp_path / "it.zip"))
    monkeypatch.setenv("SOFTONE_PSEUDONYMISE", mode)
    run("pseudonymise", "--yes")
    stood = loaded.rows("select invoice_id, fetched_at, payload from raw.customer_invoices order by all")
    said = run("restore", str(tmp_path / "it.zip"), "--force").stdout.replace("\n", " ")
    assert "written with none" in said
    assert "3 versions and 1 payload in quarantine were pseudonymised" in said
    assert not shows(loaded, NAME, "811218-9876", TEXT)
    run("export", "core.invoices", "--to", "it.csv")
    assert NAME not in Path("it.csv").read_text(encoding="utf-8")
    assert loaded.rows("select invoice_id, fetched_at, payload from raw.customer_invoices order by all") == stood
    assert (loaded.rows(VAT), loaded.versions(1)) == (before, history)
    assert loaded.rows("select company, mode from raw.privacy") == [("default", mode)]
    with loaded.warehouse.transaction() as connection:
        assert Privacy.of(PipelineSettings.load()).begin(connection, "default") is not None


def test_a_restore_with_another_key_hides_all_the_same_and_leaves_the_key_to_be_decided(
    loaded: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm = "Bygg i Lund AB"
    loaded.land(loaded.window(3, [invoice(9, CustomerName=firm, CustomerOrgNr="556677-8899")], day=EXAMPLE_DAY))
    monkeypatch.setenv("SOFTONE_PSEUDONYMISE", "persons")
    run("pseudonymise", "--yes")
    run("backup", str(tmp_path / "it.zip"))
    assert shows(loaded, firm)
    pseudonyms = "select payload from raw.customer_invoices where invoice_id = 1 order by fetched_at"
    stood = loaded.rows(pseudonyms)
    monkeypatch.setenv("SOFTONE_HASH_KEY", KEY[::-1])
    for mode in ("persons", "all"):
        monkeypatch.setenv("SOFTONE_PSEUDONYMISE", mode)
        said = run("restore", str(tmp_path / "it.zip"), "--force", code=1)
        assert "published" in said.stdout
        assert "Out of reach: SOFTONE_HASH_KEY is another one than the pseudonyms of company default" in said.stderr
        assert loaded.rows(pseudonyms) == stood
        assert shows(loaded, firm) == (mode == "persons")
    with (
        loaded.warehouse.transaction() as connection,
        pytest.raises(SettingsError, match="SOFTONE_HASH_KEY: is another"),
    ):
        Privacy.of(PipelineSettings.load()).begin(connection, "default")
    run("pseudonymise", "--yes")
    with loaded.warehouse.transaction() as connection:
        assert Privacy.of(PipelineSettings.load()).begin(connection, "default") is not None


def test_a_restore_of_what_was_written_more_strictly_leaves_it_and_says_so(
    loaded: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTONE_PSEUDONYMISE", "all")
    run("pseudonymise", "--yes")
    run("backup", str(tmp_path / "it.zip"))
    monkeypatch.setenv("SOFTONE_PSEUDONYMISE", "persons")
    said = run("restore", str(tmp_path / "it.zip"), code=1)
    assert "SOFTONE_PSEUDONYMISE is persons, but what is stored of company default was written with all" in said.stderr
    assert loaded.rows("select company, mode from raw.privacy") == [("default", "all")]


@pytest.fixture
def neighbours(loaded: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """Another company in the same database, whose customers were pseudonymised after the backup."""
    theirs = invoice(7, CustomerNr="4712", CustomerName="Örjan Ek", CustomerOrgNr="811218-9876")
    with loaded.warehouse.transaction() as connection:
        land(connection, company="other", run_id="run", staged=Staged([loaded.window(1, [theirs])], []))
    monkeypatch.setenv("SOFTONE_COMPANY", "other")
    with loaded.warehouse.transaction() as connection:
        rebuild_derived(connection, PipelineSettings.load())
    run("backup", str(tmp_path / "it.zip"))
    monkeypatch.setenv("SOFTONE_PSEUDONYMISE", "persons")
    run("pseudonymise", "--yes")
    monkeypatch.delenv("SOFTONE_COMPANY")
    monkeypatch.delenv("SOFTONE_PSEUDONYMISE")
    return loaded


def test_a_restore_hides_another_companys_customers_as_they_were_hidden_here(neighbours: House, tmp_path: Path) -> None:
    assert not shows(neighbours, "Örjan Ek")
    said = run("restore", str(tmp_path / "it.zip"), "--force")
    assert "1 version and 0 payloads in quarantine were pseudonymised" in said.stdout.replace("\n", " ")
    assert "company other" in said.stdout
    assert not shows(neighbours, "Örjan Ek")
    assert neighbours.rows("select company, mode from raw.privacy") == [("other", "persons")]
    assert neighbours.rows("select company, count(*) from core.invoices group by all order by all") == [
        ("default", 2),
        ("other", 1),
    ]


@pytest.mark.parametrize("unknown", ["key", "settings"])
def test_a_restore_that_cannot_hide_another_companys_customers_tells_who_is_to_mend_it(
    neighbours: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unknown: str
) -> None:
    if unknown == "key":
        monkeypatch.setenv("SOFTONE_HASH_KEY", KEY[::-1])
    else:
        for path in (neighbours.settings.warehouse_path, neighbours.settings.duckdb_path):
            _damage(path, "damaged")
    said = run("restore", str(tmp_path / "it.zip"), "--force", code=1)
    assert "published" in said.stdout
    assert "company other" in said.stderr
    assert "Run `softone pseudonymise` with the settings of that company" in said.stderr
    monkeypatch.setenv("SOFTONE_COMPANY", "other")
    monkeypatch.setenv("SOFTONE_HASH_KEY", KEY)
    monkeypatch.setenv("SOFTONE_PSEUDONYMISE", "persons")
    run("pseudonymise", "--yes")
    assert not shows(neighbours, "Örjan Ek")


def _damage(database: Path, damage: str) -> None:
    match damage:
        case "gone":
            database.unlink()
        case "empty":
            database.write_bytes(b"")
        case _:
            content = bytearray(database.read_bytes())
            content[12288:] = b"damaged " * ((len(content) - 12288) // 8)
            database.unlink()
            database.write_bytes(content)


def test_a_line_that_a_full_disk_tore_is_told_by_forget_and_stops_nothing(loaded: House, tmp_path: Path) -> None:
    database = loaded.settings.duckdb_path
    publish(loaded.warehouse, database)
    run("export", "core.invoices", "--to", "before.csv")
    registry = registry_of(database)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As in test_disk.py. It ends within the Ö.
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (registry.stat().st_size + len(f'\n{{"path": "{tmp_path}/') + 1, unlimited[1])
    )
    try:
        with pytest.raises(OSError, match="File too large"):
            remember(database, tmp_path / "Öberg.csv", command="export", source="core.invoices")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    run("export", "core.invoices", "--to", "after.csv")
    run("report", "--out", "report.html")
    for arguments, code in (("--dry-run", 0), ("--yes", 1)):
        said = run("forget", "4711", arguments, code=code).stderr
        assert f"Line 4 of data/{registry.name} cannot be read" in said
    assert not [path for path in ("before.csv", "after.csv", "report.html") if Path(path).exists()]


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
