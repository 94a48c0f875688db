"""Completeness: a range read again from the ERP, held against what is stored, day by day. Changes nothing.

One look cannot tell a change in the ERP after our fetch from a loss: what differs is asked for by id, and the
certificate says what that proves and what it does not. Nothing is held open while the ERP is waited for.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Literal

import duckdb

from softone_pipeline.errors import RequestError, WindowError
from softone_pipeline.readable import moment, plural
from softone_pipeline.settings import ErpSettings
from softone_pipeline.softone import (
    InvoiceAnswer,
    InvoiceUnreadable,
    Pseudonymiser,
    ReceivedInvoice,
    SoftOneClient,
    Window,
    normalise_invoice,
)
from softone_pipeline.tables.raw.pseudonymising import Privacy, hide_answer, hide_window

Kind = Literal["changed", "moved", "not_here", "not_there", "quarantined"]

_STORED = Path(__file__).with_name("stored.sql").read_text(encoding="utf-8")
_FIRST_WINDOW_DAYS = 3
_WINDOW_DAYS = 7
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
    day: dt.date
    hash: str
    total_oere: int | None


@dataclass(frozen=True, slots=True)
class _Look:
    """One window as it was asked for. `there` is what the ERP said, None when it could not be read."""

    first_day: dt.date
    last_day: dt.date
    asked_at: dt.datetime
    include_preliminary: bool
    there: list[_There] | None

    def has(self, stored: _Here) -> bool:
        return stored.day is not None and self.first_day <= stored.day <= self.last_day


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
    certificates = {day: DayCertificate(day) for day in _days(first_day, last_day)}
    looks: list[_Look] = []
    windows = list(_windows(first_day, last_day))
    for (first, last), outcome in zip(windows, client.read_windows(windows), strict=True):
        if isinstance(outcome, WindowError):
            for day in _days(first, last):
                certificates[day].failed = str(outcome)
            looks.append(_Look(first, last, dt.datetime.now(dt.UTC), client.include_preliminary, None))
        else:
            # Their payloads are not needed any more: memory stays flat however long the range is.
            there = [_there(invoice, outcome) for invoice in hide_window(hide, outcome).invoices]
            looks.append(_Look(first, last, outcome.asked_at, outcome.include_preliminary, there))
    with open_store() as store:
        fetched = _fetched_days(store, company, first_day, last_day)
        compared = [(look, *_stored(store, company, look)) for look in looks]
    answers: dict[int, InvoiceAnswer | RequestError] = {}
    differing = sorted({invoice_id for look, here, _ in compared for invoice_id in _differing(look, here)})
    if len(differing) <= _MOST_ASKED:
        for invoice_id, answer in zip(differing, client.read_invoices(differing), strict=True):
            answers[invoice_id] = answer if isinstance(answer, RequestError) else hide_answer(hide, answer)
    for look, here, quarantined in compared:
        for day in _days(look.first_day, look.last_day):
            certificates[day].fetched_at = fetched.get(day)
        _count_here(certificates, look, here)
        if look.there is not None:
            _judge(certificates, look, look.there, here=here, quarantined=quarantined, answers=answers)
    return list(certificates.values())


def summary(days: Sequence[DayCertificate]) -> str:
    """How many days are whole, and how many of those without ever having been fetched."""
    whole = [day for day in days if day.is_whole]
    unfetched = sum(day.fetched_at is None for day in whole)
    said = f"{len(whole)} of {len(days)} {plural(len(days), 'day is', 'days are')} whole"
    if unfetched:
        said += f", {unfetched} of them never fetched: the ERP has nothing there that is not here"
    return said


def _pseudonymiser(store: duckdb.DuckDBPyConnection, company: str, privacy: Privacy) -> Pseudonymiser | None:
    """What loading does to payloads before it writes them. Writes nothing: an empty store has nothing to note yet."""
    has_any = store.execute("select 1 from raw.customer_invoices where company = ? limit 1", [company]).fetchone()
    return privacy.begin(store, company) if has_any else privacy.pseudonymiser(store, company)


def _count_here(certificates: Mapping[dt.date, DayCertificate], look: _Look, here: Mapping[int, _Here]) -> None:
    """Fill in the store's side of one window's days: that is known whatever the ERP says."""
    for day in _days(look.first_day, look.last_day):
        own = [stored for stored in here.values() if stored.day == day]
        certificates[day].here = len(own)
        certificates[day].total_here_oere = sum(stored.total_oere for stored in own)
        certificates[day].digest_here = _digest([f"{stored.invoice_id}:{stored.hash}" for stored in own])


def _judge(
    certificates: Mapping[dt.date, DayCertificate],
    look: _Look,
    there: list[_There],
    *,
    here: Mapping[int, _Here],
    quarantined: set[str],
    answers: _Answers,
) -> None:
    """Fill in the ERP's side of one window's days, and what differs."""
    for date in _days(look.first_day, look.last_day):
        day = certificates[date]
        own = [found for found in there if found.day == date]
        day.verified_at = look.asked_at
        day.there = len(own)
        day.total_there_oere = _sum([found.total_oere for found in own])
        day.digest_there = _digest([f"{found.invoice_id}:{found.hash}" for found in own])
        differences = [_difference(day, found, here, quarantined, answers) for found in own]
        day.matched = differences.count(None)
        day.findings += [finding for finding in differences if finding]
    sent = {found.invoice_id for found in there}
    for stored in here.values():
        if stored.day is not None and look.has(stored) and stored.invoice_id not in sent:
            kind: Kind = "moved" if _is_elsewhere(stored, answers) else "not_there"
            finding = Finding(stored.day, kind, stored.invoice_id, _not_there(stored, answers))
            certificates[stored.day].findings.append(finding)


def _difference(
    day: DayCertificate,
    found: _There,
    here: Mapping[int, _Here],
    quarantined: set[str],
    answers: _Answers,
) -> Finding | None:
    """What is not the same of an invoice that the ERP has on this day."""
    stored = None if found.invoice_id is None else here.get(found.invoice_id)
    kind: Kind
    if found.hash in quarantined:
        kind, says = "quarantined", "received and kept in raw.quarantine, not in the tables"
    elif stored is None:
        kind, says = "not_here", _not_here(day, found, answers)
    elif stored.day not in {found.day, None}:
        kind, says = "moved", f"stored under {stored.day}, fetched {moment(stored.fetched_at)}"
    elif stored.hash != found.hash:
        kind, says = "changed", _changed(stored, found, answers)
    else:
        return None
    return Finding(found.day, kind, found.invoice_id, says)


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


def _changed(stored: _Here, found: _There, answers: _Answers) -> str:
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
        return f"the ERP has it under {answer.invoice.invoice_date} now. Load both days again"
    return "the ERP's list left it out, yet it answers by id: nothing is missing here, the list was not whole"


def _is_elsewhere(stored: _Here, answers: _Answers) -> bool:
    answer = answers.get(stored.invoice_id)
    return (
        isinstance(answer, InvoiceAnswer) and answer.invoice is not None and answer.invoice.invoice_date != stored.day
    )


def _unasked(answer: InvoiceAnswer | RequestError | None) -> str:
    """The sentence, behind another, that there is no answer by id, and why."""
    return f". {answer}".removesuffix(".") if isinstance(answer, RequestError) else ""


def _differing(look: _Look, here: Mapping[int, _Here]) -> Iterator[int]:
    """Ids to ask for: what is on one side only, or not alike."""
    if look.there is None:
        return
    for found in look.there:
        stored = here.get(found.invoice_id) if found.invoice_id is not None else None
        if found.invoice_id is not None and (stored is None or stored.hash != found.hash):
            yield found.invoice_id
    sent = {found.invoice_id for found in look.there}
    for stored in here.values():
        if stored.invoice_id not in sent and look.has(stored):
            yield stored.invoice_id


def _stored(store: duckdb.DuckDBPyConnection, company: str, look: _Look) -> tuple[dict[int, _Here], set[str]]:
    rows = store.execute(
        _STORED,
        {
            "company": company,
            "asked_at": look.asked_at,
            "include_preliminary": look.include_preliminary,
            "first_day": look.first_day,
            "last_day": look.last_day,
            "ids": [found.invoice_id for found in look.there or [] if found.invoice_id is not None],
        },
    ).fetchall()
    quarantined = store.execute("select md5(payload) from raw.quarantine where company = ?", [company]).fetchall()
    return {row[0]: _Here(*row) for row in rows}, {row[0] for row in quarantined}


def _fetched_days(
    store: duckdb.DuckDBPyConnection, company: str, first_day: dt.date, last_day: dt.date
) -> dict[dt.date, dt.datetime]:
    rows = store.execute(
        "select partition_date, fetched_at from raw.fetched_days where company = ? and partition_date between ? and ?",
        [company, first_day, last_day],
    ).fetchall()
    return dict(rows)


def _there(invoice: ReceivedInvoice, window: Window) -> _There:
    day = invoice.invoice_date
    is_of_window = day is not None and window.first_day <= day <= window.last_day
    return _There(
        invoice.invoice_id,
        day if day is not None and is_of_window else window.first_day,
        _hash(invoice.payload),
        _total_oere(invoice.payload),
    )


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
        first_day, length = last + dt.timedelta(days=1), _WINDOW_DAYS


def _days(first_day: dt.date, last_day: dt.date) -> list[dt.date]:
    return [first_day + dt.timedelta(days=number) for number in range((last_day - first_day).days + 1)]
