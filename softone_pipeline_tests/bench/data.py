"""The invoices that are served, rendered once into a file, and what the tables must then hold, in whole öre.

Everything follows from an invoice's number: no seed, no randomness. The first day ends with amounts that were
chosen to break a careless reader (`ADVERSARIAL`).
"""

from __future__ import annotations

import datetime as dt
import json
from array import array
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

from softone_pipeline.sandbox.wire import half_away, ore

FIRST_DAY = dt.date(2016, 1, 1)
FIRST_ID = 5_000_000_000
_RATES = (25, 25, 25, 12, 6)
_EUR = 112_345  # SEK per 10,000 EUR
_ROWS = 5

# (field, as written, what must be in core exactly; None: in quarantine under this field's name)
ADVERSARIAL: tuple[tuple[str, str, str | None], ...] = (
    ("TotalAmount", "1234567890123456.78", "1234567890123456.78"),
    ("TotalAmount", "-1234567890123456.79", "-1234567890123456.79"),
    ("TotalAmount", "90071992547409.93", "90071992547409.93"),
    ("TotalAmount", "1.2345e3", "1234.50"),
    ("TotalAmount", "12345E-2", "123.45"),
    ("TotalAmount", "0.1e-1", "0.01"),
    ("TotalAmount", "12.500000", "12.50"),
    ("TotalAmount", '"12.50"', "12.50"),
    ("TotalAmount", "-0.00", "0.00"),
    ("UnitPrice", "1.005", "1.005"),
    ("UnitPrice", "123456789012.345678", "123456789012.345678"),
    ("Quantity", "-0.005", "-0.005"),
    ("Quantity", "2.6750000", "2.675"),
    ("TotalAmount", "1.005", None),
    ("TotalAmount", "-0.005", None),
    ("TotalAmount", "2.675", None),
    ("TotalAmount", "0.30000000000000004", None),
    ("TotalAmount", "12345678901234567.00", None),
    ("TotalAmount", "1e400", None),
    ("TotalAmount", "true", None),
    ("UnitPrice", "0.0000001", None),
    ("Quantity", "9.99999999", None),
)


@dataclass(frozen=True, slots=True)
class Expected:
    """What all ordinary invoices come to: counts, and sums in whole öre."""

    days: int
    per_day: int
    invoices: int
    rows: int
    total: int
    total_currency: int
    sum_amount: int
    vat_amount: int
    size_bytes: int

    @property
    def last_day(self) -> dt.date:
        return FIRST_DAY + dt.timedelta(days=self.days - 1)


@dataclass(frozen=True, slots=True)
class DataSet:
    """Two files: the invoices' texts, one after the other with commas between, and where each begins."""

    folder: Path

    @property
    def texts(self) -> Path:
        return self.folder / "invoices.json"

    @property
    def offsets(self) -> Path:
        return self.folder / "offsets.bin"

    @property
    def expected(self) -> Expected:
        return Expected(**json.loads((self.folder / "expected.json").read_text()))


def first_days(count: int) -> list[dt.date]:
    return [FIRST_DAY + dt.timedelta(days=n) for n in range(count)]


def render(folder: Path, *, days: int, per_day: int) -> DataSet:
    """Write a data set, unless it is there already."""
    data = DataSet(folder)
    if (folder / "expected.json").exists():
        return data
    folder.mkdir(parents=True, exist_ok=True)
    offsets = array("Q", [0])
    sums = [0, 0, 0, 0]
    with data.texts.open("wb") as file:
        for n in range(days * per_day):
            place = n - (per_day - len(ADVERSARIAL))
            is_odd = n < per_day and place >= 0
            text, *amounts = _invoice(n, FIRST_DAY + dt.timedelta(days=n // per_day))
            if is_odd:
                text = _with(text, *ADVERSARIAL[place][:2])
            else:
                sums = [so_far + amount for so_far, amount in zip(sums, amounts, strict=True)]
            offsets.append(offsets[-1] + file.write(text.encode() + b","))
    with data.offsets.open("wb") as file:
        offsets.tofile(file)
    ordinary = days * per_day - len(ADVERSARIAL)
    total, total_currency, sum_amount, vat_amount = sums
    expected = Expected(
        days=days,
        per_day=per_day,
        invoices=ordinary,
        rows=ordinary * _ROWS,
        total=total,
        total_currency=total_currency,
        sum_amount=sum_amount,
        vat_amount=vat_amount,
        size_bytes=data.texts.stat().st_size,
    )
    (folder / "expected.json").write_text(json.dumps(asdict(expected)))
    return data


def adversarial_ids(expected: Expected) -> range:
    """The ids of the adversarial invoices, in the order of ADVERSARIAL."""
    end = FIRST_ID + expected.per_day
    return range(end - len(ADVERSARIAL), end)


def adversarial_decimals() -> list[tuple[int, str, Decimal | None]]:
    """(place, field, value) of each adversarial amount; None where it has to be refused."""
    return [(i, field, None if value is None else Decimal(value)) for i, (field, _, value) in enumerate(ADVERSARIAL)]


def _invoice(n: int, day: dt.date) -> tuple[str, int, int, int, int]:
    """An invoice's text, and in öre: total, total in currency, the rows' sums of amounts and VAT."""
    is_eur, sign = n % 10 == 7, -1 if n % 25 == 3 else 1
    rows, row_sum, row_vat, sums, vats = [], 0, 0, 0, 0
    for j in range(_ROWS):
        quantity = 1 + (n + 3 * j) % 9
        price = 100 + (n * 7919 + j * 104_729) % 500_000
        amount = sign * quantity * price
        vat = half_away(amount * _RATES[(n + j) % 5], 100)
        row_sum, row_vat = row_sum + amount, row_vat + vat
        in_sek, vat_in_sek, price_in_sek = (_sek(x) if is_eur else x for x in (amount, vat, price))
        sums, vats = sums + in_sek, vats + vat_in_sek
        account = f'[{{"AccountNr":"3001","Amount":{ore(-in_sek)},"AmountCurrency":{ore(-amount)}}}]'
        rows.append(
            f'{{"ProductNr":"7{(n * 31 + j) % 90_000:06}","Quantity":{quantity}.000000,'
            f'"Text":"SKRUV Ø{j + 4}X{20 + n % 60}","UnitPrice":{ore(price_in_sek)}00,'
            f'"UnitPriceCurrency":{ore(price)}00,"VatAmount":{ore(vat_in_sek)},"VatAmountCurrency":{ore(vat)},'
            f'"SumAmount":{ore(in_sek)},"SumAmountCurrency":{ore(amount)},'
            f'"Accounts":{account if j == 0 else "[]"},'
            '"AttestStateName":null,"AttestState":0}'
        )
    exact = row_sum + row_vat
    total = (exact + 50) // 100 * 100
    total_in_sek, vat_in_sek = (_sek(x) if is_eur else x for x in (total, row_vat))
    customer = n * 7 % 2000
    due = day + dt.timedelta(days=30)
    text = (
        f'{{"InvoiceRows":[{",".join(rows)}],"InvoiceId":{FIRST_ID + n},"InvoiceNr":"{100_000 + n}",'
        f'"CustomerNr":"{10_000 + customer}","CustomerName":"Kund {customer} Rör & Värme AB",'
        f'"CustomerOrgNr":"556{customer:03}-1234","InvoiceDate":"{day}T00:00:00","DueDate":"{due}T00:00:00",'
        f'"BillingType":{2 if sign < 0 else 1},"Currency":"{"EUR" if is_eur else "SEK"}",'
        f'"OriginStatus":{1 if n % 50 == 11 else 4 if n % 100 == 13 else 3},"TotalAmount":{ore(total_in_sek)},'
        f'"TotalAmountCurrency":{ore(total)},"VATAmount":{ore(vat_in_sek)},"VATAmountCurrency":{ore(row_vat)}}}'
    )
    return text, total_in_sek, total, sums, vats


def _sek(amount: int) -> int:
    return half_away(amount * _EUR, 10_000)


def _with(text: str, field: str, written: str) -> str:
    """The text with one field's first number replaced."""
    start = text.index(f'"{field}":') + len(field) + 3
    end = min(place for mark in ",}" if (place := text.find(mark, start)) > 0)
    return text[:start] + written + text[end:]
