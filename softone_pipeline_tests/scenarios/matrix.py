"""Every fault and habit by itself, as the tables of docs/reliability.md name them: which scenario a fault is.

A few only show together with another: a token that runs out during a wait, an error that quotes the address.
"""

from __future__ import annotations

import datetime as dt

from softone_pipeline.sandbox import BAD_INVOICE_KINDS
from softone_pipeline_tests.scenarios.drawing import LASTING, Round, Scenario

PASSING: tuple[tuple[str, ...], ...] = (
    # tokens and logins
    ("token-expires:every=3",),
    ("short-token:0.5", "rate-limit:1,first=1"),
    ("bare-token",),
    ("server-error:503,first=2",),
    # errors and waits
    ("rate-limit:1,first=1",),
    ("rate-limit-date:1,first=1",),
    ("rate-limit-zero:every=3",),
    ("rate-limit-past:every=3",),
    ("rate-limit-bare:every=3",),
    *((f"server-error:{status},every=3",) for status in (500, 502, 503, 504)),
    *((f"redirect:{status},every=3",) for status in (302, 303, 307)),
    ("echo-url", "server-error:every=3"),
    ("outage:0.3,after=4",),
    # connections and bodies
    ("reset-before:every=3",),
    ("reset-middle:every=3",),
    ("cut-length:every=3",),
    ("cut-close:every=3",),
    ("cut-chunked:every=3",),
    ("closes-idle:every=2",),
    ("slow:1.2,first=1",),
    # answers that are no list
    ("html:every=3",),
    ("null:every=3",),
    ("message:every=3",),
    ("empty-body:every=3",),
    # answers in odd clothes
    ("single-object",),
    ("bom:every=2",),
    ("gzip",),
    ("quoted-numbers:rate=0.5",),
    ("quoted-numbers:everything,rate=0.5",),
    ("unknown-fields:rate=0.5",),
    ("missing-fields:rate=0.5",),
    ("dates-with-zone:rate=0.5",),
    ("dates-as-instants",),
    ("dates-as-instants", "dates-with-zone:rate=1"),
    # pages
    ("page-base-1",),
    ("page-0-as-1",),
    ("page-0-refused",),
    ("page-0-refused:first=1",),
    ("page-cap:2",),
    ("page-cap-skips:2",),
    ("page-fixed:2",),
    ("paging-ignored",),
    ("last-page-repeated",),
    ("newest-first",),
    ("shifting-pages:1",),
    ("shifting-pages:2",),
    # data
    *((f"bad-invoice:{kind},rate=0.5",) for kind in BAD_INVOICE_KINDS),
    ("duplicate-id:rate=0.2",),
    ("big-day:40",),
    # where things are
    ("filter-moved",),
)
"""Those that must end in the oracle's tables."""

FIRST_DAY = dt.date(2024, 9, 2)  # a Monday: each of the three days holds several pages


def passing(faults: tuple[str, ...]) -> Scenario:
    """Three days loaded with the faults on, and again after an evening of changes."""
    return _scenario(Round(faults), Round(faults, evening=True))


def lasting(fault: str) -> Scenario:
    """Three days loaded, the fault, and the days again without it. A failed load must change nothing."""
    evening = not fault.startswith("shifting")
    return _scenario(Round(()), Round((fault,), evening=evening, lasting=fault), Round(()))


def name_of(faults: tuple[str, ...]) -> str:
    """The case as the documentation writes it."""
    return " ".join(faults)


def names() -> tuple[set[str], set[str]]:
    """All cases: those that must pass, those that must fail by name."""
    return {name_of(faults) for faults in PASSING}, set(LASTING)


def _scenario(*rounds: Round) -> Scenario:
    return Scenario(
        seed=1,
        door="library",
        first_day=FIRST_DAY,
        days=3,
        invoices_per_day=9,
        page_size=3,
        connections=2,
        rounds=rounds,
        # Lasting faults use up all attempts; an outage has to be waited out.
        retry_wait_seconds=0.002 if any(played.lasting for played in rounds) else 0.02,
    )
