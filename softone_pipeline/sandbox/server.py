"""The sandbox over real HTTP: login, Filter and Search as the ERP has them, and the faults that are on.

What is true comes from company.py; nothing here changes it, except that the data faults are put into the
company when they are switched on. For a sandbox in another process there is a control panel without keys:

    GET  /sandbox/               what is running: days, invoices, faults
    POST /sandbox/advance        an evening passes; {"seed": 7} makes it a certain one. Answers what changed
    POST /sandbox/mend           bad invoices are sent right again
    POST /sandbox/faults         {"faults": ["bom", "slow:0.2"]} from now on, instead of those before
    GET  /sandbox/faults-fired   how often each fault has fired
    GET  /sandbox/requests       the log; ?last=20 its end
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import logging
import math
import secrets
import signal
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType, TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from softone_pipeline.sandbox.company import Company, Query, Record, normal_moment
from softone_pipeline.sandbox.credentials import DEFAULT, Credentials
from softone_pipeline.sandbox.disguise import Disguise
from softone_pipeline.sandbox.faults import SERVER_ERRORS, Fault, draw, parse_fault
from softone_pipeline.sandbox.wire import encode, quote

LOGIN_PATH = "/Login/Token"
FILTER_PATH = "/Economy/Billing/CustomerInvoices/Filter"
FILTER_LITERAL_PATH = "/Economy/CustomerInvoices/Filter"
SEARCH_PATH = "/Economy/Billing/CustomerInvoices/Search"

Endpoint = Literal["login", "filter", "search", "unknown"]

_BOM = b"\xef\xbb\xbf"
_JSON = "application/json; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_HTML_PAGE = (
    '<!DOCTYPE html><html lang="sv"><head><title>Underhåll</title></head>'
    "<body><h1>Tjänsten är tillfälligt otillgänglig</h1></body></html>"
)
_SESSION_OVER = "Din session har gått ut. Logga in igen."
_BEFORE_SERVING = {
    "rate-limit",
    "rate-limit-date",
    "rate-limit-zero",
    "rate-limit-past",
    "rate-limit-bare",
    "server-error",
    "redirect",
    "reset-before",
    "outage",
}
_ONLY_LISTS = {"cut-close", "html", "null", "message", "empty-body", "token-expires"}
_PAGES_FROM_1 = {"page-base-1", "page-0-as-1", "page-0-refused"}
_REFUSED_FOR_SECONDS = 5.0
_REFUSED_LOGIN = "Felaktigt användarnamn eller lösenord"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request, and what it got. Keys, tokens and passwords are never in it."""

    endpoint: Endpoint
    path: str
    body: dict[str, Any]
    page: int | None
    status: int
    """0 when the connection was reset before a status was sent."""
    faults: tuple[str, ...] = ()
    """Every fault that left its mark on this answer."""
    items: int | None = None
    """How many objects the answer listed; None when it was no list."""
    started: float = 0.0
    """Seconds since the sandbox was made."""
    seconds: float = 0.0

    @property
    def fault(self) -> str | None:
        """The first of the faults, None when all went well."""
        return self.faults[0] if self.faults else None


@dataclass(slots=True)
class _Asked:
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

    @property
    def key(self) -> str:
        """What makes two requests the same, whoever sends them and with which token."""
        return repr((self.endpoint, sorted(self.fields.items(), key=lambda item: item[0])))


@dataclass(slots=True)
class _Answer:
    """What is going to be sent."""

    status: int = 200
    body: bytes = b""
    content_type: str = _JSON
    headers: dict[str, str] = field(default_factory=dict)
    items: int | None = None
    faults: list[str] = field(default_factory=list)
    ending: Literal["whole", "closed", "nothing", "reset", "short", "unannounced", "chunked"] = "whole"


class Sandbox:
    """A pretend ERP on 127.0.0.1. A context manager, or start() and stop(); it can be started again.

    `faults` are written as `parse_fault` reads them. Those that come and go fire at `fault_rate`, drawn from
    `fault_seed`, the request and how often that request has come, so that the order of concurrent requests
    does not matter (only `token-expires` also looks at who still has to log in). After `faults_in_a_row` spoiled
    answers to the same request, or one to a login, the next one is good, but for outages and faults told to
    fire always; None takes that promise away. `path` is where Filter answers. Tokens never end with a
    `token_life_seconds` of None.
    """

    def __init__(
        self,
        company: Company,
        *,
        port: int = 0,
        faults: Iterable[str | Fault] = (),
        fault_seed: int = 1,
        fault_rate: float = 0.1,
        faults_in_a_row: int | None = 3,
        credentials: Credentials = DEFAULT,
        page_base: int = 0,
        page_cap: int | None = None,
        latency_seconds: float = 0,
        token_life_seconds: float | None = 600,
        first_use_seconds: float = 60,
        path: str = FILTER_PATH,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if page_base not in {0, 1}:
            raise ValueError(f"page_base={page_base}: pages count from 0 or from 1")
        self.company = company
        self.credentials = credentials
        self.log: list[RequestRecord] = []
        self.most_at_once = 0
        """The largest number of requests that were under way at the same time."""
        self._port = port
        self._fault_seed = fault_seed
        self._fault_rate = fault_rate
        self._in_a_row = faults_in_a_row
        self._page_base = page_base
        self._page_cap = page_cap
        self._latency = latency_seconds
        self._token_life = token_life_seconds
        self._first_use = first_use_seconds
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._made = time.monotonic()
        self._faults: dict[str, Fault] = {}
        self._in_data: set[Fault] = set()
        self._disguise = Disguise((), seed=fault_seed, rate=fault_rate)
        self._tokens: dict[str, float] = {}
        self._issued: dict[str, float] = {}
        self._at_once = 0
        self._eligible: Counter[str] = Counter()
        self._came: Counter[str] = Counter()
        self._spoiled: Counter[str] = Counter()
        self._refused: dict[str, float] = {}
        self._outage_ends: float | None = None
        self._readings: Counter[Query] = Counter()
        self._usual_size: Counter[Query] = Counter()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self.switch(faults)

    # For whoever runs it

    @property
    def base_url(self) -> str:
        """Where it listens. Known once it is started, or before if the port was given."""
        if not self._port:
            raise RuntimeError("the sandbox has no address before it is started")
        return f"http://127.0.0.1:{self._port}"

    def environment(self) -> dict[str, str]:
        """The SOFTONE_… variables that point the pipeline here."""
        return self.credentials.environment(self.base_url)

    def switch(self, faults: Iterable[str | Fault]) -> None:
        """Have these faults from now on instead of those before. What data faults once put in stays in."""
        parsed = [parse_fault(fault) if isinstance(fault, str) else fault for fault in faults]
        with self._lock:
            self._faults = {fault.name: fault for fault in parsed}
            self._disguise = Disguise(parsed, seed=self._fault_seed, rate=self._fault_rate)
            self._outage_ends = None
            self._eligible.clear()
            new = [fault for fault in parsed if fault.kind.place == "data" and fault not in self._in_data]
            self._in_data.update(new)
        for fault in new:
            share = self._fault_rate if fault.rate is None else fault.rate
            if fault.name == "bad-invoice":
                self.company.add_bad_invoices(str(fault.value), share_of_days=share)
            elif fault.name == "duplicate-id":
                self.company.add_duplicates(share=share)
            else:
                self.company.add_big_day(fault.count)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults that are on."""
        return tuple(self._faults.values())

    def faults_fired(self) -> Counter[str]:
        """How many answers each fault left its mark on."""
        return Counter(name for record in list(self.log) for name in record.faults)

    def requests(self, endpoint: Endpoint) -> list[RequestRecord]:
        """The log of one endpoint."""
        return [record for record in list(self.log) if record.endpoint == endpoint]

    def sent(self, invoice_id: int, *, accounts: bool = False) -> str:
        """The exact text with which an invoice travels, disguise and all. KeyError for an unknown id."""
        records = self.company.select(Query(invoice_id=str(invoice_id), preliminary=True, voucher=True))
        if not records:
            raise KeyError(invoice_id)
        return self._text_of(records[-1], accounts=accounts)[0].decode()

    def issue_token(self) -> str:
        """A token without a login, as an operator might be given one."""
        with self._lock:
            token = f"sandbox-token-{len(self._issued) + 1}-{secrets.token_hex(8)}"
            now = self._clock()
            self._issued[token] = now
            self._tokens[token] = now + self._first_use
        return token

    def revoke_tokens(self) -> None:
        """Every token issued so far stops working."""
        with self._lock:
            self._tokens.clear()

    def start(self) -> None:
        """Listen and answer in the background. Raises OSError when the port is taken."""
        if self._server is not None:
            return
        self._stopping.clear()
        self._server = _Server(self, self._port)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="sandbox", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and close every connection."""
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return
        self._stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
        server.hang_up()
        self._server = self._thread = None

    def serve_forever(self) -> None:
        """Answer until Ctrl-C or SIGTERM, then stop cleanly."""
        finished = threading.Event()

        def finish(_number: int, _frame: FrameType | None) -> None:
            finished.set()

        before: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.signal(number, finish) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.start()
            finished.wait()
        finally:
            self.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # One request

    def answer(self, asked: _Asked) -> _Answer:
        """What a request gets, faults and all; logged."""
        started = time.monotonic()
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            answer = self._answer(asked)
        finally:
            with self._lock:
                self._at_once -= 1
        body = {key: "***" if "password" in key.lower() else value for key, value in asked.body.items()}
        self.log.append(
            RequestRecord(
                endpoint=asked.endpoint,
                path=asked.path,
                body=body,
                page=_integer(asked.get("PageNumber")),
                status=0 if answer.ending == "nothing" else answer.status,
                faults=tuple(answer.faults),
                items=answer.items,
                started=started - self._made,
                seconds=time.monotonic() - started,
            )
        )
        return answer

    def _answer(self, asked: _Asked) -> _Answer:
        self._wait(self._latency)
        broken = self._transport_fault(asked)
        if broken is not None and broken.name in _BEFORE_SERVING:
            answer = self._instead(broken, asked)
        else:
            if broken is not None and broken.name == "token-expires":
                with self._lock:
                    self._tokens.pop(asked.query.get("token", ""), None)
            answer = self._serve(asked)
            if broken is not None:
                self._break(answer, broken)
        self._remember(asked, answer, broken)
        self._dress(answer, asked)
        return answer

    def _serve(self, asked: _Asked) -> _Answer:
        if asked.endpoint == "unknown":
            answer = _error(404, {"Message": "No HTTP resource was found that matches the request URI."})
            if "filter-missing" in self._faults and asked.path in {FILTER_PATH, FILTER_LITERAL_PATH}:
                answer.faults.append("filter-missing")
            elif "filter-moved" in self._faults and asked.path == FILTER_PATH:
                answer.faults.append("filter-moved")
            return answer
        if asked.malformed:
            return _error(400, {"Message": "The request is invalid."})
        keys = (asked.query.get("companyApiKey"), asked.query.get("connectApiKey"))
        if keys != (self.credentials.company_api_key, self.credentials.connect_api_key):
            return _error(401, "Ogiltig API-nyckel.")
        if asked.endpoint == "login":
            return self._login(asked)
        refusal = self._check_token(asked.query.get("token", ""))
        if refusal is not None:
            return refusal
        return self._filter(asked) if asked.endpoint == "filter" else self._search(asked)

    # Login and tokens

    def _login(self, asked: _Asked) -> _Answer:
        for name in ("login-refused-401", "login-refused-200"):
            if self._fires(name, asked):
                refused = _error(401, _REFUSED_LOGIN) if name.endswith("401") else _no_token()
                refused.faults.append(name)
                return refused
        known = self.credentials
        given = (asked.get("UserName"), asked.get("Password"))
        if given != (known.username, known.password) or asked.get("License") not in {known.license, None}:
            return _no_token()
        if known.license is not None and asked.get("License") is None:
            return _no_token()
        token = self.issue_token()
        if self._fires("bare-token", asked):
            return _Answer(body=quote(token).encode(), faults=["bare-token"])
        expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self._first_use)
        answer = {"Token": token, "Message": "", "Expires": expires.isoformat(timespec="seconds")}
        return _Answer(body=encode(answer).encode())

    def _check_token(self, token: str) -> _Answer | None:
        """None when the token is good (and then it lives on), a 401 otherwise."""
        with self._lock:
            now = self._clock()
            ends = self._tokens.get(token)
            if ends is None:
                return _error(401, _SESSION_OVER if token in self._issued else "Ogiltig token.")
            short = self._faults.get("short-token")
            if short is not None and now >= self._issued[token] + short.seconds:
                answer = _error(401, _SESSION_OVER)
                answer.faults.append("short-token")
                return answer
            if self._token_life is not None:
                if now > ends:
                    del self._tokens[token]
                    return _error(401, _SESSION_OVER)
                self._tokens[token] = now + self._token_life
        return None

    # Filter and Search

    def _filter(self, asked: _Asked) -> _Answer:
        try:
            query = Query(
                invoice_id=_text(asked.get("InvoiceId")),
                number=_text(asked.get("Number")),
                first=_moment(asked.get("InvoiceDateFrom")),
                last=_moment(asked.get("InvoiceDateTo")),
                preliminary=asked.flag("IncludePreliminary"),
                voucher=asked.flag("IncludeVoucher"),
            )
        except ValueError:
            return _error(400, {"Message": "The request is invalid: a date cannot be read."})
        found = self.company.select(query)
        page, size = _integer(asked.get("PageNumber")), _integer(asked.get("PageNrOfRecords"))
        answer = _Answer()
        if page is not None and page < 0:
            return _error(400, {"Message": "PageNumber kan inte vara negativt."})
        if size is not None and size > 0:
            if page == 0 and self._fires("page-0-refused", asked):
                refused = _error(400, {"Message": "PageNumber måste vara större än 0."})
                refused.faults.append("page-0-refused")
                return refused
            found = self._page(found, page or 0, size, query, answer)
        accounts = asked.flag("IncludeRowAccountInfo")
        return self._list(answer, found, lambda record: self._text_of(record, accounts=accounts))

    def _search(self, asked: _Asked) -> _Answer:
        for name, status, text in (
            ("search-missing", 404, {"Message": "No HTTP resource was found that matches the request URI."}),
            ("search-forbidden", 403, "Behörighet saknas för Search."),
        ):
            if name in self._faults:
                refused = _error(status, text)
                refused.faults.append(name)
                return refused
        fully_paid = asked.get("FullyPaid")
        try:
            found = self.company.look_up(
                number=_text(asked.get("Number")),
                customer_number=_text(asked.get("CustomerNr")),
                first=_moment(asked.get("InvoiceDateFrom")),
                last=_moment(asked.get("InvoiceDateTo")),
                fully_paid=asked.flag("FullyPaid") if fully_paid is not None else None,
                preliminary=asked.flag("IncludePreliminary"),
                voucher=asked.flag("IncludeVoucherStatus") or asked.flag("IncludeVoucher"),
            )
            most = int(asked.query.get("maxNrRows", 0))
        except ValueError:
            return _error(400, {"Message": "The request is invalid."})
        found = found[:most] if most > 0 else found
        return self._list(_Answer(), found, self._found_text)

    def _list(
        self,
        answer: _Answer,
        records: Sequence[Record],
        text_of: Callable[[Record], tuple[bytes, frozenset[str]]],
    ) -> _Answer:
        texts = []
        fired: set[str] = set()
        for record in records:
            text, faults = text_of(record)
            texts.append(text)
            if faults:
                fired |= faults
        answer.items = len(texts)
        answer.faults.extend(sorted(fired))
        answer.body = b"[" + b",".join(texts) + b"]"
        return answer

    def _text_of(self, record: Record, *, accounts: bool) -> tuple[bytes, frozenset[str]]:
        text = record.sent(accounts=accounts)
        fired: frozenset[str] = frozenset()
        if self._disguise and record.spoiled is None:
            text, fired = self._disguise.put_on(text, record.id)
        if self._in_data:
            fired |= self.company.faults_in(record)
        return text, fired

    def _found_text(self, record: Record) -> tuple[bytes, frozenset[str]]:
        text = record.found(self.company.last_day.toordinal())
        return self._disguise.put_on(text, record.id) if self._disguise else (text, frozenset())

    def _page(self, found: list[Record], page: int, asked_size: int, query: Query, answer: _Answer) -> list[Record]:
        faults = self._faults
        size = asked_size if self._page_cap is None else min(asked_size, self._page_cap)
        if "page-fixed" in faults:
            size = faults["page-fixed"].count
            if size != asked_size:
                answer.faults.append("page-fixed")
        if "page-cap" in faults and size > faults["page-cap"].count:
            size = faults["page-cap"].count
            answer.faults.append("page-cap")
        step = size
        if "page-cap-skips" in faults and size > faults["page-cap-skips"].count:
            size = faults["page-cap-skips"].count
            answer.faults.append("page-cap-skips")
        if "newest-first" in faults and len(found) > 1:
            # What doubles an invoice still comes before it.
            found = sorted(found, key=lambda record: (record.moment, record.id), reverse=True)
            answer.faults.append("newest-first")
        if "paging-ignored" in faults:
            if len(found) > asked_size or page > self._base:
                answer.faults.append("paging-ignored")
            return found
        if page == 0 and self._base == 1:
            name = "page-0-as-1" if "page-0-as-1" in faults else "page-base-1"
            if name in faults:
                answer.faults.append(name)
            if name != "page-0-as-1":
                return []
            page = 1
        index = page - self._base
        if "last-page-repeated" in faults and found and index * step >= len(found):
            index = (len(found) - 1) // step
            answer.faults.append("last-page-repeated")
        if "shifting-pages" in faults and len(found) > size + 1:
            found = self._shifted(found, index, size, query, answer)
        return found[index * step :][:size]

    @property
    def _base(self) -> int:
        from_1 = _PAGES_FROM_1 & self._faults.keys()
        if from_1 == {"page-0-refused"}:
            refused = self._faults["page-0-refused"]
            return self._page_base if (refused.first, refused.every, refused.rate) != (None,) * 3 else 1
        return 1 if from_1 else self._page_base

    def _shifted(self, found: list[Record], index: int, size: int, query: Query, answer: _Answer) -> list[Record]:
        """The window as this reading sees it: somewhere on the way an invoice already passed comes, or goes."""
        with self._lock:
            # What is asked for one by one, to look a second time, belongs to the reading before it.
            is_look = size == 1 < self._usual_size[query]
            if not is_look:
                self._usual_size[query] = size
            usual = self._usual_size[query]
            self._readings[query] += index == 0 and not is_look
            reading = max(1, self._readings[query])
        pages = -(-len(found) // usual)
        if reading > self._faults["shifting-pages"].count or pages < 2:
            return found
        comes_late = draw(self._fault_seed, "comes or goes", query, reading) < 0.5
        before = int(draw(self._fault_seed, "when", query, reading) * (pages - 1))
        is_early = not is_look and index <= before
        if comes_late != is_early:
            return found
        moved = int(draw(self._fault_seed, "which", query, reading) * (before + 1) * usual)
        answer.faults.append("shifting-pages")
        return found[:moved] + found[moved + 1 :]

    # Faults on the way

    def _fires(self, name: str, asked: _Asked) -> bool:
        """Whether a fault fires on this request. Counts the request as one that it could have fired on."""
        fault = self._faults.get(name)
        if fault is None:
            return False
        with self._lock:
            self._eligible[name] += 1
            nth = self._eligible[name]
            attempt = self._came[asked.key]
        if fault.first is not None:
            return nth <= fault.first
        if fault.every is not None:
            return nth % fault.every == 0
        rate = fault.rate if fault.rate is not None else self._fault_rate
        if fault.rate is None and fault.kind.by_default == "always":
            return True
        return draw(self._fault_seed, name, asked.key, attempt) < rate

    def _transport_fault(self, asked: _Asked) -> Fault | None:
        """The one transport fault that spoils this request, if any does."""
        if asked.endpoint == "unknown":
            return None
        with self._lock:
            self._came[asked.key] += 1
            # A caller may count the login that a request needs among its attempts: spoil fewer of those.
            most = 1 if asked.endpoint == "login" else self._in_a_row
            enough = self._in_a_row is not None and self._spoiled[asked.key] >= (most or 0)
        for fault in self._faults.values():
            if fault.kind.place != "transport" or (asked.endpoint == "login" and fault.name in _ONLY_LISTS):
                continue
            if fault.name == "outage":
                fires = self._is_out(fault)
            elif fault.name == "token-expires" and self._somebody_is_logging_in():
                continue
            else:
                by_chance = fault.first is None and fault.every is None and fault.rate != 1
                fires = self._fires(fault.name, asked) and not (enough and by_chance)
            if fires:
                return fault
        return None

    def _remember(self, asked: _Asked, answer: _Answer, broken: Fault | None) -> None:
        """How often in a row this request has gone wrong, and whether its caller must log in now."""
        with self._lock:
            if broken is not None or answer.status == 401:
                self._spoiled[asked.key] += 1
            else:
                self._spoiled[asked.key] = 0
            if answer.status == 401:
                self._refused[asked.key] = time.monotonic()
            elif answer.status == 200 and answer.ending == "whole":
                self._refused.pop(asked.key, None)

    def _is_out(self, fault: Fault) -> bool:
        with self._lock:
            now = time.monotonic()
            self._eligible["outage"] += 1
            if self._outage_ends is None and self._eligible["outage"] > (20 if fault.after is None else fault.after):
                self._outage_ends = now + fault.seconds
            return self._outage_ends is not None and now < self._outage_ends

    def _somebody_is_logging_in(self) -> bool:
        # A token that ends again before everybody has had an answer with it would never have worked.
        limit = time.monotonic() - _REFUSED_FOR_SECONDS
        return any(since > limit for since in list(self._refused.values()))

    def _instead(self, fault: Fault, asked: _Asked) -> _Answer:
        luck = draw(self._fault_seed, "which error", asked.key, self._came[asked.key])
        match fault.name:
            case "reset-before":
                answer = _Answer(ending="nothing")
            case "outage" if luck < 0.5:
                answer = _Answer(ending="nothing")
            case "outage":
                answer = _server_error(503)
            case "server-error":
                mixed = fault.value == "mixed"
                answer = _server_error(
                    SERVER_ERRORS[int(luck * len(SERVER_ERRORS))] if mixed else int(str(fault.value))
                )
            case "redirect":
                query = urlsplit(asked.url).query
                answer = _Answer(int(str(fault.value)), content_type=_HTML)
                answer.headers["Location"] = f"http://localhost:{self._port}/elsewhere?{query}"
            case _:
                answer = _error(429, "För många anrop. Försök igen senare.")
                match fault.name:
                    case "rate-limit-date":
                        until = math.ceil(time.time() + fault.seconds)
                        answer.headers["Retry-After"] = formatdate(until, usegmt=True)
                    case "rate-limit-past":
                        answer.headers["Retry-After"] = formatdate(time.time() - 3600, usegmt=True)
                    case "rate-limit" | "rate-limit-zero":
                        answer.headers["Retry-After"] = str(math.ceil(fault.seconds))
        answer.faults.append(fault.name)
        return answer

    def _break(self, answer: _Answer, fault: Fault) -> None:
        if fault.name == "token-expires":
            if answer.status == 401:
                answer.faults.append(fault.name)
            return
        if answer.status != 200:
            return
        match fault.name:
            case "html":
                answer.body, answer.content_type, answer.items = _HTML_PAGE.encode(), _HTML, None
            case "null":
                answer.body, answer.items = b"null", None
            case "message":
                answer.body, answer.items = encode({"Message": "Ett tillfälligt fel inträffade."}).encode(), None
            case "empty-body":
                answer.body, answer.items = b"", None
            case "reset-middle":
                answer.ending = "reset"
            case "cut-length":
                answer.ending = "short"
            case "cut-chunked":
                answer.ending = "chunked"
            case _:
                answer.ending = "unannounced"
        answer.faults.append(fault.name)

    def _dress(self, answer: _Answer, asked: _Asked) -> None:
        """The faults that go together with any other."""
        listed = answer.items is not None
        if answer.ending == "nothing":
            return
        if asked.endpoint == "filter" and answer.items == 1 and self._fires("single-object", asked):
            answer.body = answer.body[1:-1]
            answer.faults.append("single-object")
        if answer.status >= 400 and self._fires("echo-url", asked):
            text = answer.body.decode()
            answer.body = quote(f"{text} POST http://127.0.0.1:{self._port}{asked.url}").encode()
            answer.faults.append("echo-url")
        if listed and self._fires("bom", asked):
            answer.body = _BOM + answer.body
            answer.faults.append("bom")
        if asked.takes_gzip and self._fires("gzip", asked):
            answer.body = gzip.compress(answer.body, compresslevel=1)
            answer.headers["Content-Encoding"] = "gzip"
            answer.faults.append("gzip")
        if answer.ending == "whole" and self._fires("closes-idle", asked):
            answer.ending = "closed"
            answer.faults.append("closes-idle")
        if self._fires("slow", asked):
            answer.faults.append("slow")
            self._wait(self._faults["slow"].seconds)

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._stopping.wait(seconds)

    # Finding the way

    def endpoint(self, path: str) -> Endpoint:
        """Which of the ERP's endpoints a path is."""
        filter_path = FILTER_LITERAL_PATH if "filter-moved" in self._faults else self._path
        match path:
            case _ if path == filter_path and "filter-missing" not in self._faults:
                return "filter"
            case _ if path == LOGIN_PATH:
                return "login"
            case _ if path == SEARCH_PATH:
                return "search"
        return "unknown"

    def control(  # noqa: PLR0911 - one return a command
        self, method: str, path: str, query: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, Any]:
        """The control panel: a status, and what to answer as JSON."""
        match method, path.removeprefix("/sandbox").strip("/"):
            case "GET", "":
                return 200, {
                    "first_day": self.company.first_day.isoformat(),
                    "last_day": self.company.last_day.isoformat(),
                    "invoices": len(self.company),
                    "requests": len(self.log),
                    "faults": sorted(self._faults),
                }
            case "POST", "advance":
                return 200, self.company.advance(_integer(body.get("seed"))).as_json()
            case "POST", "mend":
                self.company.mend()
                return 200, {}
            case "POST", "faults":
                try:
                    self.switch(body.get("faults", ()))
                except ValueError as error:
                    return 400, {"error": str(error)}
                return 200, {"faults": sorted(self._faults)}
            case "GET", "faults-fired":
                return 200, dict(sorted(self.faults_fired().items()))
            case "GET", "requests":
                last = _integer(query.get("last")) or len(self.log)
                return 200, [asdict(record) for record in self.log[-last:]]
        return 404, {"error": f"there is no {method} {path} here"}


class _Server(ThreadingHTTPServer):
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
    server: _Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length")
        if length is None and self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            return self._send(_error(411, {"Message": "Content-Length krävs."}))
        raw = self.rfile.read(int(length or 0))
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        try:
            body = json.loads(raw) if raw.strip() else {}
            malformed = not isinstance(body, dict)
        except ValueError:
            body, malformed = {}, True
        body = {} if malformed else body
        sandbox = self.server.sandbox
        if parts.path.startswith("/sandbox"):
            return self._control("POST", parts.path, query, body)
        asked = _Asked(
            endpoint=sandbox.endpoint(parts.path),
            path=parts.path,
            url=self.path,
            query=query,
            body=body,
            fields={key.lower(): value for key, value in body.items()},
            malformed=malformed,
            takes_gzip="gzip" in self.headers.get("Accept-Encoding", ""),
        )
        return self._send(sandbox.answer(asked))

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith("/sandbox"):
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            return self._control("GET", parts.path, query, {})
        return self._send(_error(405, {"Message": "The requested resource does not support http method 'GET'."}))

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the sandbox has its own log, and this one would print the keys."""

    def _control(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> None:
        status, answer = self.server.sandbox.control(method, path, query, body)
        self._send(_Answer(status, json.dumps(answer, ensure_ascii=False, default=str).encode()))

    def _send(self, answer: _Answer) -> None:
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


def _error(status: int, said: str | dict[str, str]) -> _Answer:
    return _Answer(status, encode(said).encode())


def _server_error(status: int) -> _Answer:
    if status == 500:
        return _error(500, {"Message": "An error has occurred."})
    phrase = HTTPStatus(status).phrase
    page = f"<html><head><title>{status} {phrase}</title></head><body><h1>{status} {phrase}</h1></body></html>"
    return _Answer(status, page.encode(), _HTML)


def _no_token() -> _Answer:
    return _Answer(body=encode({"Token": None, "Message": _REFUSED_LOGIN}).encode())


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _moment(value: Any) -> str | None:
    return None if value is None else normal_moment(str(value))


def _integer(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None
