"""One request to the ERP, sent until it is answered: retries, waits, and which of two paths Filter has.

An attempt is judged in `answers.py`, authenticated in `auth.py`. Knows nothing of windows and pages.
"""

from __future__ import annotations

import functools
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, TypeVar

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from softone_pipeline.errors import (
    EndpointNotFoundError,
    NoConnectionError,
    RequestFailedError,
    SettingProblem,
    SettingsError,
)
from softone_pipeline.settings import ErpSettings
from softone_pipeline.softone.answers import (
    LONGEST_WAIT,
    ErrorsReadTransport,
    TransientError,
    judge,
    text_of,
    with_text,
)
from softone_pipeline.softone.auth import TokenAuth
from softone_pipeline.softone.pages import NoInvoiceListError
from softone_pipeline.softone.received import Traffic
from softone_pipeline.softone.redaction import Redactor
from softone_pipeline.softone.transport import (
    TASK,
    MeteredTransport,
    StoppedError,
    Task,
    open_transport,
    silence_urls,
    timeouts,
)

LOG = logging.getLogger("softone_pipeline.softone")

T = TypeVar("T")

_LONGEST_BACKOFF = 16.0

_NO_CONNECTION = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)

# Seconds. From an ERP that has not answered anybody for so long nothing more is asked: a range of years would otherwise
# go on for hours, with all attempts for each of its days.
_LONGEST_SILENCE = 300.0

# The same few addresses again and again, and without the keys: read once.
_url = functools.lru_cache(maxsize=64)(httpx.URL)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint: the path it is thought to have, and another it may have (api.md, "path of Filter")."""

    name: str
    path: str
    other_path: str | None = None


FILTER = Endpoint("Filter", "/Economy/Billing/CustomerInvoices/Filter", "/Economy/CustomerInvoices/Filter")
SEARCH = Endpoint("Search", "/Economy/Billing/CustomerInvoices/Search")


class Sender:
    """Sends requests for as long as it takes, and no longer. May be shared between threads."""

    def __init__(
        self, settings: ErpSettings, transport: httpx.BaseTransport | None, pace_file: Path | None = None
    ) -> None:
        silence_urls()
        self._settings = settings
        self._redactor = Redactor(
            *(
                secret.get_secret_value()
                for secret in (
                    settings.company_api_key,
                    settings.connect_api_key,
                    settings.password,
                    settings.token,
                )
                if secret is not None
            )
        )
        _check_url(settings)
        self._auth = TokenAuth(settings, self._redactor)
        self._http = httpx.Client(
            auth=self._auth,
            transport=ErrorsReadTransport(
                MeteredTransport(
                    transport or open_transport(settings.base_url, connections=settings.max_connections),
                    at_once=settings.max_connections,
                    requests_per_second=settings.requests_per_second,
                    pace_file=pace_file,
                )
            ),
            timeout=timeouts(settings),
            follow_redirects=False,
            # None is kept: the token is all that an answer leaves behind.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"User-Agent": "softone-pipeline", "Accept": "application/json"},
            event_hooks={"response": [self._hear]},
        )
        # The path that has answered with what was asked for, for good.
        self._paths: dict[Endpoint, str] = {}
        # When the first and the newest request since the last answer came to nothing.
        self._silence: tuple[float, float] | None = None
        self._was_answered = False
        self._is_last_attempt = stop_after_attempt(settings.max_attempts)
        self._backoff = wait_exponential(multiplier=settings.retry_wait_seconds, max=_LONGEST_BACKOFF)

    def __repr__(self) -> str:
        return f"Sender({self._settings.base_url!r})"

    @property
    def token_source(self) -> str:
        """Where the token in use comes from: the variable of one given outright, or "login"."""
        return self._auth.token_source

    def path_of(self, endpoint: Endpoint) -> str:
        """The path that has answered, or the one that would be tried first."""
        return self._paths.get(endpoint, endpoint.path)

    def close(self) -> None:
        """Close the connections; requests under way end at once."""
        self._http.close()

    def post(
        self,
        endpoint: Endpoint,
        body: Mapping[str, Any],
        read: Callable[[bytes], T],
        task: Task,
        *,
        query: str,
    ) -> T:
        """Post `body` and return what `read` makes of the answer, after up to `max_attempts` attempts; without any, once the
        ERP has not answered anything for five minutes.

        `read` raises NoInvoiceListError when the answer is not what it should be: that is worth another
        attempt. `query` stands in the URL besides keys and token. Raises RequestFailedError when the attempts are
        used up (NoConnectionError when none has reached anybody), RequestRefusedError for a 4xx or a lasting redirect, EndpointNotFoundError when no known path
        answers, AuthenticationError, and StoppedError on `task.halt`.
        """
        if self._is_silent():
            raise RequestFailedError(
                f"Not asked for any more: {self._settings.base_url} has not answered anything for "
                f"{_LONGEST_SILENCE / 60:.0f} minutes.",
                attempts=0,
            )
        retrying = Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=lambda state: self._is_last_attempt(state) or self._is_silent(),
            wait=self._wait,
            sleep=functools.partial(_sleep, task.halt),
            before_sleep=functools.partial(self._note_retry, task),
            reraise=True,
        )
        content = json.dumps(body).encode()
        try:
            result: T = retrying(self._attempt, endpoint, content, read, task, query)
            return result
        except TransientError as error:
            last = error
        # Raised out here so that it drags no chain of other errors along.
        attempts = retrying.statistics["attempt_number"]
        tried = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        kind = NoConnectionError if last.no_connection and not self._was_answered else RequestFailedError
        raise kind(
            f"No usable answer after {tried} from {self._settings.base_url}; the last: {last}.",
            status=last.status,
            attempts=attempts,
        )

    def _attempt(
        self,
        endpoint: Endpoint,
        content: bytes,
        read: Callable[[bytes], T],
        task: Task,
        query: str,
    ) -> T:
        known = self._paths.get(endpoint)
        path = known or endpoint.path
        response = self._send(path, content, task, query)
        if response.status_code == 404 and known is None:
            if endpoint.other_path is not None:
                path = endpoint.other_path
                response = self._send(path, content, task, query)
            if response.status_code == 404:
                raise self._not_found(endpoint, response)
        judge(response, self._redactor, path, address_setting=self._settings.variable("base_url"))
        why = None
        try:
            result = read(response.content)
        except NoInvoiceListError as error:
            why = with_text(str(error), self._redactor.clean(error.said) if error.said else None)
        if why is not None:
            raise TransientError(why, status=response.status_code)
        self._paths.setdefault(endpoint, path)
        return result

    def _send(self, path: str, content: bytes, task: Task, query: str) -> httpx.Response:
        """Send once (twice or more when a token has to be renewed), and read the whole answer."""
        if task.halt.is_set():
            raise StoppedError
        request = self._http.build_request(
            "POST",
            _url(f"{self._settings.base_url}{path}?{query}"),
            content=content,
            headers={"Content-Type": "application/json"},
            extensions={TASK: task},
        )
        try:
            return self._http.send(request)
        except httpx.HTTPError as error:
            self._miss()
            no_connection = isinstance(error, _NO_CONNECTION)
            why = f"{type(error).__name__}: {self._redactor.clean(_told(error))}".rstrip(": ")
        except (httpx.InvalidURL, ValueError) as error:
            # httpx reads a redirect's address though it is not to follow it. Its words quote that.
            no_connection = False
            why = f"the answer names an address that is none ({type(error).__name__})"
        # Outside the handler: httpx's errors hold the request, and its URL holds the keys.
        if task.halt.is_set():
            raise StoppedError
        raise TransientError(why, no_connection=no_connection)

    def _hear(self, response: httpx.Response) -> None:
        """Any answer will do, a login's or an error's too."""
        self._silence = None
        self._was_answered = True

    def _miss(self) -> None:
        """No answer. A pause in which nobody asked is no silence: what comes after a long one begins anew."""
        now = time.monotonic()
        first, newest = self._silence or (now, now)
        self._silence = (first if now - newest <= _LONGEST_SILENCE else now, now)

    def _is_silent(self) -> bool:
        if (silence := self._silence) is None:
            return False
        first, newest = silence
        return newest - first > _LONGEST_SILENCE >= time.monotonic() - newest

    def _not_found(self, endpoint: Endpoint, response: httpx.Response) -> EndpointNotFoundError:
        paths = " nor ".join(path for path in (endpoint.path, endpoint.other_path) if path)
        neither = "Neither " if endpoint.other_path else "The path "
        answers = "answers" if endpoint.other_path else "does not answer"
        return EndpointNotFoundError(
            with_text(
                f"{neither}{paths} {answers} under {self._settings.base_url} (HTTP 404). "
                f"Check {self._settings.variable('base_url')}",
                text_of(response, self._redactor),
            )
            + ".",
            status=404,
        )

    def _wait(self, state: RetryCallState) -> float:
        """Seconds to the next attempt: doubling up to 16, less a little by chance; longer if the server asks."""
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.retry_after if isinstance(error, TransientError) else 0
        backoff = self._backoff(state) * random.uniform(0.75, 1)  # noqa: S311 (no secret hangs on it)
        return min(max(backoff, asked), LONGEST_WAIT)

    def _note_retry(self, task: Task, state: RetryCallState) -> None:
        task.meter.add(Traffic(retries=1))
        LOG.warning(
            "%s: %s (attempt %d of %d, the next in %.1f s)",
            task.what,
            state.outcome.exception() if state.outcome is not None else None,
            state.attempt_number,
            self._settings.max_attempts,
            state.upcoming_sleep,
        )


def _told(error: httpx.HTTPError) -> str:
    """What the library says, without the bytes from the wire that it quotes behind a colon: they may hold our own address."""
    return str(error).partition(":")[0] if isinstance(error, httpx.ProtocolError) else str(error)


def _check_url(settings: ErpSettings) -> None:
    try:
        httpx.URL(settings.base_url)
    except httpx.InvalidURL:
        problem = SettingProblem(settings.variable("base_url"), "should look like https://apiexternal.softone.se")
        raise SettingsError([problem]) from None


def _sleep(halt: threading.Event, seconds: float) -> None:
    if halt.wait(seconds):
        raise StoppedError
