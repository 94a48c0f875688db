"""Landing without HTTP: windows made by hand, at hours chosen by the test. Real DuckDB files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from softone_pipeline.settings import PipelineSettings
from softone_pipeline.softone import InvoiceAnswer, ReceivedInvoice, Traffic, Window
from softone_pipeline.softone.pages import split_page
from softone_pipeline.tables import MART_TABLES
from softone_pipeline.tables.core.refresh import refresh_core
from softone_pipeline.tables.raw.landing import Landed, land
from softone_pipeline.tables.raw.staging import Staged
from softone_pipeline.warehouse import Warehouse
from softone_pipeline_tests.invoices import EXAMPLE_DAY, dumps

COMPANY = "default"


def at(hour: float) -> dt.datetime:
    """A moment of 2026-03-01, by the hour."""
    return dt.datetime(2026, 3, 1, tzinfo=dt.UTC) + dt.timedelta(hours=hour)


def received(wire: Mapping[str, Any] | str) -> ReceivedInvoice:
    """An invoice as the client hands it over. Text is taken for an object whose id cannot be read."""
    if isinstance(wire, str):
        return ReceivedInvoice(body=wire.encode(), invoice_id=None, invoice_date=None)
    return split_page(f"[{dumps(dict(wire))}]".encode())[0].received


@dataclass
class House:
    """A warehouse with an ERP that answers what the test puts into it."""

    warehouse: Warehouse
    settings: PipelineSettings
    asked_by_id: list[int] = field(default_factory=list)

    def window(
        self,
        hour: float,
        wires: Iterable[Mapping[str, Any] | str],
        *,
        day: dt.date = EXAMPLE_DAY,
        preliminary: bool = True,
    ) -> Window:
        return Window(day, day, at(hour), preliminary, tuple(received(wire) for wire in wires), Traffic())

    def land(
        self, *windows: Window, by_id: Mapping[int, Mapping[str, Any]] | None = None, run_id: str = "run"
    ) -> Landed:
        """Land the windows; ids that landing asks for are answered from `by_id`, an hour after the last window."""
        answers: list[InvoiceAnswer] = []
        needed_by: dict[int, Sequence[dt.date]] = {}
        while True:
            staged = Staged(windows, answers, needed_by)
            with self.warehouse.transaction() as connection:
                landed = land(connection, company=COMPANY, run_id=run_id, staged=staged)
            if not landed.ask:
                return landed
            self.asked_by_id += landed.ask
            needed_by |= landed.ask
            asked_at = max(window.asked_at for window in windows) + dt.timedelta(minutes=30)
            for invoice_id in landed.ask:
                found = (by_id or {}).get(invoice_id)
                answers.append(InvoiceAnswer(invoice_id, asked_at, None if found is None else received(found)))

    def refresh(self) -> None:
        with self.warehouse.transaction() as connection:
            refresh_core(connection, self.settings)
            for table in MART_TABLES:
                table.rebuild(connection)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as connection:
            return connection.execute(query, list(parameters)).fetchall()

    def records(self, query: str) -> list[dict[str, Any]]:
        with self.warehouse.connect() as connection:
            result = connection.execute(query)
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def versions(self, invoice_id: int) -> list[tuple[Any, ...]]:
        """(change, end_reason, asked at hour, ended at hour, day) of each version, oldest first."""
        return self.rows(
            """
            select change, end_reason,
                date_diff('minute', timestamptz '2026-03-01 00:00:00+00', fetched_at) / 60,
                date_diff('minute', timestamptz '2026-03-01 00:00:00+00', superseded_at) / 60,
                partition_date
            from raw.customer_invoices where invoice_id = ? order by fetched_at
            """,
            invoice_id,
        )


@pytest.fixture
def house(warehouse: Warehouse, settings: PipelineSettings) -> House:
    return House(warehouse, settings)
