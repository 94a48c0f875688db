"""A server that has every answer ready: slices of a mapped file, written as they are. Not the bottleneck.

The path before /Economy or /Login says what else is wanted: /empty (no invoices at all), /plain (without the adversarial ones, asked for day by day), /delay=50 (ms).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import mmap
import re
import sys
from array import array
from pathlib import Path

from softone_pipeline_tests.bench.data import ADVERSARIAL, FIRST_DAY, DataSet

_DELAY = re.compile(r"/delay=([0-9]+)")
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class _Pages:
    """The answer to a Filter request, as parts to be written."""

    def __init__(self, data: DataSet) -> None:
        self._per_day = data.expected.per_day
        self._last_place = data.expected.days * self._per_day
        with data.texts.open("rb") as file:
            self._texts = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self._offsets = array("Q")
        self._offsets.frombytes(data.offsets.read_bytes())

    def answer(self, body: bytes, *, plain: bool) -> tuple[bytes, memoryview | bytes, bytes]:
        asked = json.loads(body)
        if "InvoiceDateFrom" not in asked:
            return b"[", b"", b"]"
        first, last = (dt.date.fromisoformat(asked[f"InvoiceDate{end}"][:10]) for end in ("From", "To"))
        start = max((first - FIRST_DAY).days, 0) * self._per_day
        end = min(((last - FIRST_DAY).days + 1) * self._per_day, self._last_place)
        if plain and start < self._per_day:
            end = min(end, self._per_day - len(ADVERSARIAL))
        start += asked["PageNumber"] * asked["PageNrOfRecords"]
        end = min(end, start + asked["PageNrOfRecords"])
        if start >= end:
            return b"[", b"", b"]"
        return b"[", self._texts[self._offsets[start] : self._offsets[end] - 1], b"]"


class _Connection(asyncio.Protocol):
    def __init__(self, pages: _Pages) -> None:
        self._pages = pages
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n") + 4
        length = _LENGTH.search(self._received)
        if end < 4 or length is None or len(self._received) < end + int(length[1]):
            return
        path = self._received[5 : self._received.index(b" ", 5)].decode()
        body = bytes(self._received[end : end + int(length[1])])
        self._received.clear()
        delay = _DELAY.search(path)
        if delay is None:
            self._answer(path, body)
        else:
            asyncio.get_running_loop().call_later(int(delay[1]) / 1000, self._answer, path, body)

    def _answer(self, path: str, body: bytes) -> None:
        parts: tuple[bytes | memoryview, ...] = (b"[]",)
        if "/Login/" in path:
            parts = (b'{"Token":"bench-token"}',)
        elif "/Filter" in path and not path.startswith("/empty"):
            parts = self._pages.answer(body, plain=path.startswith("/plain"))
        self._transport.write(_HEAD % sum(len(part) for part in parts))
        for part in parts:
            self._transport.write(part)


async def _serve(folder: Path) -> None:
    pages = _Pages(DataSet(folder))
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(pages), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
