"""A tuned dlt: rest_api source, parquet files, decimal hints, two workers. Lands invoices and rows, no more."""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path
from typing import Any

from softone_pipeline_tests.bench.data import first_days

FILTER = "/Economy/Billing/CustomerInvoices/Filter"


def load(days: list[dt.date], folder: Path) -> None:
    """Load the days into `folder`/dlt.duckdb."""
    os.environ.update(
        {
            "EXTRACT__WORKERS": "4",
            "NORMALIZE__WORKERS": "2",
            "LOAD__WORKERS": "2",
            "SOURCES__DATA_WRITER__FILE_MAX_ITEMS": "5000",
            "NORMALIZE__DATA_WRITER__BUFFER_MAX_ITEMS": "50000",
            "DATA_WRITER__DISABLE_COMPRESSION": "true",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
    )
    import dlt  # type: ignore[import-not-found, unused-ignore]
    from dlt.sources.rest_api import rest_api_resources  # type: ignore[import-not-found, unused-ignore]

    @dlt.resource(selected=False)  # type: ignore[untyped-decorator, unused-ignore]
    def asked_days() -> Any:
        yield [{"day": day.isoformat()} for day in days]

    money = {"data_type": "decimal", "precision": 18, "scale": 2}
    measure = {"data_type": "decimal", "precision": 18, "scale": 6}
    amounts = ("total_amount", "total_amount_currency", "vat_amount", "vat_amount_currency")
    row_amounts = ("sum_amount", "sum_amount_currency", "vat_amount", "vat_amount_currency")
    prices = ("quantity", "unit_price", "unit_price_currency")
    asked = "{resources.asked_days.day}"
    invoices: dict[str, Any] = {
        "name": "invoices",
        "parallelized": True,
        "columns": {name: {"name": name, **money} for name in amounts},
        "nested_hints": {
            "InvoiceRows": {
                "columns": {
                    **{name: {"name": name, **money} for name in row_amounts},
                    **{name: {"name": name, **measure} for name in prices},
                    "accounts": {"name": "accounts", "data_type": "json"},
                    # always null here: without a type it would be looked at again in every row
                    "attest_state_name": {"name": "attest_state_name", "data_type": "text"},
                }
            }
        },
        "endpoint": {
            "path": FILTER.lstrip("/"),
            "method": "POST",
            "json": {"InvoiceDateFrom": asked, "InvoiceDateTo": asked, "PageNumber": 0, "PageNrOfRecords": 500},
            "data_selector": "$",
            "paginator": {
                "type": "page_number",
                "base_page": 0,
                "page_param": None,
                "page_body_path": "PageNumber",
                "total_path": None,
                "stop_after_empty_page": True,
            },
        },
    }
    config: Any = {"client": {"base_url": os.environ["SOFTONE_BASE_URL"]}, "resources": [asked_days(), invoices]}
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(folder / "dlt"),
        destination=dlt.destinations.duckdb(str(folder / "dlt.duckdb")),
        dataset_name="landed",
    )
    pipeline.run(rest_api_resources(config), loader_file_format="parquet").raise_on_failed_jobs()


if __name__ == "__main__":
    load(first_days(int(sys.argv[1])), Path.cwd())
