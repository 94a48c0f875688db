"""When Swedish companies send invoices: working days, holidays, the weight of a day. Knows no invoices."""

from __future__ import annotations

import datetime as dt
import functools

_DAY = dt.timedelta(days=1)
_FIXED_HOLIDAYS = {(1, 1), (1, 6), (5, 1), (6, 6), (12, 24), (12, 25), (12, 26), (12, 31)}
_WEEKDAY_WEIGHTS = (1.15, 1.2, 1.2, 1.25, 1.1, 0.08, 0.04)


def days_between(first: dt.date, last: dt.date) -> list[dt.date]:
    """Every day from first to last, both included."""
    return [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]


@functools.cache
def _moving_holidays(year: int) -> frozenset[dt.date]:
    # Easter Sunday by the anonymous Gregorian computus.
    century, rest = divmod(year, 100)
    golden = year % 19
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    correction = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * correction + 114, 31)
    easter = dt.date(year, month, day + 1)
    midsummer_eve = next(
        date for date in days_between(dt.date(year, 6, 19), dt.date(year, 6, 25)) if date.weekday() == 4
    )
    return frozenset({easter - 2 * _DAY, easter + _DAY, easter + 39 * _DAY, midsummer_eve})


def is_workday(day: dt.date) -> bool:
    """Neither a weekend nor a Swedish holiday."""
    return day.weekday() < 5 and (day.month, day.day) not in _FIXED_HOLIDAYS and day not in _moving_holidays(day.year)


def workday_from(day: dt.date) -> dt.date:
    """The day itself, or the first working day after it."""
    while not is_workday(day):
        day += _DAY
    return day


def _workdays_left_in_month(day: dt.date) -> int:
    left, probe = 0, day + _DAY
    while probe.month == day.month:
        left += is_workday(probe)
        probe += _DAY
    return left


def _weight(day: dt.date) -> float:
    if not is_workday(day):
        return min(_WEEKDAY_WEIGHTS[day.weekday()], 0.08)
    weight = _WEEKDAY_WEIGHTS[day.weekday()]
    left = _workdays_left_in_month(day)
    weight *= {0: 3.0, 1: 1.9, 2: 1.3}.get(left, 1.0)
    if not any(is_workday(date) for date in days_between(day.replace(day=1), day - _DAY)):
        weight *= 1.5
    if day.month == 7:
        weight *= 0.6
    return weight


@functools.cache
def _ordinary_weight() -> float:
    year = days_between(dt.date(2025, 1, 1), dt.date(2025, 12, 31))
    return sum(map(_weight, year)) / len(year)


def volume(day: dt.date) -> float:
    """How many of an average day's invoices this day sees: 1 on average, 4 or so at a month's end."""
    return _weight(day) / _ordinary_weight()
