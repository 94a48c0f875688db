"""What an HTTP answer means: good, worth another attempt, or refused; and how long the server asks us to
wait.

Says nothing of 401 (see `auth.py`) nor of which path to use (see `sending.py`).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from email.utils import parsedate_to_datetime

import httpx

from softone_pipeline.errors import RequestRefusedError
from softone_pipeline.softone.pages import said_in
from softone_pipeline.softone.redaction import Redactor

LONGEST_WAIT = 600.0
"""Seconds. A server that asks for more is asked again after this long."""

# 202 and 206 too: accepted for later, and a part of the body, are no answer.
_WORTH_ANOTHER_TRY = {202, 206, 408, 425, 429}
_SAYS_WHEN = {429, 503}
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
# Redirects that say of themselves that they will pass: a maintenance page, a gateway that is being moved.
_ELSEWHERE_FOR_NOW = {302, 303, 307}


class TransientError(Exception):
    """One attempt failed in a way that another may not. Never leaves this room."""

    def __init__(
        self, why: str, *, status: int | None = None, retry_after: float = 0, no_connection: bool = False
    ) -> None:
        self.status = status
        self.no_connection = no_connection
        self.retry_after = retry_after
        super().__init__(why)


class ErrorsReadTransport(httpx.BaseTransport):
    """Reads every answer that is no success at once. One whose body cannot be read to its end, or decoded, comes without
    text: its status and headers say what is to be done, a new login or a wait.
    """

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        if response.is_success:
            return response
        text = b""
        with contextlib.closing(response), contextlib.suppress(httpx.HTTPError):
            text = response.read()
        # decoded already
        response.headers.pop("Content-Encoding", None)
        return httpx.Response(response.status_code, headers=response.headers, content=text)

    def close(self) -> None:
        self._inner.close()


def judge(response: httpx.Response, redactor: Redactor, path: str, *, address_setting: str) -> None:
    """Return when the answer is a success by its status.

    Raises TransientError for 202, 206, 408, 425, 429, 5xx and the redirects that are temporary by their status,
    RequestRefusedError for other redirects and every other 4xx. No redirect is ever followed. `path` is the one that was
    asked, `address_setting` the variable that holds the address.
    """
    status = response.status_code
    if response.is_success and status not in _WORTH_ANOTHER_TRY:
        return
    said = text_of(response, redactor)
    if status in _WORTH_ANOTHER_TRY or status >= 500:
        raise TransientError(with_text(f"HTTP {status}", said), status=status, retry_after=asked_wait(response))
    if response.is_redirect:
        what = (
            f"The server redirects (HTTP {status}) to {_redirect_target(response, redactor)}. Redirects "
            f"are not followed, for the keys would go along; set {address_setting} to the API's own address"
        )
        if status in _ELSEWHERE_FOR_NOW:
            raise TransientError(what, status=status)
        raise RequestRefusedError(f"{what}.", status=status)
    raise RequestRefusedError(with_text(f"The ERP refused {path} (HTTP {status})", said) + ".", status=status)


def text_of(response: httpx.Response, redactor: Redactor) -> str | None:
    """What the server says, fit to be shown: the Message of a JSON body, or the text itself."""
    try:
        body = response.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        body = response.content.decode("latin-1")
    said = said_in(body)
    return (redactor.clean(said) or None) if said else None


def with_text(what: str, said: str | None) -> str:
    """`what`, and behind it what the server said, if anything."""
    return f"{what}: {said.rstrip('.')}" if said else what


def asked_wait(response: httpx.Response) -> float:
    """Seconds that a 429 or 503 asks us to wait (Retry-After in seconds or as a date), at most 600.

    0 when it does not say, says 0, names a moment that has passed, or cannot be read.
    """
    value = response.headers.get("Retry-After", "").strip()
    if response.status_code not in _SAYS_WHEN or not value:
        return 0
    # digits alone by the standard; some send a fraction
    seconds = float(value) if _SECONDS.fullmatch(value) else _seconds_until(value, response.headers.get("Date"))
    return min(max(seconds, 0), LONGEST_WAIT)


def _seconds_until(date: str, server_now: str | None) -> float:
    until = _moment(date)
    if until is None:
        return 0
    # by the server's own clock, where it tells the time
    now = (_moment(server_now) if server_now else None) or dt.datetime.now(dt.UTC)
    return (until - now).total_seconds()


def _moment(text: str) -> dt.datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _redirect_target(response: httpx.Response, redactor: Redactor) -> str:
    """The address without its query, which may repeat our keys."""
    location = str(response.headers.get("Location", ""))
    return redactor.clean(re.split("[?#]", location, maxsplit=1)[0]) or "another address"
