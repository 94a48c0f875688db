"""What the benchmark is made of: which processes each part starts, how their results are judged, and what is asked for."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from softone_pipeline_tests.bench.contender import LOOKBACK_DAYS
from softone_pipeline_tests.bench.data import FIRST_DAY, DataSet, Expected, first_days
from softone_pipeline_tests.bench.exactness import days_missing, problems, problems_of_dlt, problems_of_floor
from softone_pipeline_tests.bench.measuring import Measured

_PACKAGE = "softone_pipeline_tests.bench"
_DELAY_MS = 50
_CONNECTIONS = (1, 4, 8)
_MANY_DAYS = 3650

FETCH = "fetch only"
FLOOR = "floor"
DLT = "dlt, landing only"
LIBRARY = "library"
BACKFILL = "softone backfill"
EMPTY = "backfill, empty days"
LOOK_BACK = f"look-back of {LOOKBACK_DAYS} days"
MANY = f"backfill, {_MANY_DAYS:,} empty days"
MANY_LIBRARY = f"library, {_MANY_DAYS:,} empty days"
DAY = "library, one more day"

# The folder that a contender ran in, and what it was served → what is wrong.
Judge = Callable[[Path, Expected], list[str]]


def _published(folder: Path, expected: Expected) -> list[str]:
    return problems(folder / "softone.duckdb", expected)


def _floor(folder: Path, expected: Expected) -> list[str]:
    return problems_of_floor(folder / "floor.duckdb", expected)


def _dlt(folder: Path, expected: Expected) -> list[str]:
    return problems_of_dlt(folder / "dlt.duckdb", expected)


def _all_days(folder: Path, expected: Expected) -> list[str]:
    return days_missing(folder / "softone.duckdb", expected.days)


def _many_days(folder: Path, expected: Expected) -> list[str]:
    return days_missing(folder / "softone.duckdb", _MANY_DAYS)


def _nothing_to_judge(folder: Path, expected: Expected) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Contender:
    """A process. `path` tells the server what to be (server.py)."""

    command: tuple[str, ...]
    judge: Judge = _nothing_to_judge
    path: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


def parts(data: DataSet) -> dict[str, dict[str, Contender]]:
    """The contenders by part and name. Those that need pyarrow or dlt are there where these are installed."""
    days = str(data.expected.days)
    found = {
        "load": {
            FETCH: Contender(_module("contender", "fetch", days)),
            LIBRARY: Contender(_module("contender", "library", days), _published),
            BACKFILL: Contender(_backfill(data.expected.days), _published),
            EMPTY: Contender(_backfill(data.expected.days), _all_days, "/empty"),
        },
        "latency": {
            _delayed(name, connections): Contender(
                _module("contender", name, days),
                judge,
                f"/delay={_DELAY_MS}",
                {"SOFTONE_MAX_CONNECTIONS": str(connections)},
            )
            for name, judge in (("fetch", _nothing_to_judge), ("library", _published))
            for connections in _CONNECTIONS
        },
        "lookback": {LOOK_BACK: Contender(_module("contender", "lookback", days), _published)},
        "day": {DAY: Contender(_module("contender", "day", days), _published)},
        "many-days": {
            MANY_LIBRARY: Contender(_module("contender", "library", str(_MANY_DAYS)), _many_days, "/empty"),
            MANY: Contender(_backfill(_MANY_DAYS), _many_days, "/empty"),
        },
    }
    if importlib.util.find_spec("pyarrow"):
        found["load"][FLOOR] = Contender(_module("floor", days, str(data.folder)), _floor)
        if importlib.util.find_spec("dlt"):
            # One amount with more decimals than its column makes it refuse the whole load: it is spared those.
            found["load"][DLT] = Contender(_module("dlt_contender", days), _dlt, "/plain")
    return found


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"{_PACKAGE}.{name}", *arguments)


def _backfill(days: int) -> tuple[str, ...]:
    last = first_days(days)[-1]
    return (sys.executable, "-m", "softone_pipeline", "backfill", "--from", str(FIRST_DAY), "--to", str(last))


def _delayed(name: str, connections: int) -> str:
    return f"{name}, {_DELAY_MS} ms, {connections} connection{'s' if connections > 1 else ''}"


def ratios(found: Mapping[str, Measured]) -> Iterator[tuple[str, float, str]]:
    """What is asked for, of the contenders that ran: what, the figure, and its bound in words."""

    def both(*names: str) -> bool:
        return found.keys() >= set(names)

    if both(LIBRARY, DLT):
        yield "dlt ÷ library", found[DLT].wall / found[LIBRARY].wall, "at least 6, aim 10"
    if both(BACKFILL, DLT):
        yield "dlt ÷ softone backfill", found[DLT].wall / found[BACKFILL].wall, "at least 3"
    if both(BACKFILL, EMPTY, LIBRARY):
        rest = (found[BACKFILL].wall - found[EMPTY].wall) / found[LIBRARY].wall
        yield "(backfill − empty days) ÷ library", rest, "at most 1.2"
    if both(LIBRARY, FLOOR):
        yield "library ÷ floor", found[LIBRARY].wall / found[FLOOR].wall, "at most 3, aim 2"
    if both(LIBRARY):
        yield "library, peak MB", found[LIBRARY].peak_mb, "at most 600"
    if both(DAY):
        yield "with one more day, peak MB", found[DAY].peak_mb, "at most 600"
        yield "core, one day more, s", found[DAY].remarks["day core"], "under 0.2 at a million invoices"
    for name, step in (("fetch", "fetch"), ("library", "land")):
        for connections in _CONNECTIONS:
            if both(this := _delayed(name, connections)):
                allowed = found[this].remarks["requests"] * _DELAY_MS / 1000 / connections
                yield (
                    f"{this}: {step} ÷ what they allow ({allowed:.1f} s)",
                    found[this].remarks[step] / allowed,
                    "at most 1.3",
                )
        if both(one := _delayed(name, 1), four := _delayed(name, 4)):
            yield f"{name}, 1 ÷ 4 connections", found[one].remarks[step] / found[four].remarks[step], "at least 3"
    if both(LOOK_BACK):
        remarks = found[LOOK_BACK].remarks
        yield "unchanged look-back ÷ fetching it", remarks["again"] / remarks["fetch"], "at most 1.2"
        yield "… the file grew by MB in five", remarks["grown MB"], "0"
    if both(MANY, MANY_LIBRARY):
        dagster = found[MANY].wall - found[MANY_LIBRARY].wall
        yield f"Dagster's part of {_MANY_DAYS:,} days, s", dagster, "what its events cost"
        yield "… ms a day", dagster * 1000 / _MANY_DAYS, ""
