"""Kills real runs with SIGKILL in a chosen phase, and looks at what is left: `python -m softone_pipeline_tests.crashes`.

Which phase a run is in is seen from outside: the sandbox's log, the write-ahead log beside the pipeline's own
file, the temporary copy beside the published one, the line that says a batch stands. Nothing is patched.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from softone_pipeline.sandbox import Company, Sandbox
from softone_pipeline_tests.scenarios.truth import Truth, state

FIRST_DAY = dt.date(2025, 3, 24)
DAYS = 12
PHASES = ("fetching", "writing", "recording", "publishing")


class Site:
    """A folder with a pipeline in it, an ERP beside it, and what the ERP had at the last complete load."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._rng = Random(seed)
        self._company = Company(
            seed=seed, first_day=FIRST_DAY, last_day=FIRST_DAY + dt.timedelta(days=DAYS - 1), invoices_per_day=20
        )
        self._sandbox = Sandbox(self._company, faults=("search-missing",), latency_seconds=0.01)
        self._truth = Truth(self._company, self._sandbox)
        self.published = folder / "softone.duckdb"
        self._own = folder / "softone_pipeline.duckdb"
        self._said = folder / "said.txt"

    def __enter__(self) -> Site:
        self._sandbox.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox.stop()

    def load(self) -> list[Any]:
        """Run the command to its end; returns everything that is then not as it should be."""
        process = self._start()
        process.wait(timeout=300)
        wrong: list[Any] = [] if process.returncode == 0 else [self._said.read_text("utf-8")[-800:]]
        return wrong or self._truth.wrong(self.published)[:3]

    def evening(self) -> None:
        """The company changes, so that there is something to write."""
        self._company.advance()

    def kill_while(self, phase: str) -> bool:
        """Start a run and kill it in this phase; whether it was still alive, and in that phase, when it was hit."""
        requests = len(self._sandbox.log)
        process = self._start()
        wanted = self._rng.randint(2, DAYS)
        is_there: dict[str, Callable[[], bool]] = {
            "fetching": lambda: len(self._sandbox.log) - requests >= wanted,
            "writing": lambda: self._size(self._own.with_name(self._own.name + ".wal")) > 0,
            "recording": lambda: "invoices received" in self._said.read_text("utf-8", errors="replace"),
            "publishing": self._copy.exists,
        }
        # Anywhere from the first moment of the phase on, but well within what it usually lasts.
        longest = {"fetching": 0.02, "writing": 0.03, "recording": 0.4, "publishing": 0.05}[phase]
        later = self._rng.random() ** 2 * longest
        while process.poll() is None and not is_there[phase]():
            time.sleep(0.0005)
        time.sleep(later)
        is_hit = process.poll() is None and (phase in {"fetching", "recording"} or is_there[phase]())
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return is_hit

    def damage(self, before: list[Any] | None) -> list[str]:
        """What is wrong with the published file right after a kill: it must be the earlier one or the later one."""
        if not self.published.exists():
            return [] if before is None else ["the published file is gone"]
        found = state(self.published)
        is_whole = found == before or not self._truth.wrong(self.published)
        return [] if is_whole else ["the published file is neither the earlier state nor the later one"]

    @property
    def _copy(self) -> Path:
        return self.published.with_name(f".{self.published.name}.new")

    @staticmethod
    def _size(path: Path) -> int:
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return 0

    def _start(self) -> subprocess.Popen[bytes]:
        last_day = FIRST_DAY + dt.timedelta(days=DAYS - 1)
        variables = self._sandbox.environment() | {
            "SOFTONE_DUCKDB_PATH": str(self.published),
            "SOFTONE_START_DATE": FIRST_DAY.isoformat(),
            "SOFTONE_MAX_CONNECTIONS": "1",
            "DAGSTER_HOME": str(self._folder / "home"),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            "COLUMNS": "200",
        }
        with self._said.open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "softone_pipeline", "backfill", "--from", str(FIRST_DAY), "--to", str(last_day)],
                cwd=self._folder,
                env=os.environ | variables,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def crash(rounds: int, *, seed: int, say: Callable[[str], None] = print) -> tuple[Counter[str], list[str]]:
    """Rounds of killing and loading again: kills by phase that hit it, and everything that was wrong."""
    kills: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="crashes-") as folder, Site(Path(folder), seed) as site:
        before: list[Any] | None = None
        for number in range(rounds):
            # The first round kills a run that makes everything for the first time.
            if number:
                site.evening()
            phase = PHASES[number % len(PHASES)]
            for _ in range(5):
                if site.kill_while(phase):
                    kills[phase] += 1
                    break
                kills["too late"] += 1
            found = [*site.damage(before), *map(str, site.load())]
            wrong += [f"round {number}, killed while {phase}: {line}" for line in found]
            if found:
                say(wrong[-1])
                break
            before = state(site.published)
            if (number + 1) % 10 == 0:
                say(f"{number + 1} rounds: {dict(kills)}")
    return kills, wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m softone_pipeline_tests.crashes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    kills, wrong = crash(given.rounds, seed=given.seed, say=lambda text: print(text, flush=True))
    print(f"kills by phase: {dict(kills)}; wrong: {len(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
