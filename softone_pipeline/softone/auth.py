"""Authentication (vendor document 2.2): two API keys and a time-limited token in the query of every request.

The token is fetched by a login, shared by all threads, and replaced when the server no longer takes it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator
from typing import NoReturn

import httpx
from pydantic import SecretStr

from softone_pipeline.errors import AuthenticationError, EndpointNotFoundError, RequestRefusedError
from softone_pipeline.settings import ErpSettings
from softone_pipeline.softone.answers import TransientError, judge, text_of, with_text
from softone_pipeline.softone.jsontext import JsonNumber, parse
from softone_pipeline.softone.pages import message_in, no_json
from softone_pipeline.softone.received import Traffic
from softone_pipeline.softone.redaction import Redactor
from softone_pipeline.softone.transport import TASK

LOGIN_PATH = "/Login/Token"

_Flow = Generator[httpx.Request, httpx.Response, None]


class _Token:
    """A token, whether it was given outright, and the URLs it is part of."""

    __slots__ = ("given", "urls", "value")

    def __init__(self, value: str, *, given: bool = False) -> None:
        self.value = value
        self.given = given
        self.urls: dict[httpx.URL, httpx.URL] = {}


class TokenAuth(httpx.Auth):
    """Adds keys and token to each request, logs in when there is no token or the server refuses it.

    Raises (out of the client's `send`) AuthenticationError, EndpointNotFoundError when there is no login
    under the base URL, RequestRefusedError when the login is redirected for good, TransientError when it may work a
    moment later. A refusal is final: every later request fails with the same error, without asking the
    server again.
    """

    def __init__(self, settings: ErpSettings, redactor: Redactor) -> None:
        self._settings = settings
        self._variable = settings.variable
        self._redactor = redactor
        self._lock = threading.Lock()
        given = _secret(settings.token)
        self._token = _Token(given, given=True) if given else None
        self._login_refusal: tuple[str, str | None] | None = None
        self._path_refusals: dict[str, tuple[str, str | None]] = {}

    def __repr__(self) -> str:
        return f"TokenAuth({self._settings.base_url!r})"

    @property
    def token_source(self) -> str:
        """Where the token in use comes from: the variable of one given outright, or "login"."""
        token = self._token
        return self._variable("token") if token is not None and token.given else "login"

    def sync_auth_flow(self, request: httpx.Request) -> _Flow:
        bare = request.url
        refused: list[_Token] = []
        said: str | None = None
        while True:
            with self._lock:
                self._raise_if_refused(bare.path)
                token = self._token
                # A newer token than the refused one may be used up already, by others; after a second one it takes its own.
                if token is None or token in refused or len(refused) == 2:
                    token = yield from self._log_in(request, said)
                    if refused:
                        # Issued after it was refused, and used before anybody else has it: only that proves anything.
                        response = yield self._signed(request, bare, token)
                        if response.status_code == 401:
                            self._refuse_path(bare.path, text_of(response, self._redactor))
                        return
            response = yield self._signed(request, bare, token)
            if response.status_code != 401:
                return
            refused.append(token)
            said = text_of(response, self._redactor)

    def _log_in(self, request: httpx.Request, said: str | None) -> Generator[httpx.Request, httpx.Response, _Token]:
        """A new token, for everybody. `said`: why the server refused the one before.

        Belongs under the lock: whoever needs one meanwhile waits, and shares what it brings.
        """
        if not (self._settings.username and self._settings.password):
            self._refuse_login(
                f"The ERP refused the token in {self._variable('token')}, and it cannot be renewed without "
                f"{self._variable('username')} and {self._variable('password')}. Set a new token, or set both.",
                said,
            )
        request.extensions[TASK].meter.add(Traffic(logins=1))
        response = yield self._login(request)
        response.read()
        value = self._token_in(response)
        self._redactor.learn(value)
        self._token = _Token(value)
        return self._token

    def _signed(self, request: httpx.Request, bare: httpx.URL, token: _Token) -> httpx.Request:
        """The request with keys and token in its URL, which was `bare`."""
        if bare not in token.urls:
            token.urls[bare] = self._with_keys(bare, token)
        request.url = token.urls[bare]
        return request

    def _login(self, request: httpx.Request) -> httpx.Request:
        settings = self._settings
        body = {"License": settings.license} if settings.license else {}
        body |= {"UserName": settings.username or "", "Password": _secret(settings.password) or ""}
        return httpx.Request(
            "POST",
            self._with_keys(httpx.URL(settings.base_url + LOGIN_PATH), None),
            json=body,
            headers={name: request.headers[name] for name in ("User-Agent", "Accept") if name in request.headers},
            extensions=request.extensions,
        )

    def _with_keys(self, url: httpx.URL, token: _Token | None) -> httpx.URL:
        keys = {
            "companyApiKey": _secret(self._settings.company_api_key) or "",
            "connectApiKey": _secret(self._settings.connect_api_key) or "",
        }
        if token is not None:
            keys["token"] = token.value
        with contextlib.suppress(httpx.InvalidURL, ValueError):
            return url.copy_with(params={**keys, **url.params})
        if token is None:
            what = f"The keys in {self._variable('company_api_key')} and {self._variable('connect_api_key')} do not"
        elif token.given:
            what = f"The token in {self._variable('token')} does not"
        else:
            what = f"The token that the login of company {self._settings.company} brought does not"
        self._refuse_login(f"{what} fit into an address: too long, or no text.")

    def _token_in(self, response: httpx.Response) -> str:
        """The token of a login's answer: `{"Token": …}` in any case, or a bare JSON string (api.md,
        "Login/Token").
        """
        status = response.status_code
        if status == 404:
            raise EndpointNotFoundError(
                f"There is no {LOGIN_PATH} under {self._settings.base_url} (HTTP 404). Check {self._variable('base_url')}.",
                status=404,
            )
        try:
            judge(response, self._redactor, LOGIN_PATH, address_setting=self._variable("base_url"))
        except TransientError as error:
            raise TransientError(f"login: {error}", status=error.status, retry_after=error.retry_after) from None
        except RequestRefusedError:
            if response.is_redirect:
                raise
            self._refuse_login(
                f"The ERP refused the login of company {self._settings.company} (HTTP {status}).",
                text_of(response, self._redactor),
            )
        try:
            answer = parse(response.content.decode("utf-8-sig"))
        except ValueError:
            why = no_json(response.content)
            said = self._redactor.clean(why.said) if why.said else None
            raise TransientError(with_text(f"login: {why}", said), status=status) from None
        token = answer
        if isinstance(answer, dict):
            token = {key.lower(): value for key, value in answer.items()}.get("token")
        if isinstance(token, str) and not isinstance(token, JsonNumber) and token.strip():
            return token.strip()
        if isinstance(answer, dict) and (message := message_in(answer)):
            self._refuse_login(
                f"The ERP refused the login of company {self._settings.company}.", self._redactor.clean(message)
            )
        raise TransientError("login: the answer holds neither a Token nor a Message", status=status)

    def _refuse_login(self, what: str, said: str | None = None) -> NoReturn:
        self._login_refusal = (what, said)
        raise AuthenticationError(what, server_message=said)

    def _refuse_path(self, path: str, said: str | None) -> NoReturn:
        what = (
            f"The ERP refused a token it had just issued to company {self._settings.company} (HTTP 401). Check "
            f"{self._variable('company_api_key')} and {self._variable('connect_api_key')}, and that the API user may "
            "read customer invoices."
        )
        # by path, for the right to one endpoint says nothing about another
        self._path_refusals[path] = (what, said)
        raise AuthenticationError(what, server_message=said)

    def _raise_if_refused(self, path: str) -> None:
        refusal = self._login_refusal or self._path_refusals.get(path)
        if refusal is not None:
            what, said = refusal
            raise AuthenticationError(what, server_message=said)


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value is not None else None
