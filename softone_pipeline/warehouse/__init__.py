"""DuckDB: how a table is declared, how the pipeline's own file is opened and written, how the copy is published.

Knows neither the ERP nor Dagster, nor which tables there are.
"""

from softone_pipeline.warehouse.connection import STORAGE_VERSION, Warehouse
from softone_pipeline.warehouse.publish import Published, publish
from softone_pipeline.warehouse.table import Column, Table

__all__ = ["STORAGE_VERSION", "Column", "Published", "Table", "Warehouse", "publish"]
