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
    """Where the files made from a published database are remembered: JSON lines, the newest last."""
    return database.with_name(f"{database.stem}_handed_over.jsonl")


def handed_over(database: Path) -> list[Handover]:
    """The files that were made from a published database, each once, as it was last made."""
    registry = registry_of(database)
    if not registry.exists():
        return []
    newest: dict[Path, Handover] = {}
    for line in registry.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        entry["path"] = Path(entry["path"])
        entry["made_at"] = dt.datetime.fromisoformat(entry["made_at"])
        if entry["known_until"] is not None:
            entry["known_until"] = dt.datetime.fromisoformat(entry["known_until"])
        newest[entry["path"]] = Handover(**entry)
    return list(newest.values())


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
    line = json.dumps(fields, ensure_ascii=False, default=dt.datetime.isoformat) + "\n"
    # One write to a file opened for appending: two commands at once cannot mix their lines.
    descriptor = os.open(registry_of(database), os.O_CREAT | os.O_APPEND | os.O_WRONLY, _REGISTRY_MODE)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)
