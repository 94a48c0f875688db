"""Plays scenarios until so many of them were telling; counts what fired, names the seed of everything wrong."""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count

from softone_pipeline_tests.scenarios.playing import Outcome, play


def telling(wanted: int, *, seed: int, jobs: int) -> Iterator[Outcome]:
    """Outcomes from `seed` on, until `wanted` of them were telling; the others are redrawn and not counted."""
    found = 0
    # In a shell's background SIGINT is ignored, Dagster makes SIGTERM like it, and the pool could not end its processes.
    heed = (signal.SIGINT, signal.SIG_DFL)
    with multiprocessing.get_context("spawn").Pool(jobs, signal.signal, heed, maxtasksperchild=400) as pool:
        for outcome in pool.imap_unordered(play, _seeds(seed, 3 * wanted + 20), chunksize=1):
            if outcome.is_telling or outcome.wrong:
                found += 1
                yield outcome
            if found >= wanted:
                return


def _seeds(first: int, most: int) -> Iterator[int]:
    return (seed for seed, _ in zip(count(first), range(most), strict=False))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m softone_pipeline_tests.scenarios", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="how many telling scenarios to play")
    parser.add_argument("--seed", type=int, default=1, help="the first seed; with --count 1 it plays just that one")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    given = parser.parse_args()
    started = time.monotonic()
    fired: Counter[str] = Counter()
    doors: Counter[str] = Counter()
    counted = wrong = failing = 0
    for outcome in telling(given.count, seed=given.seed, jobs=given.jobs):
        counted += 1
        fired += outcome.fired
        doors[outcome.door] += 1
        failing += outcome.must_fail
        if outcome.wrong:
            wrong += 1
            print(f"seed {outcome.seed} ({outcome.door}):", *outcome.wrong, sep="\n  ", flush=True)
        if counted % 250 == 0:
            print(f"{counted} scenarios, {wrong} wrong, {time.monotonic() - started:.0f} s", flush=True)
    print(
        f"{counted} scenarios in {time.monotonic() - started:.0f} s: {wrong} wrong; {failing} rounds that must fail did"
    )
    print("through:", ", ".join(f"{door} {number}" for door, number in doors.most_common()))
    print("faults fired:", ", ".join(f"{name} {number}" for name, number in sorted(fired.items())))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
