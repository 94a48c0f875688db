"""Which scenario a seed is: a company, a few rounds of loading, each with its own mix of faults."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

Door = Literal["library", "dagster", "command"]
"""Through which the days are loaded: load_days and the refreshes, a Dagster run in this process, `softone backfill`."""

# Each spoils an answer now and then; what is behind the colon says how often.
_PASSING = (
    "token-expires:rate={rate}",
    "rate-limit-zero:rate={rate}",
    "rate-limit-past:rate={rate}",
    "rate-limit-bare:rate={rate}",
    "server-error:rate={rate}",
    "server-error:500,rate={rate}",
    "server-error:503,rate={rate}",
    "redirect:rate={rate}",
    "redirect:307,rate={rate}",
    "reset-before:rate={rate}",
    "reset-middle:rate={rate}",
    "cut-length:rate={rate}",
    "cut-close:rate={rate}",
    "cut-chunked:rate={rate}",
    "html:rate={rate}",
    "null:rate={rate}",
    "message:rate={rate}",
    "empty-body:rate={rate}",
    "outage:0.2,after={few}",
)
# A second of waiting each, so they are drawn less often.
_WAITING = ("rate-limit:1,first=1", "rate-limit-date:1,first=1", "slow:1.3,first=1")
_ODD = (
    "single-object",
    "bom:rate={rate}",
    "gzip",
    "closes-idle:rate={rate}",
    "slow:0.02,rate={rate}",
    "echo-url",
    "quoted-numbers:rate={rate}",
    "quoted-numbers:everything,rate={rate}",
    "unknown-fields:rate={rate}",
    "missing-fields:rate={rate}",
    "dates-with-zone:rate={rate}",
    "bare-token",
    "short-token:0.8",
    "filter-moved",
)
_PAGING = (
    "page-base-1",
    "page-0-as-1",
    "page-0-refused",
    "page-0-refused:first=1",
    "page-cap:{cap}",
    "page-cap-skips:{cap}",
    "page-fixed:{cap}",
    "paging-ignored",
    "last-page-repeated",
    "shifting-pages:{times}",
    "newest-first",
)
_CONTENT = {"quoted-numbers", "unknown-fields", "missing-fields", "dates-with-zone"}
_DATA = ("bad-invoice:rate=0.3", "duplicate-id:rate=0.05", "big-day:40")
COMPANY = "default"
_WHERE = (f"company {COMPANY}", "page")
_BROKEN = (*_WHERE, "8 attempts")
_REFUSED_LOGIN = ("Felaktigt användarnamn eller lösenord",)
LASTING: Mapping[str, tuple[str, ...]] = {
    "server-error:rate=1": _BROKEN,
    "reset-before:rate=1": _BROKEN,
    "reset-middle:rate=1": _BROKEN,
    "cut-length:rate=1": _BROKEN,
    "cut-close:rate=1": _BROKEN,
    "cut-chunked:rate=1": _BROKEN,
    "html:rate=1": _BROKEN,
    "null:rate=1": _BROKEN,
    "message:rate=1": _BROKEN,
    "empty-body:rate=1": _BROKEN,
    "rate-limit-bare:rate=1": _BROKEN,
    "redirect:rate=1": (*_BROKEN, "redirects (HTTP 302)", "SOFTONE_BASE_URL"),
    "redirect:301,rate=1": ("redirects (HTTP 301)", "SOFTONE_BASE_URL"),
    "filter-missing": (
        *_WHERE,
        "/Economy/Billing/CustomerInvoices/Filter",
        "/Economy/CustomerInvoices/Filter",
        "SOFTONE_BASE_URL",
    ),
    "login-refused-200": _REFUSED_LOGIN,
    "login-refused-401": _REFUSED_LOGIN,
    "shifting-pages:1000000": (_WHERE[0], "kept moving"),
}
"""What no number of attempts overcomes, with the words that the error must then hold."""


@dataclass(frozen=True, slots=True)
class Round:
    """One loading of all days. With `evening` the company has changed since the one before."""

    faults: tuple[str, ...]
    evening: bool = False
    lasting: str | None = None
    """The fault that must fail this round by name and leave everything as it was."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A company, the settings of the client, and the rounds."""

    seed: int
    door: Door
    first_day: dt.date
    days: int
    invoices_per_day: int
    page_size: int
    connections: int
    rounds: tuple[Round, ...]
    retry_wait_seconds: float = 0.02

    @property
    def last_day(self) -> dt.date:
        return self.first_day + dt.timedelta(days=self.days - 1)


def scenario(seed: int, *, other_doors: bool = True) -> Scenario:
    """The scenario of a seed; the same for the same seed."""
    rng = Random(f"scenario {seed}")
    luck = rng.random()
    door: Door = "library"
    if other_doors:
        door = "command" if luck < 0.005 else "dagster" if luck < 0.03 else "library"
    rounds = [Round(_mix(rng, data=True))]
    if rng.random() < 0.25:
        lasting = rng.choice(tuple(LASTING))
        # Where only windows of several pages fail the others are loaded: the company must be what it was, and
        # write its invoices as it did.
        written = tuple(fault for fault in rounds[0].faults if fault.partition(":")[0] in _CONTENT)
        rounds.append(Round((lasting, *written), evening=not lasting.startswith("shifting"), lasting=lasting))
    rounds.append(Round(_mix(rng, data=False), evening=rng.random() < 0.7))
    return Scenario(
        seed=seed,
        door=door,
        first_day=dt.date(2024, 1, 1) + dt.timedelta(days=rng.randrange(700)),
        days=rng.randint(3, 6),
        invoices_per_day=rng.randint(5, 14),
        page_size=rng.randint(2, 6),
        connections=rng.choice((1, 2, 4)),
        rounds=tuple(rounds),
    )


def _mix(rng: Random, *, data: bool) -> tuple[str, ...]:
    faults = [*_several(rng, _PASSING, 3), *_several(rng, _ODD, 3), *_several(rng, _PAGING, 2)]
    if rng.random() < 0.12:
        faults.append(rng.choice(_WAITING))
    if data:
        faults += _several(rng, _DATA, 1)
    by_name = {fault.partition(":")[0]: fault for fault in faults}
    if "page-fixed" in by_name:
        by_name.pop("page-cap", None)
    if {"page-fixed", "page-cap", "last-page-repeated", "shifting-pages"} & by_name.keys():
        # Past a page that skips, a last page that is repeated hides what was skipped.
        by_name.pop("page-cap-skips", None)
    if "paging-ignored" in by_name:
        # Such a server knows no pages that could move.
        by_name.pop("shifting-pages", None)
    return tuple(by_name.values())


def _several(rng: Random, kinds: tuple[str, ...], most: int) -> list[str]:
    return [
        kind.format(
            rate=rng.choice((0.1, 0.2, 0.4)), few=rng.randint(2, 12), cap=rng.randint(1, 4), times=rng.randint(1, 2)
        )
        for kind in rng.sample(kinds, rng.randint(0, most))
    ]
