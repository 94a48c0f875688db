"""Loading as an ordinary morning does it, many times over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from softone_pipeline.errors import AuthenticationError, WindowError
from softone_pipeline.sandbox import DEFAULT, Company, Sandbox
from softone_pipeline.settings import ErpSettings
from softone_pipeline.softone import Mode, SoftOneClient, Window
from softone_pipeline.tables import MACROS, TABLES
from softone_pipeline.tables.raw import loading
from softone_pipeline.tables.raw.loading import load_days
from softone_pipeline.tables.raw.payments import load_payments
from softone_pipeline.tables.raw.pseudonymising import Privacy
from softone_pipeline.warehouse import Warehouse
from softone_pipeline.warehouse import connection as connection_room
from softone_pipeline_tests.invoices import dumps, invoice
from softone_pipeline_tests.softone.conftest import settings_for
from softone_pipeline_tests.softone.fake_erp import COMPANY_KEY, Answer, Asked, FakeErp

DAY = dt.date(2026, 3, 2)


@pytest.mark.parametrize("batch_days", [31, 1], ids=["part of a batch", "a whole batch"])
def test_many_small_loads_do_not_leave_the_database_in_small_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_days: int
) -> None:
    monkeypatch.setattr(loading, "_BATCH_DAYS", batch_days)
    monkeypatch.setattr(connection_room, "_SPARE_ROW_GROUPS_OF_SMALL", 4)
    warehouse = Warehouse(tmp_path / "x_pipeline.duckdb", TABLES, macros=MACROS)
    mornings = 12
    with (
        Sandbox(Company(first_day=DAY, last_day=DAY + dt.timedelta(days=mornings), invoices_per_day=4)) as sandbox,
        SoftOneClient(_settings(sandbox)) as client,
    ):
        for morning in range(mornings):
            days = [DAY + dt.timedelta(days=morning)]
            for batch in load_days(client, warehouse, company="default", run_id=f"{morning}", days=days):
                assert not batch.failed
    with warehouse.connect() as connection:
        days, row_groups = connection.execute(
            """
            select
                (select count(distinct partition_date) from raw.customer_invoices),
                (select count(distinct row_group_id) from pragma_storage_info('raw.customer_invoices'))
            """
        ).fetchall()[0]
    assert days > mornings / 2
    assert row_groups <= 5


def test_mornings_on_which_nothing_changed_let_the_file_grow_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_room, "_SPARE_ROW_GROUPS_OF_SMALL", 2)
    warehouse = Warehouse(tmp_path / "x_pipeline.duckdb", TABLES, macros=MACROS)
    days = [DAY + dt.timedelta(days=n) for n in range(3)]
    sizes = []
    with (
        Sandbox(Company(first_day=days[0], last_day=days[-1], invoices_per_day=4)) as sandbox,
        SoftOneClient(_settings(sandbox)) as client,
    ):
        for morning in range(14):
            list(load_days(client, warehouse, company="default", run_id=f"{morning}", days=days))
            searched = load_payments(client, warehouse, company="default", run_id=f"{morning}", today=days[-1])
            assert searched.is_complete
            sizes.append(warehouse.path.stat().st_size)
    assert max(sizes[7:]) <= max(sizes[:7])


class LockedOut(SoftOneClient):
    """A client that the ERP lets in for three days only."""

    def read_windows(self, windows: Iterable[tuple[dt.date, dt.date]]) -> Iterator[Window | WindowError]:
        for number, outcome in enumerate(super().read_windows(windows)):
            if number == 3:
                raise AuthenticationError("The keys have been revoked.")
            yield outcome


def test_what_was_written_before_the_keys_were_revoked_is_reported_and_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_BATCH_DAYS", 2)
    warehouse = Warehouse(tmp_path / "x_pipeline.duckdb", TABLES, macros=MACROS)
    days = [DAY + dt.timedelta(days=n) for n in range(5)]
    reported: list[dt.date] = []
    with (
        Sandbox(Company(first_day=days[0], last_day=days[-1], invoices_per_day=4)) as sandbox,
        LockedOut(_settings(sandbox)) as client,
    ):
        batches = load_days(client, warehouse, company="default", run_id="r", days=days)
        with pytest.raises(AuthenticationError, match="revoked"):
            reported.extend(day.day for batch in batches for day in batch.days)
    with warehouse.connect() as connection:
        stand = connection.execute("select partition_date from raw.fetched_days order by all").fetchall()
    assert reported == days[:2]
    assert stand == [(day,) for day in days[:2]]


@pytest.mark.parametrize("status", [400, 404, 500])
def test_an_invoice_that_cannot_be_asked_for_by_its_id_fails_its_own_day_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(loading, "_BATCH_DAYS", 3)
    warehouse = Warehouse(tmp_path / "x_pipeline.duckdb", TABLES, macros=MACROS)
    days = [DAY + dt.timedelta(days=n) for n in range(5)]

    def load(erp: FakeErp) -> tuple[list[dt.date], list[WindowError]]:
        with SoftOneClient(settings_for(erp, max_attempts=2)) as client:
            batches = list(load_days(client, warehouse, company="acme", run_id="r", days=days))
        return [day.day for batch in batches for day in batch.days], [
            error for batch in batches for error in batch.failed
        ]

    with FakeErp().running() as erp:
        erp.invoices = [dumps(invoice(number, day=day)) for number, day in enumerate(days)]
        assert load(erp) == (days, [])
        # 1 is gone, the others have changed
        erp.invoices = [dumps(invoice(n, day=day, InvoiceNr="N")) for n, day in enumerate(days) if n != 1]
        erp.fault_for = lambda asked: Answer(status, "Fel") if "InvoiceId" in asked.body else None
        stand, failed = load(erp)
        assert stand == [day for day in days if day != days[1]]
        (error,) = failed
        assert (error.first_day, error.last_day) == (days[1], days[1])
        assert "invoice 1" in str(error)
        assert "Fel" in str(error)
        erp.fault_for = lambda asked: None
        assert load(erp) == (days, [])
    with warehouse.connect() as connection:
        ends = connection.execute(
            "select invoice_id, end_reason from raw.customer_invoices where latest order by all"
        ).fetchall()
    assert ends == [(0, None), (1, "missing"), (2, None), (3, None), (4, None)]


def test_a_secret_in_an_amount_or_a_date_is_kept_in_the_payload_and_shown_nowhere(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "x_pipeline.duckdb", TABLES, macros=MACROS)
    token = ""

    def echo(asked: Asked) -> Answer:
        nonlocal token
        token = asked.query["token"]
        payloads = [invoice(1, day=DAY, TotalAmount=COMPANY_KEY), invoice(2, day=DAY, DueDate=f"t={token}")]
        return Answer(200, f"[{','.join(map(dumps, payloads))}]")

    with FakeErp().running() as erp, SoftOneClient(settings_for(erp)) as client:
        erp.fault_for = echo
        list(load_days(client, warehouse, company="acme", run_id="r", days=[DAY]))
        erp.search_answer = Answer(200, dumps([{"CustomerInvoiceId": 1, "PaidAmount": f"t={token}"}]))
        (said,) = client.search(first_day=DAY, last_day=DAY, max_rows=5)
        with warehouse.connect() as connection:
            found = connection.execute("select field, reason, payload from raw.quarantine order by 1 desc").fetchall()
    assert [row[:2] for row in found] == [
        ("TotalAmount", '"***" is no number'),
        ("DueDate", '"t=***" is no date'),
    ]
    assert COMPANY_KEY in found[0][2]
    assert token in found[1][2]
    assert 'PaidAmount: "t=***" is no number' in str(said)


@pytest.mark.parametrize("mode", ["none", "all"])
def test_an_invoice_that_is_nested_too_deeply_waits_in_quarantine_and_stops_no_other(
    tmp_path: Path, mode: Mode
) -> None:
    warehouse = Warehouse(tmp_path / "x_pipeline.duckdb", TABLES, macros=MACROS)
    privacy = Privacy(mode, SecretStr("k" * 32)) if mode == "all" else None
    payloads = [dumps(invoice(number, day=DAY)) for number in (1, 2, 3)]
    payloads[1] = payloads[1].replace("{", '{"Extra": ' + "[" * 5000 + "]" * 5000 + ",", 1)
    with FakeErp().running() as erp, SoftOneClient(settings_for(erp)) as client:
        erp.fault_for = lambda asked: Answer(200, f"[{','.join(payloads)}]")
        (batch,) = load_days(client, warehouse, company="acme", run_id="r", days=[DAY], privacy=privacy)
        assert [day.quarantined for day in batch.days] == [1]
    with warehouse.connect() as connection:
        found = connection.execute("select invoice_id from raw.customer_invoices order by all").fetchall()
        waiting = connection.execute("select invoice_id, partition_date, reason from raw.quarantine").fetchall()
    assert found == [(1,), (3,)]
    assert waiting == [(None, DAY, "is nested too deeply" if mode == "none" else "is missing")]


def test_a_day_that_is_given_up_is_left_as_it_was_also_by_what_was_asked_for_its_sake(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "x_pipeline.duckdb", TABLES, macros=MACROS)
    days = [DAY, DAY + dt.timedelta(days=1)]

    def load(erp: FakeErp) -> tuple[list[dt.date], list[tuple[int, str | None, dt.date]]]:
        with SoftOneClient(settings_for(erp, max_attempts=1)) as client:
            batches = list(load_days(client, warehouse, company="default", run_id="r", days=days))
        with warehouse.connect() as connection:
            versions = connection.execute(
                "select invoice_id, end_reason, partition_date from raw.customer_invoices order by all"
            ).fetchall()
        return [day.day for batch in batches for day in batch.days], versions

    with FakeErp().running() as erp:
        erp.invoices = [dumps(invoice(number, day=DAY)) for number in (5, 6, 7)]
        before = load(erp)
        # 5 has moved to a day that is not loaded, 6 is gone
        erp.invoices = [dumps(invoice(5, day=DAY - dt.timedelta(days=5))), dumps(invoice(7, day=DAY))]
        erp.fault_for = lambda asked: Answer(500, "Fel") if asked.body.get("InvoiceId") == "6" else None
        assert load(erp) == ([days[1]], before[1])
        erp.fault_for = lambda asked: None
        stand, versions = load(erp)
    assert stand == days
    assert [(number, reason) for number, reason, _ in versions] == [
        (5, "redated"),
        (5, None),
        (6, "missing"),
        (7, None),
    ]


def test_an_invoice_that_two_batches_bring_under_two_dates_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loading, "_BATCH_DAYS", 2)
    warehouse = Warehouse(tmp_path / "x_pipeline.duckdb", TABLES, macros=MACROS)
    days = [DAY + dt.timedelta(days=n) for n in range(4)]
    with FakeErp().running() as erp:
        erp.invoices = [dumps(invoice(5, day=days[0])), dumps(invoice(6, day=days[1]))]
        for run_id in ("first", "second", "third"):
            with SoftOneClient(settings_for(erp)) as client:
                list(load_days(client, warehouse, company="default", run_id=run_id, days=days))
            # 5 is listed twice from now on, 6 has moved
            erp.invoices = [
                dumps(invoice(5, day=days[0])),
                dumps(invoice(5, day=days[3])),
                dumps(invoice(6, day=days[2])),
            ]
    (told,) = [record.getMessage() for record in caplog.records if "in one load" in record.getMessage()]
    assert told.startswith(f"Company default: invoice 5 came under {days[0]} and under {days[3]} in one load")


def _settings(sandbox: Sandbox) -> ErpSettings:
    environment = DEFAULT.environment(sandbox.base_url)
    return ErpSettings.load(**{name.removeprefix("SOFTONE_").lower(): value for name, value in environment.items()})
