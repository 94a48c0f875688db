"""The report: what the published copy says, on one page that opens offline, on a phone, on paper, light or dark.

Reads the published copy only, and states it; nothing is computed here that a table does not hold. `figures` asks,
`words` names, `charts` draws, `page.html` lays out.
"""

from softone_pipeline.report.writing import Reported, report_path, write_report

__all__ = ["Reported", "report_path", "write_report"]
