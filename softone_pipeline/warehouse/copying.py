"""A fresh copy of a whole database in one file, never readable more widely than asked for, not even for a moment.

A fresh copy also holds no trace of what was deleted: DuckDB keeps the bytes of deleted rows in free blocks.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from softone_pipeline.errors import WarehouseAccessError
from softone_pipeline.warehouse.disk import why_not_written
from softone_pipeline.warehouse.table import sql_literal

# Analysts' tools are built on DuckDB 1.5 and cannot open a file in the default format of 2.0.
STORAGE_VERSION = "v1.5.0"

_umask_lock = threading.Lock()
_umask_before: list[int] = []


def copy_database(connection: duckdb.DuckDBPyConnection, target: Path, *, mode: int) -> None:
    """Copy the connected database to a new file, with its comments, views and macros."""
    name = connection.execute("select current_database()").fetchone()
    assert name is not None
    with created_with(mode):
        connection.execute(f"attach {sql_literal(str(target))} as fresh_copy (storage_version '{STORAGE_VERSION}')")
        try:
            connection.execute(f'copy from database "{name[0]}" to fresh_copy')
        finally:
            connection.execute("detach fresh_copy")
    os.chmod(target, mode)


@contextmanager
def replaced(target: Path, *, failing: str, still_stands: str) -> Iterator[Path]:
    """A path to write a database to, which then takes the target's place in one atomic step: whole or not at all.

    One fixed name beside the target: whoever writes holds the pipeline's own file, so there is never a second one at it,
    and what a killed process left is cleared by the next. Raises WarehouseAccessError, put together of `failing`, the
    reason and `still_stands`; what was there then still is.
    """
    temporary = target.with_name(f".{target.name}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_database(temporary)
        yield temporary
        # Left by somebody who opened what was there for writing and was killed: it would stop the new one from opening.
        wal(target).unlink(missing_ok=True)
        os.replace(temporary, target)
    except (OSError, duckdb.Error) as error:
        with contextlib.suppress(OSError):
            remove_database(temporary)
        raise WarehouseAccessError(
            f"{failing} {target}: {why_not_written(error)} {still_stands}", path=str(target)
        ) from error


def remove_database(path: Path) -> None:
    """Remove a database file and the log beside it, whether they are there or not."""
    path.unlink(missing_ok=True)
    wal(path).unlink(missing_ok=True)


def wal(path: Path) -> Path:
    """Where DuckDB keeps the write-ahead log of a file."""
    return path.with_name(path.name + ".wal")


@contextmanager
def created_with(mode: int) -> Iterator[None]:
    """Whatever this process creates meanwhile gives group and others no more than `mode` does.

    DuckDB makes its files, the .wal among them, by the process's umask. Several may be at it at once: the first
    one in sets it, others may only make it stricter, the last one out puts it back.
    """
    with _umask_lock:
        mask = ~mode & 0o077
        before = os.umask(mask)
        if _umask_before:
            os.umask(before | mask)
        _umask_before.append(before)
    try:
        yield
    finally:
        with _umask_lock:
            before = _umask_before.pop()
            if not _umask_before:
                os.umask(before)
