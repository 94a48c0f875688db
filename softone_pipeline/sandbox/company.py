"""The seeded world: one made-up company's customers, invoices and payments, and how they change overnight.

What is true lives here, and what a query of it would find. How an answer travels, and goes wrong on the way,
is server.py's.
"""

from __future__ import annotations

import datetime as dt
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from decimal import Decimal
from random import Random

from softone_pipeline.sandbox.invoicing import (
    DEBIT,
    DEFINITIVE,
    EXPORTED,
    PRELIMINARY,
    VOUCHER,
    Draft,
    Invoicing,
    rng_for,
)
from softone_pipeline.sandbox.records import BadInvoice, Changes, Query, Record
from softone_pipeline.sandbox.spoiling import SPOILERS
from softone_pipeline.sandbox.wire import Invoice, decode, encode, from_ore, half_away, to_ore, with_accounts
from softone_pipeline.sandbox.workdays import days_between, is_workday, workday_from

EXAMPLE_DAY = dt.date(2026, 2, 23)
EXAMPLE_ID = 12_677_557
_EXAMPLE_NUMBER = 99_233
_EXAMPLE_PAID = (dt.date(2026, 3, 2).toordinal(), 62_800)
_ID_EPOCH = dt.date(2010, 1, 1)
_COUNTED = {DEFINITIVE, VOUCHER, EXPORTED}
_LOOK_BACK = 60

# Section 3.3.1 of the vendor's document, to the letter of its figures.
_EXAMPLE_ROWS = (
    ("7881005", "PROPENSITS MED LOCK GBG BUT.FP", "310.4000", "77.60", "310.40"),
    ("7889746", "VENTILBOLL NC-5,NT-5/NP-4 B-FP", "84.9600", "19.12", "76.46"),
    ("8239741", "TVÅLKOPP Ø18-20 MM", "115.2000", "28.80", "115.20"),
)
_EXAMPLE = (
    '{"InvoiceRows":['
    + ",".join(
        f'{{"ProductNr":"{product}","Quantity":1.000000,"Text":"{text}","UnitPrice":{unit},'
        f'"UnitPriceCurrency":{unit},"VatAmount":{vat},"VatAmountCurrency":{vat},"SumAmount":{total},'
        f'"SumAmountCurrency":{total},"Accounts":[],"AttestStateName":null,"AttestState":0}}'
        for product, text, unit, vat, total in _EXAMPLE_ROWS
    )
    + f'],"InvoiceId":{EXAMPLE_ID},"InvoiceNr":"{_EXAMPLE_NUMBER}","CustomerNr":"11357",'
    '"CustomerName":"Per Persson","CustomerOrgNr":null,"InvoiceDate":"2026-02-23T00:00:00",'
    '"DueDate":"2026-02-23T00:00:00","BillingType":1,"Currency":"SEK","OriginStatus":3,'
    '"TotalAmount":628.00,"TotalAmountCurrency":628.00,"VATAmount":125.52,"VATAmountCurrency":125.52}'
)


class Company:
    """A made-up company between two days, the same for the same arguments.

    Each day is drawn on its own: a longer range has the same invoices on the days they share. Only the
    numbers of the series are counted from the first day on. The vendor's example invoice is there when its
    day (2026-02-23) lies in the range, or when `include_example` says so. Thread-safe.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        first_day: dt.date,
        last_day: dt.date,
        invoices_per_day: float = 25,
        include_example: bool = False,
    ) -> None:
        if last_day < first_day:
            raise ValueError(f"the last day, {last_day}, comes before the first, {first_day}")
        if not 0 <= invoices_per_day <= 100_000:
            raise ValueError(f"invoices_per_day={invoices_per_day} is out of range (0 to 100000)")
        self.seed = seed
        self.first_day = first_day
        self.last_day = last_day
        self.version = 0
        self.big_day: dt.date | None = None
        self._lock = threading.RLock()
        self._invoicing = Invoicing(seed, invoices_per_day)
        self._records: dict[int, Record] = {}
        self._twins: dict[int, Record] = {}
        self._evenings = 0
        self._last_id = 0
        self._order: list[Record] | None = None
        self._moments: list[str] = []
        self._selections: dict[Query, list[Record]] = {}
        # A day's ids take less than this, also at a month's end, so that ids grow with the days.
        self._stride = max(400, round(invoices_per_day * 20))
        self._found_numbers(include_example or first_day <= EXAMPLE_DAY <= last_day)

    # What is true

    def invoices(self, *, accounts: bool = False) -> list[Invoice]:
        """What is true now, as wire objects in InvoiceId order, without those that cannot be typed.

        `accounts` fills in the account rows, as IncludeRowAccountInfo does.
        """
        with self._lock:
            texts = [record.text for record in self._by_id() if record.spoiled is None]
        if accounts:
            return [decode(with_accounts(text.decode())) for text in texts]
        return [decode(text) for text in texts]

    def invoice(self, invoice_id: int) -> Invoice:
        """One invoice as it truly is, spoiled on the wire or not. Raises KeyError when there is none."""
        with self._lock:
            invoice: Invoice = decode(self._records[invoice_id].text)
        return invoice

    def payload(self, invoice: Invoice, *, accounts: bool = False) -> str:
        """The exact JSON text of an invoice, in the ERP's key order and number formats."""
        text = encode(invoice)
        return with_accounts(text) if accounts else text

    def __len__(self) -> int:
        return len(self._records)

    def paid_amounts(self) -> dict[int, Decimal]:
        """What Search says is paid, by InvoiceId, in accounting currency and with the sign as sent."""
        today = self.last_day.toordinal()
        with self._lock:
            return {record.id: from_ore(record.paid(today)) for record in self._records.values()}

    def bad_invoices(self) -> list[BadInvoice]:
        """The invoices that are sent so that they cannot be typed."""
        with self._lock:
            return [record.spoiled for record in self._records.values() if record.spoiled is not None]

    def duplicates(self) -> dict[int, Invoice]:
        """The other objects that are sent with an id already in use; `invoices()` has the true ones."""
        with self._lock:
            return {invoice_id: decode(twin.text) for invoice_id, twin in self._twins.items()}

    @staticmethod
    def example_invoice() -> Invoice:
        """The vendor's own example (section 3.3.1 of the document), whether it is in the data or not."""
        example: Invoice = decode(_EXAMPLE)
        return example

    # What a query finds

    def select(self, query: Query) -> list[Record]:
        """What Filter finds, in order of date and id. The list is shared: do not change it."""
        with self._lock:
            if query not in self._selections:
                if len(self._selections) > 256:
                    self._selections.clear()
                self._selections[query] = self._select(query)
            return self._selections[query]

    def look_up(
        self,
        *,
        number: str | None = None,
        customer_number: str | None = None,
        first: str | None = None,
        last: str | None = None,
        fully_paid: bool | None = None,
        preliminary: bool = False,
        voucher: bool = False,
    ) -> list[Record]:
        """What Search finds, in order of date and id."""
        today = self.last_day.toordinal()
        query = Query(number=number, first=first, last=last, preliminary=preliminary, voucher=voucher)
        return [
            record
            for record in self.select(query)
            if (customer_number is None or record.customer_number == customer_number)
            and (fully_paid is None or record.is_paid(today) == fully_paid)
            and not record.is_twin
        ]

    def faults_in(self, record: Record) -> frozenset[str]:
        """The data faults that an invoice is an instance of."""
        names = set()
        if record.spoiled is not None:
            names.add("bad-invoice")
        if record.is_twin:
            names.add("duplicate-id")
        if self.big_day is not None and record.day == self.big_day:
            names.add("big-day")
        return frozenset(names)

    def _select(self, query: Query) -> list[Record]:
        if query.invoice_id is not None:
            records = self._with_id(query.invoice_id)
        else:
            order = self._ordered()
            start = 0 if query.first is None else bisect_left(self._moments, query.first)
            stop = len(order) if query.last is None else bisect_right(self._moments, query.last)
            records = order[start:stop]
        dated = query.first is not None or query.last is not None
        return [
            record
            for record in records
            if (query.voucher or record.status != VOUCHER)
            and (query.preliminary or record.status != PRELIMINARY)
            and (query.number is None or record.number == query.number)
            and (not dated or record.moment)
            and (query.first is None or record.moment >= query.first)
            and (query.last is None or record.moment <= query.last)
        ]

    def _with_id(self, text: str) -> list[Record]:
        try:
            wanted = int(text)
        except ValueError:
            return []
        return [shelf[wanted] for shelf in (self._twins, self._records) if wanted in shelf]

    def _ordered(self) -> list[Record]:
        if self._order is None:
            # sorted() is stable: a twin stays before the invoice it doubles, and the last one sent is true.
            self._order = sorted(
                (*self._twins.values(), *self._records.values()),
                key=lambda record: (record.moment, record.id),
            )
            self._moments = [record.moment for record in self._order]
        return self._order

    # Changing the world by hand

    def put(self, invoice: Invoice, *, paid: Decimal = Decimal(0)) -> None:
        """Add an invoice, or put it in the place of the one with its id; what was paid stays paid."""
        with self._lock:
            old = self._records.get(invoice["InvoiceId"])
            payments = old.payments if old else ()
            if paid:
                payments = (*payments, (self.last_day.toordinal(), to_ore(paid)))
            self._records[invoice["InvoiceId"]] = Record.of(
                invoice, customer_id=old.customer_id if old else 80_000, payments=payments
            )
            self._last_id = max(self._last_id, invoice["InvoiceId"] % 2**32)
            self._changed()

    def remove(self, invoice_id: int) -> None:
        """Delete an invoice, as somebody in the ERP might."""
        with self._lock:
            del self._records[invoice_id]
            self._twins.pop(invoice_id, None)
            self._changed()

    def pay(self, invoice_id: int, amount: Decimal) -> None:
        """Register a payment, dated the company's last day."""
        with self._lock:
            record = self._records[invoice_id]
            record.payments = (*record.payments, (self.last_day.toordinal(), to_ore(amount)))
            self._changed()

    def spoil(self, invoice_id: int, kind: str) -> BadInvoice:
        """From now on send an invoice so that it cannot be typed (a kind of BAD_INVOICE_KINDS)."""
        with self._lock:
            record = self._records[invoice_id]
            wrong_field, payload = SPOILERS[kind](decode(record.text))
            bad = BadInvoice(invoice_id, record.day, kind, wrong_field, payload)
            record.spoiled = bad
            record.forget()
            self._changed()
        return bad

    def mend(self, invoice_id: int | None = None) -> None:
        """Send a spoiled invoice as it truly is again; without an id, all of them."""
        with self._lock:
            for record in self._records.values() if invoice_id is None else [self._records[invoice_id]]:
                if record.spoiled is not None:
                    record.spoiled = None
                    record.forget()
            self._changed()

    # What the data faults put in

    def add_bad_invoices(self, kind: str = "all", *, share_of_days: float = 0.1) -> list[BadInvoice]:
        """Add invoices that cannot be typed on a share of the working days, at least one."""
        rng = rng_for("bad", self.seed)
        kinds = tuple(SPOILERS) if kind == "all" else (kind,)
        days = [day for day in self._days() if is_workday(day)] or [self.last_day]
        chosen = sorted(rng.sample(days, max(1, round(len(days) * share_of_days))))
        with self._lock:
            ids = [self._add(self._invoicing.ordinary(day, rng)) for day in chosen]
            return [self.spoil(new, kinds[nth % len(kinds)]) for nth, new in enumerate(ids)]

    def add_duplicates(self, *, share: float = 0.02) -> dict[int, Invoice]:
        """Send some invoices twice, first with other content and then as they are; at least one."""
        rng = rng_for("twins", self.seed)
        with self._lock:
            able = [record for record in self._by_id() if _is_plain(record)]
            for record in rng.sample(able, min(len(able), max(1, round(len(self._records) * share)))):
                invoice = decode(record.text)
                _add_row(invoice, rng)
                invoice["CustomerName"] = f"{invoice['CustomerName']} (dubblett)"
                twin = Record.of(invoice, customer_id=record.customer_id, payments=())
                twin.is_twin = True
                self._twins[record.id] = twin
            self._changed()
        return self.duplicates()

    def add_big_day(self, count: int) -> dt.date:
        """Fill a working day in the middle of the range up to as many invoices."""
        with self._lock:
            middle = self.first_day + (self.last_day - self.first_day) / 2
            day = min(workday_from(middle), self.last_day)
            held = sum(record.day == day for record in self._records.values())
            rng = rng_for("big day", self.seed, day.isoformat())
            for draft in self._invoicing.some(day, max(0, count - held), rng):
                self._add(draft)
            self.big_day = day
            self._changed()
        return day

    # An evening

    def advance(self, seed: int | None = None) -> Changes:
        """An evening passes: late changes, moved dates, deletions, late registrations, payments.

        The range of days stays as it is; nearly all happens in the last sixty of them. Without a seed each
        call is the next evening of this company's life. The vendor's example is left alone.
        """
        with self._lock:
            self._evenings += 1
            rng = rng_for("evening", self.seed, self._evenings if seed is None else f"as told {seed}")
            since = (self.last_day - dt.timedelta(days=_LOOK_BACK)).isoformat()
            recent = [
                record
                for record in self._by_id()
                if record.moment >= since and record.id != EXAMPLE_ID and record.spoiled is None
            ]
            free = {record.id: record for record in recent}

            def take(share: float, suits: Callable[[Record], bool] = lambda _: True) -> list[Record]:
                able = [record for record in free.values() if suits(record)]
                wanted = max(1, round(len(recent) * share))
                taken = rng.sample(able, min(wanted, len(able)))
                for record in taken:
                    del free[record.id]
                return taken

            changes = Changes(
                changed=self._change(take(0.006, _is_plain), take(0.004, _is_booked_next), rng),
                redated=self._redate(take(0.003), rng),
                vanished=self._delete(take(0.002)),
                finalised=self._finalise(take(0.01, lambda record: record.status == PRELIMINARY)),
                paid=self._settle(take(0.03, self._is_open)),
                new=self._register(max(2, round(len(recent) * 0.004)), rng),
            )
            self._changed()
        return changes

    def _change(self, reworked: list[Record], booked: list[Record], rng: Random) -> tuple[int, ...]:
        for nth, record in enumerate(reworked):
            invoice = decode(record.text)
            if nth % 3 < 2:
                _add_row(invoice, rng)
            elif invoice["DueDate"]:
                due = dt.datetime.fromisoformat(invoice["DueDate"]) + dt.timedelta(days=10)
                invoice["DueDate"] = due.isoformat()
            if nth % 3 > 0:
                invoice["InvoiceRows"][0]["Text"] += " (rättad)"
            self._replace(record, invoice)
        for record in booked:
            self._replace(record, decode(record.text) | {"OriginStatus": VOUCHER})
        return tuple(sorted(record.id for record in (*reworked, *booked)))

    def _redate(self, records: list[Record], rng: Random) -> dict[int, tuple[dt.date, dt.date]]:
        moves = {}
        for record in records:
            old = record.day
            assert old is not None
            days = [
                day
                for day in days_between(
                    max(self.first_day, old - dt.timedelta(days=20)),
                    min(self.last_day, old + dt.timedelta(days=20)),
                )
                if day != old
            ]
            if not days:
                continue
            new = rng.choice([day for day in days if is_workday(day)] or days)
            # What doubled it would be left behind, alone on the old day, and be true there.
            self._twins.pop(record.id, None)
            self._replace(record, decode(record.text) | {"InvoiceDate": new.isoformat() + record.moment[10:]})
            moves[record.id] = (old, new)
        return dict(sorted(moves.items()))

    def _delete(self, records: list[Record]) -> tuple[int, ...]:
        for record in records:
            del self._records[record.id]
            self._twins.pop(record.id, None)
        return tuple(sorted(record.id for record in records))

    def _finalise(self, records: list[Record]) -> tuple[int, ...]:
        for record in records:
            self._replace(
                record,
                decode(record.text) | {"OriginStatus": DEFINITIVE, "InvoiceNr": str(self._next_number)},
            )
            self._next_number += 1
        return tuple(sorted(record.id for record in records))

    def _settle(self, records: list[Record]) -> tuple[int, ...]:
        today = self.last_day.toordinal()
        for record in records:
            record.payments = (*record.payments, (today, record.total - record.paid(today)))
        return tuple(sorted(record.id for record in records))

    def _register(self, count: int, rng: Random) -> tuple[int, ...]:
        ids = []
        for nth in range(count):
            back = rng.randrange(3) if nth else 12
            day = max(self.first_day, self.last_day - dt.timedelta(days=back))
            ids.append(self._add(self._invoicing.ordinary(day, rng)))
        return tuple(sorted(ids))

    def _is_open(self, record: Record) -> bool:
        return record.status in _COUNTED and not record.is_paid(self.last_day.toordinal())

    # Building and keeping

    def _by_id(self) -> list[Record]:
        return [record for _, record in sorted(self._records.items())]

    def _days(self) -> list[dt.date]:
        return days_between(self.first_day, self.last_day)

    def _found_numbers(self, with_example: bool) -> None:
        """Draw every day, then hand out ids and numbers in the order of creation."""
        days = [(day, self._invoicing.day(day)) for day in self._days()]
        definitive = sum(draft.status != PRELIMINARY for _, drafts in days for draft in drafts)
        in_series = with_example and self.first_day <= EXAMPLE_DAY <= self.last_day
        before = sum(draft.status != PRELIMINARY for day, drafts in days if day < EXAMPLE_DAY for draft in drafts)
        oddities = rng_for("numbers", self.seed)
        gaps = {oddities.randrange(100, 300): 1, oddities.randrange(2_000, 6_000): 2}
        twice = oddities.randrange(300, 450)
        if in_series and before + 10 < _EXAMPLE_NUMBER:
            self._next_number = (
                _EXAMPLE_NUMBER - before - sum(size for nth, size in gaps.items() if nth < before) + (twice < before)
            )
        else:
            in_series = False
            self._next_number = 10_001 if definitive < 80_000 else 100_001
        nth = 0
        for day, drafts in days:
            self._last_id = max(self._last_id, self._first_id(day))
            if day == EXAMPLE_DAY and with_example:
                self._place_example()
                self._next_number += in_series
            for draft in drafts:
                if draft.status == PRELIMINARY:
                    self._place(draft, None)
                    continue
                self._next_number += gaps.get(nth, 0) - (nth == twice)
                self._place(draft, str(self._next_number))
                self._next_number += 1
                nth += 1
        if with_example and EXAMPLE_ID not in self._records:
            self._place_example()

    def _first_id(self, day: dt.date) -> int:
        """Ids grow with the days, so that the example's id fits its date; busy companies need more."""
        if self._stride <= 2_000:
            return EXAMPLE_ID + self._stride * (day - EXAMPLE_DAY).days
        return 20_000_000 + self._stride * (day - _ID_EPOCH).days

    def _place_example(self) -> None:
        self._records[EXAMPLE_ID] = Record.of(self.example_invoice(), customer_id=80_357, payments=(_EXAMPLE_PAID,))

    def _place(self, draft: Draft, number: str | None) -> int:
        step = 1 + (self._last_id * 7 + len(draft.rows)) % 4
        self._last_id += step
        while self._last_id == EXAMPLE_ID:
            self._last_id += 1
        invoice_id = self._last_id + draft.wide
        if number is None and invoice_id % 4 == 0:
            number = f"P{invoice_id}"
        self._records[invoice_id] = Record(
            id=invoice_id,
            moment=draft.moment,
            number=number,
            status=draft.status,
            billing_type=draft.billing_type,
            customer_id=draft.customer.id,
            customer_number=draft.customer.number,
            text=draft.write(invoice_id, number),
            total=draft.total,
            payments=draft.payments,
        )
        return invoice_id

    def _add(self, draft: Draft) -> int:
        number = None
        if draft.status != PRELIMINARY:
            number = str(self._next_number)
            self._next_number += 1
        return self._place(draft, number)

    def _replace(self, record: Record, invoice: Invoice) -> None:
        self._records[record.id] = Record.of(invoice, customer_id=record.customer_id, payments=record.payments)

    def _changed(self) -> None:
        self.version += 1
        self._order = None
        self._selections.clear()


def _is_plain(record: Record) -> bool:
    """A definitive debit invoice in SEK with rows of its own: one that a row can be added to."""
    return (
        record.status in _COUNTED
        and record.billing_type == DEBIT
        and record.id != EXAMPLE_ID
        and record.spoiled is None
        and not record.text.startswith(b'{"InvoiceRows":[]')
        and b'"Currency":"SEK"' in record.text
        and b"Delsumma" not in record.text
    )


def _is_booked_next(record: Record) -> bool:
    return record.status == DEFINITIVE


def _add_row(invoice: Invoice, rng: Random) -> None:
    """One more row at 25 %, whole kronor with its VAT, so that the invoice foots as it did before."""
    rows = invoice["InvoiceRows"]
    net = sum(to_ore(row["SumAmountCurrency"]) for row in rows)
    vat = to_ore(invoice["VATAmountCurrency"])
    total = to_ore(invoice["TotalAmountCurrency"])
    gross = vat != 0 and abs(total - net) < abs(total - net - vat)
    more = (1 + rng.randrange(40)) * 10_000
    more_vat = half_away(more, 4)
    shown = more + more_vat if gross else more
    amounts = {
        f"{name}{suffix}": from_ore(amount)
        for name, amount in (("UnitPrice", shown), ("VatAmount", more_vat), ("SumAmount", shown))
        for suffix in ("", "Currency")
    }
    rows.append(
        {"ProductNr": "T900", "Quantity": 1, "Text": "Tillägg enligt överenskommelse"}
        | amounts
        | {"Accounts": [], "AttestStateName": None, "AttestState": 0}
    )
    for key, added in (("TotalAmount", more + more_vat), ("VATAmount", more_vat)):
        for name in (key, f"{key}Currency"):
            invoice[name] += from_ore(added)
