"""Takes a customer's identity out of what Dagster keeps: its SQLite files (events, metadata, checks) and captured output.

Dagster's own files alone, wherever its dagster.yaml has them kept: a home may hold anything else besides.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster._core.instance.ref import InstanceRef

from softone_pipeline.tables.raw.forgetting import Identity

_WAIT_SECONDS = 60

# Storages that only pass on to others, which the reference names as well.
_PASSES_ON = "dagster._core.storage.legacy_storage"
_KEEPS_NO_OUTPUT = "NoOpComputeLogManager"


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """How many rows of the history and files of output named the customer, and what could not be reached."""

    rows: int = 0
    files: int = 0
    out_of_reach: tuple[str, ...] = ()


def scrub_history(home: Path, identity: Identity, *, dry_run: bool = False) -> Scrubbed:
    """Replace the customer by the pseudonym in what Dagster keeps, by the settings in `home`. `dry_run` only counts.

    SQLite files are vacuumed, so that the bytes are gone, whether something was found in them or not.
    """
    if not home.is_dir():
        return Scrubbed()
    try:
        kept = InstanceRef.from_dir(str(home))
    # Dagster has many ways to say what is wrong with its settings, and quotes them: they may hold a password.
    except Exception as error:
        why = (
            f"Dagster cannot read {home / 'dagster.yaml'} ({type(error).__name__}), so what it keeps was not looked for"
        )
        return Scrubbed(out_of_reach=(why,))
    pattern = identity.pattern()
    as_bytes = re.compile(pattern.pattern.encode())
    rows = files = 0
    databases, out_of_reach = _databases(kept, home)
    outputs, elsewhere = _outputs(kept, home)
    out_of_reach += elsewhere
    for path in databases:
        try:
            rows += _scrub_sqlite(path, pattern, identity.pseudonym, dry_run=dry_run)
        except (OSError, sqlite3.Error) as error:
            out_of_reach.append(f"{path}: {error}")
    for path in outputs:
        try:
            files += _scrub_file(path, as_bytes, identity.pseudonym.encode(), dry_run=dry_run)
        except OSError as error:
            out_of_reach.append(f"{path}: {error}")
    return Scrubbed(rows, files, tuple(out_of_reach))


def _databases(kept: InstanceRef, home: Path) -> tuple[list[Path], list[str]]:
    """Dagster's SQLite files (runs, events of each run and of all, ticks); what is to be said where they are none."""
    found: set[Path] = set()
    out_of_reach: list[str] = []
    for storage, files in (
        (kept.storage_data, ("history/runs.db", "history/runs/*.db", "schedules/schedules.db")),
        (kept.run_storage_data, ("runs.db",)),
        (kept.event_storage_data, ("*.db",)),
        (kept.schedule_storage_data, ("schedules.db",)),
    ):
        if storage is None or storage.module_name == _PASSES_ON:
            continue
        if folder := _folder(storage.config_dict, home):
            found.update(path for pattern in files for path in folder.glob(pattern))
        elif not out_of_reach:
            out_of_reach.append(
                f"Dagster's history lies in a database server ({home / 'dagster.yaml'}), where nothing was changed. Delete the "
                "runs that name the customer in the UI, refresh every table once, and delete what is older from "
                "asset_check_executions"
            )
    return sorted(found), out_of_reach


def _outputs(kept: InstanceRef, home: Path) -> tuple[list[Path], list[str]]:
    """What runs, schedules and sensors printed; what is to be said where it is kept elsewhere."""
    captured = kept.compute_logs_data
    if folder := _folder(captured.config_dict, home):
        return sorted(path for pattern in ("*.out", "*.err") for path in folder.rglob(pattern)), []
    if captured.class_name == _KEEPS_NO_OUTPUT:
        return [], []
    why = f"Captured output goes to {captured.class_name} ({home / 'dagster.yaml'}), where nothing was changed. Delete it there"
    return [], [why]


def _folder(config: Mapping[str, Any], home: Path) -> Path | None:
    """The folder that a part of Dagster's keeps its files in; None where it has none."""
    base = config.get("base_dir")
    if isinstance(base, dict):
        # As dagster.yaml refers to a variable. This one is set by the commands that start Dagster.
        base = (os.environ | {"DAGSTER_HOME": str(home)}).get(base["env"])
    return Path(base) if base else None


def _scrub_sqlite(path: Path, pattern: re.Pattern[str], pseudonym: str, *, dry_run: bool) -> int:
    with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        changed = 0
        tables = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        connection.execute("begin" if dry_run else "begin immediate")
        for (table,) in tables:
            for column in [row[1] for row in connection.execute(f'pragma table_info("{table}")')]:
                found = [
                    (new, row_id)
                    for row_id, text in connection.execute(
                        f'select rowid, "{column}" from "{table}" where typeof("{column}") = \'text\''
                    )
                    if (new := pattern.sub(pseudonym, text)) != text
                ]
                changed += len(found)
                if not dry_run:
                    connection.executemany(f'update "{table}" set "{column}" = ? where rowid = ?', found)
        connection.execute("commit")
        if not dry_run:
            connection.execute("pragma wal_checkpoint(truncate)")
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)")
    return changed


def _scrub_file(path: Path, pattern: re.Pattern[bytes], pseudonym: bytes, *, dry_run: bool) -> int:
    before = path.read_bytes()
    after = pattern.sub(pseudonym, before)
    if after == before:
        return 0
    if not dry_run:
        # In place: a process may be writing to it, and the old bytes are written over.
        path.write_bytes(after)
    return 1
