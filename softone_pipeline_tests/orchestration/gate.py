"""A gate in front of the sandbox: passes everything on over real HTTP, but for the days it is told to break.

The sandbox's own faults come and go with requests; a day that stays broken is what these tests need.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import httpx

_PASSED_ON = ("content-type", "retry-after")


class Gate:
    """A context manager that listens on a free loopback port. Filter's `broken` days get a 503; Search can be broken whole,
    and so can questions by InvoiceId.

    What it answers then quotes the URL that was asked for, keys and all: a server may do that.
    """

    def __init__(self, upstream: str) -> None:
        self.broken: set[dt.date] = set()
        self.unauthorised: set[dt.date] = set()
        """Days that no token opens."""
        self.search_is_broken = False
        self.ids_are_broken = False
        self.asked: list[dt.date] = []
        """The days that Filter was asked for, once per request."""
        self._client = httpx.Client(base_url=upstream, timeout=30, headers={"accept-encoding": "identity"})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._client.close()

    def _answer(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        first = str(json.loads(body or b"{}").get("InvoiceDateFrom") or "")[:10]
        is_search = "/Search?" in path
        is_broken = (is_search and self.search_is_broken) or (self.ids_are_broken and b'"InvoiceId"' in body)
        if first and not is_search:
            day = dt.date.fromisoformat(first)
            self.asked.append(day)
            is_broken = day in self.broken
            if day in self.unauthorised:
                return 401, {"content-type": "application/json"}, b'"Ogiltig token"'
        if is_broken:
            said = json.dumps({"Message": f"Could not serve {self.url}{path}"})
            return 503, {"content-type": "application/json"}, said.encode()
        answer = self._client.post(path, content=body, headers={"content-type": "application/json"})
        headers = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
        return answer.status_code, headers, answer.content

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, content = gate._answer(self.path, body)
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet: it would print the keys."""

        return Handler
