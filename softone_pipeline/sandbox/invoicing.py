"""How a day's invoices come about: from customers and articles to finished rows, totals, dates and payments.

Money is whole öre throughout (the invoice currency's hundredths), so every figure is exact. An invoice gets
its id and its number from the company, not here.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from softone_pipeline.sandbox.catalogue import EXTRAS, SHELVES, TAX_REDUCED, Article, Customer, customers
from softone_pipeline.sandbox.wire import half_away, ore, price, quantity, quote
from softone_pipeline.sandbox.workdays import volume

DEBIT, CREDIT, INTEREST, REMINDER = 1, 2, 3, 4
PRELIMINARY, DEFINITIVE, VOUCHER, CANCELLED, EXPORTED, UNKNOWN = 1, 2, 3, 4, 5, 7

FOOD_IS_CHEAPER = dt.date(2026, 4, 1)  # food: 12 % before, 6 % from this day on
_SEK = 10_000
_RATES = {"EUR": 112_500, "NOK": 9_700, "USD": 98_000}
_DEFAULT_ATTEST = '"AttestStateName":null,"AttestState":0}'
_ATTESTS = (
    '"AttestStateName":"Registrerad","AttestState":1}',
    '"AttestStateName":"Klar","AttestState":2}',
    '"AttestStateName":"Attesterad","AttestState":3}',
)


def rng_for(*what: object) -> random.Random:
    """A generator of its own for everything that is drawn, so that no draw moves another."""
    return random.Random(repr(what))  # noqa: S311 - made-up data, not secrets


@dataclass(slots=True)
class Draft:
    """An invoice without id and number. In öre: `total` and `vat` in SEK, the others in `currency`."""

    customer: Customer
    name: str
    moment: str
    due: str | None
    billing_type: int | None
    status: int
    currency: str | None
    rows: list[str]
    total: int
    total_currency: int
    vat: int
    vat_currency: int
    wide: int
    payments: tuple[tuple[int, int], ...] = ()

    def write(self, invoice_id: int, number: str | None) -> bytes:
        """The invoice as it is sent, with the rows first as in the vendor's example."""
        customer = self.customer
        billing_type = "null" if self.billing_type is None else self.billing_type
        return (
            f'{{"InvoiceRows":[{",".join(self.rows)}],"InvoiceId":{invoice_id},"InvoiceNr":{quote(number)},'
            f'"CustomerNr":{quote(customer.number)},"CustomerName":{quote(self.name)},'
            f'"CustomerOrgNr":{quote(customer.org_number)},"InvoiceDate":"{self.moment}",'
            f'"DueDate":{quote(self.due)},"BillingType":{billing_type},'
            f'"Currency":{quote(self.currency)},"OriginStatus":{self.status},'
            f'"TotalAmount":{ore(self.total)},"TotalAmountCurrency":{ore(self.total_currency)},'
            f'"VATAmount":{ore(self.vat)},"VATAmountCurrency":{ore(self.vat_currency)}}}'
        ).encode()


@dataclass(slots=True)
class _Sheet:
    """The rows of one invoice while it is written."""

    rate: int  # SEK per unit of currency, in 1/10,000
    sign: int
    gross: bool
    attest: str
    rows: list[str] = field(default_factory=list)
    net: int = 0  # the rows' SumAmountCurrency, subtotal rows left out
    vat: int = 0
    sek_vat: int = 0
    by_rate: dict[int, int] = field(default_factory=dict)
    labour: int = 0  # with VAT: what a tax reduction is a share of
    since_subtotal: int = 0
    since_subtotal_sek: int = 0

    def item(self, article: Article, *, millionths: int, percent: int, discount: int) -> None:
        """An ordinary row. `percent` is of VAT, `discount` in percent of the price."""
        asked = article.price
        if self.gross and percent:
            asked = half_away(asked * (100 + percent), 100)
        unit_currency = asked if self.rate == _SEK else half_away(asked * _SEK, self.rate)
        total = half_away(millionths * unit_currency * (100 - discount), 10**10) * self.sign
        if percent == 0:
            vat = 0
        elif self.gross:
            vat = half_away(total * percent, 100 + percent)
        else:
            vat = half_away(total * percent, 100)
        self._add(
            article.head,
            article.middle,
            millionths=millionths * self.sign,
            unit=asked,
            unit_currency=unit_currency,
            vat=vat,
            total=total,
        )
        self.by_rate[percent] = self.by_rate.get(percent, 0) + total
        if article.number in TAX_REDUCED:
            self.labour += total if self.gross else total + vat

    def plain(self, product: str | None, text: str, amount: int) -> None:
        """A row without VAT of quantity one: a fee, interest, a tax reduction, the rounding."""
        unit = abs(amount) * 100
        amount *= self.sign
        self._add(
            *_labels(product, text),
            millionths=1_000_000 if amount >= 0 else -1_000_000,
            unit=unit if self.rate == _SEK else half_away(unit * self.rate, _SEK),
            unit_currency=unit,
            vat=0,
            total=amount,
        )

    def text(self, text: str) -> None:
        """A row that only says something."""
        self._put(*_labels(None, text))

    def subtotal(self) -> None:
        """A row that repeats the sum of the rows since the last one like it."""
        total, sek = self.since_subtotal, self.since_subtotal_sek
        self._put(*_labels(None, "Delsumma"), total=sek, total_currency=total)
        self.since_subtotal = self.since_subtotal_sek = 0

    def _add(
        self,
        head: str,
        middle: str,
        *,
        millionths: int,
        unit: int,
        unit_currency: int,
        vat: int,
        total: int,
    ) -> None:
        if self.rate == _SEK:
            sek, sek_vat = total, vat
        else:
            sek, sek_vat = half_away(total * self.rate, _SEK), half_away(vat * self.rate, _SEK)
        self.net += total
        self.vat += vat
        self.sek_vat += sek_vat
        self.since_subtotal += total
        self.since_subtotal_sek += sek
        self._put(
            head,
            middle,
            millionths=millionths,
            unit=unit,
            unit_currency=unit_currency,
            vat=sek_vat,
            vat_currency=vat,
            total=sek,
            total_currency=total,
        )

    def _put(
        self,
        head: str,
        middle: str,
        *,
        millionths: int = 0,
        unit: int = 0,
        unit_currency: int = 0,
        vat: int = 0,
        vat_currency: int = 0,
        total: int = 0,
        total_currency: int = 0,
    ) -> None:
        p, v, s = price(unit), ore(vat), ore(total)
        if self.rate == _SEK:
            p_currency, v_currency, s_currency = p, v, s
        else:
            p_currency, v_currency, s_currency = price(unit_currency), ore(vat_currency), ore(total_currency)
        self.rows.append(
            f'{head}{quantity(millionths)}{middle}{p},"UnitPriceCurrency":{p_currency},"VatAmount":{v},'
            f'"VatAmountCurrency":{v_currency},"SumAmount":{s},"SumAmountCurrency":{s_currency},'
            f'"Accounts":[],{self.attest}'
        )


def _labels(product: str | None, text: str) -> tuple[str, str]:
    return f'{{"ProductNr":{quote(product)},"Quantity":', f',"Text":{quote(text)},"UnitPrice":'


class Invoicing:
    """The company's habits: for a day, its invoices. Each day is drawn on its own."""

    def __init__(self, seed: int, invoices_per_day: float) -> None:
        self._seed = seed
        self._per_day = invoices_per_day
        self.customers, self._weights = customers(rng_for("customers", seed))

    def day(self, day: dt.date) -> list[Draft]:
        """The invoices of a day, in the order they were made."""
        rng = rng_for("day", self._seed, day.isoformat())
        return self.some(day, _poisson(rng, self._per_day * volume(day)), rng)

    def some(self, day: dt.date, count: int, rng: random.Random) -> list[Draft]:
        """As many invoices of a day as asked for."""
        buyers = rng.choices(self.customers, cum_weights=self._weights, k=count)
        return [self._invoice(customer, day, rng) for customer in buyers]

    def ordinary(self, day: dt.date, rng: random.Random) -> Draft:
        """One definitive debit invoice in SEK that foots, for who needs a plain one."""
        while True:
            (draft,) = self.some(day, 1, rng)
            if (draft.billing_type, draft.status, draft.currency) == (DEBIT, VOUCHER, "SEK") and draft.rows:
                return draft

    def _invoice(self, customer: Customer, day: dt.date, rng: random.Random) -> Draft:
        draw = rng.random
        kind = draw()
        billing_type = DEBIT if kind > 0.08 else CREDIT if kind > 0.03 else INTEREST if kind > 0.015 else REMINDER
        sheet = _Sheet(
            rate=_rate(customer.currency, day),
            sign=-1 if billing_type == CREDIT and draw() > 0.15 else 1,
            gross=customer.gross,
            attest=_DEFAULT_ATTEST if draw() < 0.85 else _ATTESTS[int(draw() * 3)],
        )
        odd = draw()
        if billing_type == DEBIT and odd < 0.012:
            total, vat = self._header_only(customer, rng)
            sek, sek_vat = half_away(total * sheet.rate, _SEK), half_away(vat * sheet.rate, _SEK)
        else:
            if billing_type == INTEREST:
                sheet.plain(
                    "RTA",
                    f"Dröjsmålsränta på faktura {90_000 + int(draw() * 9_000)}",
                    500 + int(draw() * 80_000),
                )
            elif billing_type == REMINDER:
                sheet.plain(None, "Påminnelseavgift", 6_000)
            else:
                self._rows(sheet, customer, day, billing_type, rng)
                if 0.51 < odd < 0.513:
                    # Typed by hand: VAT of no rate that there is.
                    sheet.item(EXTRAS[0], millionths=1_000_000, percent=18, discount=0)
            total, vat = self._totals(sheet, customer, odd, rng)
            sek = half_away(total * sheet.rate, _SEK)
            sek_vat = vat if sheet.rate == _SEK else sheet.sek_vat
        status = _status(draw())
        due = None if draw() < 0.004 else (day + dt.timedelta(days=customer.terms)).isoformat() + "T00:00:00"
        clock = "00:00:00"
        if draw() < 0.01:
            seconds = int(draw() * 86_400)
            clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return Draft(
            customer=customer,
            name=customer.name_on(day),
            moment=f"{day.isoformat()}T{clock}",
            due=due,
            billing_type=None if draw() < 0.001 else billing_type,
            status=status,
            currency=None if 0.50 < odd < 0.502 and customer.currency == "SEK" else customer.currency,
            rows=sheet.rows,
            total=sek,
            total_currency=total,
            vat=sek_vat,
            vat_currency=vat,
            wide=_wide(draw()),
            payments=_payments(customer, day, sek, rng) if status in {DEFINITIVE, VOUCHER, EXPORTED} else (),
        )

    def _rows(self, sheet: _Sheet, customer: Customer, day: dt.date, billing_type: int, rng: random.Random) -> None:
        draw = rng.random
        if billing_type == CREDIT and draw() < 0.5:
            sheet.text(f"Avser kreditering av faktura {90_000 + int(draw() * 9_000)}")
        elif draw() < 0.08:
            sheet.text(f"Projekt {1_000 + int(draw() * 8_000)}, märkning: Ängsvägen {1 + int(draw() * 60)}")
        # A few rows mostly, a long tail now and then.
        count = min(40, 1 + int(-math.log(1 - draw()) * 3.4))
        food = 12 if day < FOOD_IS_CHEAPER else 6
        subtotals = count > 2 and draw() < 0.03
        for nth in range(count):
            shelf = SHELVES[customer.shelves[int(draw() * len(customer.shelves))]] if draw() < 0.93 else EXTRAS
            article = shelf[int(draw() * len(shelf))]
            percent = food if article.rate is None else article.rate
            if customer.vat == "none":
                percent = 0
            sheet.item(
                article,
                millionths=_how_many(article, draw),
                percent=percent,
                discount=_discount(customer, draw),
            )
            if subtotals and nth in {1, count - 1}:
                sheet.subtotal()
        if customer.kind == "person" and not sheet.gross and abs(sheet.labour) > 50_000 and draw() < 0.6:
            rut = customer.shelves == ("städ",)
            share = 50 if rut else 30
            kronor = abs(sheet.labour) * share // 10_000
            sheet.plain(
                "RUT" if rut else "ROT",
                f"{'RUT' if rut else 'ROT'}-avdrag {customer.name_on(day)}",
                -kronor * 100,
            )

    def _header_only(self, customer: Customer, rng: random.Random) -> tuple[int, int]:
        net = 50_000 + int(rng.random() ** 3 * 40_000_000)
        vat = half_away(net * 25, 100)
        return half_away(net + vat, 100) * 100 if customer.whole_kronor else net + vat, vat

    def _totals(self, sheet: _Sheet, customer: Customer, odd: float, rng: random.Random) -> tuple[int, int]:
        vat = sheet.vat
        if not sheet.gross and odd > 0.98:
            # Some sum up per rate before they round: the header's VAT is an öre or two beside the rows'.
            vat = sum(half_away(total * percent, 100) for percent, total in sheet.by_rate.items())
        elif 0.52 < odd < 0.522 and vat:
            # Corrected in the ledger alone: the header's VAT is kronor beside the rows'.
            vat -= 300 * sheet.sign
        exact = sheet.net if sheet.gross else sheet.net + vat
        if not customer.whole_kronor:
            return exact, vat
        whole = half_away(exact, 100) * 100
        if whole != exact and 0.9 < odd < 0.93:
            sheet.plain(None, "Öresavrundning", (whole - exact) * sheet.sign)
        elif odd < 0.0135:
            # Hand-corrected in the ERP: the header says something else than the rows.
            whole += (1 + int(rng.random() * 900)) * 100 * sheet.sign
        return whole, vat


def _how_many(article: Article, draw: Callable[[], float]) -> int:
    match article.style:
        case "one":
            return 1_000_000
        case "hours":
            return (1 + int(draw() ** 2 * 90)) * 500_000
        case "metres":
            return (1 + int(draw() * 60)) * 1_000_000 + (int(draw() * 1000) * 1_000 if draw() < 0.4 else 0)
        case _:
            return (1 + int(draw() ** 3 * 24)) * 1_000_000


def _discount(customer: Customer, draw: Callable[[], float]) -> int:
    luck = draw()
    if luck < 0.004:
        return 100
    if luck < 0.02:
        return -10
    return customer.discount if luck < 0.8 else 0


def _status(luck: float) -> int:
    if luck < 0.60:
        return VOUCHER
    if luck < 0.905:
        return DEFINITIVE
    if luck < 0.965:
        return EXPORTED
    if luck < 0.99:
        return PRELIMINARY
    return CANCELLED if luck < 0.999 else UNKNOWN


def _wide(luck: float) -> int:
    """What is added to an id: a few come from integrations whose ids are past 32 bits, or past 2^53."""
    if luck > 0.995:
        return 2**53 if luck > 0.999 else 2**32
    return 0


def _rate(currency: str, day: dt.date) -> int:
    if currency == "SEK":
        return _SEK
    base = _RATES[currency]
    return base + round(base * 0.02 * math.sin(day.toordinal() / 37)) + day.toordinal() % 97


def _payments(customer: Customer, day: dt.date, total: int, rng: random.Random) -> tuple[tuple[int, int], ...]:
    draw = rng.random
    luck = draw()
    due = day.toordinal() + customer.terms
    on_time = due - int(draw() * 6) + (3 if draw() < 0.3 else 0)
    if luck < {"well": 0.02, "late": 0.05, "badly": 0.45}[customer.pays]:
        return ()
    if luck > 0.97:
        part = half_away(total * (20 + int(draw() * 60)), 10_000) * 100
        later = ((due + 25 + int(draw() * 90), total - part),) if draw() < 0.5 else ()
        return ((on_time, part), *later)
    if luck > 0.955:
        more = 10_000 + int(draw() * 40) * 1_000
        return ((on_time, total + (more if total >= 0 else -more)),)
    late = int(draw() ** 2 * 75) if luck > {"well": 0.85, "late": 0.3, "badly": 0.5}[customer.pays] else 0
    return ((max(day.toordinal(), on_time) + late, total),)


def _poisson(rng: random.Random, mean: float) -> int:
    if mean > 30:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count
