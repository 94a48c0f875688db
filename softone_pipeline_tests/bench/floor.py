"""The floor: fetch, check the JSON's syntax, write the same typed tables. Nothing is read from the JSON, kept or compared.

The tables' rows are ready as Arrow files, which `prepare` makes once from what the library path stores.
"""

from __future__ import annotations

import datetime as dt
import http.client
import importlib
import json
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import msgspec

from softone_pipeline.tables.core.invoice_rows import INVOICE_ROWS
from softone_pipeline.tables.core.invoices import INVOICES
from softone_pipeline.warehouse import STORAGE_VERSION, Table
from softone_pipeline_tests.bench.data import first_days

_FILTER = "/Economy/Billing/CustomerInvoices/Filter"
_PAGE_SIZE = 500
_CONNECTIONS = 4
_TABLES = (INVOICES, INVOICE_ROWS)
_local = threading.local()


def prepare(loaded: Path, folder: Path) -> None:
    """Write core's tables, as the library path published them in `loaded`, to Arrow files in `folder`."""
    pyarrow: Any = importlib.import_module("pyarrow")
    with duckdb.connect(str(loaded / "softone.duckdb"), read_only=True) as connection:
        for table in _TABLES:
            rows: Any = connection.table(table.qualified_name).to_arrow_table()
            with pyarrow.ipc.new_file(str(_file(folder, table)), rows.schema) as writer:
                writer.write_table(rows)


def load(days: list[dt.date], arrow: Path, target: Path) -> None:
    """Fetch and check the days over four connections, and meanwhile write the tables to `target`."""
    pyarrow: Any = importlib.import_module("pyarrow")
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        fetched = [pool.submit(_fetch, day) for day in days]
        with duckdb.connect(str(target), config={"storage_compatibility_version": STORAGE_VERSION}) as connection:
            connection.execute("create schema core")
            for table in _TABLES:
                for statement in table.create_statements():
                    connection.execute(statement)
                rows = pyarrow.ipc.open_file(pyarrow.memory_map(str(_file(arrow, table)))).read_all()
                connection.register("rows", rows)
                connection.execute(f"insert into {table.qualified_name} by name from rows")
        for day in fetched:
            day.result()


def _file(folder: Path, table: Table) -> Path:
    return folder / f"{table.name}.arrow"


def _fetch(day: dt.date) -> None:
    for answer in _pages(day):
        msgspec.json.decode(answer, type=list[msgspec.Raw])


def _pages(day: dt.date) -> Iterator[bytes]:
    address = urlsplit(os.environ["SOFTONE_BASE_URL"])
    if not hasattr(_local, "connection"):
        _local.connection = http.client.HTTPConnection(address.netloc)
    number, answer = 0, b""
    while answer != b"[]":
        asked = {
            "InvoiceDateFrom": str(day),
            "InvoiceDateTo": str(day),
            "PageNumber": number,
            "PageNrOfRecords": _PAGE_SIZE,
        }
        _local.connection.request("POST", address.path + _FILTER, json.dumps(asked))
        answer = _local.connection.getresponse().read()
        yield answer
        number += 1


if __name__ == "__main__":
    load(first_days(int(sys.argv[1])), Path(sys.argv[2]), Path("floor.duckdb"))
