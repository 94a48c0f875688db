"""The faults that the sandbox can show: one declared table of them, and how a fault is written.

Whether one fires is in chance.py. What it does to an answer is in server.py, paging.py and disguise.py; what it does to
the seeded data in company.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from softone_pipeline.sandbox.spoiling import SPOILERS

Place = Literal["login", "transport", "answer", "paging", "content", "data", "route"]
"""Where a fault sits. At most one "transport" fault spoils a request; the others go with anything."""

BAD_INVOICE_KINDS = tuple(SPOILERS)
SERVER_ERRORS = (500, 502, 503, 504)
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One fault there is: what its argument means (`value`), how often it fires (`by_default`)."""

    name: str
    place: Place
    description: str
    value: Literal["seconds", "count", "word"] | None = None
    default: float | int | str | None = None
    words: tuple[str, ...] = ()
    by_default: Literal["rate", "always"] = "rate"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is switched on: its name, its value, and how often it fires.

    Exactly one of `every` (each Nth request), `first` (the first N) and `rate` (a share, drawn from the seed)
    may be set; with none of them it fires always, or at the sandbox's own rate if `kind.by_default` says so.
    """

    name: str
    value: float | int | str | None = None
    every: int | None = None
    first: int | None = None
    rate: float | None = None
    after: int | None = None
    kind: FaultKind = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", _BY_NAME[self.name])
        if self.value is None:
            object.__setattr__(self, "value", self.kind.default)

    @property
    def seconds(self) -> float:
        """The value of a fault that is measured in seconds."""
        return float(self.value or 0)

    @property
    def count(self) -> int:
        """The value of a fault that counts something."""
        return int(self.value or 0)

    def share(self, usual: float) -> float:
        """How often it fires by chance: as it was told, or as often as is usual."""
        return usual if self.rate is None else self.rate


_KINDS = (
    # login
    FaultKind(
        "login-refused-200",
        "login",
        "the login is refused with status 200, no Token and a Message",
        by_default="always",
    ),
    FaultKind("login-refused-401", "login", "the login is refused with status 401", by_default="always"),
    FaultKind("bare-token", "login", "the login answers with the token as a JSON string", by_default="always"),
    FaultKind("token-expires", "transport", "the token stops working in the middle of a run (401)"),
    FaultKind(
        "short-token",
        "login",
        "tokens live this many seconds from their issue, however much they are used (2)",
        value="seconds",
        default=2.0,
        by_default="always",
    ),
    # instead of an answer
    FaultKind("rate-limit", "transport", "429 with Retry-After in seconds (1)", value="seconds", default=1.0),
    FaultKind(
        "rate-limit-date",
        "transport",
        "429 with Retry-After as an HTTP date, this many seconds ahead (1)",
        value="seconds",
        default=1.0,
    ),
    FaultKind("rate-limit-zero", "transport", "429 with Retry-After: 0"),
    FaultKind("rate-limit-past", "transport", "429 with Retry-After as an HTTP date that has passed"),
    FaultKind("rate-limit-bare", "transport", "429 without Retry-After"),
    FaultKind(
        "server-error",
        "transport",
        "500, 502, 503 and 504 in turn; or the one named",
        value="word",
        default="mixed",
        words=("mixed", *map(str, SERVER_ERRORS)),
    ),
    FaultKind(
        "redirect",
        "transport",
        "a redirect to another host, with the whole query, keys and all, in the address (302); or the one named",
        value="word",
        default="302",
        words=tuple(map(str, REDIRECTS)),
    ),
    FaultKind("reset-before", "transport", "the connection is reset before the first byte of the answer"),
    FaultKind("reset-middle", "transport", "the connection is reset in the middle of the answer's body"),
    FaultKind("cut-length", "transport", "the body ends before its Content-Length"),
    FaultKind("cut-close", "transport", "a body without Content-Length is cut short and the connection closed"),
    FaultKind("cut-chunked", "transport", "a chunked body is cut short and the connection closed"),
    FaultKind("html", "transport", "an HTML error page with status 200 instead of a list"),
    FaultKind("null", "transport", "the answer is null instead of a list"),
    FaultKind("message", "transport", "an object with a Message, status 200, instead of a list"),
    FaultKind("empty-body", "transport", "no body at all, status 200, instead of a list"),
    FaultKind(
        "outage",
        "transport",
        "after some requests (after=20) the server answers 503 or resets for this many seconds (2)",
        value="seconds",
        default=2.0,
        by_default="always",
    ),
    FaultKind(
        "echo-url",
        "answer",
        "the text of every error quotes the URL asked for, keys and all",
        by_default="always",
    ),
    # an answer in odd clothes
    FaultKind("single-object", "answer", "a list of exactly one comes as the object itself", by_default="always"),
    FaultKind("bom", "answer", "a UTF-8 byte-order mark before the JSON"),
    FaultKind("gzip", "answer", "answers are compressed for whoever accepts gzip", by_default="always"),
    FaultKind("slow", "answer", "the answer takes this many seconds (1)", value="seconds", default=1.0),
    FaultKind("closes-idle", "answer", "the connection is closed after the answer, without announcing it"),
    # paging
    FaultKind("page-base-1", "paging", "pages count from 1 and page 0 is empty", by_default="always"),
    FaultKind("page-0-as-1", "paging", "pages count from 1 and 0 is taken for 1", by_default="always"),
    FaultKind(
        "page-0-refused",
        "paging",
        "pages count from 1 and page 0 is a 400 (with first= or rate= they count from 0: a passing refusal)",
        by_default="always",
    ),
    FaultKind(
        "page-cap",
        "paging",
        "never more than this many invoices per page (100)",
        value="count",
        default=100,
        by_default="always",
    ),
    FaultKind(
        "page-cap-skips",
        "paging",
        "never more than this many invoices per page (100), though each page begins where the size asked for would have it",
        value="count",
        default=100,
        by_default="always",
    ),
    FaultKind(
        "page-fixed",
        "paging",
        "always this many invoices per page, whatever was asked for (50)",
        value="count",
        default=50,
        by_default="always",
    ),
    FaultKind("paging-ignored", "paging", "every page holds everything that was asked for", by_default="always"),
    FaultKind("last-page-repeated", "paging", "pages past the end repeat the last one", by_default="always"),
    FaultKind("newest-first", "paging", "invoices come in descending order of date and id", by_default="always"),
    FaultKind(
        "shifting-pages",
        "paging",
        "while a window of several pages is read, an invoice comes or goes and moves the rest;"
        " it settles after this many readings (1)",
        value="count",
        default=1,
        by_default="always",
    ),
    # how invoices are written; the truth stays as it is
    FaultKind(
        "quoted-numbers",
        "content",
        "some invoices have their decimals in quotes (or every number: everything)",
        value="word",
        default="decimals",
        words=("decimals", "everything"),
    ),
    FaultKind("unknown-fields", "content", "some invoices and rows carry fields that nobody documented"),
    FaultKind("missing-fields", "content", "some invoices and rows leave out the keys that are null"),
    FaultKind(
        "dates-with-zone",
        "content",
        "some invoices write their dates with Z or an offset; they mean the same Stockholm day",
    ),
    # what the data holds; the company knows of it
    FaultKind(
        "bad-invoice",
        "data",
        "invoices that cannot be typed, on some days; of one kind, or of all in turn",
        value="word",
        default="all",
        words=("all", *BAD_INVOICE_KINDS),
    ),
    FaultKind("duplicate-id", "data", "some invoices come twice: first with other content, then as they are"),
    FaultKind(
        "big-day",
        "data",
        "one day holds this many invoices (2000)",
        value="count",
        default=2000,
        by_default="always",
    ),
    # where things are
    FaultKind("search-missing", "route", "there is no Search (404)", by_default="always"),
    FaultKind("search-forbidden", "route", "Search is not for these keys (403)", by_default="always"),
    FaultKind(
        "filter-moved",
        "route",
        "Filter answers only on /Economy/CustomerInvoices/Filter",
        by_default="always",
    ),
    FaultKind(
        "dates-as-instants",
        "route",
        "dates are compared as instants, and those asked for are UTC's: a day's midnight comes with the day before",
        by_default="always",
    ),
    FaultKind("filter-missing", "route", "Filter answers on neither of its paths (404)", by_default="always"),
)

_BY_NAME: Mapping[str, FaultKind] = MappingProxyType({kind.name: kind for kind in _KINDS})

FAULTS: Mapping[str, str] = MappingProxyType({kind.name: kind.description for kind in _KINDS})
"""Every fault by name, with what it does in a sentence."""


def parse_fault(text: str) -> Fault:
    """Read a fault as it is written on a command line: `name`, or `name:argument`.

    The argument is the fault's value (`slow:0.5`, `page-cap:20`, `bad-invoice:nan`), how often it fires
    (`every=3`, `first=2`, `rate=0.5`; for an outage also `after=20` requests), or both with a comma between.
    Raises ValueError with what is known.
    """
    name, _, arguments = text.strip().partition(":")
    if name not in _BY_NAME:
        raise ValueError(f"there is no fault {name!r}; known are {', '.join(_BY_NAME)}")
    kind = _BY_NAME[name]
    value: float | int | str | None = None
    often: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in arguments.split(","))):
        key, equals, number = part.partition("=")
        if equals:
            often[key] = _how_often(name, key, number)
        elif value is not None:
            raise ValueError(f"{name} takes one value, not {value!r} and {part!r}")
        else:
            value = _value(kind, part)
    allowed = _how_often_allowed(kind)
    if not often.keys() <= allowed:
        raise ValueError(f"{name} takes {_listed(allowed)}, not {', '.join(sorted(often.keys() - allowed))}=")
    if len(often.keys() - {"after"}) > 1:
        raise ValueError(f"{name}: give one of every=, first= and rate=")
    return Fault(
        name,
        value,
        every=int(often["every"]) if "every" in often else None,
        first=int(often["first"]) if "first" in often else None,
        rate=often.get("rate"),
        after=int(often["after"]) if "after" in often else None,
    )


def draw(seed: int, *what: object) -> float:
    """A number in [0, 1) that depends on nothing but the seed and what it is drawn for."""
    digest = hashlib.blake2b(repr((seed, *what)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def _how_often_allowed(kind: FaultKind) -> frozenset[str]:
    if kind.name == "outage":
        return frozenset({"after"})
    if kind.place in {"content", "data"}:
        return frozenset() if kind.name == "big-day" else frozenset({"rate"})
    if kind.place == "route" or kind.name == "short-token":
        return frozenset()
    if kind.place == "paging" and kind.name != "page-0-refused":
        return frozenset()
    return frozenset({"every", "first", "rate"})


def _listed(names: frozenset[str]) -> str:
    return " or ".join(f"{name}=" for name in sorted(names)) or "nothing that says how often it fires"


def _value(kind: FaultKind, text: str) -> float | int | str:
    if kind.value is None:
        raise ValueError(f"{kind.name} takes no value, so {text!r} means nothing to it")
    if kind.value == "word":
        if text not in kind.words:
            raise ValueError(f"{kind.name}: {text!r} is none of {', '.join(kind.words)}")
        return text
    try:
        number = int(text) if kind.value == "count" else float(text)
    except ValueError:
        raise ValueError(f"{kind.name}: {text!r} is not a number of {kind.value}") from None
    if not 0 <= number < 10**9 or (kind.value == "count" and number < 1):
        raise ValueError(f"{kind.name}: {text!r} is out of range")
    return number


def _how_often(name: str, key: str, text: str) -> float:
    if key not in {"every", "first", "rate", "after"}:
        raise ValueError(f"{name}: {key!r} is not known; how often it fires is every=, first= or rate=")
    try:
        number = float(text) if key == "rate" else int(text)
    except ValueError:
        raise ValueError(f"{name}: {key}={text} is not a number") from None
    if number < 0 or (key == "every" and number < 1) or (key == "rate" and not number <= 1):
        raise ValueError(f"{name}: {key}={text} is out of range")
    return number
