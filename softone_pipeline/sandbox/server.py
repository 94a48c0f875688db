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
import math
import secrets
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from email.utils import formatdate
from http import HTTPStatus
from types import FrameType, TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from softone_pipeline.sandbox.chance import Chance
from softone_pipeline.sandbox.company import Company
from softone_pipeline.sandbox.credentials import DEFAULT, Credentials
from softone_pipeline.sandbox.disguise import Disguise
from softone_pipeline.sandbox.faults import SERVER_ERRORS, Fault, parse_fault
from softone_pipeline.sandbox.http import HTML, Answer, Asked, Endpoint, Server, integer, json_answer
from softone_pipeline.sandbox.paging import Paging
from softone_pipeline.sandbox.records import Query, Record
from softone_pipeline.sandbox.wire import quote

LOGIN_PATH = "/Login/Token"
FILTER_PATH = "/Economy/Billing/CustomerInvoices/Filter"
FILTER_LITERAL_PATH = "/Economy/CustomerInvoices/Filter"
SEARCH_PATH = "/Economy/Billing/CustomerInvoices/Search"

_BOM = b"\xef\xbb\xbf"
_HTML_PAGE = (
    '<!DOCTYPE html><html lang="sv"><head><title>Underhåll</title></head>'
    "<body><h1>Tjänsten är tillfälligt otillgänglig</h1></body></html>"
)
_SESSION_OVER = "Din session har gått ut. Logga in igen."
_REFUSED_LOGIN = "Felaktigt användarnamn eller lösenord"
_NO_TOKEN = {"Token": None, "Message": _REFUSED_LOGIN}
_NO_RESOURCE = {"Message": "No HTTP resource was found that matches the request URI."}


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
        self.company = company
        self.credentials = credentials
        self.log: list[RequestRecord] = []
        self.most_at_once = 0
        """The largest number of requests that were under way at the same time."""
        self._port = port
        self._fault_seed = fault_seed
        self._fault_rate = fault_rate
        self._latency = latency_seconds
        self._token_life = token_life_seconds
        self._first_use = first_use_seconds
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._made = time.monotonic()
        self._chance = Chance(seed=fault_seed, rate=fault_rate, in_a_row=faults_in_a_row)
        self._paging = Paging(base=page_base, cap=page_cap, seed=fault_seed)
        self._in_data: set[Fault] = set()
        self._disguise = Disguise((), seed=fault_seed, rate=fault_rate)
        self._tokens: dict[str, float] = {}
        self._issued: dict[str, float] = {}
        self._at_once = 0
        self._server: Server | None = None
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
            self._chance.switch({fault.name: fault for fault in parsed})
            self._disguise = Disguise(parsed, seed=self._fault_seed, rate=self._fault_rate)
            new = [fault for fault in parsed if fault.kind.place == "data" and fault not in self._in_data]
            self._in_data.update(new)
        for fault in new:
            share = fault.share(self._fault_rate)
            if fault.name == "bad-invoice":
                self.company.add_bad_invoices(str(fault.value), share_of_days=share)
            elif fault.name == "duplicate-id":
                self.company.add_duplicates(share=share)
            else:
                self.company.add_big_day(fault.count)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults that are on."""
        return tuple(self._chance.faults.values())

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
        self._server = Server(self, self._port)
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

    def answer(self, asked: Asked) -> Answer:
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
                page=integer(asked.get("PageNumber")),
                status=0 if answer.ending == "nothing" else answer.status,
                faults=tuple(answer.faults),
                items=answer.items,
                started=started - self._made,
                seconds=time.monotonic() - started,
            )
        )
        return answer

    def _answer(self, asked: Asked) -> Answer:
        self._wait(self._latency)
        spoilt_by = self._chance.spoils(asked)
        answer = None if spoilt_by is None else self._instead(spoilt_by, asked)
        if answer is None:
            if spoilt_by is not None and spoilt_by.name == "token-expires":
                with self._lock:
                    self._tokens.pop(asked.query.get("token", ""), None)
            answer = self._serve(asked)
            if spoilt_by is not None:
                self._break(answer, spoilt_by)
        self._chance.remember(asked, answer, spoilt_by)
        self._dress(answer, asked)
        return answer

    def _serve(self, asked: Asked) -> Answer:
        if asked.endpoint == "unknown":
            answer = json_answer(404, _NO_RESOURCE)
            if "filter-missing" in self._chance.faults and asked.path in {FILTER_PATH, FILTER_LITERAL_PATH}:
                answer.faults.append("filter-missing")
            elif "filter-moved" in self._chance.faults and asked.path == FILTER_PATH:
                answer.faults.append("filter-moved")
            return answer
        if asked.malformed:
            return json_answer(400, {"Message": "The request is invalid."})
        keys = (asked.query.get("companyApiKey"), asked.query.get("connectApiKey"))
        if keys != (self.credentials.company_api_key, self.credentials.connect_api_key):
            return json_answer(401, "Ogiltig API-nyckel.")
        if asked.endpoint == "login":
            return self._login(asked)
        refusal = self._check_token(asked.query.get("token", ""))
        if refusal is not None:
            return refusal
        return self._filter(asked) if asked.endpoint == "filter" else self._search(asked)

    # Login and tokens

    def _login(self, asked: Asked) -> Answer:
        if self._chance.fires("login-refused-401", asked):
            return json_answer(401, _REFUSED_LOGIN, "login-refused-401")
        if self._chance.fires("login-refused-200", asked):
            return json_answer(200, _NO_TOKEN, "login-refused-200")
        known = self.credentials
        given = (asked.get("UserName"), asked.get("Password"), asked.get("License"))
        if given != (known.username, known.password, known.license):
            return json_answer(200, _NO_TOKEN)
        token = self.issue_token()
        if self._chance.fires("bare-token", asked):
            return json_answer(200, token, "bare-token")
        expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self._first_use)
        return json_answer(200, {"Token": token, "Message": "", "Expires": expires.isoformat(timespec="seconds")})

    def _check_token(self, token: str) -> Answer | None:
        """None when the token is good (and then it lives on), a 401 otherwise."""
        with self._lock:
            now = self._clock()
            ends = self._tokens.get(token)
            if ends is None:
                return json_answer(401, _SESSION_OVER if token in self._issued else "Ogiltig token.")
            short = self._chance.faults.get("short-token")
            if short is not None and now >= self._issued[token] + short.seconds:
                return json_answer(401, _SESSION_OVER, "short-token")
            if self._token_life is not None:
                if now > ends:
                    del self._tokens[token]
                    return json_answer(401, _SESSION_OVER)
                self._tokens[token] = now + self._token_life
        return None

    # Filter and Search

    def _filter(self, asked: Asked) -> Answer:
        zone = self._zone_asked_in()
        try:
            query = Query(
                invoice_id=asked.text("InvoiceId"),
                number=asked.text("Number"),
                first=asked.moment("InvoiceDateFrom", zone),
                last=asked.moment("InvoiceDateTo", zone),
                preliminary=asked.flag("IncludePreliminary"),
                voucher=asked.flag("IncludeVoucher"),
            )
        except ValueError:
            return json_answer(400, {"Message": "The request is invalid: a date cannot be read."})
        found = self.company.select(query)
        page, size = integer(asked.get("PageNumber")), integer(asked.get("PageNrOfRecords"))
        answer = Answer(faults=["dates-as-instants"] if zone and query.first else [])
        if page is not None and page < 0:
            return json_answer(400, {"Message": "PageNumber kan inte vara negativt."})
        if size is not None and size > 0:
            if page == 0 and self._chance.fires("page-0-refused", asked):
                return json_answer(400, {"Message": "PageNumber måste vara större än 0."}, "page-0-refused")
            found = self._paging.page(
                found, page or 0, size, query=query, faults=self._chance.faults, fired=answer.faults
            )
        accounts = asked.flag("IncludeRowAccountInfo")
        return self._list(answer, found, lambda record: self._text_of(record, accounts=accounts))

    def _search(self, asked: Asked) -> Answer:
        if "search-missing" in self._chance.faults:
            return json_answer(404, _NO_RESOURCE, "search-missing")
        if "search-forbidden" in self._chance.faults:
            return json_answer(403, "Behörighet saknas för Search.", "search-forbidden")
        zone = self._zone_asked_in()
        try:
            found = self.company.look_up(
                number=asked.text("Number"),
                customer_number=asked.text("CustomerNr"),
                first=asked.moment("InvoiceDateFrom", zone),
                last=asked.moment("InvoiceDateTo", zone),
                fully_paid=None if asked.get("FullyPaid") is None else asked.flag("FullyPaid"),
                preliminary=asked.flag("IncludePreliminary"),
                voucher=asked.flag("IncludeVoucherStatus") or asked.flag("IncludeVoucher"),
            )
            most = int(asked.query.get("maxNrRows", 0))
        except ValueError:
            return json_answer(400, {"Message": "The request is invalid."})
        found = found[:most] if most > 0 else found
        return self._list(Answer(), found, self._found_text)

    def _zone_asked_in(self) -> dt.tzinfo | None:
        """The zone of asked moments that have none."""
        return dt.UTC if "dates-as-instants" in self._chance.faults else None

    def _list(
        self,
        answer: Answer,
        records: Sequence[Record],
        text_of: Callable[[Record], tuple[bytes, frozenset[str]]],
    ) -> Answer:
        sent = [text_of(record) for record in records]
        answer.items = len(sent)
        answer.faults += sorted(set[str]().union(*(faults for _, faults in sent)))
        answer.body = b"[" + b",".join(text for text, _ in sent) + b"]"
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

    # Faults on the way

    def _fires(self, name: str, asked: Asked, answer: Answer) -> bool:
        """Whether a fault fires on this request; the answer bears its mark then."""
        fires = self._chance.fires(name, asked)
        if fires:
            answer.faults.append(name)
        return fires

    def _instead(self, fault: Fault, asked: Asked) -> Answer | None:
        """What is sent without serving the request; None for a fault that spoils the answer to it."""
        luck = self._chance.luck("which error", asked)
        match fault.name:
            case "reset-before":
                answer = Answer(ending="nothing")
            case "outage":
                answer = Answer(ending="nothing") if luck < 0.5 else _server_error(503)
            case "server-error":
                mixed = fault.value == "mixed"
                answer = _server_error(
                    SERVER_ERRORS[int(luck * len(SERVER_ERRORS))] if mixed else int(str(fault.value))
                )
            case "redirect":
                query = urlsplit(asked.url).query
                answer = Answer(int(str(fault.value)), content_type=HTML)
                answer.headers["Location"] = f"http://localhost:{self._port}/elsewhere?{query}"
            case "rate-limit" | "rate-limit-zero":
                answer = _rate_limit(str(math.ceil(fault.seconds)))
            case "rate-limit-date":
                answer = _rate_limit(formatdate(math.ceil(time.time() + fault.seconds), usegmt=True))
            case "rate-limit-past":
                answer = _rate_limit(formatdate(time.time() - 3600, usegmt=True))
            case "rate-limit-bare":
                answer = _rate_limit(None)
            case _:
                return None
        answer.faults.append(fault.name)
        return answer

    def _break(self, answer: Answer, fault: Fault) -> None:
        if fault.name == "token-expires":
            if answer.status == 401:
                answer.faults.append(fault.name)
            return
        if answer.status != 200:
            return
        match fault.name:
            case "html":
                answer.body, answer.content_type, answer.items = _HTML_PAGE.encode(), HTML, None
            case "null":
                answer.body, answer.items = b"null", None
            case "message":
                answer.body, answer.items = json_answer(200, {"Message": "Ett tillfälligt fel inträffade."}).body, None
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

    def _dress(self, answer: Answer, asked: Asked) -> None:
        """The faults that go together with any other."""
        if answer.ending == "nothing":
            return
        if asked.endpoint == "filter" and answer.items == 1 and self._fires("single-object", asked, answer):
            answer.body = answer.body[1:-1]
        if answer.status >= 400 and self._fires("echo-url", asked, answer):
            text = answer.body.decode()
            answer.body = quote(f"{text} POST http://127.0.0.1:{self._port}{asked.url}").encode()
        if answer.items is not None and self._fires("bom", asked, answer):
            answer.body = _BOM + answer.body
        if asked.takes_gzip and self._fires("gzip", asked, answer):
            answer.body = gzip.compress(answer.body, compresslevel=1)
            answer.headers["Content-Encoding"] = "gzip"
        if answer.ending == "whole" and self._fires("closes-idle", asked, answer):
            answer.ending = "closed"
        if self._fires("slow", asked, answer):
            self._wait(self._chance.faults["slow"].seconds)

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._stopping.wait(seconds)

    # Finding the way

    def endpoint(self, path: str) -> Endpoint:
        """Which of the ERP's endpoints a path is."""
        filter_path = FILTER_LITERAL_PATH if "filter-moved" in self._chance.faults else self._path
        match path:
            case _ if path == filter_path and "filter-missing" not in self._chance.faults:
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
                    "faults": sorted(self._chance.faults),
                }
            case "POST", "advance":
                return 200, self.company.advance(integer(body.get("seed"))).as_json()
            case "POST", "mend":
                self.company.mend()
                return 200, {}
            case "POST", "faults":
                try:
                    self.switch(body.get("faults", ()))
                except ValueError as error:
                    return 400, {"error": str(error)}
                return 200, {"faults": sorted(self._chance.faults)}
            case "GET", "faults-fired":
                return 200, dict(sorted(self.faults_fired().items()))
            case "GET", "requests":
                last = integer(query.get("last")) or len(self.log)
                return 200, [asdict(record) for record in self.log[-last:]]
        return 404, {"error": f"there is no {method} {path} here"}


def _server_error(status: int) -> Answer:
    if status == 500:
        return json_answer(500, {"Message": "An error has occurred."})
    phrase = HTTPStatus(status).phrase
    page = f"<html><head><title>{status} {phrase}</title></head><body><h1>{status} {phrase}</h1></body></html>"
    return Answer(status, page.encode(), HTML)


def _rate_limit(retry_after: str | None) -> Answer:
    answer = json_answer(429, "För många anrop. Försök igen senare.")
    if retry_after is not None:
        answer.headers["Retry-After"] = retry_after
    return answer
