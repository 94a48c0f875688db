"""DuckDB: how a table is declared, how the pipeline's own file is opened and written, how the copy is published,
and how files made from it are handed over.

Knows neither the ERP nor Dagster, nor which tables there are.
"""

from softone_pipeline.warehouse.backup import Manifest, Restored, back_up, read_manifest, restore
from softone_pipeline.warehouse.connection import SCHEMA_VERSION, Warehouse
from softone_pipeline.warehouse.copying import STORAGE_VERSION, copy_database, remove_database, wal
from softone_pipeline.warehouse.disk import disk_trouble, inode, unwritable, why_not_written
from softone_pipeline.warehouse.handover import (
    PRIVATE,
    Handover,
    hand_over,
    handed_over,
    registry_of,
    remember,
    torn_lines,
)
from softone_pipeline.warehouse.publish import PUBLISHED_MODE, Published, open_published, publish
from softone_pipeline.warehouse.table import Column, Table, sql_literal

__all__ = [
    "PRIVATE",
    "PUBLISHED_MODE",
    "SCHEMA_VERSION",
    "STORAGE_VERSION",
    "Column",
    "Handover",
    "Manifest",
    "Published",
    "Restored",
    "Table",
    "Warehouse",
    "back_up",
    "copy_database",
    "disk_trouble",
    "hand_over",
    "handed_over",
    "inode",
    "open_published",
    "publish",
    "read_manifest",
    "registry_of",
    "remember",
    "remove_database",
    "restore",
    "sql_literal",
    "torn_lines",
    "unwritable",
    "wal",
    "why_not_written",
]
