"""For the commands that change raw itself: everything derived brought up to date at once, and no byte left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from softone_pipeline.tables import MACROS, MART_TABLES, TABLES
from softone_pipeline.tables.core.refresh import refresh_core
from softone_pipeline.warehouse import Published, Warehouse, publish

if TYPE_CHECKING:
    import duckdb

    from softone_pipeline.settings import PipelineSettings


def warehouse_of(settings: PipelineSettings) -> Warehouse:
    """The pipeline's own file, with every declared table."""
    return Warehouse(
        settings.warehouse_path,
        TABLES,
        macros=MACROS,
        config=settings.duckdb_config,
        mode=int(settings.duckdb_mode, 8),
    )


def rebuild_derived(connection: duckdb.DuckDBPyConnection, settings: PipelineSettings) -> None:
    """core as far as it is behind raw, and the marts. Run it in a transaction."""
    refresh_core(connection, settings)
    for table in MART_TABLES:
        table.rebuild(connection)


def rewrite_and_publish(warehouse: Warehouse, settings: PipelineSettings) -> Published:
    """Replace both files by fresh ones: of what was deleted or changed no byte is left in them."""
    warehouse.rewrite()
    return publish(warehouse, settings.duckdb_path, mode=int(settings.published_mode, 8))
