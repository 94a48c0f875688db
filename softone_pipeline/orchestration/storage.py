"""Dagster's SQLite storage, with a batch of events written in one transaction a file instead of two for each event.

A range is one run that plans and records thousands of days. Dagster hands their events over in batches where
DAGSTER_EVENT_BATCH_SIZE is set, and its SQLite event log then still connects, writes, syncs and closes for each. Files and
tables are its own, so either can be used on the other's history. What cannot be written as a batch, Dagster writes
one by one itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from dagster._core.events import ASSET_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import CursorResult


class BatchingEventLog(SqliteEventLogStorage):
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
