"""Whether a file that was exported names somebody: looked for in its cells, whatever the format."""

from __future__ import annotations

import html
import re
import zipfile
from pathlib import Path

import duckdb

_TAG = re.compile(r"<[^<>]*>")
_BETWEEN_CELLS = re.compile(r"[;,\t\r\n]")


def mentions(path: Path, pattern: re.Pattern[str]) -> bool:
    """Whether the pattern is found in a Parquet, Excel, HTML or text file. Raises OSError, duckdb.Error or BadZipFile."""
    if path.suffix.lower() == ".parquet":
        with duckdb.connect() as connection:
            rows = connection.execute("from read_parquet(?)", [str(path)])
            while found := rows.fetchmany(10_000):
                if any(pattern.search(f"| {' | '.join(map(str, row))} |") for row in found):
                    return True
        return False
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return any(
                pattern.search(html.unescape(_TAG.sub(" | ", archive.read(name).decode("utf-8", "replace"))))
                for name in archive.namelist()
            )
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    readings = (text, f"| {_BETWEEN_CELLS.sub(' | ', text)} |", html.unescape(_TAG.sub(" | ", text)))
    return any(pattern.search(reading) for reading in readings)
