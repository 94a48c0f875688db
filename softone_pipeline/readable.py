"""Numbers and moments as Swedish readers write them: no-break spaces, decimal comma, a real minus, Sweden's clock.

And the English word that goes with a count.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from softone_pipeline.settings import STOCKHOLM

_NO_BREAK = "\u00a0"
_MINUS = "\u2212"


def amount(value: Decimal | None) -> str:
    """1 234 567,89; an em dash for what is not known."""
    return "—" if value is None else _swedish(f"{value:,.2f}")


def whole(value: Decimal | int | None) -> str:
    """1 234 568: a count, or an amount whose öre do not matter here."""
    return "—" if value is None else _swedish(f"{value:,.0f}")


def plural(count: int, one: str, many: str = "") -> str:
    """The word that goes with a count: 1 day, 2 days."""
    return one if count == 1 else many or f"{one}s"


def counted(count: int, one: str, many: str = "", *, swedish: bool = False) -> str:
    """A count with its word: 1 day, 2 days. `swedish`: the count as Swedish readers write it."""
    return f"{whole(count) if swedish else count} {plural(count, one, many)}"


def short(value: float) -> str:
    """An axis label: 1,5 mn or 250 tusen, without unit of currency."""
    size = abs(value)
    if size >= 1_000_000:
        return _swedish(f"{value / 1_000_000:.1f}") + f"{_NO_BREAK}mn"
    if size >= 1_000:
        return _swedish(f"{value / 1_000:.0f}") + f"{_NO_BREAK}tusen"
    return _swedish(f"{value:.0f}")


def rate(vat_class: str) -> str:
    """A VAT rate in per cent: 25 %, 13,5 %."""
    return f"{_swedish(vat_class)}{_NO_BREAK}%"


def moment(value: dt.datetime) -> str:
    """2026-02-28 06:12, the wall clock in Sweden, whatever zone the machine or the session has."""
    return f"{value.astimezone(STOCKHOLM):%Y-%m-%d %H:%M}"


def _swedish(text: str) -> str:
    return text.replace(",", _NO_BREAK).replace(".", ",").replace("-", _MINUS)
