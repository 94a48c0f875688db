"""The sandbox's HTTP: a request taken off the connection and apart, and an answer written to it, whole or not.

What is answered is server.py's.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlsplit

from softone_pipeline.sandbox.records import normal_moment
from softone_pipeline.sandbox.wire import encode

if TYPE_CHECKING:
    from softone_pipeline.sandbox.server import Sandbox

Endpoint = Literal["login", "filter", "search", "unknown"]

HTML = "text/html; charset=utf-8"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Asked:
    """A request, taken apart. `fields` are the body's, in lower case: .NET does not mind either."""

    endpoint: Endpoint
    path: str
    url: str
    query: dict[str, str]
    body: dict[str, Any]
    fields: dict[str, Any]
    malformed: bool
    takes_gzip: bool

    def get(self, name: str) -> Any:
        """A field of the body; an empty text counts as not given, as in .NET."""
        value = self.fields.get(name.lower())
        return None if value == "" else value

    def flag(self, name: str) -> bool:
        value = self.fields.get(name.lower())
        return value is True or (isinstance(value, str) and value.lower() == "true")

    def text(self, name: str) -> str | None:
        value = self.get(name)
        return None if value is None else str(value)

    def moment(self, name: str, zone: dt.tzinfo | None) -> str | None:
        """Raises ValueError for what is no date."""
        text = self.text(name)
        return None if text is None else normal_moment(text, zone)

    @property
    def key(self) -> str:
        """What makes two requests the same, whoever sends them and with which token."""
        return repr((self.endpoint, sorted(self.fields.items(), key=lambda item: item[0])))


@dataclass(slots=True)
class Answer:
    """What is going to be sent."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    items: int | None = None
    faults: list[str] = field(default_factory=list)
    ending: Literal["whole", "closed", "nothing", "reset", "short", "unannounced", "chunked"] = "whole"


def json_answer(status: int, value: Any, *faults: str) -> Answer:
    """A value as JSON, and the faults that made the answer what it is."""
    return Answer(status, encode(value).encode(), faults=list(faults))


def integer(value: Any) -> int | None:
    """None for what is no integer."""
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None


class Server(ThreadingHTTPServer):
    """One thread per connection; knows its connections, so that stopping leaves none behind."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, sandbox: Sandbox, port: int) -> None:
        self.sandbox = sandbox
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()

    def hang_up(self) -> None:
        """Close every connection and wait until their threads have noticed."""
        with self._changed:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # gone already
            self._changed.wait_for(lambda: not self._connections, timeout=5)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A caller who hangs up is everyday life; anything else is a mistake in the sandbox.
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            _log.exception("the sandbox failed on a request")


class _Handler(BaseHTTPRequestHandler):
    """Reads a request off the wire and writes an answer, whole or not."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self._send(self._answer("GET", {}))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length")
        if length is None and self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            return self._send(json_answer(411, {"Message": "Content-Length krävs."}))
        raw = self.rfile.read(int(length or 0))
        try:
            body = json.loads(raw) if raw.strip() else {}
        except ValueError:
            body = None
        return self._send(self._answer("POST", body))

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the sandbox has its own log, and this one would print the keys."""

    def _answer(self, method: str, sent: Any) -> Answer:
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = sent if isinstance(sent, dict) else {}
        sandbox = self.server.sandbox
        if parts.path.startswith("/sandbox"):
            status, said = sandbox.control(method, parts.path, query, body)
            return Answer(status, json.dumps(said, ensure_ascii=False, default=str).encode())
        if method != "POST":
            return json_answer(405, {"Message": f"The requested resource does not support http method '{method}'."})
        return sandbox.answer(
            Asked(
                endpoint=sandbox.endpoint(parts.path),
                path=parts.path,
                url=self.path,
                query=query,
                body=body,
                fields={key.lower(): value for key, value in body.items()},
                malformed=body is not sent,
                takes_gzip="gzip" in self.headers.get("Accept-Encoding", ""),
            )
        )

    def _send(self, answer: Answer) -> None:
        if answer.ending == "nothing":
            return self._reset()
        body = answer.body
        lines = [
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
            f"Date: {formatdate(usegmt=True)}",
            f"Content-Type: {answer.content_type}",
            *(f"{name}: {value}" for name, value in answer.headers.items()),
        ]
        if answer.ending == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif answer.ending != "unannounced":
            lines.append(f"Content-Length: {len(body)}")
        if answer.ending not in {"whole", "closed"}:
            body = body[: len(body) // 2]
            self.close_connection = True
        if answer.ending == "chunked":
            body = f"{len(body):x}\r\n".encode() + body + b"\r\n"
        if self.close_connection:
            lines.append("Connection: close")
        # Without a word: the caller finds out when it uses the connection again.
        self.close_connection |= answer.ending == "closed"
        self.wfile.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        if answer.ending == "reset":
            # Let the first half arrive: a reset overtakes what the other side has not read yet.
            time.sleep(0.02)
            self._reset()
        return None

    def _reset(self) -> None:
        """Close so that the other side sees a reset (RST), not an orderly end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.close(self.connection.detach())
