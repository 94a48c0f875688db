"""Which of the faults that are on fire on a request. Drawn from the seed, the request and how often it has come.

What a fault that fires does is server.py's.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping

from softone_pipeline.sandbox.faults import Fault, draw
from softone_pipeline.sandbox.http import Answer, Asked

_ONLY_LISTS = {"cut-close", "html", "null", "message", "empty-body", "token-expires"}
_REFUSED_FOR_SECONDS = 5.0


class Chance:
    """The faults that are on, and what has come of them so far. Shared between threads. What it takes is as Sandbox says."""

    def __init__(self, *, seed: int, rate: float, in_a_row: int | None) -> None:
        self.faults: Mapping[str, Fault] = {}
        self._seed = seed
        self._rate = rate
        self._in_a_row = in_a_row
        self._lock = threading.Lock()
        self._eligible: Counter[str] = Counter()
        self._came: Counter[str] = Counter()
        self._spoiled: Counter[str] = Counter()
        self._refused: dict[str, float] = {}
        self._outage_ends: float | None = None

    def switch(self, faults: Mapping[str, Fault]) -> None:
        """Have these faults from now on."""
        with self._lock:
            self.faults = faults
            self._outage_ends = None
            self._eligible.clear()

    def luck(self, what: str, asked: Asked) -> float:
        """A number in [0, 1) for this coming of a request."""
        return draw(self._seed, what, asked.key, self._came[asked.key])

    def fires(self, name: str, asked: Asked) -> bool:
        """Whether a fault fires on this request. Counts the request as one that it could have fired on."""
        fault = self.faults.get(name)
        if fault is None:
            return False
        with self._lock:
            self._eligible[name] += 1
            nth = self._eligible[name]
        if fault.first is not None:
            return nth <= fault.first
        if fault.every is not None:
            return nth % fault.every == 0
        if fault.rate is None and fault.kind.by_default == "always":
            return True
        return self.luck(name, asked) < fault.share(self._rate)

    def spoils(self, asked: Asked) -> Fault | None:
        """The one transport fault that spoils this request, if any does. Counts the request as come."""
        if asked.endpoint == "unknown":
            return None
        with self._lock:
            self._came[asked.key] += 1
            # A caller may count the login that a request needs among its attempts: spoil fewer of those.
            most = 1 if asked.endpoint == "login" else self._in_a_row
            enough = self._in_a_row is not None and self._spoiled[asked.key] >= (most or 0)
        for fault in self.faults.values():
            if fault.kind.place != "transport" or (asked.endpoint == "login" and fault.name in _ONLY_LISTS):
                continue
            if fault.name == "outage":
                fires = self._is_out(fault)
            elif fault.name == "token-expires" and self._somebody_is_logging_in():
                continue
            else:
                by_chance = fault.first is None and fault.every is None and fault.rate != 1
                fires = self.fires(fault.name, asked) and not (enough and by_chance)
            if fires:
                return fault
        return None

    def remember(self, asked: Asked, answer: Answer, spoilt_by: Fault | None) -> None:
        """How often in a row this request has gone wrong, and whether its caller must log in now."""
        with self._lock:
            if spoilt_by is not None or answer.status == 401:
                self._spoiled[asked.key] += 1
            else:
                self._spoiled[asked.key] = 0
            if answer.status == 401:
                self._refused[asked.key] = time.monotonic()
            elif answer.status == 200 and answer.ending == "whole":
                self._refused.pop(asked.key, None)

    def _is_out(self, fault: Fault) -> bool:
        with self._lock:
            now = time.monotonic()
            self._eligible["outage"] += 1
            if self._outage_ends is None and self._eligible["outage"] > (20 if fault.after is None else fault.after):
                self._outage_ends = now + fault.seconds
            return self._outage_ends is not None and now < self._outage_ends

    def _somebody_is_logging_in(self) -> bool:
        # A token that ends again before everybody has had an answer with it would never have worked.
        limit = time.monotonic() - _REFUSED_FOR_SECONDS
        return any(since > limit for since in list(self._refused.values()))
