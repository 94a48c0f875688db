"""Files that are given to people: written whole or not at all, kept private, and remembered.

A file made from the database may hold names and personal numbers, so every one is noted beside the database before
it is put in place. Which files there are, and what is in them, is the caller's business.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from softone_pipeline.errors import OutputError, OutputRefusedError, SoftOneError
from softone_pipeline.warehouse.disk import disk_trouble, why_not_written

# Readable by the owner and the group only.
PRIVATE = 0o640
_REGISTRY_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Handover:
    """One file that was made from the database: where it lies, when it was made, and from which table or query.

    `known_until` is the newest moment that its data knows of, where the maker says so.
    """

    path: Path
    made_at: dt.datetime
    command: str
    source: str
    known_until: dt.datetime | None = None


def registry_of(database: Path) -> Path:
    """Where the files made from a published database are remembered: JSON lines, the newest last, empty ones between."""
    return database.with_name(f"{database.stem}_handed_over.jsonl")


def handed_over(database: Path) -> list[Handover]:
    """The files that were made from a published database, each once, as it was last made.

    Lines that cannot be read are passed over: `torn_lines` tells of them.
    """
    return list({entry.path: entry for _, entry in _lines(database) if entry is not None}.values())


def torn_lines(database: Path) -> list[int]:
    """Which lines of the registry (the first is 1) cannot be read, as a full disk leaves them. Each was to name a file."""
    return [number for number, entry in _lines(database) if entry is None]


def _lines(database: Path) -> Iterator[tuple[int, Handover | None]]:
    registry = registry_of(database)
    # Bytes, for a line may end within a letter.
    lines = registry.read_bytes().split(b"\n") if registry.exists() else []
    return ((number, _entry(line)) for number, line in enumerate(lines, start=1) if line)


def _entry(line: bytes) -> Handover | None:
    try:
        entry = json.loads(line)
        entry["path"] = Path(entry["path"])
        entry["made_at"] = dt.datetime.fromisoformat(entry["made_at"])
        if entry["known_until"] is not None:
            entry["known_until"] = dt.datetime.fromisoformat(entry["known_until"])
        return Handover(**entry)
    except (ValueError, TypeError, KeyError):
        return None


@contextmanager
def hand_over(
    path: Path,
    *,
    database: Path,
    command: str,
    source: str,
    known_until: dt.datetime | None = None,
    replace: bool = False,
    mode: int = PRIVATE,
) -> Iterator[Path]:
    """Gives the path of a temporary file beside `path` to write to, and puts it in place when the block ends well.

    Raises OutputRefusedError when something stands at `path` and `replace` is not set, OutputError when the file
    cannot be written. What stood there is untouched until the last moment.
    """
    if not replace and path.exists():
        raise _in_the_way(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Made here, so that no writer decides who may read it.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield temporary
        os.chmod(temporary, mode)
        remember(database, path, command=command, source=source, known_until=known_until)
        _place(temporary, path, replace=replace)
    except SoftOneError:
        raise
    except Exception as error:
        # What writes the file (DuckDB, the Excel library) wraps the system's error in one of its own.
        if not isinstance(error, OSError) and disk_trouble(error) is None:
            raise
        raise OutputError(f"{path} cannot be written: {why_not_written(error)}", path=str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _place(temporary: Path, path: Path, *, replace: bool) -> None:
    if replace:
        os.replace(temporary, path)
        return
    try:
        # Unlike a rename, a link never replaces what somebody has put there in the meantime.
        os.link(temporary, path)
    except FileExistsError:
        raise _in_the_way(path) from None
    except OSError:
        # A file system without links (some network shares): the rename is what remains.
        if path.exists():
            raise _in_the_way(path) from None
        os.replace(temporary, path)


def _in_the_way(path: Path) -> OutputRefusedError:
    return OutputRefusedError(
        f"{path} exists and is left as it is. Give another name, or --force to replace it.", path=str(path)
    )


def remember(database: Path, path: Path, *, command: str, source: str, known_until: dt.datetime | None = None) -> None:
    """Note beside a published database that a file is made from it."""
    entry = Handover(path.absolute(), dt.datetime.now(dt.UTC), command, source, known_until)
    fields = asdict(entry) | {"path": str(entry.path)}
    # It begins a line of its own, whatever a full disk has left of the one before.
    line = f"\n{json.dumps(fields, ensure_ascii=False, default=dt.datetime.isoformat)}\n"
    # One write to a file opened for appending: two commands at once cannot mix their lines.
    with open(registry_of(database), "ab", opener=lambda path, flags: os.open(path, flags, _REGISTRY_MODE)) as file:
        file.write(line.encode())
