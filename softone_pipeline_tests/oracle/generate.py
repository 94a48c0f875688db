"""Invoices in wire form that meet every case of tables.md: seeded and fast, or drawn by hypothesis.

Lives here: how invoices look on the wire. Not here: any opinion on what they mean, so a scenario's name says
what it aims at, never what must come of it. Same rng state and id, same invoice.
"""

import json
import random
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hypothesis import strategies as st

from softone_pipeline_tests.oracle.facts import Wire

D = Decimal
ORE, KRONA, MICRO = D("0.01"), D(1), D("0.000001")
ZERO = D("0.00")

PRODUCTS = (
    ("A11", "Arbetskostnad", 25),
    ("A14", "Resor inom Växjö", 25),
    ("7881005", "PROPENSITS MED LOCK GBG BUT.FP", 25),
    ("8239741", "TVÅLKOPP Ø18-20 MM", 25),
    ("1808033", 'S-PRESS PLUS "TÄROR" NV 20-8P\\1', 25),
    ("LIVS-1", "Kaffe & bulle, fika åt två", 12),
    ("LIVS-2", "Smörgåstårta 12 bitar", 6),
    ("BOK", "Ledningsägarhandbok, häftad", 6),
    ("ROTEL", "Rotel, brotschrutig", 25),
)
SAYS_TAX_REDUCTION = (
    ("ROT", "ROT-avdrag"),
    (None, "rot"),
    (None, "Avgår ROT 30 %"),
    ("RUT", None),
    ("SKATT", "Preliminär skattereduktion."),
    (None, "RUT-avdrag, städning"),
    ("HA", "Husarbete (50%)"),
    (None, "HUSAVDRAG"),
    (None, "Grön teknik"),
    (None, "avdrag GRÖN TEKNIK, solceller"),
    (None, "Avdrag grön  teknik"),
    ("GT", "gro\u0308n teknik"),  # ö as o and a combining mark
    ("rut", "Avdrag"),
    (None, "Skattereduktion/ROT"),
    (None, "rad ett\nrot"),
    (None, "\u00a0ROT\u00a0"),
)
SAYS_SOMETHING_ELSE = (
    (None, "rotavdrag"),
    (None, "Rabatt"),
    ("RAB", "Mängdrabatt"),
    (None, "RUTIG duk, retur"),
    (None, "brott"),
    ("1ROT", "Avdrag"),
    (None, "husarbeten"),
    (None, "grönteknik"),
    (None, "skattereduktionen"),
    (None, "rotå"),
    ("teknik", "Avdrag grön"),
    (None, "årut"),
    (None, "Betald förskottsfaktura"),
    ("FÖRSK", None),
)
NAMES = (
    "Per Persson",
    "Åke Öberg AB",
    "Elkasson AB",
    "Märta Ström",
    "Björnsdotter AB",
    'Café "Ön" HB',
    "Łukasz & Søn",
)
CURRENCIES = (("EUR", D("11.2345")), ("NOK", D("0.9731")), ("USD", D("10.0007")), ("JPY", D("0.0691")))
FIRST_DAY, DAYS = date(2025, 11, 1), 200

AMOUNT_FIELDS = ("SumAmount", "VatAmount")
TOTAL_FIELDS = ("TotalAmount", "VATAmount")
Rows = list[Wire]


def h(value: Decimal) -> Decimal:
    return value.quantize(ORE, ROUND_HALF_UP)  # Python's HALF_UP is away from zero


# --------------------------------------------------------------------------------- rows in invoice currency


def row(
    product: str | None,
    text: str | None,
    amount: Decimal | None,
    vat: Decimal | None,
    *,
    quantity: Decimal | None = KRONA,
    price: Decimal | None = None,
) -> Wire:
    if price is None and amount is not None and quantity:
        price = (amount / quantity).quantize(D("0.0001"), ROUND_HALF_UP)
    return {
        "ProductNr": product,
        "Quantity": quantity,
        "Text": text,
        "UnitPrice": price,
        "UnitPriceCurrency": price,
        "VatAmount": vat,
        "VatAmountCurrency": vat,
        "SumAmount": amount,
        "SumAmountCurrency": amount,
        "Accounts": [],
        "AttestStateName": None,
        "AttestState": 0,
    }


def text_row(rng: random.Random, text: str | None = None) -> Wire:
    text = text or rng.choice(("Enligt överenskommelse", "", "-----", "Projekt 4452, Torget"))
    return row(None, text, ZERO, ZERO, quantity=D(0), price=D(0))


def item(rng: random.Random, *, gross: bool = False, rate: int | None = None) -> Wire:
    product, text, its_rate = rng.choice(PRODUCTS)
    rate = its_rate if rate is None else rate
    shape = rng.random()
    if shape < 0.6:
        quantity = D(rng.randint(1, 12))
    elif shape < 0.85:
        quantity = D(rng.randint(1, 99)) / 2
    else:
        quantity = D(rng.randint(1, 9_999_999)) * MICRO
    price = D(rng.randint(1, rng.choice((400, 90_000, 9_000_000)))) / rng.choice((100, 100, 10_000))
    discount = D(rng.choice((0, 0, 0, 10, -10, 15, 100))) / 100
    amount = h(quantity * price * (1 - discount))
    vat = h(amount * rate / (100 + rate if gross else 100))
    return row(product, text, amount, vat, quantity=quantity, price=price)


def items(rng: random.Random, count: int, *, gross: bool = False) -> Rows:
    return [item(rng, gross=gross) for _ in range(count)]


def sums(rows: Rows) -> tuple[Decimal, Decimal]:
    return (
        sum((r["SumAmountCurrency"] or ZERO for r in rows), ZERO),
        sum((r["VatAmountCurrency"] or ZERO for r in rows), ZERO),
    )


def total_of(rng: random.Random, rows: Rows, *, gross: bool = False) -> tuple[Decimal, Decimal]:
    """(total, VAT) that a system would put over these rows: mostly a whole krona."""
    s, v = sums(rows)
    exact = s if gross else s + v
    return (h(exact.quantize(KRONA, ROUND_HALF_UP)) if rng.random() < 0.7 else exact), v


# ---------------------------------------------------------------- scenarios: (rows, total, VAT) in currency

Scenario = Callable[[random.Random], tuple[Rows, Decimal, Decimal]]


def net(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    rows = items(rng, rng.randint(1, 6))
    if rng.random() < 0.3:
        rows.insert(rng.randint(0, len(rows)), text_row(rng))
    return rows, *total_of(rng, rows)


def gross(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    rows = items(rng, rng.randint(1, 5), gross=True)
    return rows, *total_of(rng, rows, gross=True)


def small(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    """Amounts so small that net and gross may both foot, and several rates may fit."""
    rows: Rows = []
    for _ in range(rng.randint(1, 3)):
        amount = D(rng.randint(-30, 250)) / 100
        rows.append(row("A11", "Småsak", amount, h(amount * rng.choice((25, 12, 6, 20)) / 100)))
    s, v = sums(rows)
    vat = v + D(rng.choice((0, 0, 1, -1, 30))) / 100
    total = rng.choice((s, s + v, s + v / 2, (s + v).quantize(KRONA, ROUND_HALF_UP), s + D("0.50")))
    return rows, h(total), vat


def limits(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    """Totals on and just beyond the rounding limit, and exact ties between net and gross."""
    by_gross = rng.random() < 0.4
    rows = items(rng, rng.randint(1, 3), gross=by_gross)
    s, v = sums(rows)
    off = D(rng.choice((0, 49, 50, 51, -49, -50, -51))) / 100
    if rng.random() < 0.3:
        v = D(rng.choice((2, 20, 60, 100))) / 100
        rows = [row("A11", "Oavgjort", s, v)]
        return rows, s + v / 2, v
    return rows, (s if by_gross else s + v) + off, v


def header_only(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    net_amount = D(rng.randint(0, rng.choice((100, 5_000, 20_000_000)))) / 100
    rate = rng.choice((25, 12, 6, 0, 20))
    vat = h(net_amount * rate / 100 + D(rng.choice((0, 0, 1, -1, 13, -13, 14, -14))) / 100)
    if rng.random() < 0.15:
        vat = ZERO
    total = h(net_amount + vat)
    return [], (h(total.quantize(KRONA, ROUND_HALF_UP)) if rng.random() < 0.4 else total), vat


def subtotals(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    by_gross = rng.random() < 0.25
    rows: Rows = []
    kept: Rows = []
    for _ in range(rng.randint(1, 3)):
        group = items(rng, rng.randint(1, 3), gross=by_gross)
        if rng.random() < 0.3:
            group.insert(0, text_row(rng, "Etapp"))
        off = D(rng.choice((0, 0, 0, 1, -1, 2, -2))) / 100
        vat = None if rng.random() < 0.03 else ZERO
        product = "SUM" if rng.random() < 0.05 else None
        kept += group
        rows += [*group, row(product, "Delsumma", sums(group)[0] + off, vat, quantity=D(0), price=D(0))]
    if rng.random() < 0.5:
        rest = items(rng, rng.randint(1, 2), gross=by_gross)
        kept += rest
        rows += rest
    if rng.random() < 0.15:
        rows.append(row(None, "Summa", sums(kept)[0], ZERO, quantity=D(0), price=D(0)))
    total, vat_total = total_of(rng, kept, gross=by_gross)
    if rng.random() < 0.15:  # subtotals over rows that do not foot in the end either
        total += D(rng.randint(100, 9_999)) / 100
    return rows, total, vat_total


def rounding_row(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    by_gross = rng.random() < 0.25
    rows = items(rng, rng.randint(1, 3), gross=by_gross)
    s, v = sums(rows)
    exact = s if by_gross else s + v
    off = exact.quantize(KRONA, ROUND_HALF_UP) - exact
    rows.append(row(rng.choice((None, "ÖRES")), "Öresutjämning", off, ZERO))
    if rng.random() < 0.3:
        rows.append(text_row(rng))
    if rng.random() < 0.2:  # a second small row: neither can be told to be the rounding
        rows.append(row("P", "Påse", D("0.50"), ZERO))
        exact += D("0.50")
    if rng.random() < 0.15:
        off += D("0.01")
    return rows, exact + off, v


def unreconciled(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    rows = items(rng, rng.randint(1, 4))
    s, v = sums(rows)
    return rows, s + v + D(rng.choice((-1, 1)) * rng.randint(51, 99_999)) / 100, v


def header_vat_differs(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    by_gross = rng.random() < 0.4
    rows = items(rng, rng.randint(1, 5), gross=by_gross)
    total, vat = total_of(rng, rows, gross=by_gross)
    off = D(rng.choice((1, -1, 2, -2, 3, 4, -4, 25, -100))) / 100
    return rows, total + (ZERO if by_gross else off), vat + off


def odd_vat(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    rows = items(rng, rng.randint(0, 2))
    for _ in range(rng.randint(1, 4)):
        amount = D(rng.randint(1, rng.choice((12, 200, 100_000)))) / 100
        rate = rng.choice((25, 12, 6))
        right = h(amount * rate / 100)
        kind = rng.randrange(10)
        choices: tuple[tuple[Decimal | None, Decimal | None], ...] = (
            (amount, right),
            (amount, right + ORE),
            (amount, right - ORE),
            (amount, right + 2 * ORE),
            (amount, -right),
            (-amount, right),
            (amount, h(amount * D("0.18"))),
            (ZERO, right),
            (ZERO, ZERO),
            (amount, ZERO),
        )
        rows.append(row("ODD", "Udda moms", *choices[kind]))
    return rows, *total_of(rng, rows)


def null_amounts(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    rows = items(rng, rng.randint(1, 4), gross=rng.random() < 0.3)
    result = total_of(rng, rows)
    for field in ("SumAmountCurrency", "VatAmountCurrency", "Quantity", "UnitPriceCurrency"):
        if rng.random() < 0.4:
            rng.choice(rows)[field] = None
    if rng.random() < 0.5:
        result = total_of(rng, rows)
    return rows, *result


def tax_reduction(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    rows = items(rng, rng.randint(1, 3))
    if rng.random() < 0.1:
        rows = [row("EXP", "Export", D(rng.randint(1_000, 90_000)), ZERO)]
    s, v = sums(rows)
    product, text = rng.choice(SAYS_TAX_REDUCTION if rng.random() < 0.7 else SAYS_SOMETHING_ELSE)
    part = h((s + v) * rng.choice((30, 50, 15)) / 100)
    sign = 1 if rng.random() < 0.1 else -1
    rows.insert(rng.randint(0, len(rows)), row(product, text, sign * part, ZERO))
    if rng.random() < 0.1:
        rows.append(row(product, text, ZERO, ZERO))
    if rng.random() < 0.1:  # VAT that cancels out
        rows += [row(r["ProductNr"], "Åter", -r["SumAmount"], -r["VatAmount"]) for r in rows if r["VatAmount"]]
    return rows, *total_of(rng, rows)


def zero_rated(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    rows = [
        row("EXP", "Export till Norge", D(rng.randint(1, rng.choice((12, 900_000)))) / 100, ZERO)
        for _ in range(rng.randint(1, 3))
    ]
    if rng.random() < 0.4:
        rows += items(rng, 1)
    if rng.random() < 0.3:
        rows.append(row(None, "Avdrag", -D(rng.randint(1, 9_000)) / 100, ZERO))
    return rows, *total_of(rng, rows)


def sums_to_zero(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    """S = 0, with a total of zero or a stray one."""
    one = item(rng)
    back = row(one["ProductNr"], "Åter", -one["SumAmountCurrency"], -one["VatAmountCurrency"])
    rows = [one, back] if rng.random() < 0.7 else [text_row(rng)]
    return rows, D(rng.choice((0, 0, 30, -30, 50, 100, -100))) / 100, ZERO


def mixed_signs(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    rows = items(rng, rng.randint(1, 3))
    for one in items(rng, rng.randint(1, 3)):
        for field in ("SumAmount", "SumAmountCurrency", "VatAmount", "VatAmountCurrency", "Quantity"):
            one[field] = -one[field]
        rows.insert(rng.randint(0, len(rows)), one)
    total, vat = total_of(rng, rows)
    return rows, (abs(total) if rng.random() < 0.2 else total), vat


def tiny(rng: random.Random) -> tuple[Rows, Decimal, Decimal]:
    amount = D(rng.randint(-3, 60)) / 100
    vat = D(rng.randint(0, 5)) / 100
    rows = [row("A11", "Ören", amount, vat)]
    return rows, amount + vat + D(rng.choice((0, 0, 1, -5, 50))) / 100, vat


SCENARIOS: dict[Scenario, int] = {
    net: 22,
    gross: 9,
    small: 7,
    limits: 6,
    header_only: 9,
    subtotals: 9,
    rounding_row: 6,
    unreconciled: 5,
    header_vat_differs: 5,
    odd_vat: 8,
    null_amounts: 4,
    tax_reduction: 8,
    zero_rated: 4,
    sums_to_zero: 3,
    mixed_signs: 5,
    tiny: 4,
}


# ---------------------------------------------------------------------------------------- the whole invoice


def invoice_of(*rows: Wire | tuple[str, str], total: str, vat: str, invoice_id: int = 1, **fields: Any) -> Wire:
    """By hand: rows as (sum, VAT) or from `row`, fields over the defaults of a plain debit."""
    wire: Wire = {
        "InvoiceRows": [r if isinstance(r, dict) else row("A11", "Arbete", D(r[0]), D(r[1])) for r in rows],
        "InvoiceId": invoice_id,
        "InvoiceNr": "99233",
        "CustomerNr": "11357",
        "CustomerName": "Per Persson",
        "CustomerOrgNr": None,
        "InvoiceDate": "2026-02-23T00:00:00",
        "DueDate": "2026-02-23T00:00:00",
        "BillingType": 1,
        "Currency": "SEK",
        "OriginStatus": 3,
        "TotalAmount": D(total),
        "TotalAmountCurrency": D(total),
        "VATAmount": D(vat),
        "VATAmountCurrency": D(vat),
    }
    return wire | fields


def negate(wire: Wire) -> Wire:
    """The same invoice with every amount's sign turned; quantities and prices stay."""
    turned = dict(wire)
    for field in TOTAL_FIELDS:
        turned |= {name: -wire[name] for name in (field, f"{field}Currency")}
    turned["InvoiceRows"] = [
        r
        | {
            name: None if r[name] is None else -r[name]
            for field in AMOUNT_FIELDS
            for name in (field, f"{field}Currency")
        }
        for r in wire["InvoiceRows"]
    ]
    return turned


def _to_accounting_currency(rng: random.Random, wire: Wire, rate: Decimal) -> None:
    for field in TOTAL_FIELDS:
        wire[field] = h(wire[f"{field}Currency"] * rate)
    for r in wire["InvoiceRows"]:
        for field in AMOUNT_FIELDS:
            amount = r[f"{field}Currency"]
            r[field] = None if amount is None or rng.random() < 0.01 else h(amount * rate)
        price = r["UnitPriceCurrency"]
        r["UnitPrice"] = None if price is None else (price * rate).quantize(D("0.0001"), ROUND_HALF_UP)
    chance = rng.random()
    if chance < 0.1:  # the header converted at another moment
        wire["TotalAmount"] += D(rng.randint(-200, 200)) / 100
        wire["VATAmount"] += D(rng.randint(-20, 20)) / 100
    elif chance < 0.15:  # never converted at all
        wire["TotalAmount"] = wire["TotalAmountCurrency"]


def _moment(rng: random.Random, day: date) -> str:
    shape = rng.random()
    if shape < 0.7:
        return f"{day}T00:00:00"
    if shape < 0.8:
        return str(day)
    if shape < 0.9:
        return f"{day}T{rng.randint(0, 23):02}:30:00"
    # with a zone: near midnight the Stockholm day is another one
    return f"{day}T{rng.choice(('21:59:59', '22:00:00', '23:00:00', '23:30:00.123', '00:00:00'))}" + rng.choice(
        ("Z", "+00:00", "+02:00", "-05:00")
    )


def _weighted(rng: random.Random, weights: dict[Any, int]) -> Any:
    return rng.choices(list(weights), list(weights.values()))[0]


def random_invoice(rng: random.Random, invoice_id: int, *, scenario: Scenario | None = None) -> Wire:
    """One invoice as received, amounts in Decimal; scenario None picks any of SCENARIOS."""
    scenario = scenario or _weighted(rng, SCENARIOS)
    rows, total, vat = scenario(rng)
    day = FIRST_DAY + timedelta(days=rng.randrange(DAYS))
    customer = rng.randrange(40)
    name = NAMES[customer % len(NAMES)]
    has_customer = rng.random() < 0.97
    wire: Wire = {
        "InvoiceRows": rows,
        "InvoiceId": invoice_id,
        "InvoiceNr": None if rng.random() < 0.03 else str(90_000 + invoice_id % 5_000) + rng.choice(("", "", "", "-Å")),
        "CustomerNr": str(11_000 + customer) if has_customer else None,
        "CustomerName": _weighted(rng, {name: 90, f"{name} (nytt namn)": 8, None: 2}),
        "CustomerOrgNr": rng.choice((None, f"5560{customer:02}-1234")),
        "InvoiceDate": None if rng.random() < 0.03 else _moment(rng, day),
        "DueDate": None if rng.random() < 0.05 else _moment(rng, day + timedelta(days=rng.choice((0, 10, 30, 30, 90)))),
        "BillingType": _weighted(rng, {1: 60, 2: 24, 3: 4, 4: 4, 7: 2, 0: 2, None: 4}),
        "Currency": "SEK",
        "OriginStatus": _weighted(rng, {3: 40, 2: 20, 5: 10, 1: 10, 4: 8, 0: 4, 9: 4, None: 4}),
        "TotalAmount": total,
        "TotalAmountCurrency": total,
        "VATAmount": vat,
        "VATAmountCurrency": vat,
    }
    for r in rows:
        if rng.random() < 0.2:
            r |= {"AttestState": rng.randint(1, 9), "AttestStateName": rng.choice(("Klar", "Överförd", None))}
        if rng.random() < 0.2:
            r["Accounts"] = [{"AccountNr": "3001", "Amount": r["SumAmount"], "Name": "Försäljning"}]
        for name in AMOUNT_FIELDS:
            r[name] = r[f"{name}Currency"]
            if rng.random() < 0.002:  # said in one currency only
                r[f"{name}Currency"] = None
    if wire["BillingType"] == 2 and rng.random() < 0.6:
        wire = negate(wire)
    shape = rng.random()
    if shape < 0.18:
        wire["Currency"], rate = rng.choice(CURRENCIES)
        _to_accounting_currency(rng, wire, rate)
        if scenario is sums_to_zero and rng.random() < 0.6:  # the currency evens out, the kronor do not
            wire["TotalAmount"] += D(rng.choice((1, -3, 17, 100))) / 100
    elif shape < 0.20:
        wire["Currency"] = None
    elif shape < 0.21:  # accounting currency, and yet two totals
        _to_accounting_currency(rng, wire, D("1.01"))
    return wire


# --------------------------------------------------------------------------------------------- to JSON text

DECIMALS = dict.fromkeys(("Quantity",), 6) | dict.fromkeys(("UnitPrice", "UnitPriceCurrency"), 4)


def _number(field: str, value: Decimal) -> str:
    decimals = DECIMALS.get(field, 2)
    text = f"{value:.{decimals}f}"
    if Decimal(text) != value:
        # an exact value always goes out whole, whatever the document's format says
        text = f"{value:f}"
    return text


def _text(field: str, value: object) -> str:
    if isinstance(value, Decimal):
        return _number(field, value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text('', k)}: {_text(k, v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_text(field, v) for v in value) + "]"
    if isinstance(value, float):
        raise TypeError(f"{field}: a float has no exact JSON text")
    return json.dumps(value, ensure_ascii=False)


def to_json(invoice: Wire) -> str:
    """As the vendor's document writes it: amounts with 2 decimals, prices 4, quantities 6; exact."""
    return _text("", invoice)


# ----------------------------------------------------------------------------------------------- hypothesis


def _money(limit: int) -> st.SearchStrategy[Decimal]:
    return st.integers(-limit, limit).map(lambda n: Decimal(n).scaleb(-2))


def amounts() -> st.SearchStrategy[Decimal]:
    """Öre, kronor, and the widest that DECIMAL(18,2) sums still hold."""
    return st.one_of(_money(12), _money(300), _money(10_000_000), _money(10**15))


@st.composite
def _free_row(draw: st.DrawFn) -> Wire:
    amount = draw(st.none() | amounts() | amounts() | amounts())
    rate = draw(st.sampled_from((25, 12, 6, 0)))
    by_gross = draw(st.booleans())
    fitting = ZERO if amount is None else h(amount * rate / (100 + rate if by_gross else 100))
    vat = draw(st.one_of(st.just(fitting), _money(2).map(lambda off: fitting + off), amounts(), st.none()))
    product, text = draw(
        st.sampled_from(((None, "Delsumma"), ("A11", "Arbete"), *SAYS_TAX_REDUCTION, *SAYS_SOMETHING_ELSE))
    )
    quantity = draw(st.none() | st.integers(-(10**9), 10**9).map(lambda n: Decimal(n).scaleb(-6)))
    price = draw(st.none() | st.integers(0, 10**9).map(lambda n: Decimal(n).scaleb(-4)))
    return row(product, text, amount, vat, quantity=quantity, price=price or D(0)) | {"UnitPriceCurrency": price}


@st.composite
def free_invoices(draw: st.DrawFn, *, invoice_id: int = 1) -> Wire:
    """Anything: rows without sense, and a total near one of the readings or nowhere."""
    rows: Rows = draw(st.lists(_free_row(), max_size=6))
    if draw(st.booleans()) and rows:
        where = draw(st.integers(1, len(rows)))
        off = draw(_money(2))
        rows.insert(where, row(None, "Delsumma", sums(rows[:where])[0] + off, ZERO, price=D(0)))
    s, v = sums(rows)
    vat = v + draw(st.just(ZERO) | _money(300))
    total = draw(st.sampled_from((s, s + v, s + vat, s + v / 2))).quantize(ORE) + draw(
        st.just(ZERO) | _money(52) | amounts()
    )
    if draw(st.booleans()):
        total = h(total.quantize(KRONA, ROUND_HALF_UP))
    wire: Wire = {
        "InvoiceRows": rows,
        "InvoiceId": invoice_id,
        "InvoiceNr": draw(st.none() | st.text(max_size=4)),
        "CustomerNr": draw(st.none() | st.sampled_from(("11357", "Å1"))),
        "CustomerName": draw(st.none() | st.sampled_from(NAMES)),
        "CustomerOrgNr": None,
        "InvoiceDate": draw(st.none() | st.dates(date(2025, 12, 1), date(2026, 5, 31)).map(lambda d: f"{d}T00:00:00")),
        "DueDate": draw(st.none() | st.dates(date(2025, 12, 1), date(2026, 5, 31)).map(str)),
        "BillingType": draw(st.sampled_from((1, 2, 3, 4, 0, 7, None))),
        "Currency": draw(st.sampled_from(("SEK", "EUR", None))),
        "OriginStatus": draw(st.sampled_from((0, 1, 2, 3, 4, 5, 9, None))),
        "TotalAmount": total,
        "TotalAmountCurrency": total,
        "VATAmount": vat,
        "VATAmountCurrency": vat,
    }
    rate = draw(st.none() | st.integers(1, 200_000).map(lambda n: Decimal(n).scaleb(-4)))
    if rate is not None:
        _to_accounting_currency(draw(st.randoms(use_true_random=False)), wire, rate)
    return wire


@st.composite
def scenario_invoices(draw: st.DrawFn, *, invoice_id: int = 1, scenarios: Sequence[Scenario] = ()) -> Wire:
    """random_invoice under hypothesis' hand: one scenario each, found again by its seed."""
    scenario = draw(st.sampled_from(list(scenarios or SCENARIOS)))
    rng = random.Random(draw(st.integers(0, 2**32 - 1)))
    return random_invoice(rng, invoice_id, scenario=scenario)


def invoices(*, invoice_id: int = 1) -> st.SearchStrategy[Wire]:
    return st.one_of(scenario_invoices(invoice_id=invoice_id), free_invoices(invoice_id=invoice_id))


@st.composite
def invoice_batches(draw: st.DrawFn, *, max_size: int = 12) -> list[Wire]:
    """Some invoices with different ids, as one answer of Filter holds them."""
    ids = draw(st.lists(st.integers(1, 2**53), max_size=max_size, unique=True))
    return [draw(invoices(invoice_id=invoice_id)) for invoice_id in ids]
