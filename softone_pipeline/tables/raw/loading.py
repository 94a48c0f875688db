"""From the ERP to raw: fetch days, land them batch by batch, and ask by id for what a day no longer brings.

The database is held only while a batch is written, never while the ERP is waited for.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import duckdb

from softone_pipeline.errors import WindowError, told_together
from softone_pipeline.readable import counted
from softone_pipeline.softone import InvoiceAnswer, SoftOneClient, Window
from softone_pipeline.tables.raw.clock import refuse_future
from softone_pipeline.tables.raw.landing import DayLanded, Landed, land
from softone_pipeline.tables.raw.pseudonymising import Privacy, hide_answer, hide_window
from softone_pipeline.tables.raw.staging import Staged
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
        self.size += outcome.size_bytes

    def give_up(self, days: Sequence[dt.date], reason: str, company: str) -> None:
        """Leave out the windows with these days: nothing of them is written."""
        for window in list(self.windows):
            if any(window.first_day <= day <= window.last_day for day in days):
                self.windows.remove(window)
                self.failed.append(
                    WindowError(reason, company=company, first_day=window.first_day, last_day=window.last_day)
                )

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

    While a batch is committed, the next one is made ready. `privacy` says who is replaced by a pseudonym before anything
    is stored; without it nobody is. A day that cannot be read is reported in `failed` and leaves what stood; the others
    go on. Whatever ends it early, Ctrl-C too, is raised when all that was written stands and has been yielded:
    AuthenticationError, SettingsError when `privacy` is not what the database was written with, ClockError when what stands
    lies in the future, and WarehouseError when a batch cannot be written.
    """
    outcomes = client.read_windows((day, day) for day in days)
    ended_by: BaseException | None = None
    written: Future[BatchLoaded] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="commit") as committing:
        writer = _Writer(client, warehouse, company, run_id, privacy or Privacy(), committing)
        try:
            for batch in _batches(outcomes):
                staged = Staged(batch.windows)
                if written is not None:
                    yield written.result()
                    written = None
                written = writer.write(batch, staged)
        except GeneratorExit:
            # The caller wants no more.
            raise
        except BaseException as error:
            ended_by = error
        if written is not None:
            yield written.result()
    if ended_by is not None:
        raise ended_by


def _batches(outcomes: Iterable[Window | WindowError]) -> Iterator[_Batch]:
    batch = _Batch()
    for outcome in outcomes:
        batch.add(outcome)
        if batch.is_full:
            yield batch
            batch = _Batch(is_first=False)
    if batch.windows or batch.failed:
        yield batch


@dataclass(frozen=True, slots=True)
class _Writer:
    client: SoftOneClient
    warehouse: Warehouse
    company: str
    run_id: str
    privacy: Privacy
    committing: ThreadPoolExecutor

    def write(self, batch: _Batch, staged: Staged) -> Future[BatchLoaded]:
        """Write a batch, and leave it to the thread to commit it."""
        answers: list[InvoiceAnswer] = []
        needed_by: dict[int, Sequence[dt.date]] = {}
        while batch.windows:
            with contextlib.ExitStack() as stack:
                # Once a load is enough to tidy up, and to look at the clock.
                connection = stack.enter_context(self.warehouse.transaction(compact=batch.is_first))
                if batch.is_first:
                    refuse_future(connection, self.company, dt.datetime.now(dt.UTC))
                landed = self._land(connection, staged)
                if not landed.ask:
                    return self.committing.submit(self._commit, stack.pop_all(), batch, landed)
            for (invoice_id, days), outcome in zip(
                landed.ask.items(), self.client.read_invoices(list(landed.ask)), strict=True
            ):
                if isinstance(outcome, InvoiceAnswer):
                    answers.append(outcome)
                else:
                    batch.give_up(
                        days,
                        f"they no longer include invoice {invoice_id}, and why is not known. {outcome}",
                        self.company,
                    )
            needed_by |= landed.ask
            staged = Staged(batch.windows, answers, needed_by)
        return self.committing.submit(self._commit, contextlib.ExitStack(), batch, Landed(ask={}, days=()))

    def _land(self, connection: duckdb.DuckDBPyConnection, staged: Staged) -> Landed:
        hide = self.privacy.begin(connection, self.company)
        if hide is not None:
            staged = Staged(
                [hide_window(hide, window) for window in staged.windows],
                [hide_answer(hide, answer) for answer in staged.answers],
                staged.needed_by,
            )
        return land(connection, company=self.company, run_id=self.run_id, staged=staged)

    def _commit(self, transaction: contextlib.ExitStack, batch: _Batch, landed: Landed) -> BatchLoaded:
        transaction.close()
        _log(self.company, batch, landed)
        return BatchLoaded(days=landed.days, failed=tuple(batch.failed))


def _log(company: str, batch: _Batch, landed: Landed) -> None:
    """One line a batch; the extra fields on the record are for whoever draws a progress bar."""
    for error in told_together(batch.failed):
        log.warning("%s", error)
    if landed.days:
        received = sum(day.received for day in landed.days)
        written = sum(day.written for day in landed.days)
        log.info(
            "Company %s, %s to %s: %s received, %s, %d missing, %d in quarantine",
            company,
            landed.days[0].day,
            landed.days[-1].day,
            counted(received, "invoice"),
            counted(written, "new version"),
            sum(day.missing for day in landed.days),
            sum(day.quarantined for day in landed.days),
            extra={"days_done": len(landed.days), "invoices_received": received},
        )
