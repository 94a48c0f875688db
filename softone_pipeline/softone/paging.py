"""Reading all pages of a question without losing one, though the server says neither how many there are nor
where it begins to count (api.md, "Paging that loses nothing"). How a page is asked for is the caller's
business.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from softone_pipeline.errors import RequestRefusedError
from softone_pipeline.softone.pages import PageInvoice

Key = int | bytes
"""What makes two received invoices the same one: the id, or the text when there is no readable id."""

MOST_READINGS = 5
"""How often a window whose pages move is read before it is given up."""

# Below this many invoices a page could be pushed along whole by a few new invoices, so it proves little.
_TELLING_PAGE = 10

_MOVED = "the pages moved while they were read"
_UNCHECKABLE = "the page borders cannot be checked"
_OVERLAP = "two pages brought the same invoice"
_MORE = "behind the last page there is another invoice"
# So many readings in a row that agree are believed in spite of a doubt; otherwise two. Two may miss the same invoice, if it
# comes and goes at the same moment of each. (A server with a page size of its own can look as if its pages had moved.)
_ENOUGH = {_UNCHECKABLE: 3, _MOVED: 3}


class Ask(Protocol):
    """Asks for one page; `size` is given only for a page other than of the usual size."""

    def __call__(self, number: int, size: int | None = None) -> list[PageInvoice]: ...


class Habits:
    """What has been learnt about the server's paging, kept for the client's life. Shared between threads.

    `page_size` is the size that pages are asked for with, until the server is known to send no more than a smaller one.
    """

    def __init__(self, page_size: int) -> None:
        self._lock = threading.Lock()
        self._page_size = page_size
        self._first_page: int | None = None
        self._largest_page = 0
        self._lengths_vary = False
        self._has_page_0 = False

    @property
    def first_page(self) -> int | None:
        """The number of the first page, 0 or 1. None: not known yet."""
        return self._first_page

    def learn_first_page(self, number: int) -> None:
        with self._lock:
            if self._first_page is None:
                self._first_page = number

    @property
    def has_page_0(self) -> bool:
        """Whether a page 0 has brought invoices. (A server that counts from 1 may take 0 for 1.)"""
        return self._has_page_0

    def note_page_0(self) -> None:
        self._has_page_0 = True

    @property
    def page_size(self) -> int:
        return self._page_size

    def learn_cap(self, size: int) -> None:
        """Ask for no more than this from now on: pages of this size follow one another, larger ones do not."""
        with self._lock:
            self._page_size = min(self._page_size, size)

    def holds_more_than_one(self, page: list[PageInvoice]) -> bool:
        """Whether the server's pages are known to hold more than one invoice."""
        return max(len(page), self._largest_page) > 1

    def is_last(self, page: list[PageInvoice]) -> bool:
        """Whether the page is smaller than another one was, so that nothing follows it.

        Never one as large as was asked for: one that is larger proves only that it has more than it should. And never where
        a page was followed by a larger one.
        """
        return not self._lengths_vary and len(page) < min(self._largest_page, self._page_size)

    def learn_size(self, page: list[PageInvoice], *, before: list[PageInvoice] | None) -> None:
        """Remember the size of the largest page, and whether one is larger than the one `before` it."""
        with self._lock:
            self._largest_page = max(self._largest_page, len(page))
            self._lengths_vary |= before is not None and len(page) > len(before)


@dataclass(frozen=True, slots=True)
class Page:
    """One page that was asked for and answered."""

    number: int
    invoices: list[PageInvoice]
    keys: list[Key]
    """The invoices' keys, in their order."""
    is_new: bool
    """Whether it brought an invoice, or another text of one, that no page before it had."""

    @property
    def texts(self) -> set[bytes]:
        return {invoice.received.body for invoice in self.invoices}


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of all pages, the one that ended it included."""

    asked_at: dt.datetime
    pages: list[Page]

    @property
    def content(self) -> list[Page]:
        return [page for page in self.pages if page.is_new]

    @property
    def invoices(self) -> dict[Key, PageInvoice]:
        """Each invoice once, by what identifies it; of one received twice, the last."""
        return {key: invoice for page in self.content for key, invoice in zip(page.keys, page.invoices, strict=True)}

    @property
    def tally(self) -> Counter[Key]:
        """How often each invoice came: of one that the server sends twice, only one may have been missed."""
        return Counter(key for page in self.content for key in page.keys)

    @property
    def largest_page(self) -> int:
        return max((len(page.invoices) for page in self.content), default=0)

    @property
    def overlaps(self) -> bool:
        """Whether an invoice, text and all, came in two pages of which neither repeats the other.

        Pages that follow one another share none. Where some do, others may be in neither of two pages.
        """
        seen: set[Key] = set()
        for number, page in enumerate(self.pages):
            # Texts are long, and there may be hundreds of pages: looked at where an id comes again, which is hardly ever.
            if not seen.isdisjoint(page.keys):
                texts = page.texts
                if any(texts & other.texts and not texts <= other.texts for other in self.pages[:number]):
                    return True
            seen.update(page.keys)
        return False

    @property
    def first_page(self) -> int | None:
        """The number of the first page as this reading found it. None: it may be either."""
        numbers = [page.number for page in self.pages]
        if numbers[:3] != [0, 1, 2] or self.pages[1].is_new:
            return numbers[0]
        # Page 1 repeated page 0. If page 2 repeats it too, then every page does, and that says nothing.
        return 1 if self.pages[2].is_new or not self.pages[2].invoices else None


class MovingPagesError(Exception):
    """The pages kept moving. Never leaves this room."""


def read_stable(
    ask: Ask, habits: Habits, *, around: Ask | None = None, to_the_last: bool = False, note: Callable[[str], None]
) -> Reading:
    """Read all pages, again if they may have moved meanwhile, until looks agree.

    A reading stands when the invoices at its page borders are found there a second time and none behind its end; or when
    the two readings before it found the same invoices (the one before it, if its borders were found); at once, when
    it is a single page with nothing behind it; never, when finding out the first page's number interrupted it. One whose
    pages overlap stands only when one with pages of another length found the same.
    `around` and `to_the_last` are as in `read_pages`; `note` is told why the pages are read again. Raises MovingPagesError
    after five readings, and whatever `ask` raises.
    """
    readings: list[Reading] = []
    doubt: str | None = None
    agreeing = 1
    size = usual_size = habits.page_size
    for number in range(1, MOST_READINGS + 1):
        was_known = habits.first_page is not None
        # Pages that are in doubt may be of any length, and a small one is no end then.
        pages = read_pages(_in_pages_of(size, ask), habits, around=around, to_the_last=to_the_last or doubt is not None)
        reading = Reading(dt.datetime.now(dt.UTC), list(pages))
        agrees = bool(readings) and reading.tally == readings[-1].tally
        agreeing = agreeing + 1 if agrees else 1
        before = doubt
        if not (agrees and doubt == _UNCHECKABLE):
            doubt = _doubt(ask, reading)
        if doubt is None and not was_known and not agrees and _was_interrupted(reading):
            doubt = "the server's first page was found out meanwhile"
        if _stands(reading, readings, doubt, agreeing):
            if len(reading.content) > 1:
                habits.learn_cap(usual_size)
            return reading
        readings.append(reading)
        if 0 < reading.largest_page < size == usual_size and (len(reading.content) > 1 or doubt == before == _MORE):
            # The server sends no more than that, and may have skipped by what it was asked for. (One more invoice behind
            # a single page may have come in just now, once.)
            size = usual_size = reading.largest_page
        elif doubt == _OVERLAP:
            # Once so and once otherwise: the borders lie elsewhere then.
            other_size = usual_size * 2 // 3 if usual_size > 2 else usual_size + 1
            size = other_size if size == usual_size else usual_size
        if number < MOST_READINGS:
            note(f"{doubt}; reading {number + 1} of at most {MOST_READINGS}")
    raise MovingPagesError


def _stands(reading: Reading, before: list[Reading], doubt: str | None, agreeing: int) -> bool:
    if doubt == _MORE:
        return False
    if doubt == _OVERLAP:
        return any(
            other.largest_page != reading.largest_page and other.invoices.keys() == reading.invoices.keys()
            for other in before
        )
    return doubt is None or agreeing >= _ENOUGH.get(doubt, 2)


def _in_pages_of(usual: int, ask: Ask) -> Ask:
    def ask_in_pages(number: int, size: int | None = usual) -> list[PageInvoice]:
        return ask(number, size or usual)

    return ask_in_pages


def read_pages(
    ask: Ask, habits: Habits, *, around: Ask | None = None, to_the_last: bool = False, is_proof: bool = False
) -> Iterator[Page]:
    """Page after page, up to one that is empty, brings nothing new, or, unless `to_the_last`, is smaller than another has
    been. `around` asks a question with more invoices, should these not tell what the server's first page is. With
    `is_proof` that nothing comes is not believed while page 0 is refused, unless that other question has invoices.
    """
    base = habits.first_page
    number, invoices = _first_page(ask, habits, around, is_proof=is_proof) if base is None else (base, ask(base))
    before: list[Page] = []
    seen: set[Key] = set()
    page_1_repeats = False
    only_other_texts = False
    while True:
        keys = [invoice.key for invoice in invoices]
        has_new_keys = not seen.issuperset(keys)
        is_new = has_new_keys or _has_new_text(invoices, before)
        if keys and seen.isdisjoint(keys):
            # a page of its own, and not one that new invoices have pushed a little further
            if number == 1 and seen and base is None:
                _learn_to_count_from(0, ask, habits, page_0=seen)
            elif number == 2 and page_1_repeats:
                _learn_to_count_from(1, ask, habits, page_0=seen)
        seen.update(keys)
        if is_new:
            habits.learn_size(invoices, before=before[-1].invoices if before else None)
        before.append(Page(number, invoices, keys, is_new))
        yield before[-1]
        if has_new_keys:
            is_end = not to_the_last and habits.is_last(invoices)
            only_other_texts = False
        elif is_new:
            # Known ids with another text: doubles, and one more page may follow. Not two, for the last page may
            # be repeated for ever with a field that changes.
            is_end = only_other_texts or (not to_the_last and habits.is_last(invoices))
            only_other_texts = True
        else:
            # A page 1 that repeats page 0 is no end yet: the server may count from 1 and take 0 for 1.
            # Page 2 decides.
            page_1_repeats = number == 1 and base is None and bool(keys)
            is_end = not page_1_repeats
        if is_end:
            return
        number += 1
        invoices = ask(number)


def _has_new_text(invoices: list[PageInvoice], before: list[Page]) -> bool:
    """Whether an invoice has a text that no page before had."""
    if not invoices:
        return False
    known = set[bytes]().union(*(page.texts for page in before))
    return any(invoice.received.body not in known for invoice in invoices)


def _first_page(
    ask: Ask, habits: Habits, around: Ask | None, *, is_proof: bool = False
) -> tuple[int, list[PageInvoice]]:
    """The first page of a server of which it is not known whether it counts from 0 or from 1.

    An empty or refused page 0 is not believed before page 1 has been asked for, and then page 0 once more. If page 0
    still brings nothing, page 1 has to prove that it is the first one: a fault of some moments at page 0 would lose that
    page otherwise, of this window and of all that follow.
    """
    page_0, refusal = _try(ask, 0)
    if page_0:
        habits.note_page_0()
        return 0, page_0
    page_1, refusal_of_1 = _try(ask, 1)
    if refusal_of_1 is not None:
        raise refusal or refusal_of_1
    if not page_1 and refusal is None:
        return 0, []
    page_0, refusal_again = _try(ask, 0)
    if page_0:
        habits.note_page_0()
        return 0, page_0
    if not page_1 and refusal_again is None:
        return 0, []
    doubt = refusal_again or refusal or MovingPagesError()
    if habits.has_page_0:
        raise doubt
    if page_1:
        proven = _is_first(ask, page_1, habits)
        if proven is False or (proven is None and around is not None and _has_a_page_0(around, habits)):
            raise doubt
        return 1, page_1
    # An empty window where pages are counted from 1; elsewhere one that nobody has seen.
    elsewhere = None if around is None else _has_a_page_0(around, habits)
    if around is None or elsewhere or (is_proof and elsewhere is None):
        raise doubt
    return 1, []


def _has_a_page_0(around: Ask, habits: Habits) -> bool | None:
    """Whether a server that brings nothing as the page 0 of one question has one: told from another question, which is
    likelier to have invoices. Not where these begin at page 1, as far as can be told; None where there are none.
    """
    try:
        number, invoices = _first_page(around, habits, None)
    except MovingPagesError:
        return True
    except RequestRefusedError:
        page_1, refusal = _try(around, 1)
        return True if page_1 or refusal is not None else None
    if number == 0:
        return True
    return False if invoices else None


def _is_first(ask: Ask, page_1: list[PageInvoice], habits: Habits) -> bool | None:
    """Whether page 1 is the first page: then it has all that page 1 of half its length has. (Counted from 0, that is
    the second half of the page before it, and not one of its invoices.) None where pages hold but one, or their size cannot
    be chosen, or is ordered otherwise in another size: this proves nothing then.
    """
    if not habits.holds_more_than_one(page_1):
        return None
    for _ in range(2):
        half = max(1, len(page_1) // 2)
        found, refusal = _try(ask, 1, half)
        if refusal is not None or not 0 < len(found) <= half:
            return None
        known = {invoice.received.body for invoice in page_1}
        in_it = sum(invoice.received.body in known for invoice in found)
        if in_it == len(found):
            habits.learn_first_page(1)
            return True
        # An invoice may have come in before it just now.
        page_1 = ask(1)
    return False if in_it == 0 else None


def _try(ask: Ask, number: int, size: int | None = None) -> tuple[list[PageInvoice], RequestRefusedError | None]:
    try:
        return ask(number, size), None
    except RequestRefusedError as refusal:
        return [], refusal


def _learn_to_count_from(number: int, ask: Ask, habits: Habits, page_0: set[Key]) -> None:
    """Remember the first page's number for all windows to come, if the evidence is good enough for that.

    A wrong conclusion would lose pages of every later window. Pages 0 and 1 that share nothing do prove that the
    server counts from 0, unless they are tiny: a few new invoices can push such a page along whole. A page 1 that
    repeats page 0 may be the last page, repeated, with a page 2 that was born a moment later. So in these cases
    both are asked for once more, which happens once in a client's life.
    """
    if habits.first_page is not None:
        return
    if number == 1 or len(page_0) < _TELLING_PAGE:
        again_0, again_1 = ({invoice.key for invoice in _try(ask, page)[0]} for page in (0, 1))
        is_confirmed = again_0.isdisjoint(again_1) if number == 0 else again_0 == again_1
        if not (again_0 and again_1 and is_confirmed):
            return
    habits.learn_first_page(number)


def _doubt(ask: Ask, reading: Reading) -> str | None:
    """Why a reading cannot be accepted as it is; None when it can. A single page that is certain to be all needs no look."""
    content = reading.content
    is_end_certain = not content or _is_end_certain(reading)
    if len(content) <= 1 and is_end_certain:
        return None
    if reading.first_page is None:
        return _UNCHECKABLE
    if reading.overlaps:
        return _OVERLAP
    return _look_again(ask, reading, reading.first_page, is_end_certain=is_end_certain)


def _look_again(ask: Ask, reading: Reading, first_page: int, *, is_end_certain: bool) -> str | None:
    """Looks a second time at the last invoice of every page, each by itself, and behind the end; why that leaves a doubt."""
    content, invoices = reading.content, reading.invoices
    position = first_page - 1
    for page in content:
        position += len(page.invoices)
        found, refusal = _try(ask, position, 1)
        if refusal is not None or len(found) > 1:
            return _UNCHECKABLE
        # by its text, for the other one of two doubles has the same id
        if [invoice.received.body for invoice in found] != [page.invoices[-1].received.body]:
            return _MOVED
    if not is_end_certain:
        # A server may skip by the size that it was asked for and send less. (A refusal is no invoice.)
        behind, _ = _try(ask, position + 1, 1)
        if any(invoice.key not in invoices for invoice in behind):
            return _MORE
    if sum(len(page.invoices) for page in content) != len(invoices):
        return "an invoice came twice while the pages were read"
    return None


def _was_interrupted(reading: Reading) -> bool:
    """Whether pages 0 and 1 may have been asked for again in the middle of the reading, as `_learn_to_count_from` does.

    An invoice that was away just then is back when the borders are looked at, and its page moved unseen.
    """
    is_tiny = len(reading.content[0].invoices) < _TELLING_PAGE if reading.content else False
    return len(reading.content) > 1 and (is_tiny or reading.first_page == 1)


def _is_end_certain(reading: Reading) -> bool:
    """Whether nothing can hide behind the last page with content.

    It cannot when that page was not full, nor when the server then sent the very same page again: for that
    to be chance, exactly a page's worth of new invoices would have had to push it along.
    """
    last, ending = reading.content[-1], reading.pages[-1]
    return ending.is_new or (len(last.invoices) >= _TELLING_PAGE and ending.keys == last.keys)
