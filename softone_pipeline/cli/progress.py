"""How far a load has come: a bar on a terminal, plain lines elsewhere. Always on standard error.

Fed by the log records of loading (`days_done` and `invoices_received` on a record), so that no room below knows of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from softone_pipeline.cli.console import err, swedish
from softone_pipeline.readable import counted, plural


@contextmanager
def loading_progress(days: int) -> Iterator[None]:
    """Show the loading of this many days for the length of the block."""
    logger = logging.getLogger("softone_pipeline")
    with Progress(
        TextColumn("   {task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(plural(days, "day") + ", {task.fields[invoices]}, {task.fields[rate]}/s,", markup=False),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
        console=err,
        disable=not err.is_terminal,
    ) as progress:
        handler = _ProgressHandler(
            progress, progress.add_task("loading", total=days, invoices="0 invoices", rate="–"), days
        )
        level, logger.level = logger.level, logging.INFO
        propagate, logger.propagate = logger.propagate, logger.getEffectiveLevel() < logging.INFO
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


class _ProgressHandler(logging.Handler):
    def __init__(self, progress: Progress, task: TaskID, days: int) -> None:
        super().__init__(logging.INFO)
        self._progress, self._task, self._days = progress, task, days
        self._started = time.monotonic()
        self._days_done = 0
        self._invoices = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Show it. A load does not fail because it cannot be watched."""
        try:
            self._show(record)
        except Exception:
            self.handleError(record)

    def _show(self, record: logging.LogRecord) -> None:
        days = getattr(record, "days_done", None)
        if days is None:
            err.print(f"   {record.getMessage()}", soft_wrap=True)
            return
        self._days_done += days
        self._invoices += getattr(record, "invoices_received", 0)
        seconds = max(time.monotonic() - self._started, 0.001)
        per_second = round(self._invoices / seconds)
        rate = swedish(per_second)
        invoices = counted(self._invoices, "invoice", swedish=True)
        self._progress.update(self._task, advance=days, invoices=invoices, rate=rate)
        if self._progress.disable:
            left = (self._days - self._days_done) * seconds / self._days_done
            of_days = f"{self._days_done} of {counted(self._days, 'day')}"
            how_far = f"{of_days}, {rate} {plural(per_second, 'invoice')}/s, {_span(left)} left"
            err.print(f"   {record.getMessage()} ({how_far})", soft_wrap=True)


def _span(seconds: float) -> str:
    """About how long: 45 s, 12 min, 3 h 05 min."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
