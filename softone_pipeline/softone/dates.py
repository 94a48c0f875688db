"""Reading the ERP's dates: calendar days in Stockholm, and runs of them. No HTTP, no JSON."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import NamedTuple

from softone_pipeline.settings import STOCKHOLM

_DATE = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)


class Day(NamedTuple):
    """A date as the ERP writes it, read two ways."""

    stockholm: dt.date
    """The calendar day in Stockholm: the one that counts."""
    written: dt.date
    """The day as written, whatever zone is behind it."""
    has_zone: bool


class NotADateError(ValueError):
    """The text is not a date the ERP writes."""


# Few distinct dates come again and again (a window of days), so nearly every call is a look-up.
@lru_cache(maxsize=16_384)
def read_day(text: str) -> Day | None:
    """Read `2026-02-23` or `2026-02-23T00:00:00`, also with a fraction (.NET's has seven digits) and a zone.

    Without a zone the day stands as written; with one it becomes the Stockholm day (api.md, "dates").
    Returns None for .NET's default date 0001-01-01, which means that no date was set.
    Raises NotADateError for anything else.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise NotADateError(text)
    try:
        written = dt.date.fromisoformat(match["day"])
        if written == dt.date.min:
            return None
        time = dt.time(int(match["hour"] or 0), int(match["minute"] or 0), int(match["second"] or 0))
        zone = _zone(match["zone"])
        if zone is None:
            return Day(written, written, has_zone=False)
        moment = dt.datetime.combine(written, time, zone)
        return Day(moment.astimezone(STOCKHOLM).date(), written, has_zone=True)
    except (ValueError, OverflowError):
        raise NotADateError(text) from None


def days_between(first: dt.date, last: dt.date) -> list[dt.date]:
    """Every day from first to last, both included."""
    return [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]


def _zone(text: str | None) -> dt.tzinfo | None:
    if text is None:
        return None
    if text in {"Z", "z"}:
        return dt.UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return dt.timezone(-offset if text[0] == "-" else offset)
