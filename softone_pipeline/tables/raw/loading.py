"""From the ERP to raw: fetch days, land them batch by batch, and ask by id for what a day no longer brings.

The database is held only while a batch is written, never while the ERP is waited for.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from softone_pipeline.errors import WindowError
from softone_pipeline.softone import InvoiceAnswer, SoftOneClient, Window
from softone_pipeline.tables.raw.landing import DayLanded, Landed, land
from softone_pipeline.tables.raw.pseudonymising import Privacy, hide_answer, hide_window
from softone_pipeline.warehouse import Warehouse

log = logging.getLogger(__name__)

# A batch is written when it holds this many bytes of payload or this many days: large enough that opening the
# database costs little, small enough that memory stays flat and that a crash loses little fetching.
_BATCH_BYTES = 32_000_000
_BATCH_DAYS = 31


@dataclass(frozen=True, slots=True)
class BatchLoaded:
    """One batch that stands in raw, and the days that could not be read in the meantime."""

    days: tuple[DayLanded, ...]
    failed: tuple[WindowError, ...]


@dataclass(slots=True)
class _Batch:
    windows: list[Window] = field(default_factory=list)
    failed: list[WindowError] = field(default_factory=list)
    size: int = 0
    is_first: bool = True

    def add(self, outcome: Window | WindowError) -> None:
        if isinstance(outcome, WindowError):
            self.failed.append(outcome)
            return
        self.windows.append(outcome)
        self.size += sum(len(invoice.payload) for invoice in outcome.invoices)

    @property
    def is_full(self) -> bool:
        return self.size >= _BATCH_BYTES or len(self.windows) >= _BATCH_DAYS


def load_days(
    client: SoftOneClient,
    warehouse: Warehouse,
    *,
    company: str,
    run_id: str,
    days: Iterable[dt.date],
    privacy: Privacy | None = None,
) -> Iterator[BatchLoaded]:
    """Fetch each day whole and write it to raw; yields what stands, batch by batch, in the order of `days`.

    `privacy` says who is replaced by a pseudonym before anything is stored; without it nobody is.
    A day that cannot be read is reported in `failed` and leaves what stood; the others go on.
    Raises AuthenticationError at once, SettingsError when `privacy` is not what the database was written with, and WarehouseError when a batch cannot be written.
    """
    privacy = privacy or Privacy()
    batch = _Batch()
    for outcome in client.read_windows((day, day) for day in days):
        batch.add(outcome)
        if batch.is_full:
            yield _write(client, warehouse, company, run_id, batch, privacy)
            batch = _Batch(is_first=False)
    if batch.windows or batch.failed:
        yield _write(client, warehouse, company, run_id, batch, privacy)


def _write(  # noqa: PLR0917 (they belong together for the length of a batch)
    client: SoftOneClient, warehouse: Warehouse, company: str, run_id: str, batch: _Batch, privacy: Privacy
) -> BatchLoaded:
    answers: list[InvoiceAnswer] = []
    landed = Landed(ask=(), days=())
    if batch.windows:
        while True:
            # An ordinary morning tidies up; a load of many batches would do so again and again.
            with warehouse.transaction(compact=batch.is_first and not batch.is_full) as connection:
                hide = privacy.begin(connection, company)
                landed = land(
                    connection,
                    company=company,
                    run_id=run_id,
                    windows=[hide_window(hide, window) for window in batch.windows],
                    answers=[hide_answer(hide, answer) for answer in answers],
                )
            if not landed.ask:
                break
            answers.extend(client.read_invoices(landed.ask))
    _log(company, batch, landed)
    return BatchLoaded(
        days=landed.days,
        failed=tuple(batch.failed),
    )


def _log(company: str, batch: _Batch, landed: Landed) -> None:
    """One line a batch; the extra fields on the record are for whoever draws a progress bar."""
    for error in batch.failed:
        log.warning("%s", error)
    if landed.days:
        received = sum(day.received for day in landed.days)
        log.info(
            "Company %s, %s to %s: %d invoices received, %d new versions, %d missing, %d in quarantine",
            company,
            landed.days[0].day,
            landed.days[-1].day,
            received,
            sum(day.written for day in landed.days),
            sum(day.missing for day in landed.days),
            sum(day.quarantined for day in landed.days),
            extra={"days_done": len(landed.days), "invoices_received": received},
        )
