"""What the system says of files: a full disk or a folder that may not be written, with what to do about it; which file it is.

DuckDB, SQLite and others pass the system's own words on in errors of their own, so the words are what is looked for.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

_FULL = {os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)}
_FORBIDDEN = {os.strerror(number) for number in (errno.EACCES, errno.EPERM, errno.EROFS)}
# SQLite's own, which keep Dagster's history from being written.
_FULL_OF_SQLITE = {"database or disk is full", "disk I/O error"}
_FORBIDDEN_OF_SQLITE = {"attempt to write a readonly database", "unable to open database file"}


def inode(path: Path) -> int | None:
    """Tells a file from another that was put in its place; None where there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def disk_trouble(error: BaseException) -> str | None:
    """What keeps a file from being written, and what to do next; None where it is something else."""
    said = str(error)
    for words, advice in (
        (_FULL | _FULL_OF_SQLITE, "Free some space (or raise the quota), and run the same again."),
        (_FORBIDDEN | _FORBIDDEN_OF_SQLITE, "Give this user the right to write there, or choose another place."),
    ):
        found = next((word for word in sorted(words) if word in said), None)
        if found is not None:
            return f"{found}. {advice}"
    return None


def why_not_written(error: BaseException) -> str:
    """The same where the file is known to be the trouble: at least the system's words, as a sentence."""
    said = error.strerror if isinstance(error, OSError) else None
    return disk_trouble(error) or f"{said or error}".rstrip(".") + "."


def unwritable(folder: Path) -> str | None:
    """Why no file could be made in a folder (or, where it is not there yet, in the nearest one above it that is).

    None where one can. It is tried, and leaves nothing behind.
    """
    folder = folder.absolute()
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"1")
    except OSError as error:
        return f"{existing} cannot be written: {why_not_written(error)}"
    return None
