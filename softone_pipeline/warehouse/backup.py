"""Backups: the whole database with a manifest in one file, and a restore that believes nothing it has not checked.

A backup is a ZIP of a DuckDB file and manifest.json (digest, rows of every table). Raw history cannot be fetched again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from softone_pipeline.errors import BackupRefusedError, WarehouseAccessError
from softone_pipeline.warehouse.connection import Warehouse
from softone_pipeline.warehouse.copying import copy_database, created_with, remove_database, wal
from softone_pipeline.warehouse.disk import why_not_written

_FORMAT = "softone-pipeline backup 1"
_DATABASE = "warehouse.duckdb"
_MANIFEST = "manifest.json"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says it holds. `newest` is the moment of the newest fetch in it, None when nothing was fetched."""

    made_at: str
    schema_version: int
    newest: str | None
    sha256: str
    rows: dict[str, int]
    format: str = _FORMAT

    @property
    def row_count(self) -> int:
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: the backup's manifest, and where the database that stood there is kept."""

    manifest: Manifest
    replaced: Path | None


def back_up(warehouse: Warehouse, target: Path) -> Manifest:
    """Write a backup to `target`, whole or not at all. The database is held only while it is copied.

    Raises WarehouseLockedError, WarehouseAccessError.
    """
    database = target.with_name(f".{target.name}.duckdb")
    archive = target.with_name(f".{target.name}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_database(database)
        with warehouse.connect_as_it_is() as connection:
            copy_database(connection, database, mode=warehouse.mode)
        manifest = _manifest(database)
        with created_with(warehouse.mode), zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            file.writestr(_MANIFEST, json.dumps(asdict(manifest), indent=2))
            file.write(database, _DATABASE)
        with archive.open("rb") as written:
            os.fsync(written.fileno())
        os.chmod(archive, warehouse.mode)
        os.replace(archive, target)
    except (OSError, duckdb.Error) as error:
        raise WarehouseAccessError(
            f"The backup could not be written to {target}: {why_not_written(error)}", path=str(target)
        ) from error
    finally:
        with contextlib.suppress(OSError):
            remove_database(database)
            archive.unlink(missing_ok=True)
    return manifest


def restore(
    warehouse: Warehouse,
    source: Path,
    *,
    force: bool = False,
    prepare: Callable[[duckdb.DuckDBPyConnection], None] | None = None,
) -> Restored:
    """Put a backup in the database's place, brought up to today's schema version; what stood there is kept aside.

    `prepare` is run on the restored database before it takes its place. Raises BackupRefusedError when the backup is
    damaged or foreign, or when what stands is newer and `force` is not set; then nothing is changed.
    """
    temporary = warehouse.path.with_name(f".{warehouse.path.name}.restored")
    with contextlib.suppress(OSError):
        remove_database(temporary)
    try:
        warehouse.path.parent.mkdir(parents=True, exist_ok=True)
        manifest = _unpack(source, temporary, mode=warehouse.mode)
        restored = Warehouse(
            temporary,
            warehouse.tables,
            macros=warehouse.macros,
            config=warehouse.config,
            mode=warehouse.mode,
            keep_migrated=False,
        )
        with restored.transaction() as connection:
            if prepare is not None:
                prepare(connection)
        return Restored(manifest, _put_in_place(warehouse, temporary, manifest, force=force))
    except OSError as error:
        raise WarehouseAccessError(
            f"{source} could not be restored: {why_not_written(error)}", path=str(source)
        ) from error
    finally:
        with contextlib.suppress(OSError):
            remove_database(temporary)


def read_manifest(source: Path) -> Manifest:
    """The manifest of a backup. Raises BackupRefusedError when there is none."""
    try:
        with zipfile.ZipFile(source) as archive:
            fields: dict[str, Any] = json.loads(archive.read(_MANIFEST))
        if fields.get("format") != _FORMAT:
            raise ValueError(f"its format is {fields.get('format')!r}")
        return Manifest(**fields)
    except FileNotFoundError:
        raise BackupRefusedError(f"There is no backup at {source}.", path=str(source)) from None
    except (zipfile.BadZipFile, zipfile.LargeZipFile, KeyError, TypeError, ValueError, EOFError, OSError) as error:
        raise BackupRefusedError(
            f"{source} is no backup that `softone backup` made, or it is damaged: {error}. Nothing was changed.",
            path=str(source),
        ) from error


def _unpack(source: Path, target: Path, *, mode: int) -> Manifest:
    manifest = read_manifest(source)
    try:
        with (
            created_with(mode),
            zipfile.ZipFile(source) as archive,
            archive.open(_DATABASE) as packed,
            target.open("wb") as file,
        ):
            shutil.copyfileobj(packed, file, _CHUNK)
        os.chmod(target, mode)
        found = _manifest(target)
    except (zipfile.BadZipFile, duckdb.Error, KeyError, EOFError, ValueError, zlib.error) as error:
        raise BackupRefusedError(f"{source} is damaged: {error}. Nothing was changed.", path=str(source)) from error
    if (found.sha256, found.rows) != (manifest.sha256, manifest.rows):
        raise BackupRefusedError(
            f"{source} is damaged: what it holds is not what its manifest says. Nothing was changed.", path=str(source)
        )
    return manifest


def _put_in_place(warehouse: Warehouse, restored: Path, manifest: Manifest, *, force: bool) -> Path | None:
    """Swap the files while the old one is held, so that nobody writes to it in between."""
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = warehouse.path.with_name(f"{warehouse.path.stem}.replaced-{stamp}{warehouse.path.suffix}")
    replaced = None
    with contextlib.ExitStack() as stack:
        # One that cannot be read is the very reason to restore. It is kept all the same.
        with contextlib.suppress(WarehouseAccessError, duckdb.Error):
            if warehouse.path.exists():
                connection = stack.enter_context(warehouse.connect_as_it_is())
                if not force:
                    _refuse_to_lose(connection, warehouse.path, manifest)
                connection.execute("checkpoint")
        # The log too, and alone where the database is gone: with it the restored one could not be opened.
        for standing, kept in ((wal(warehouse.path), wal(aside)), (warehouse.path, aside)):
            if standing.exists():
                os.replace(standing, kept)
                replaced = kept
        os.replace(restored, warehouse.path)
    return replaced


def _refuse_to_lose(connection: duckdb.DuckDBPyConnection, path: Path, manifest: Manifest) -> None:
    standing = _newest(connection)
    if standing is not None and (manifest.newest is None or standing > manifest.newest):
        raise BackupRefusedError(
            f"{path} is newer than the backup: it was last fetched into at {standing}, the backup "
            f"at {manifest.newest}. Nothing was changed. With --force it is replaced, and kept beside.",
            path=str(path),
        )


def _manifest(database: Path) -> Manifest:
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where not internal order by all"
        ).fetchall()
        version = connection.execute("select version from raw.warehouse_version").fetchone()
        rows = {table: _count(connection, table) for (table,) in tables}
        newest = _newest(connection)
    if version is None or version[0] is None:
        raise ValueError("it has no schema version")
    with database.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Manifest(dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), version[0], newest, digest, rows)


def _newest(connection: duckdb.DuckDBPyConnection) -> str | None:
    """When the database was last fetched into (UTC), None for one that is empty or not ours."""
    try:
        found = connection.execute(
            """
            select strftime(max(moment) at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')
            from (
                select max(fetched_at) as moment from raw.fetched_days
                union all
                select max(asked_at) from raw.payment_search
            )
            """
        ).fetchone()
    except duckdb.CatalogException:
        return None
    return found[0] if found else None


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0
