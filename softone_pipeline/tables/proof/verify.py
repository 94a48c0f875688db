"""Completeness: a range read again from the ERP, held against what is stored, day by day. Changes nothing.

One look cannot tell a change in the ERP after our fetch from a loss: what differs is asked for by id, and the
certificate says what that proves and what it does not. Nothing is held open while the ERP is waited for.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Literal

import duckdb

from softone_pipeline.errors import RequestError, WindowError
from softone_pipeline.readable import counted, moment
from softone_pipeline.settings import ErpSettings
from softone_pipeline.softone import (
    InvoiceAnswer,
    InvoiceUnreadable,
    Pseudonymiser,
    ReceivedInvoice,
    SoftOneClient,
    normalise_invoice,
)
from softone_pipeline.softone.dates import days_between
from softone_pipeline.tables.raw.pseudonymising import Privacy, hide_answer, hide_window

Kind = Literal["changed", "moved", "not_here", "not_there", "quarantined"]

_STORED = Path(__file__).with_name("stored.sql").read_text(encoding="utf-8")
_FIRST_WINDOW_DAYS = 3
_WINDOW_DAYS = 7
_ONE_DAY = dt.timedelta(days=1)
# More differences than this are no puzzle but a range that was never loaded: asking for each would only press the ERP.
_MOST_ASKED = 200

_Answers = Mapping[int, InvoiceAnswer | RequestError]
"""What was asked for by id, and what came of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One invoice that is not the same on both sides. `says` is what is known of it, and what is not."""

    day: dt.date
    kind: Kind
    invoice_id: int | None
    says: str


@dataclass(slots=True)
class DayCertificate:
    """One day on both sides: counts, sums of TotalAmount as sent in öre, and when each side was read.

    `failed` tells why the ERP could not be read: what it has, and what is the same, is then None and not 0. A digest is
    SHA-256 over "id:hash" of the day's invoices by id.
    """

    day: dt.date
    fetched_at: dt.datetime | None = None
    verified_at: dt.datetime | None = None
    here: int = 0
    there: int | None = None
    matched: int | None = None
    total_here_oere: int = 0
    total_there_oere: int | None = None
    digest_here: str = ""
    digest_there: str | None = None
    failed: str | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return self.failed is None and not self.findings

    @property
    def verdict(self) -> str:
        """In a word or two. A day that no load has brought may still be whole: the ERP has nothing that it would bring."""
        if not self.is_whole:
            return "NO"
        return "yes" if self.fetched_at else "nothing to fetch"

    def count(self, kind: Kind) -> int | None:
        return None if self.failed is not None else sum(finding.kind == kind for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _Here:
    invoice_id: int
    day: dt.date | None
    hash: str
    fetched_at: dt.datetime
    total_oere: int


@dataclass(frozen=True, slots=True)
class _There:
    invoice_id: int | None
    date: dt.date | None
    hash: str
    total_oere: int | None


@dataclass(slots=True)
class _Look:
    """One window as it was asked for: what the ERP said, and what the store held then of its days and of those invoices."""

    first_day: dt.date
    last_day: dt.date
    asked_at: dt.datetime
    include_preliminary: bool
    there: list[_There]
    here: dict[int, _Here] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Found:
    """An invoice that the ERP has, the day that it is judged under, and what the store held of it at that moment."""

    there: _There
    day: dt.date
    stored: _Here | None


class _Both:
    """Both sides of all looks together, by day.

    `here` is what the store held of a day when that day was asked for. `there` is what the ERP has, each invoice once, as
    it was asked for last; its day is the one that it waits under in quarantine, its own, or the first of its window.
    """

    def __init__(self, looks: Sequence[_Look], quarantined: Mapping[str, dt.date | None]) -> None:
        self.here: defaultdict[dt.date, list[_Here]] = defaultdict(list)
        self.there: defaultdict[dt.date, list[_Found]] = defaultdict(list)
        self.found: dict[int | str, _Found] = {}
        """What `there` has, by id, or by hash where there is none."""
        for look in sorted(looks, key=lambda look: look.asked_at):
            for stored in look.here.values():
                if stored.day is not None and look.first_day <= stored.day <= look.last_day:
                    self.here[stored.day].append(stored)
            for there in look.there:
                day = quarantined.get(there.hash) or there.date or look.first_day
                if there.invoice_id is None:
                    self.found[there.hash] = _Found(there, day, None)
                else:
                    self.found[there.invoice_id] = _Found(there, day, look.here.get(there.invoice_id))
        for found in self.found.values():
            self.there[found.day].append(found)

    def differing(self, day: dt.date) -> Iterator[int]:
        """Ids of a day to ask for: what is on one side only, or not alike."""
        for found in self.there[day]:
            invoice_id, stored = found.there.invoice_id, found.stored
            if invoice_id is not None and (stored is None or stored.hash != found.there.hash):
                yield invoice_id
        for stored in self.here[day]:
            if stored.invoice_id not in self.found:
                yield stored.invoice_id


def other_settings(settings: ErpSettings, page_size: int | None = None) -> ErpSettings:
    """The same ERP, asked in pages of another size than loading uses."""
    return settings.model_copy(update={"page_size": page_size or max(1, settings.page_size * 2 // 3)})


def verify(
    client: SoftOneClient,
    open_store: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]],
    *,
    company: str,
    first_day: dt.date,
    last_day: dt.date,
    privacy: Privacy | None = None,
) -> list[DayCertificate]:
    """Read the range again in windows of several days and compare it with the store as of the moment of asking.

    Give a client of `other_settings`, and the `privacy` that loading has: pseudonyms are compared with pseudonyms.
    Windows that fail leave their days unverified, with the store's side as it is; an invoice that cannot be asked for by
    id is a finding of its day that says why. Raises AuthenticationError, SettingsError for another privacy, and what
    `open_store` raises.
    """
    with open_store() as store:
        hide = _pseudonymiser(store, company, privacy or Privacy())
    certificates = {day: DayCertificate(day) for day in days_between(first_day, last_day)}
    looks: list[_Look] = []
    # A date with a zone may be brought by its neighbour's window only: the two days beside are read for those.
    beside = [(day, day) for day in (first_day - _ONE_DAY, last_day + _ONE_DAY)]
    windows = [*_windows(first_day, last_day), *beside]
    for (first, last), outcome in zip(windows, client.read_windows(windows), strict=True):
        if isinstance(outcome, WindowError):
            look = _Look(first, last, dt.datetime.now(dt.UTC), client.include_preliminary, [])
        else:
            # Their payloads are not needed any more: memory stays flat however long the range is.
            there = [_there(invoice) for invoice in hide_window(hide, outcome).invoices]
            look = _Look(first, last, outcome.asked_at, outcome.include_preliminary, there)
        looks.append(look)
        for day in certificates.keys() & set(days_between(first, last)):
            if isinstance(outcome, WindowError):
                certificates[day].failed = str(outcome)
            else:
                certificates[day].verified_at = outcome.asked_at
    with open_store() as store:
        fetched = _fetched_days(store, company, first_day, last_day)
        quarantined = _quarantined(store, company)
        for look in looks:
            look.here = _stored(store, company, look)
    both = _Both(looks, quarantined)
    answers: dict[int, InvoiceAnswer | RequestError] = {}
    judged = [day for day, certificate in certificates.items() if certificate.failed is None]
    differing = sorted({invoice_id for day in judged for invoice_id in both.differing(day)})
    if len(differing) <= _MOST_ASKED:
        for invoice_id, answer in zip(differing, client.read_invoices(differing), strict=True):
            answers[invoice_id] = answer if isinstance(answer, RequestError) else hide_answer(hide, answer)
    for day, certificate in certificates.items():
        certificate.fetched_at = fetched.get(day)
        _count_here(certificate, both.here[day])
        if certificate.failed is None:
            _judge(certificate, both, quarantined=quarantined, answers=answers)
    return list(certificates.values())


def summary(days: Sequence[DayCertificate]) -> str:
    """How many days are whole, and how many of those without ever having been fetched."""
    whole = [day for day in days if day.is_whole]
    unfetched = sum(day.fetched_at is None for day in whole)
    said = f"{len(whole)} of {counted(len(days), 'day is', 'days are')} whole"
    if unfetched:
        said += f", {unfetched} of them never fetched: the ERP has nothing there that is not here"
    return said


def _pseudonymiser(store: duckdb.DuckDBPyConnection, company: str, privacy: Privacy) -> Pseudonymiser | None:
    """What loading does to payloads before it writes them. Writes nothing: an empty store has nothing to note yet."""
    has_any = store.execute("select 1 from raw.customer_invoices where company = ? limit 1", [company]).fetchone()
    return privacy.begin(store, company) if has_any else privacy.pseudonymiser(store, company)


def _count_here(certificate: DayCertificate, here: Sequence[_Here]) -> None:
    """Fill in the store's side of a day: that is known whatever the ERP says."""
    certificate.here = len(here)
    certificate.total_here_oere = sum(stored.total_oere for stored in here)
    certificate.digest_here = _digest([f"{stored.invoice_id}:{stored.hash}" for stored in here])


def _judge(
    certificate: DayCertificate,
    both: _Both,
    *,
    quarantined: Collection[str],
    answers: _Answers,
) -> None:
    """Fill in the ERP's side of a day, and what differs."""
    own = both.there[certificate.day]
    certificate.there = len(own)
    certificate.total_there_oere = _sum([found.there.total_oere for found in own])
    certificate.digest_there = _digest([f"{found.there.invoice_id}:{found.there.hash}" for found in own])
    differences = [_difference(certificate, found, quarantined, answers) for found in own]
    certificate.matched = differences.count(None)
    certificate.findings += [finding for finding in differences if finding]
    for stored in both.here[certificate.day]:
        found = both.found.get(stored.invoice_id)
        if found is None:
            kind: Kind = "moved" if _is_elsewhere(stored, answers) else "not_there"
            certificate.findings.append(Finding(certificate.day, kind, stored.invoice_id, _not_there(stored, answers)))
        elif found.day != certificate.day:
            certificate.findings.append(Finding(certificate.day, "moved", stored.invoice_id, _elsewhere(found.day)))


def _difference(
    certificate: DayCertificate, found: _Found, quarantined: Collection[str], answers: _Answers
) -> Finding | None:
    """What is not the same of an invoice that the ERP has on this day."""
    stored, there = found.stored, found.there
    kind: Kind
    if there.hash in quarantined:
        kind, says = "quarantined", "received and kept in raw.quarantine, not in the tables"
    elif stored is None:
        kind, says = "not_here", _not_here(certificate, there, answers)
    elif stored.day not in {found.day, None}:
        kind, says = "moved", f"stored under {stored.day}, fetched {moment(stored.fetched_at)}"
    elif stored.hash != there.hash:
        kind, says = "changed", _changed(stored, answers)
    else:
        return None
    return Finding(certificate.day, kind, there.invoice_id, says)


def _not_here(day: DayCertificate, found: _There, answers: _Answers) -> str:
    if day.fetched_at is None:
        return "the day has never been fetched: softone backfill loads it"
    answer = answers.get(found.invoice_id) if found.invoice_id is not None else None
    if isinstance(answer, InvoiceAnswer) and answer.invoice is None:
        return "in the ERP's list, but not when asked for by id: it may have been deleted a moment ago"
    return (
        f"in the ERP, not here. The day was fetched {moment(day.fetched_at)}: registered or moved here after that, or lost. "
        f"Load the day again and verify once more: if it is then new and whole, the store has it{_unasked(answer)}"
    )


def _changed(stored: _Here, answers: _Answers) -> str:
    answer = answers.get(stored.invoice_id)
    by_id = ""
    if isinstance(answer, InvoiceAnswer):
        if answer.invoice is not None and _hash(answer.invoice.payload) == stored.hash:
            return "the ERP's list and its answer by id differ; the answer by id is what is stored"
        by_id = ", and the answer by id says the same as the list"
    return (
        f"other content than stored (fetched {moment(stored.fetched_at)}){by_id}: changed in the ERP after that, "
        f"or altered here. Load the day again{_unasked(answer)}"
    )


def _not_there(stored: _Here, answers: _Answers) -> str:
    answer = answers.get(stored.invoice_id)
    if answer is None:
        return f"here since {moment(stored.fetched_at)}, not in the ERP's list; not asked for by id, there are too many"
    if isinstance(answer, RequestError):
        return f"here since {moment(stored.fetched_at)}, not in the ERP's list{_unasked(answer)}"
    if answer.invoice is None:
        return f"here since {moment(stored.fetched_at)}, the ERP no longer knows its id: deleted there after that. Load the day again"
    if answer.invoice.invoice_date != stored.day:
        return _elsewhere(answer.invoice.invoice_date)
    return "the ERP's list left it out, yet it answers by id: nothing is missing here, the list was not whole"


def _elsewhere(day: dt.date | None) -> str:
    return f"the ERP has it under {day} now. Load both days again"


def _is_elsewhere(stored: _Here, answers: _Answers) -> bool:
    answer = answers.get(stored.invoice_id)
    return (
        isinstance(answer, InvoiceAnswer) and answer.invoice is not None and answer.invoice.invoice_date != stored.day
    )


def _unasked(answer: InvoiceAnswer | RequestError | None) -> str:
    """The sentence, behind another, that there is no answer by id, and why."""
    return f". {answer}".removesuffix(".") if isinstance(answer, RequestError) else ""


def _stored(store: duckdb.DuckDBPyConnection, company: str, look: _Look) -> dict[int, _Here]:
    rows = store.execute(
        _STORED,
        {
            "company": company,
            "asked_at": look.asked_at,
            "include_preliminary": look.include_preliminary,
            "first_day": look.first_day,
            "last_day": look.last_day,
            "ids": [found.invoice_id for found in look.there if found.invoice_id is not None],
        },
    ).fetchall()
    return {row[0]: _Here(*row) for row in rows}


def _quarantined(store: duckdb.DuckDBPyConnection, company: str) -> dict[str, dt.date | None]:
    """The payloads' hashes, each with the day that it waits under."""
    rows = store.execute("select md5(payload), partition_date from raw.quarantine where company = ?", [company])
    return dict(rows.fetchall())


def _fetched_days(
    store: duckdb.DuckDBPyConnection, company: str, first_day: dt.date, last_day: dt.date
) -> dict[dt.date, dt.datetime]:
    rows = store.execute(
        "select partition_date, fetched_at from raw.fetched_days where company = ? and partition_date between ? and ?",
        [company, first_day, last_day],
    ).fetchall()
    return dict(rows)


def _there(invoice: ReceivedInvoice) -> _There:
    payload = invoice.payload
    return _There(invoice.invoice_id, invoice.invoice_date, _hash(payload), _total_oere(payload))


def _total_oere(payload: str) -> int | None:
    """TotalAmount in öre, read from the text as received; None where it cannot be read exactly."""
    try:
        total = json.loads(payload, parse_float=Decimal, parse_int=Decimal)["TotalAmount"]
        if not isinstance(total, Decimal):
            total = json.loads(normalise_invoice(payload), parse_float=Decimal, parse_int=Decimal)["TotalAmount"]
        oere = total.scaleb(2)
        return int(oere) if oere == oere.to_integral_value() else None
    except (ValueError, KeyError, InvalidOperation, InvoiceUnreadable, RecursionError):
        return None


def _sum(amounts: list[int | None]) -> int | None:
    """None where one of them is not known."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def _hash(payload: str) -> str:
    return hashlib.md5(payload.encode(), usedforsecurity=False).hexdigest()


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _windows(first_day: dt.date, last_day: dt.date) -> Iterator[tuple[dt.date, dt.date]]:
    """Borders that loading, which asks day by day, never has: three days, then weeks from there."""
    length = _FIRST_WINDOW_DAYS
    while first_day <= last_day:
        last = min(first_day + dt.timedelta(days=length - 1), last_day)
        yield first_day, last
        first_day, length = last + _ONE_DAY, _WINDOW_DAYS
