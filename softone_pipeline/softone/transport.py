"""Everything that every single HTTP request passes through, logins included: the pace, the meter, the proxy.

Also the place where the HTTP libraries' logs are kept from showing URLs, for the URLs hold the keys.
What an answer means is judged in `answers.py`, repeating is done in `sending.py`.
"""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import sqlite3
import threading
import urllib.request
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from pyrate_limiter import AbstractBucket, InMemoryBucket, Rate, RateItem, SQLiteBucket

from softone_pipeline.errors import RequestFailedError, SettingProblem, SettingsError
from softone_pipeline.settings import PERCENT_ENCODED, ErpSettings, is_loopback, server_address
from softone_pipeline.softone.received import Traffic

_log = logging.getLogger("softone_pipeline.softone")

# Where a request carries its Task through httpx, so that the auth flow and the transport find it.
TASK = "softone_task"

# How soon a request that waits for others hears that it is not wanted any more.
_LOOK_UP_SECONDS = 0.05

_CHATTY = (
    "httpx",
    "httpcore",
    *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")),
)


class StoppedError(RequestFailedError):
    """The client was closed, or the reading given up, before the request was done."""

    def __init__(
        self,
        message: str = "The reading was stopped before it was done.",
        *,
        status: int | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(message, status=status, attempts=attempts)


class Meter:
    """Counts traffic; what it counts is counted by its parent too. May be shared between threads."""

    def __init__(self, parent: Meter | None = None) -> None:
        self._parent = parent
        self._lock = threading.Lock()
        self._so_far = Traffic()

    def add(self, traffic: Traffic) -> None:
        with self._lock:
            self._so_far += traffic
        if self._parent is not None:
            self._parent.add(traffic)

    @property
    def so_far(self) -> Traffic:
        with self._lock:
            return self._so_far


@dataclass(frozen=True, slots=True)
class Task:
    """What a request is sent for: `what` names it in logs, `meter` counts it, `halt` ends its waiting."""

    what: str
    meter: Meter
    halt: threading.Event


class Pace:
    """Lets requests through no faster than a number a second, evenly and without bursts.

    Together with every other process of this machine that is given the same file; it holds nothing but moments. Where
    the file cannot be written each process keeps the pace for itself.
    """

    def __init__(self, requests_per_second: float, file: Path | None = None) -> None:
        # One at a time, a fixed distance apart, also for 0.5 a second. Above 50 a second, whole milliseconds
        # are too coarse a distance, so a few go together (never more than 20 ms' worth).
        together = math.ceil(requests_per_second / 50)
        self._rate = Rate(together, math.ceil(1000 * together / requests_per_second))
        self._bucket: AbstractBucket = InMemoryBucket([self._rate])
        if file is not None:
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                self._bucket = SQLiteBucket.init_from_file([self._rate], db_path=str(file), use_file_lock=True)
            except (OSError, sqlite3.Error) as error:
                self._keep_alone(error)
        self._turn = threading.Lock()

    def wait(self, halt: threading.Event) -> None:
        """Block until the next request may go. Raises StoppedError when `halt` is set meanwhile."""
        # The library's Limiter would sleep without hearing `halt`, and keeps a thread of its own to tidy up.
        with self._turn:
            while not halt.is_set():
                try:
                    wait_ms = self._ask()
                except (OSError, sqlite3.Error) as error:
                    self._keep_alone(error)
                    continue
                if wait_ms == 0:
                    return
                halt.wait(wait_ms / 1000)
        raise StoppedError

    def close(self) -> None:
        self._bucket.close()

    def _ask(self) -> int:
        """Take the turn, and 0; or how long to wait (milliseconds) before asking again."""
        now = int(self._bucket.now())  # type: ignore[no-untyped-call]
        decision = self._bucket.put_decision(RateItem("request", now))
        if decision.allowed:  # type: ignore[union-attr]
            self._bucket.leak(now)
            return 0
        wait_ms: int = decision.retry_after_ms or 1  # type: ignore[union-attr]
        if wait_ms > 2 * self._rate.interval:
            # Moments that lie ahead: the clock was set back since.
            self._bucket.flush()
        return min(wait_ms, self._rate.interval)

    def _keep_alone(self, error: Exception) -> None:
        _log.warning("The limit on requests per second is not shared with other processes: %s", error)
        self._bucket.close()
        self._bucket = InMemoryBucket([self._rate])


class MeteredTransport(httpx.BaseTransport):
    """Paces and counts every request that goes to the transport inside it, so many at once. Closing it ends those under way."""

    def __init__(
        self,
        inner: httpx.BaseTransport,
        *,
        at_once: int,
        requests_per_second: float | None,
        pace_file: Path | None = None,
    ) -> None:
        self._inner = inner
        # httpcore's pool, where more threads want a connection than there are, sometimes closes one that is in use
        # (1.0.9: "Bad file descriptor", or a read that times out). So none is made to wait there.
        self._free = threading.BoundedSemaphore(at_once)
        self._pace = Pace(requests_per_second, pace_file) if requests_per_second is not None else None
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._is_closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        task: Task = request.extensions[TASK]
        if self._pace is not None:
            self._pace.wait(task.halt)
        while not self._free.acquire(timeout=_LOOK_UP_SECONDS):
            if task.halt.is_set():
                raise StoppedError
        with contextlib.ExitStack() as at_the_end:
            at_the_end.callback(self._free.release)
            if task.halt.is_set():
                raise StoppedError
            task.meter.add(Traffic(requests=1))
            request.extensions["trace"] = self._note_socket
            response = self._inner.handle_request(request)
            if not isinstance(response.stream, httpx.SyncByteStream):
                raise TypeError("the transport is not a synchronous one")
            # One that came whole, from a transport that is no network, is not read again and so never closed.
            if not response.is_closed:
                response.stream = _CountedStream(response.stream, task.meter, at_the_end.pop_all())
        return response

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            open_now = list(self._sockets)
        # To close a socket wakes nobody who reads from it.
        for each in open_now:
            _hang_up(each)
        self._inner.close()
        if self._pace is not None:
            self._pace.close()

    def _note_socket(self, event: str, facts: Mapping[str, Any]) -> None:
        """Told by httpcore of all that a request goes through; a connection that is made is its `return_value`."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            made: socket.socket = facts["return_value"].get_extra_info("socket")
            with self._lock:
                self._sockets.add(made)
                is_late = self._is_closed
            if is_late:
                _hang_up(made)


def _hang_up(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # Not by a TLS socket's own method, which would take its state away from the thread that reads.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


class _CountedStream(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, meter: Meter, at_the_end: contextlib.ExitStack) -> None:
        self._inner = inner
        self._meter = meter
        self._at_the_end = at_the_end

    def __iter__(self) -> Iterator[bytes]:
        received = 0
        try:
            for chunk in self._inner:
                received += len(chunk)
                yield chunk
        finally:
            self._meter.add(Traffic(bytes_received=received))

    def close(self) -> None:
        with self._at_the_end:
            self._inner.close()


def open_transport(address: str, *, connections: int) -> httpx.BaseTransport:
    """The network, to one address: certificates always verified, proxy from the environment, so many connections at most.

    Raises SettingsError naming the proxy's variable when it is no address of a proxy.
    """
    variable, proxy = _proxy_for(address)
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    if proxy is None or server_address(proxy):
        with contextlib.suppress(httpx.InvalidURL, ValueError, ImportError):
            return httpx.HTTPTransport(limits=limits, proxy=proxy)
    # Outside the handler: their texts repeat the address, and the password that may stand in it.
    should = f"should look like http://user:password@proxy.example.com:3128; {PERCENT_ENCODED}"
    raise SettingsError([SettingProblem(variable, f"{should}. (socks5:// needs the package socksio)")])


def timeouts(settings: ErpSettings) -> httpx.Timeout:
    """`timeout_seconds` to connect and between any two chunks; waiting for a free connection is not timed."""
    return httpx.Timeout(settings.timeout_seconds, pool=None)


def silence_urls() -> None:
    """Keep the HTTP libraries from logging URLs (INFO) and headers (DEBUG), whatever the root logger's level."""
    for name in _CHATTY:
        logger = logging.getLogger(name)
        if _no_urls not in logger.filters:
            logger.addFilter(_no_urls)


def _no_urls(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _proxy_for(address: str) -> tuple[str, str | None]:
    """The environment's proxy for this address, behind its variable; none for this machine, or a proxy would see the keys."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    proxies = {} if is_loopback(host) or urllib.request.proxy_bypass(host) else urllib.request.getproxies()
    name = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(name)
    return f"{name.upper()}_PROXY", f"http://{proxy}" if proxy and "://" not in proxy else proxy
