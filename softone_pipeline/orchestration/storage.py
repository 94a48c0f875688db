"""Dagster's SQLite storage with an event log that writes in batches and keeps its files open.

A range is one run that plans and records thousands of days. Dagster hands their events over in batches where
DAGSTER_EVENT_BATCH_SIZE is set, but its SQLite event log then still opens, writes, syncs and closes two files for each event.
Files and tables are its own, so either can be used on the other's history. What cannot be written as a batch, Dagster
writes one by one itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster._core.events import ASSET_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, CursorResult, NullPool, create_engine

from softone_pipeline.warehouse import inode

# The index of all runs, and the runs that were last written to or looked at.
_MOST_OPEN = 4


@dataclass(frozen=True, slots=True)
class _Open:
    connection: Connection
    inode: int | None


class BatchingEventLog(SqliteEventLogStorage):
    """An event is in the file when it has been stored, whatever becomes of the process. The disk is told to write it
    out only now and then: a power cut can take the newest events, and leaves the file sound.
    """

    def __init__(self, base_dir: str) -> None:
        self._open: dict[str, _Open] = {}
        super().__init__(base_dir)

    def store_event(self, event: EventLogEntry) -> None:
        super().store_event(event)
        self._tell_watchers(event.run_id)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        of_assets = [event for event in events if event.dagster_event_type in ASSET_EVENTS]
        super().store_event_batch([event for event in events if event.dagster_event_type not in ASSET_EVENTS])
        if not of_assets:
            return
        insert = SqlEventLogStorageTable.insert()
        rows = [self._event_to_row(event) for event in of_assets]
        with self.run_connection(of_assets[0].run_id) as connection:
            connection.execute(insert, rows)
        with self.index_transaction() as connection:
            ids = [_id_of(connection.execute(insert, row)) for row in rows]
            self._store_asset_event_tags(connection, of_assets, ids)
            # An asset's own row tells of its newest event.
            newest = {
                event.get_dagster_event().asset_key: (event, id_) for event, id_ in zip(of_assets, ids, strict=True)
            }
            for event, id_ in newest.values():
                self._store_asset_event(connection, event, id_)
        self._tell_watchers(of_assets[0].run_id)

    def wipe(self) -> None:
        self._close_all()
        super().wipe()

    def dispose(self) -> None:
        super().dispose()
        self._close_all()

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock, (connection := self._kept_open(shard)).begin():
            yield connection

    def _kept_open(self, shard: str) -> Connection:
        """The shard's connection; a new one where its file is new, or is no longer the one that was opened."""
        file = Path(self.path_for_shard(shard))
        kept = self._open.pop(shard, None)
        if kept is not None and kept.inode != inode(file):
            kept.connection.close()
            self._initialized_dbs.discard(shard)
            kept = None
        if kept is None:
            engine = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=NullPool,
                # `_db_lock` lets one thread use it at a time.
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            connection = engine.connect()
            connection.exec_driver_sql("pragma synchronous = normal")
            connection.commit()
            kept = _Open(connection, inode(file))
        self._open[shard] = kept
        while len(self._open) > _MOST_OPEN:
            self._open.pop(next(iter(self._open))).connection.close()
        return kept.connection

    def _tell_watchers(self, run_id: str) -> None:
        """The UI watches a run's file, and SQLite first writes to another one beside it."""
        with suppress(OSError):
            os.utime(self.path_for_shard(run_id))

    def _close_all(self) -> None:
        with self._db_lock:
            while self._open:
                self._open.popitem()[1].connection.close()


class BatchingSqliteStorage(DagsterSqliteStorage):
    """What dagster.yaml names as `storage`."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = BatchingEventLog(self._event_log_storage._base_dir)
        # In whatever process opens the storage: planned events are written by the launching one, others by the run's.
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> BatchingSqliteStorage:
        return cls.from_local(inst_data=inst_data, **config_value)


def _id_of(inserted: CursorResult[Any]) -> int:
    assert inserted.inserted_primary_key is not None
    return int(inserted.inserted_primary_key[0])
