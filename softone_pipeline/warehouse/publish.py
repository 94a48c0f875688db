"""Makes the copy that analysts open, and puts it in place in one step.

A DuckDB file that one process writes cannot be opened by any other, so analysts never touch the pipeline's own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from softone_pipeline.errors import NothingPublishedError, OutdatedCopyError
from softone_pipeline.warehouse.connection import Warehouse
from softone_pipeline.warehouse.copying import created_with, replaced
from softone_pipeline.warehouse.locking import open_when_free

# Readable by the owner and the group, written by nobody: it is replaced whole, never changed.
PUBLISHED_MODE = 0o440

# Readers do not keep each other out, so there is nothing to wait for long; a sensor has 60 s in all.
_LOCK_TIMEOUT_SECONDS = 20

_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class Published:
    """What was published: where, how large (bytes), and how long it took (seconds)."""

    path: Path
    size_bytes: int
    seconds: float


def publish(warehouse: Warehouse, path: Path, *, mode: int = PUBLISHED_MODE) -> Published:
    """Copy the pipeline's own file to `path`, replacing what was there in one atomic step.

    The file is held while its bytes are copied, so they are what the last transaction left. Whoever has the old copy
    open keeps reading it. Raises WarehouseLockedError, WarehouseVersionError, and WarehouseAccessError; the old copy
    then stands.
    """
    started = time.monotonic()
    with (
        contextlib.ExitStack() as later,
        warehouse.connect() as connection,
        replaced(
            path,
            failing="The copy for analysts could not be published to",
            still_stands="The earlier copy still stands.",
        ) as temporary,
    ):
        connection.execute("checkpoint")
        # Closed only when DuckDB has let go of the file: a process that closes any descriptor of a file loses its lock
        # on it (POSIX), and DuckDB's is one.
        source = later.enter_context(warehouse.path.open("rb"))
        with created_with(mode), temporary.open("xb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
            target.flush()
            os.fsync(target.fileno())
        os.chmod(temporary, mode)
        size = temporary.stat().st_size
    return Published(path=path, size_bytes=size, seconds=time.monotonic() - started)


@contextmanager
def open_published(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection to the published copy.

    Raises NothingPublishedError when there is none, WarehouseAccessError when it cannot be opened, WarehouseLockedError
    when somebody keeps it open for writing, and OutdatedCopyError when what is asked of it is not in it.
    """
    if not path.exists():
        raise NothingPublishedError(
            f"There is no published database at {path} yet: the first softone backfill makes it.", path=str(path)
        )
    connection = open_when_free(
        path,
        timeout_seconds=_LOCK_TIMEOUT_SECONDS,
        advice="Nobody need open it for writing: ask them to open it read-only, which keeps nobody out.",
        read_only=True,
    )
    try:
        yield connection
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        lacking = str(error).splitlines()[0].removeprefix("Catalog Error: ").removeprefix("Binder Error: ")
        raise OutdatedCopyError(
            f"{path} was published by an earlier version of softone-pipeline ({lacking}). {OutdatedCopyError.to_do}",
            path=str(path),
        ) from error
    finally:
        connection.close()
