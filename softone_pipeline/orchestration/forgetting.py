"""Takes a customer's identity out of what Dagster keeps: its SQLite files (events, metadata, checks) and captured output."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from softone_pipeline.tables.raw.forgetting import Identity

_SQLITE = b"SQLite format 3\0"
_WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """How many rows of the history and files of output named the customer, and what could not be reached."""

    rows: int = 0
    files: int = 0
    out_of_reach: tuple[str, ...] = ()


def scrub_history(home: Path, identity: Identity, *, dry_run: bool = False) -> Scrubbed:
    """Replace the customer by the pseudonym in everything below DAGSTER_HOME. `dry_run` only counts.

    SQLite files are vacuumed, so that the bytes are gone, whether something was found in them or not.
    """
    pattern = identity.pattern()
    as_bytes = re.compile(pattern.pattern.encode())
    rows = files = 0
    out_of_reach = []
    settings = home / "dagster.yaml"
    if settings.exists() and re.search(
        r"^[^#\n]*(?:postgres|mysql)", settings.read_text(encoding="utf-8"), re.MULTILINE
    ):
        out_of_reach.append(
            f"Dagster's history lies in a database server ({settings}), where nothing was changed. Delete the runs that "
            "name the customer in the UI, refresh every table once, and delete what is older from asset_check_executions"
        )
    for path in sorted(path for path in home.rglob("*") if path.is_file() and not path.is_symlink()):
        try:
            if path.name.endswith(("-wal", "-shm", "-journal")):
                continue
            with path.open("rb") as file:
                is_sqlite = file.read(len(_SQLITE)) == _SQLITE
            # One that was made a moment ago may stand in its log alone.
            if is_sqlite or path.with_name(f"{path.name}-wal").exists():
                rows += _scrub_sqlite(path, pattern, identity.pseudonym, dry_run=dry_run)
            else:
                files += _scrub_file(path, as_bytes, identity.pseudonym.encode(), dry_run=dry_run)
        except (OSError, sqlite3.Error) as error:
            out_of_reach.append(f"{path}: {error}")
    return Scrubbed(rows, files, tuple(out_of_reach))


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
