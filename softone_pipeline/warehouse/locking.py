"""Opens a DuckDB file that another process may have open: waits its turn, and says for whom and how long already."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import tenacity

from softone_pipeline.errors import WarehouseAccessError, WarehouseLockedError
from softone_pipeline.warehouse.disk import disk_trouble

log = logging.getLogger(__name__)

_SAID_EVERY_SECONDS = 10

# As DuckDB says it, on Unix and on Windows. The word "lock" alone also stands in what it says of a damaged block.
# The last is a thread of this very process that is about to close the file.
_IS_LOCKED = re.compile("Could not set lock on file|being used by another process|Unique file handle conflict")
_HOLDER = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


def open_when_free(
    path: Path, *, timeout_seconds: float, advice: str, read_only: bool = False, config: Mapping[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection, as soon as no other process keeps us out.

    Raises WarehouseLockedError, which gives the `advice`, when it has not come to that within the time;
    WarehouseAccessError for whatever else is wrong with the file.
    """
    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_locked),
        wait=tenacity.wait_exponential_jitter(multiplier=0.05, max=2, jitter=0.5),
        stop=tenacity.stop_after_delay(timeout_seconds),
        before_sleep=_say_that_we_wait(path),
        reraise=True,
    )
    try:
        connection = waiting(duckdb.connect, str(path), read_only=read_only, config=dict(config or {}))
    except duckdb.Error as error:
        if _is_locked(error):
            raise WarehouseLockedError(
                f"{path} has been held by {_holder(error)} for the {timeout_seconds:.0f} s that we waited. {advice}",
                path=str(path),
            ) from error
        raise WarehouseAccessError(
            f"{path} cannot be opened: {disk_trouble(error) or error}", path=str(path)
        ) from error
    if waiting.statistics["attempt_number"] > 1:
        log.info("%s is free, after %.0f s of waiting.", path, waiting.statistics["delay_since_first_attempt"])
    return connection


def _say_that_we_wait(path: Path) -> Callable[[tenacity.RetryCallState], None]:
    last_said: float | None = None

    def say(state: tenacity.RetryCallState) -> None:
        nonlocal last_said
        assert state.outcome is not None
        now = time.monotonic()
        if last_said is None or now - last_said >= _SAID_EVERY_SECONDS:
            last_said = now
            log.warning(
                "Waiting for %s: %s has it open. Waited %.0f s so far.",
                path,
                _holder(state.outcome.exception()),
                now - state.start_time,
            )

    return say


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, duckdb.Error) and _IS_LOCKED.search(str(error)) is not None


def _holder(error: BaseException | None) -> str:
    """Who holds the file, as far as DuckDB can tell."""
    found = _HOLDER.search(str(error))
    return f"process {found['pid']} ({Path(found['program']).name})" if found else "another process"
