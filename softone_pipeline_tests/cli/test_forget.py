"""softone forget: afterwards no byte anywhere names the customer, and every amount is where it was."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import pytest

import softone_pipeline
from softone_pipeline.orchestration import instance
from softone_pipeline.orchestration.forgetting import scrub_history
from softone_pipeline.orchestration.storage import BatchingEventLog
from softone_pipeline.sandbox import Company, Sandbox
from softone_pipeline.tables.raw.forgetting import Identity
from softone_pipeline_tests.cli.conftest import FIRST_DAY, Shell

KEY = "a key of the tests, long enough"
DAY = FIRST_DAY + dt.timedelta(days=2)
SUMS = "select sum(net_amount), sum(vat_amount), count(*) from mart.vat_summary"
BOXES = "from mart.vat_return_draft order by all"
HISTORY = "select invoice_id, change, end_reason, fetched_at from raw.customer_invoices order by all"


def everything(folder: Path) -> dict[str, bytes]:
    """Every byte of every file, and of databases also all rows as text: strings are stored compressed there."""
    found = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for path in folder.rglob("*.duckdb"):
        with duckdb.connect(str(path), read_only=True) as connection:
            tables = connection.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
            for (table,) in tables:
                rows = connection.execute(f"from {table}").fetchall()
                found[f"{path} {table}"] = "\n".join(map(str, rows)).encode()
    for path in folder.rglob("*.db"):
        with closing(sqlite3.connect(path)) as history:
            found[f"{path} as text"] = "\n".join(history.iterdump()).encode("utf-8", "surrogateescape")
    return found


def where(folder: Path, *texts: str) -> set[str]:
    forms = {form.encode() for text in texts for form in (text, json.dumps(text)[1:-1])}
    return {place for place, content in everything(folder).items() if any(form in content for form in forms)}


@contextmanager
def history_kept_open(runs: Path) -> Iterator[None]:
    """As the UI's processes keep it, while they look at the newest runs."""
    log = BatchingEventLog(str(runs))
    try:
        for run_id in log.get_all_run_ids():
            assert log.get_logs_for_run(run_id)
        assert log.get_asset_records()
        yield
    finally:
        log.dispose()


@pytest.mark.timeout(240)
def test_a_forgotten_customer_is_nowhere_and_does_not_come_back(shell: Shell, company: Company, erp: Sandbox) -> None:
    shell.variables["SOFTONE_HASH_KEY"] = KEY
    load = ("backfill", "--from", str(FIRST_DAY), "--to", str(DAY))
    loaded = shell.run(*load)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    number, name, org_nr = shell.query(
        """
        select customer_nr, customer_name, customer_org_nr from core.invoices
        where customer_org_nr is not null and length(customer_nr) > 3
        group by all order by count(*) desc, 1 limit 1
        """
    )[0]
    texts = [
        row[0] for row in shell.query(f"select distinct text from core.invoice_rows where customer_nr = '{number}'")
    ]
    before = shell.query(SUMS), shell.query(BOXES), shell.query(HISTORY)
    assert shell.run("export", "core.invoices", "--to", "them.parquet").returncode == 0
    assert shell.run("export", "core.invoices", "--to", "them.xlsx").returncode == 0
    log = shell.folder / ".dagster" / "storage" / "a-run" / "compute_logs"
    log.mkdir(parents=True)
    (log / "step.err").write_text(f"customer {number}: {name} ({org_nr})\n")
    with closing(sqlite3.connect(shell.folder / ".dagster" / "history" / "runs.db")) as history, history:
        history.execute("create table notes (note text)")
        history.execute("insert into notes values (?)", [json.dumps({"md": f"| {number} | {name} |", "n": 5})])
    assert len(where(shell.folder, name)) >= 5

    refused = shell.run("forget", number)
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    kept = shell.folder / "data" / "softone_pipeline.duckdb.version1"
    kept.write_bytes(b"as a migration leaves it")
    tried = shell.run("forget", number, "--dry-run")
    assert tried.returncode == 0, tried.stderr
    assert "What would be done" in tried.stdout
    assert f"{kept.name} may still name the customer" in tried.stderr
    assert len(where(shell.folder, name)) >= 5

    with history_kept_open(shell.folder / ".dagster" / "history" / "runs"):
        done = shell.run("forget", number, "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert where(shell.folder, name, org_nr, org_nr.replace("-", "")) == set()
    for is_loaded_again in (False, True):
        if is_loaded_again:
            assert shell.run(*load).returncode in {0, 1}
        assert where(shell.folder, name, org_nr, org_nr.replace("-", "")) == set()
        assert shell.query(f"select count(*) from core.invoices where customer_nr = '{number}'") == [(0,)]
        assert shell.query(
            "select count(*) from core.invoice_rows where customer_nr like '~%' and text not like '~%'"
        ) == [(0,)]
        assert (shell.query(SUMS), shell.query(BOXES), shell.query(HISTORY)) == before
    assert texts
    assert not (shell.folder / "them.parquet").exists()
    assert not (shell.folder / "them.xlsx").exists()
    del shell.variables["SOFTONE_HASH_KEY"]
    without_key = shell.run(*load)
    assert without_key.returncode == 1
    assert "SOFTONE_HASH_KEY" in without_key.stderr
    assert where(shell.folder, name) == set()


_OURS = Path(instance.__file__).with_name("dagster.yaml").read_text("utf-8")
_POSTGRES = (Path(softone_pipeline.__file__).parent / "docs" / "deployment" / "dagster.yaml").read_text("utf-8")
_POSTGRES_BY_MODULE = "run_storage:\n  module: dagster_postgres.run_storage\n  class: PostgresRunStorage\n"


def test_captured_output_that_goes_elsewhere_is_named_and_settings_that_cannot_be_read_are_not_quoted(
    tmp_path: Path,
) -> None:
    def said() -> str:
        (told,) = scrub_history(tmp_path, Identity("11357", "~pseudonym"), dry_run=True).out_of_reach
        return told

    settings = tmp_path / "dagster.yaml"
    settings.write_text("compute_logs: {module: dagster_aws.s3, class: S3ComputeLogManager, config: {bucket: ours}}")
    assert "Captured output goes to S3ComputeLogManager" in said()
    settings.write_text("storage: {postgres: {postgres_url: 'postgresql://us:secret@here/there', secret: secret}}")
    assert "was not looked for" in said()
    assert "secret" not in said()


@pytest.mark.parametrize(
    ("settings", "is_out_of_reach"),
    [(_OURS, False), (f"# no postgres here\n{_OURS}", False), (_POSTGRES, True), (_POSTGRES_BY_MODULE, True)],
    ids=["ours", "a remark", "PostgreSQL", "PostgreSQL by module"],
)
def test_a_history_in_a_database_server_is_named_with_what_to_do(
    tmp_path: Path, settings: str, is_out_of_reach: bool
) -> None:
    (tmp_path / "dagster.yaml").write_text(settings, encoding="utf-8")
    found = scrub_history(tmp_path, Identity("11357", "~pseudonym"), dry_run=True)
    assert ["Delete the runs that name the customer in the UI" in line for line in found.out_of_reach] == [
        True
    ] * is_out_of_reach
