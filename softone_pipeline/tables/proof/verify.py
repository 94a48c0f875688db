"""Completeness: a range read again from the ERP, held against what is stored, day by day. Changes nothing.

One look cannot tell a change in the ERP after our fetch from a loss: what differs is asked for by id, and the
certificate says what that proves and what it does not. Nothing is held open while the ERP is waited for.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Literal

import duckdb

from softone_pipeline.errors import RequestError, WindowError
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

    `failed` tells why the ERP could not be read. A digest is SHA-256 over "id:hash" of the day's invoices by id.
    """

    day: dt.date
    fetched_at: dt.datetime | None = None
    verified_at: dt.datetime | None = None
    here: int = 0
    there: int = 0
    matched: int = 0
    total_here_oere: int = 0
    total_there_oere: int | None = 0
    digest_here: str = ""
    digest_there: str = ""
    failed: str | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return self.failed is None and not self.findings

    def count(self, kind: Kind) -> int:
        return sum(finding.kind == kind for finding in self.findings)


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
    Windows that fail leave their days unverified. Raises AuthenticationError, and SettingsError for another privacy.
    """
    with open_store() as store:
        hide = _pseudonymiser(store, company, privacy or Privacy())
    certificates = {day: DayCertificate(day) for day in _days(first_day, last_day)}
    looks: list[tuple[Window, list[_There]]] = []
    windows = list(_windows(first_day, last_day))
    for (first, last), outcome in zip(windows, client.read_windows(windows), strict=True):
        if isinstance(outcome, WindowError):
            for day in _days(first, last):
                certificates[day].failed = str(outcome)
        else:
            found = [_there(invoice, outcome) for invoice in hide_window(hide, outcome).invoices]
            # Its payloads are not needed any more: memory stays flat however long the range is.
            looks.append(
                (Window(first, last, outcome.asked_at, outcome.include_preliminary, (), outcome.traffic), found)
            )
    compared = []
    with open_store() as store:
        fetched = _fetched_days(store, company, first_day, last_day)
        for window, there in looks:
            compared.append((window, there, *_stored(store, company, window, there)))
    answers: dict[int, InvoiceAnswer] = {}
    differing = sorted({i for w, t, h, _ in compared for i in _differing(w, t, h)})
    if len(differing) <= _MOST_ASKED:
        for answer in client.read_invoices(differing):
            if isinstance(answer, RequestError):
                raise answer
            answers[answer.invoice_id] = hide_answer(hide, answer)
    for window, there, here, quarantined in compared:
        for day in _days(window.first_day, window.last_day):
            certificates[day].fetched_at = fetched.get(day)
            certificates[day].verified_at = window.asked_at
        _judge(certificates, window, there=there, here=here, quarantined=quarantined, answers=answers)
    return list(certificates.values())


def _pseudonymiser(store: duckdb.DuckDBPyConnection, company: str, privacy: Privacy) -> Pseudonymiser | None:
    """What loading does to payloads before it writes them. Writes nothing: an empty store has nothing to note yet."""
    has_any = store.execute("select 1 from raw.customer_invoices where company = ? limit 1", [company]).fetchone()
    return privacy.begin(store, company) if has_any else privacy.pseudonymiser(store, company)


def _judge(
    certificates: Mapping[dt.date, DayCertificate],
    window: Window,
    *,
    there: list[_There],
    here: Mapping[int, _Here],
    quarantined: set[str],
    answers: Mapping[int, InvoiceAnswer],
) -> None:
    """Fill in the certificates of one window's days."""
    sent = {invoice.invoice_id: invoice for invoice in there if invoice.invoice_id is not None}
    lines: dict[tuple[dt.date, str], list[str]] = {}
    for found in there:
        day = certificates[found.day]
        day.there += 1
        if day.total_there_oere is not None and found.total_oere is not None:
            day.total_there_oere += found.total_oere
        else:
            day.total_there_oere = None
        lines.setdefault((found.day, "there"), []).append(f"{found.invoice_id}:{found.hash}")
        stored = None if found.invoice_id is None else here.get(found.invoice_id)
        if found.hash in quarantined:
            day.findings.append(
                Finding(
                    found.day, "quarantined", found.invoice_id, "received and kept in raw.quarantine, not in the tables"
                )
            )
        elif stored is None:
            day.findings.append(Finding(found.day, "not_here", found.invoice_id, _not_here(day, found, answers)))
        elif stored.day not in {found.day, None}:
            day.findings.append(
                Finding(
                    found.day, "moved", found.invoice_id, f"stored under {stored.day}, fetched {_at(stored.fetched_at)}"
                )
            )
        elif stored.hash != found.hash:
            day.findings.append(Finding(found.day, "changed", found.invoice_id, _changed(stored, found, answers)))
        else:
            day.matched += 1
    for stored in here.values():
        if (
            stored.day is None
            or stored.day not in certificates
            or not window.first_day <= stored.day <= window.last_day
        ):
            continue
        day = certificates[stored.day]
        day.here += 1
        day.total_here_oere += stored.total_oere
        lines.setdefault((stored.day, "here"), []).append(f"{stored.invoice_id}:{stored.hash}")
        if stored.invoice_id not in sent:
            kind: Kind = "moved" if _is_elsewhere(stored, answers) else "not_there"
            day.findings.append(Finding(stored.day, kind, stored.invoice_id, _not_there(stored, answers)))
    for found_day in _days(window.first_day, window.last_day):
        certificates[found_day].digest_here = _digest(lines.get((found_day, "here"), []))
        certificates[found_day].digest_there = _digest(lines.get((found_day, "there"), []))


def _not_here(day: DayCertificate, found: _There, answers: Mapping[int, InvoiceAnswer]) -> str:
    if day.fetched_at is None:
        return "the day has never been fetched: softone backfill loads it"
    answer = answers.get(found.invoice_id) if found.invoice_id is not None else None
    if answer is not None and answer.invoice is None:
        return "in the ERP's list, but not when asked for by id: it may have been deleted a moment ago"
    return (
        f"in the ERP, not here. The day was fetched {_at(day.fetched_at)}: registered or moved here after that, or lost. "
        "Load the day again and verify once more: if it is then new and whole, the store has it"
    )


def _changed(stored: _Here, found: _There, answers: Mapping[int, InvoiceAnswer]) -> str:
    answer = answers.get(stored.invoice_id)
    if answer is not None and answer.invoice is not None and _hash(answer.invoice.payload) == stored.hash:
        return "the ERP's list and its answer by id differ; the answer by id is what is stored"
    by_id = ", and the answer by id says the same as the list" if answer is not None else ""
    return (
        f"other content than stored (fetched {_at(stored.fetched_at)}){by_id}: changed in the ERP after that, "
        "or altered here. Load the day again"
    )


def _not_there(stored: _Here, answers: Mapping[int, InvoiceAnswer]) -> str:
    answer = answers.get(stored.invoice_id)
    if answer is None:
        return f"here since {_at(stored.fetched_at)}, not in the ERP's list; not asked for by id, there are too many"
    if answer.invoice is None:
        return f"here since {_at(stored.fetched_at)}, the ERP no longer knows its id: deleted there after that. Load the day again"
    if answer.invoice.invoice_date != stored.day:
        return f"the ERP has it under {answer.invoice.invoice_date} now. Load both days again"
    return "the ERP's list left it out, yet it answers by id: nothing is missing here, the list was not whole"


def _is_elsewhere(stored: _Here, answers: Mapping[int, InvoiceAnswer]) -> bool:
    answer = answers.get(stored.invoice_id)
    return answer is not None and answer.invoice is not None and answer.invoice.invoice_date != stored.day


def _differing(window: Window, there: list[_There], here: Mapping[int, _Here]) -> Iterator[int]:
    """Ids to ask for: what is on one side only, or not alike."""
    sent = {found.invoice_id: found for found in there}
    for found in there:
        stored = here.get(found.invoice_id) if found.invoice_id is not None else None
        if found.invoice_id is not None and (stored is None or stored.hash != found.hash):
            yield found.invoice_id
    for stored in here.values():
        is_of_window = stored.day is not None and window.first_day <= stored.day <= window.last_day
        if stored.invoice_id not in sent and is_of_window:
            yield stored.invoice_id


def _stored(
    store: duckdb.DuckDBPyConnection, company: str, window: Window, there: list[_There]
) -> tuple[dict[int, _Here], set[str]]:
    rows = store.execute(
        _STORED,
        {
            "company": company,
            "asked_at": window.asked_at,
            "include_preliminary": window.include_preliminary,
            "first_day": window.first_day,
            "last_day": window.last_day,
            "ids": [found.invoice_id for found in there if found.invoice_id is not None],
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
    except (ValueError, KeyError, InvalidOperation, InvoiceUnreadable):
        return None


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


def _at(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
