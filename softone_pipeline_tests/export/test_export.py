"""Exports hold the same values as the tables, to the last digit, and run nothing when they are opened."""

from __future__ import annotations

import csv
import datetime as dt
from decimal import Decimal
from pathlib import Path

import duckdb
import openpyxl
import pytest
from click.testing import CliRunner

from softone_pipeline.cli import main
from softone_pipeline.errors import NothingPublishedError, OutputRefusedError
from softone_pipeline.export import export
from softone_pipeline.settings import STOCKHOLM, PipelineSettings
from softone_pipeline.tables.core.invoice_rows import INVOICE_ROWS
from softone_pipeline.warehouse import Warehouse, handed_over, publish

VALUES = """
select * from (values
    (9.03::decimal(18, 2), 9007199254740993::bigint, '=cmd|calc', date '2026-02-28', timestamptz '2026-03-29 01:30:00+00'),
    (-1234567890123456.78, 12, '  +46 8', null, null),
    (null, null, 'Åsa "Ö"; Björk, AB', date '1899-12-31', null)
) as t (amount, id, name, day, moment)
"""


@pytest.fixture
def database(settings: PipelineSettings, warehouse: Warehouse) -> Path:
    with warehouse.connect() as connection:
        connection.execute("insert into core.build_state (company, sql_digest) values ('Åkeri', '=1+1')")
    publish(warehouse, settings.duckdb_path)
    return settings.duckdb_path


def test_parquet_keeps_types_and_values(database: Path, tmp_path: Path) -> None:
    done = export(database, tmp_path / "all.parquet", query=VALUES)
    assert (done.rows, done.columns) == (3, 5)
    found = duckdb.execute(f"select amount, id, name from '{done.path}'").fetchall()
    assert found[0] == (Decimal("9.03"), 9007199254740993, "=cmd|calc")
    assert found[1][0] == Decimal("-1234567890123456.78")


def test_excel_holds_exact_numbers_real_dates_and_no_formula(database: Path, tmp_path: Path) -> None:
    done = export(database, tmp_path / "all.xlsx", query=VALUES)
    book = openpyxl.load_workbook(done.path)
    sheet = book["Data"]
    assert sheet.freeze_panes == "A2"
    assert [cell.value for cell in sheet[1]] == ["amount", "id", "name", "day", "moment"]
    first, second, third = ([cell.value for cell in sheet[row]] for row in (2, 3, 4))
    # 02:30 does not exist on that morning in Sweden: the clock goes from 02:00 to 03:00
    day, moment = (dt.datetime.fromisoformat(text) for text in ("2026-02-28", "2026-03-29 03:30"))
    assert first == [9.03, "9007199254740993", "=cmd|calc", day, moment]
    assert sheet["A2"].number_format == "#,##0.00"
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "d"}
    assert second[:3] == ["-1234567890123456.78", 12, "  +46 8"]
    assert third[2:4] == ['Åsa "Ö"; Björk, AB', "1899-12-31"]
    assert done.as_text == 2
    assert "amount" in [cell.value for cell in book["About"]["A"]]


@pytest.mark.parametrize("name", ["t.xlsx", "t.csv"])
def test_a_list_of_amounts_is_written_as_text(database: Path, tmp_path: Path, name: str) -> None:
    query = "select [9.03::decimal(18, 2), null] as amounts, [timestamptz '2026-03-29 01:30:00+00'] as moments"
    done = export(database, tmp_path / name, query=query)
    expected = ("[9.03, NULL]", "['2026-03-29 03:30:00+02']")
    if name.endswith(".xlsx"):
        assert list(openpyxl.load_workbook(done.path)["Data"].values)[1] == expected
    else:
        assert list(csv.reader(done.path.read_text(encoding="utf-8").splitlines()))[1] == list(expected)


def test_an_amount_reaches_excel_digit_by_digit_and_not_through_a_double(database: Path, tmp_path: Path) -> None:
    import zipfile

    done = export(database, tmp_path / "a.xlsx", query="select 9.03::decimal(18, 2) as a")
    with zipfile.ZipFile(done.path) as archive:
        assert "<v>9.03</v>" in archive.read("xl/worksheets/sheet1.xml").decode()


def test_csv_for_swedish_excel_has_semicolons_commas_and_a_byte_order_mark(database: Path, tmp_path: Path) -> None:
    done = export(database, tmp_path / "all.csv", query=VALUES, csv_style="swedish")
    assert done.path.read_bytes().startswith(b"\xef\xbb\xbfamount;id;name;day;moment")
    rows = list(csv.reader(done.path.read_text(encoding="utf-8-sig").splitlines(), delimiter=";"))
    assert rows[1] == ["9,03", "9007199254740993", "'=cmd|calc", "2026-02-28", "2026-03-29 03:30:00"]
    assert rows[2][:3] == ["-1234567890123456,78", "12", "'  +46 8"]
    assert rows[3][2] == 'Åsa "Ö"; Björk, AB'
    assert done.guarded == 2


def test_csv_for_programs_has_points_and_can_be_left_as_it_is(database: Path, tmp_path: Path) -> None:
    done = export(database, tmp_path / "all.csv", query=VALUES, as_is=True)
    rows = list(csv.reader(done.path.read_text(encoding="utf-8").splitlines()))
    assert rows[1][:3] == ["9.03", "9007199254740993", "=cmd|calc"]
    assert done.guarded == 0


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.xlsx"])
def test_a_whole_table_comes_in_the_order_of_its_key(
    settings: PipelineSettings, warehouse: Warehouse, tmp_path: Path, name: str
) -> None:
    # As two refreshes leave them: what came later stands behind.
    with warehouse.connect() as connection:
        for company, invoice_id, row_nr in (("B", 7, 1), ("A", 30, 2), ("A", 30, 1), ("A", 4, 1)):
            connection.execute(
                "insert into core.invoice_rows by name select ? as company, ?::bigint as invoice_id, ?::integer as row_nr",
                [company, invoice_id, row_nr],
            )
    publish(warehouse, settings.duckdb_path)
    done = export(settings.duckdb_path, tmp_path / name, table="core.invoice_rows")
    found: list[tuple[object, ...]]
    if name.endswith(".xlsx"):
        book = openpyxl.load_workbook(done.path)
        found = [row[:3] for row in book["Data"].iter_rows(min_row=2, values_only=True)]
        meanings = {row[0]: row[2] for row in book["About"].iter_rows(values_only=True)}
        assert meanings["invoice_id"] == next(
            column.description for column in INVOICE_ROWS.columns if column.name == "invoice_id"
        )
    else:
        found = duckdb.execute(f"select company, invoice_id, row_nr from '{done.path}'").fetchall()
    assert found == [("A", 4, 1), ("A", 30, 1), ("A", 30, 2), ("B", 7, 1)]


def test_excel_says_which_zone_its_moments_are_in(database: Path, tmp_path: Path) -> None:
    done = export(database, tmp_path / "t.xlsx", query=VALUES)
    about = {
        row[0]: row[1] for row in openpyxl.load_workbook(done.path)["About"].iter_rows(max_row=3, values_only=True)
    }
    published = done.published_at.astimezone(STOCKHOLM)
    assert about["published"] == f"{published:%Y-%m-%d %H:%M}, Swedish time"
    assert about["moments in Data"] == "Swedish time (Europe/Stockholm)"


def test_a_file_that_stands_there_is_left_unless_told(database: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.csv"
    target.write_text("mine")
    with pytest.raises(OutputRefusedError, match="--force"):
        export(database, target, table="core.build_state")
    assert target.read_text() == "mine"
    export(database, target, table="core.build_state", replace=True)
    assert "Åkeri" in target.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir() if "mine" in path.name] == ["mine.csv"]


def test_every_export_is_private_and_remembered_once_by_path(database: Path, tmp_path: Path) -> None:
    for _ in range(2):
        export(database, tmp_path / "b.csv", table="core.build_state", replace=True)
    (entry,) = handed_over(database)
    assert (entry.path, entry.command, entry.source) == (tmp_path / "b.csv", "export", "core.build_state")
    assert entry.path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select * from core.invoices; select 1", "one SELECT"),
        ("copy core.invoices to 'x.csv'", "one SELECT"),
        ("drop table core.invoices", "one SELECT"),
        ("selekt 1", "cannot be read"),
        ("select nonsense from core.invoices", "nonsense"),
        ("from read_csv('/etc/passwd')", "disabled by configuration"),
    ],
)
def test_only_a_select_on_the_copy_is_exported(database: Path, tmp_path: Path, query: str, said: str) -> None:
    with pytest.raises(OutputRefusedError, match=said):
        export(database, tmp_path / "x.csv", query=query)
    assert not (tmp_path / "x.csv").exists()
    assert handed_over(database) == []


def test_an_unknown_table_and_an_unknown_ending_are_named(database: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputRefusedError, match=r"mart\.vat_summary"):
        export(database, tmp_path / "x.csv", table="mart.vat")
    with pytest.raises(OutputRefusedError, match=r"\.xlsx"):
        export(database, tmp_path / "x.xls", table="core.invoices")


def test_without_a_published_copy_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingPublishedError, match="softone backfill") as told:
        export(tmp_path / "none.duckdb", tmp_path / "x.csv", table="core.invoices")
    assert told.value.to_do.startswith("Load some days first")


def test_the_command_says_what_it_wrote(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTONE_DUCKDB_PATH", str(database))
    done = CliRunner().invoke(main, ["export", "core.build_state", "--to", "b.xlsx", "--json"])
    assert done.exit_code == 0, done.output
    assert '"rows": 1' in done.stdout
    assert CliRunner().invoke(main, ["export", "core.build_state", "--to", "b.xlsx"]).exit_code == 2
