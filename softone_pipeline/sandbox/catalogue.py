"""Who buys and what is sold: made-up Swedish customers and an article catalogue. Knows no invoices.

Organisation numbers have the right shape and check digit. Personal numbers have the shape and, on purpose,
the wrong check digit: nobody has them.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from softone_pipeline.sandbox.wire import quote

Style = Literal["pieces", "hours", "metres", "one"]


@dataclass(frozen=True, slots=True)
class Article:
    """Something to sell. `price` in 1/10,000 kronor without VAT; `rate` in percent, None for food."""

    number: str
    text: str
    price: int
    rate: int | None
    style: Style
    head: str
    middle: str


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who buys, and how: terms, discount, currency, VAT, and how well they pay."""

    id: int
    number: str
    name: str
    later_name: str
    renamed: dt.date | None
    org_number: str | None
    kind: Literal["company", "person", "public", "abroad"]
    currency: str
    terms: int
    shelves: tuple[str, ...]
    vat: Literal["ordinary", "none"]
    gross: bool
    whole_kronor: bool
    discount: int
    pays: Literal["well", "late", "badly"]

    def name_on(self, day: dt.date) -> str:
        """The customer's name on that day; a few change it once."""
        return self.later_name if self.renamed and day >= self.renamed else self.name


def _article(number: str, text: str, kronor: float, rate: int | None, style: Style = "pieces") -> Article:
    return Article(
        number,
        text,
        round(kronor * 10_000),
        rate,
        style,
        head=f'{{"ProductNr":{quote(number)},"Quantity":',
        middle=f',"Text":{quote(text)},"UnitPrice":',
    )


SHELVES: dict[str, tuple[Article, ...]] = {
    "vvs": (
        _article("7881005", "PROPENSITS MED LOCK GBG BUT.FP", 310.40, 25),
        _article("7889746", "VENTILBOLL NC-5,NT-5/NP-4 B-FP", 84.96, 25),
        _article("8239741", "TVÅLKOPP Ø18-20 MM", 115.20, 25),
        _article("1808033", "S-PRESS PLUS T-RÖR NV 20-20-20", 234.00, 25),
        _article("1986090", "3231 20X15 BUSSNING METALL", 11.90, 25),
        _article("5495064", "15 KULVENTIL ARI 13355 BLYFRI", 217.60, 25),
        _article("1899414", "S-PRESS+ KOPPLING LIKA 20", 85.80, 25),
        _article("8321005", "BLANDARE KÖK NORDIC³ KROM", 1874.2500, 25),
        _article("8541120", "WC-STOL NAUTIC 5500 DOLT S-LÅS", 3120.00, 25),
        _article("6823307", "CIRKULATIONSPUMP ALPHA2 25-60 180", 2985.5050, 25),
        _article("2417788", "PEX-RÖR I RÖR 15X2,5 RULLE", 28.3750, 25, "metres"),
        _article("1503016", "KOPPARRÖR HÅRT 22X1,0", 94.1225, 25, "metres"),
        _article("3042291", "GOLVBRUNN PURUS NOOD Ø75", 612.4000, 25),
        _article("4207713", "VÄRMEPUMP LUFT/VATTEN 8 KW", 68990.00, 25, "one"),
    ),
    "el": (
        _article("1432510", "VÄGGUTTAG 2-V JORDAT VIT INFÄLLT", 61.35, 25),
        _article("0013218", "FK 1,5 MM² SVART R100", 4.2075, 25, "metres"),
        _article("2111094", "DVÄRGBRYTARE C16 3-POL", 189.90, 25),
        _article("2173341", "JORDFELSBRYTARE 4P 40A 30MA", 489.00, 25),
        _article("7475520", "LED-ARMATUR 1200 MM 40W IP65", 745.00, 25),
        _article("1811467", "STRÖMSTÄLLARE TRAPP RAM 1-FACK", 54.15, 25),
        _article("5203399", "LADDBOX 11 KW TYP 2", 8995.00, 25, "one"),
        _article("0608811", "KABELSTEGE 300 MM 3 M", 412.7850, 25),
        _article("1428805", "DOSLOCK Ø80 VIT", 8.45, 25),
    ),
    "bygg": (
        _article("B10045", "REGEL 45X145 C24 GRAN", 38.9000, 25, "metres"),
        _article("B10122", "GIPSSKIVA 13X1200X2500", 119.00, 25),
        _article("B10377", "PLYWOOD 12 MM KONSTRUKTION", 389.00, 25),
        _article("B20410", "CEMENT BAS 25 KG", 94.50, 25),
        _article("B20777", "BETONGPANNA TEGELRÖD", 17.25, 25),
        _article("B30018", "SKRUV TRÄ A2 5,0X90 (200)", 264.3330, 25),
        _article("B31200", "FÖNSTER 3-GLAS 10X12 VIT ÅÄÖ", 5480.00, 25),
        _article("B40555", "MINERALULL 195 MM C/C 600", 61.1250, 25),
        _article("B50001", "CONTAINER 8 M³ INKL. TÖMNING", 3850.00, 25, "one"),
    ),
    "arbete": (
        _article("A11", "Arbetskostnad", 590.00, 25, "hours"),
        _article("A12", "Arbetskostnad montör, övertid", 885.00, 25, "hours"),
        _article("A20", "Projektledning", 1150.00, 25, "hours"),
        _article("A31", "Rörarbete enligt offert", 12500.00, 25, "one"),
    ),
    "resor": (
        _article("A14", "Resor inom länet", 250.00, 25),
        _article("A15", "Servicebil", 395.00, 25),
        _article("A16", "Milersättning", 65.00, 25, "metres"),
    ),
    "livsmedel": (
        _article("L1001", "KAFFE MELLANROST 450 G", 52.9000, None),
        _article("L1002", "KNÄCKEBRÖD RÅG 520 G", 24.1500, None),
        _article("L1010", "MJÖLK 3 % EKO 1 L", 14.3300, None),
        _article("L1044", "ÄPPLEN GRAVENSTEINER", 31.9000, None, "metres"),
        _article("L2003", "LUNCHPAKET KALLSKURET", 89.2857, None),
        _article("L2017", "SMÖRGÅSTÅRTA 12 BIT", 714.2857, None, "one"),
        _article("L3000", "LINGONDRICKA 20 L FAT", 389.00, None),
    ),
    "böcker": (
        _article("978910", "Elkunskap för installatörer", 424.5283, 6),
        _article("978917", "Säker vatten: handbok", 283.0189, 6),
        _article("978922", "Årsbok för bygglov", 188.6792, 6),
    ),
    "transport": (
        _article("T100", "Persontransport, buss", 2830.1887, 6, "one"),
        _article("T110", "Taxiresa", 322.6415, 6),
    ),
    "hotell": (
        _article("H200", "Logi enkelrum inkl. frukost", 937.50, 12),
        _article("H210", "Konferenspaket dag", 545.00, 25),
    ),
    "frakt": (
        _article("F10", "Frakt", 149.00, 25, "one"),
        _article("F20", "Expeditionsavgift", 45.00, 25, "one"),
    ),
    "städ": (
        _article("R10", "Hemstädning", 460.00, 25, "hours"),
        _article("R12", "Fönsterputs", 65.00, 25),
        _article("R20", "Trädgårdsarbete", 495.00, 25, "hours"),
    ),
    "momsfritt": (
        _article("U900", "Utbildning, momsfri", 3200.00, 0, "one"),
        _article("U950", "Försäkringspremie", 418.00, 0, "one"),
    ),
}
EXTRAS = SHELVES["resor"] + SHELVES["frakt"]
TAX_REDUCED = {"A11", "A12", "R10", "R12", "R20"}

_FIRST_NAMES = (
    "Åsa",
    "Örjan",
    "Märta",
    "Göran",
    "Björn",
    "Pär",
    "Sören",
    "Håkan",
    "Maj-Britt",
    "Elsa",
    "Nils",
    "Karin",
    "Lars",
    "Fatima",
    "Ahmed",
    "Ingrid",
    "Olof",
    "Siv",
    "Emil",
    "Linnéa",
    "Jörgen",
    "Ulf",
    "Kerstin",
    "Åke",
    "Anneli",
    "Tove",
    "Malin",
    "Rasmus",
    "Zahra",
    "Oskar",
)
_LAST_NAMES = (
    "Åkesson",
    "Öberg",
    "Sjögren",
    "Lindström",
    "Bäckman",
    "Hägg",
    "Nyström",
    "Ljungqvist",
    "Sandström",
    "Björklund",
    "Wikström",
    "Höglund",
    "Nordin",
    "Eklöf",
    "Rönnqvist",
    "Söderberg",
    "Ahlgren",
    "Falk",
    "Ström",
    "Dahlgren",
    "Åström",
    "Holm",
    "Grönvall",
    "Kärrman",
    "Löfgren",
)
_PLACES_MADE_UP = (
    "Björkvik",
    "Ängsholm",
    "Östanå",
    "Sjöberga",
    "Lindåker",
    "Hällnäs",
    "Norrfors",
    "Västerby",
    "Rödmossen",
    "Gråvik",
    "Tallåsen",
    "Mörkö",
    "Ekbacken",
    "Solhöjden",
    "Klövsta",
    "Åsbro",
)
_TRADES = (
    ("Rör & VVS", ("vvs", "vvs", "arbete")),
    ("Elteknik", ("el", "el", "arbete")),
    ("Bygg", ("bygg", "bygg", "arbete")),
    ("Fastigheter", ("vvs", "el", "bygg", "arbete", "arbete")),
    ("Entreprenad", ("bygg", "arbete", "el")),
    ("Måleri & Golv", ("bygg", "arbete")),
    ("Livs", ("livsmedel", "livsmedel", "livsmedel", "frakt")),
    ("Restaurang", ("livsmedel", "livsmedel", "hotell")),
    ("Buss & Resor", ("transport", "hotell", "transport")),
    ("Bokhandel", ("böcker", "böcker", "böcker", "frakt")),
    ("Konsult", ("arbete", "hotell", "momsfritt", "böcker")),
)
_ABROAD = (
    ("Müller Sanitär GmbH", "EUR"),
    ("Suomen Putki Oy", "EUR"),
    ("Fjordbygg Entreprenør AS", "NOK"),
    ("Nordlys Rør AS", "NOK"),
    ("Øresund VVS ApS", "EUR"),
    ("Great Lakes Plumbing Inc.", "USD"),
    ("Van Dijk Installatie B.V.", "EUR"),
    ("Tromsø Elektro AS", "NOK"),
)
_HOW_MANY = 420


def check_digit(nine: str) -> int:
    """The tenth digit of an organisation or personal number (Luhn)."""
    total = 0
    for position, digit in enumerate(map(int, nine)):
        doubled = digit * (2 if position % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return -total % 10


def customers(rng: random.Random) -> tuple[list[Customer], list[float]]:
    """The customers of a company, and the running sum of how much each of them buys (Zipf)."""
    numbers = rng.sample(range(1001, 9999), _HOW_MANY)
    made = []
    abroad = 0
    for position in range(_HOW_MANY):
        # Spread evenly, so that what is rare among the customers is not the whole of what is sold.
        kind_draw = (position * 0.618 + rng.random() * 0.05) % 1
        if kind_draw < 0.05 and position > 2:
            made.append(_foreigner(rng, position, abroad))
            abroad += 1
        elif kind_draw < 0.09:
            made.append(_municipality(rng, position, str(numbers[position])))
        elif kind_draw < 0.36:
            made.append(_person(rng, position, str(numbers[position])))
        else:
            made.append(_company(rng, position, str(numbers[position])))
    weights = [1 / (rank + 3) ** 0.9 for rank in range(_HOW_MANY)]
    return made, list(accumulate(weights))


def _org_number(rng: random.Random, prefix: str) -> str:
    nine = prefix + "".join(str(rng.randrange(10)) for _ in range(9 - len(prefix)))
    return f"{nine[:6]}-{nine[6:]}{check_digit(nine)}"


def _personal_number(rng: random.Random) -> str:
    born = dt.date(1940, 1, 1) + dt.timedelta(days=rng.randrange(24_000))
    nine = f"{born:%y%m%d}{rng.randrange(1000):03}"
    nobody = (check_digit(nine) + rng.randrange(1, 10)) % 10
    return f"{born:%Y%m%d}{nine[6:]}{nobody}" if rng.random() < 0.5 else f"{nine[:6]}-{nine[6:]}{nobody}"


def _customer(
    rng: random.Random,
    position: int,
    number: str,
    *,
    name: str,
    org_number: str | None,
    kind: Literal["company", "person", "public", "abroad"],
    terms: tuple[int, ...],
    shelves: tuple[str, ...],
    later_name: str | None = None,
    currency: str = "SEK",
    vat: Literal["ordinary", "none"] = "ordinary",
    gross: bool = False,
    discounts: tuple[int, ...] = (0,),
) -> Customer:
    pays = rng.random()
    return Customer(
        id=81_000 + position,
        number=number,
        name=name,
        later_name=later_name or name,
        renamed=dt.date(2025, 1, 1) + dt.timedelta(days=rng.randrange(600)) if later_name else None,
        org_number=org_number,
        kind=kind,
        currency=currency,
        terms=rng.choice(terms),
        shelves=shelves,
        vat=vat,
        gross=gross,
        whole_kronor=currency == "SEK" and rng.random() < 0.92,
        discount=rng.choice(discounts),
        pays="well" if pays < 0.82 else "late" if pays < 0.95 else "badly",
    )


def _company(rng: random.Random, position: int, number: str) -> Customer:
    trade, shelves = rng.choice(_TRADES)
    style = rng.random()
    if style < 0.45:
        name, prefix = f"{rng.choice(_LAST_NAMES)} {trade} AB", rng.choice(("556", "559"))
    elif style < 0.8:
        name, prefix = f"{rng.choice(_PLACES_MADE_UP)}s {trade} AB", rng.choice(("556", "559"))
    elif style < 0.9:
        name, prefix = f"{rng.choice(_LAST_NAMES)} & {rng.choice(_LAST_NAMES)} {trade} HB", "969"
    else:
        name, prefix = f"Brf {rng.choice(_PLACES_MADE_UP)} {rng.randrange(1, 9)}", "769"
        shelves = ("vvs", "el", "arbete")
    construction = trade in {"Entreprenad", "Bygg"} and rng.random() < 0.25
    return _customer(
        rng,
        position,
        number,
        name=name,
        org_number=_org_number(rng, prefix) if rng.random() < 0.97 else None,
        kind="company",
        terms=(10, 20, 30, 30, 30, 45, 60),
        shelves=shelves,
        later_name=name.replace(" AB", " i Norden AB") if rng.random() < 0.04 and " AB" in name else None,
        # Building services between builders: the buyer accounts for the VAT.
        vat="none" if construction else "ordinary",
        discounts=(0, 0, 0, 5, 10, 10, 15, 25),
    )


def _municipality(rng: random.Random, position: int, number: str) -> Customer:
    return _customer(
        rng,
        position,
        number,
        name=f"{rng.choice(_PLACES_MADE_UP)} kommun",
        org_number=_org_number(rng, "212000"),
        kind="public",
        terms=(30,),
        shelves=("vvs", "el", "livsmedel", "transport", "arbete", "böcker"),
        discounts=(0, 12),
    )


def _person(rng: random.Random, position: int, number: str) -> Customer:
    return _customer(
        rng,
        position,
        number,
        name=f"{rng.choice(_FIRST_NAMES)} {rng.choice(_LAST_NAMES)}",
        org_number=_personal_number(rng) if rng.random() < 0.35 else None,
        kind="person",
        terms=(0, 10, 15, 20, 30),
        shelves=rng.choice((("vvs", "arbete"), ("el", "arbete"), ("städ",), ("bygg", "arbete"), ("livsmedel",))),
        gross=rng.random() < 0.3,
    )


def _foreigner(rng: random.Random, position: int, nth: int) -> Customer:
    name, currency = _ABROAD[nth % len(_ABROAD)]
    return _customer(
        rng,
        position,
        f"E{1001 + nth}",
        name=name if nth < len(_ABROAD) else f"{name} ({nth // len(_ABROAD) + 1})",
        org_number=None,
        kind="abroad",
        terms=(30, 45, 60),
        shelves=("vvs", "el", "bygg"),
        currency=currency,
        vat="none" if rng.random() < 0.75 else "ordinary",
        discounts=(0, 5),
    )
