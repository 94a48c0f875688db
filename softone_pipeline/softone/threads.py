"""Working on several things at once and handing the results out in order. Knows nothing of the ERP."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_AHEAD = 64


def in_order(
    items: Iterable[Item],
    work: Callable[[Item], Result],
    *,
    threads: int,
    fatal: type[Exception],
    halt: threading.Event,
    size: Callable[[Result], int] = lambda result: 0,
    room: int = 0,
) -> Iterator[Result]:
    """`work(item)` for every item on so many threads, the results in the order of the items.

    Twice as many items as threads are begun or finished and not yet handed out; more, up to `_MOST_AHEAD`, while
    results as large as the largest so far (by `size`) fit into `room`. So memory does not grow with their number,
    and the threads have work while the caller is busy with what it was handed. An exception is raised when its turn
    comes; one of type `fatal` as soon as it happens. Whenever this ends early, the caller's own break or Ctrl-C
    included, what has not begun is dropped and `halt` is set, which the work that has begun must heed.
    """
    pending: deque[Future[Result]] = deque()
    source = iter(items)
    executor = ThreadPoolExecutor(threads, thread_name_prefix="softone")
    is_done = False
    most = 2 * threads
    largest = 1
    try:
        _begin(pending, source, executor, work, most)
        while pending:
            _await_first(pending, fatal)
            result = pending.popleft().result()
            if room:
                largest = max(largest, size(result))
                most = max(2 * threads, min(room // largest, _MOST_AHEAD))
            _begin(pending, source, executor, work, most)
            yield result
        is_done = True
    finally:
        if not is_done:
            halt.set()
        # Not waiting for requests under way when something went wrong: an answer may take a minute.
        executor.shutdown(wait=is_done, cancel_futures=True)


def _begin(
    pending: deque[Future[Result]],
    source: Iterator[Item],
    executor: ThreadPoolExecutor,
    work: Callable[[Item], Result],
    most: int,
) -> None:
    while len(pending) < most:
        try:
            item = next(source)
        except StopIteration:
            return
        pending.append(executor.submit(work, item))


def _await_first(pending: deque[Future[Result]], fatal: type[Exception]) -> None:
    """Wait until the first is done. Raises what is fatal in any of them at once."""
    while True:
        for future in pending:
            error = future.exception() if future.done() else None
            if isinstance(error, fatal):
                raise error
        if pending[0].done():
            return
        wait([future for future in pending if not future.done()], return_when=FIRST_COMPLETED)
