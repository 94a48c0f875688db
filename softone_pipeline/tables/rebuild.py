"""Everything that is derived, brought up to date with raw at once: for the commands that change raw itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from softone_pipeline.tables import MART_TABLES
from softone_pipeline.tables.core.refresh import refresh_core, set_variables

if TYPE_CHECKING:
    import duckdb

    from softone_pipeline.settings import PipelineSettings


def rebuild_derived(connection: duckdb.DuckDBPyConnection, settings: PipelineSettings) -> None:
    """core of the settings' company, and the marts. Run it in a transaction."""
    refresh_core(connection, settings)
    set_variables(connection, settings)
    for table in MART_TABLES:
        table.rebuild(connection)
