"""Exports: any table or query result of the published copy as Parquet, CSV or Excel, exact to the last digit.

Reads only, and only the published copy. What becomes of the file is the warehouse's business (handover).
"""

from softone_pipeline.export.exporting import CsvStyle, Exported, export

__all__ = ["CsvStyle", "Exported", "export"]
