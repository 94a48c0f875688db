"""What was found, cut into pages: as the ERP does it, and with the faults of paging."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from softone_pipeline.sandbox.faults import Fault, draw
from softone_pipeline.sandbox.records import Query, Record

_FROM_1 = {"page-base-1", "page-0-as-1", "page-0-refused"}


class Paging:
    """Pages count from `base` and hold no more than `cap`, as far as the faults that are on do not say otherwise."""

    def __init__(self, *, base: int, cap: int | None, seed: int) -> None:
        if base not in {0, 1}:
            raise ValueError(f"page_base={base}: pages count from 0 or from 1")
        self._base = base
        self._cap = cap
        self._seed = seed
        self._lock = threading.Lock()
        self._readings: Counter[Query] = Counter()
        self._usual_size: Counter[Query] = Counter()

    def page(
        self,
        found: list[Record],
        number: int,
        asked_size: int,
        *,
        query: Query,
        faults: Mapping[str, Fault],
        fired: list[str],
    ) -> list[Record]:
        """One page of what a query found. The faults that change it are added to `fired`."""

        def capped(name: str, size: int) -> int:
            most = faults[name].count if name in faults else size
            if size > most:
                fired.append(name)
            return min(size, most)

        base = self._first_number(faults)
        size = asked_size if self._cap is None else min(asked_size, self._cap)
        if "page-fixed" in faults:
            size = faults["page-fixed"].count
            if size != asked_size:
                fired.append("page-fixed")
        step = capped("page-cap", size)
        size = capped("page-cap-skips", step)
        if "newest-first" in faults and len(found) > 1:
            # What doubles an invoice still comes before it.
            found = sorted(found, key=lambda record: (record.moment, record.id), reverse=True)
            fired.append("newest-first")
        if "paging-ignored" in faults:
            if len(found) > asked_size or number > base:
                fired.append("paging-ignored")
            return found
        if number == 0 and base == 1:
            name = "page-0-as-1" if "page-0-as-1" in faults else "page-base-1"
            if name in faults:
                fired.append(name)
            if name != "page-0-as-1":
                return []
            number = 1
        index = number - base
        if "last-page-repeated" in faults and found and index * step >= len(found):
            index = (len(found) - 1) // step
            fired.append("last-page-repeated")
        if "shifting-pages" in faults and len(found) > size + 1:
            shifted = self._shifted(found, index, size, query, settled_after=faults["shifting-pages"].count)
            if shifted is not found:
                fired.append("shifting-pages")
            found = shifted
        return found[index * step :][:size]

    def _first_number(self, faults: Mapping[str, Fault]) -> int:
        from_1 = _FROM_1 & faults.keys()
        if from_1 == {"page-0-refused"}:
            refused = faults["page-0-refused"]
            return self._base if (refused.first, refused.every, refused.rate) != (None,) * 3 else 1
        return 1 if from_1 else self._base

    def _shifted(self, found: list[Record], index: int, size: int, query: Query, *, settled_after: int) -> list[Record]:
        """The window as this reading sees it: somewhere on the way an invoice already passed comes, or goes."""
        with self._lock:
            # What is asked for one by one, to look a second time, belongs to the reading before it.
            is_look = size == 1 < self._usual_size[query]
            if not is_look:
                self._usual_size[query] = size
            usual = self._usual_size[query]
            self._readings[query] += index == 0 and not is_look
            reading = max(1, self._readings[query])
        pages = -(-len(found) // usual)
        if reading > settled_after or pages < 2:
            return found
        comes_late = draw(self._seed, "comes or goes", query, reading) < 0.5
        before = int(draw(self._seed, "when", query, reading) * (pages - 1))
        is_early = not is_look and index <= before
        if comes_late != is_early:
            return found
        moved = int(draw(self._seed, "which", query, reading) * (before + 1) * usual)
        return found[:moved] + found[moved + 1 :]
