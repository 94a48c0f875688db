"""A scripted ERP over real HTTP on a free loopback port, for the tests of this folder only.

It keeps invoices as JSON texts, pages them in every way a real server might, and plays faults when told to.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import json
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

FILTER_PATH = "/Economy/Billing/CustomerInvoices/Filter"
OTHER_FILTER_PATH = "/Economy/CustomerInvoices/Filter"
SEARCH_PATH = "/Economy/Billing/CustomerInvoices/Search"
LOGIN_PATH = "/Login/Token"

COMPANY_KEY = "company-key/å+1"
CONNECT_KEY = "connect&key=2"
PASSWORD = "pass<word>%3"
USERNAME = "robot"

DAY = dt.date(2026, 3, 1)


def invoice(invoice_id: object, day: object = DAY, **fields: Any) -> str:
    """One invoice as the server writes it; `Ellipsis` leaves a field out."""
    date = f"{day}T00:00:00" if isinstance(day, dt.date) else day
    found = {
        "InvoiceRows": [{"ProductNr": "A1", "SumAmount": 80.00, "Accounts": []}],
        "InvoiceId": invoice_id,
        "InvoiceNr": f"F{invoice_id}",
        "InvoiceDate": date,
        "TotalAmount": 100.00,
        **fields,
    }
    return json.dumps({name: value for name, value in found.items() if value is not ...}, ensure_ascii=False)


def invoices(*ids: int, day: dt.date = DAY) -> list[str]:
    return [invoice(number, day) for number in ids]


@dataclass
class Asked:
    """One request as it arrived."""

    path: str
    query: dict[str, str]
    body: dict[str, Any]
    headers: dict[str, str]
    at: float

    @property
    def page(self) -> int:
        return int(self.body["PageNumber"])

    @property
    def size(self) -> int:
        return int(self.body["PageNrOfRecords"])


@dataclass
class Answer:
    """What goes back. `play`, when given, writes to the connection by itself."""

    status: int = 200
    body: bytes | str = b""
    headers: dict[str, str] = field(default_factory=dict)
    play: Callable[[BaseHTTPRequestHandler, bytes], None] | None = None

    @property
    def content(self) -> bytes:
        return self.body.encode() if isinstance(self.body, str) else self.body


def reset(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def hang_up(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def cut_with_length(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def cut_without_length(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def cut_chunked(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    half = body[: len(body) // 2]
    handler.wfile.write(f"{len(half):x}\r\n".encode() + half + b"\r\n")
    handler.close_connection = True


def unreadable(status: int, how: str, **headers: str) -> Answer:
    """An answer with this status and a body that cannot be read to its end, or not be decoded."""

    def play(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header(*_UNREADABLE[how])
        handler.end_headers()
        handler.wfile.write(b'5\r\n"Ogil\r\n')
        handler.wfile.flush()
        (reset if how == "reset" else hang_up)(handler, body)

    return Answer(play=play)


_UNREADABLE = {
    "no gzip": ("Content-Encoding", "gzip"),
    "cut": ("Content-Length", "50"),
    "cut chunks": ("Transfer-Encoding", "chunked"),
    "reset": ("Content-Length", "50"),
}
UNREADABLE = tuple(_UNREADABLE)


def no_content(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_response(204)
    handler.end_headers()


def gzipped(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    _send(handler, 200, gzip.compress(body), {"Content-Encoding": "gzip"})


def broken_gzip(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    _send(handler, 200, b"\x1f\x8b" + body, {"Content-Encoding": "gzip"})


def cut_gzip(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    packed = gzip.compress(body)
    _send(handler, 200, packed[: len(packed) // 2], {"Content-Encoding": "gzip"})


def with_bom(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    _send(handler, 200, b"\xef\xbb\xbf" + body, {})


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


class FakeErp:
    """The server. Change its attributes before (or while) a client talks to it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.asked: list[Asked] = []
        self.invoices: list[str] = []
        # paging
        self.first_page = 0
        self.page_0_on_base_1: str = "empty"  # or "refused", "like page 1"
        self.cap: int | None = None
        self.fixed_size: int | None = None
        self.skips_by_asked = False
        self.ignores_paging = False
        self.repeats_last_page = False
        self.single_object = False
        # faults: answers to give before normal ones; None means a normal one
        self.faults: deque[Answer | None] = deque()
        self.login_answers: deque[Answer | None] = deque()
        self.fault_for: Callable[[Asked], Answer | None] = lambda asked: None
        self.before_answer: Callable[[Asked], None] = lambda asked: None
        self.delay = 0.0
        self.filter_paths = {FILTER_PATH}
        self.search_answer: Answer | None = None
        # tokens
        self.logins = 0
        self.valid_tokens: set[str] = set()
        self.token_uses: Counter[str] = Counter()
        self.uses_per_token: int | None = None
        self.bare_token = False
        self.token_key = "Token"
        self.token_refusal = Answer(401, json.dumps("Ogiltig token"))
        self.under_way = 0
        self.most_under_way = 0
        erp = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                with contextlib.suppress(OSError):
                    erp.handle(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self.server.server_address[1]}"

    # --- what tests look at

    @property
    def filter_requests(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.endswith("/Filter")]

    @property
    def pages_asked(self) -> list[int]:
        """The page numbers of all Filter requests of the usual size, in order."""
        return [asked.page for asked in self.filter_requests if asked.size != 1]

    @property
    def borders_asked(self) -> list[int]:
        return [asked.page for asked in self.filter_requests if asked.size == 1]

    # --- serving

    @contextlib.contextmanager
    def running(self) -> Iterator[FakeErp]:
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.server.shutdown()
            thread.join()
            self.server.server_close()

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        content = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        parts = urlsplit(handler.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        asked = Asked(parts.path, query, json.loads(content), dict(handler.headers.items()), time.monotonic())
        with self.lock:
            self.asked.append(asked)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.delay:
                time.sleep(self.delay)
            self.before_answer(asked)
            with self.lock:
                answer = self.answer(asked)
        finally:
            with self.lock:
                self.under_way -= 1
        if answer.play is not None:
            answer.play(handler, answer.content)
        else:
            _send(handler, answer.status, answer.content, answer.headers)

    def answer(self, asked: Asked) -> Answer:
        keys = (asked.query.get("companyApiKey"), asked.query.get("connectApiKey"))
        if keys != (COMPANY_KEY, CONNECT_KEY):
            return Answer(401, json.dumps("Felaktig nyckel"))
        if asked.path == LOGIN_PATH:
            return self.login(asked)
        if asked.path not in self.filter_paths | {SEARCH_PATH}:
            return Answer(404, "<html><body>Not here</body></html>")
        token = asked.query.get("token", "")
        if token not in self.valid_tokens:
            return self.token_refusal
        self.token_uses[token] += 1
        if self.uses_per_token is not None and self.token_uses[token] >= self.uses_per_token:
            self.valid_tokens.discard(token)
        if asked.path == SEARCH_PATH:
            return self.search_answer or Answer(404, "")
        fault = self.fault_for(asked) or (self.faults.popleft() if self.faults else None)
        normal = self.filter(asked)
        if fault is None:
            return normal
        return Answer(fault.status, fault.body or normal.body, fault.headers, fault.play)

    def login(self, asked: Asked) -> Answer:
        self.logins += 1
        answer = self.login_answers.popleft() if self.login_answers else None
        if answer is not None:
            return answer
        if asked.body.get("Password") != PASSWORD or asked.body.get("UserName") != USERNAME:
            return Answer(200, json.dumps({"Token": None, "Message": f"Fel lösenord: {asked.body['Password']}"}))
        token = f"token+{self.logins}/{time.monotonic_ns()}"
        self.valid_tokens.add(token)
        return Answer(200, json.dumps(token if self.bare_token else {self.token_key: token, "Message": None}))

    def filter(self, asked: Asked) -> Answer:
        page, size = asked.page, asked.size
        if self.cap is not None:
            size = min(size, self.cap)
        if self.fixed_size is not None:
            size = self.fixed_size
        found = self.select(asked.body)
        if self.ignores_paging:
            return self.listed(found)
        index = page - self.first_page
        if self.first_page == 1 and page == 0:
            if self.page_0_on_base_1 == "refused":
                return Answer(400, json.dumps({"Message": "PageNumber måste vara större än 0"}))
            if self.page_0_on_base_1 == "empty":
                return self.listed([])
            index = 0
        step = asked.size if self.skips_by_asked else size
        pages = [found[at : at + size] for at in range(0, len(found), step)]
        if self.repeats_last_page and pages:
            index = min(index, len(pages) - 1)
        return self.listed(pages[index] if index < len(pages) else [])

    def listed(self, found: list[str]) -> Answer:
        if self.single_object and len(found) == 1:
            return Answer(200, found[0])
        return Answer(200, "[" + ",".join(found) + "]")

    def select(self, body: dict[str, Any]) -> list[str]:
        if "InvoiceId" in body:
            return [text for text in self.invoices if str(json.loads(text).get("InvoiceId")) == body["InvoiceId"]]
        if "InvoiceDateFrom" not in body:
            return self.invoices
        first, last = body["InvoiceDateFrom"][:10], body["InvoiceDateTo"][:10]
        return [text for text in self.invoices if first <= self.written_day(text, first) <= last]

    def written_day(self, text: str, otherwise: str) -> str:
        date = json.loads(text).get("InvoiceDate")
        return date[:10] if isinstance(date, str) and date[:2] == "20" else otherwise
