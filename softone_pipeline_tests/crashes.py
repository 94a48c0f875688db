"""Kills real runs with SIGKILL in a chosen phase, and looks at what is left: `python -m softone_pipeline_tests.crashes`.

Which phase a run is in is seen from outside: the sandbox's log, the write-ahead log beside the pipeline's own
file, the temporary copy beside the published one, the line that says a batch stands. Nothing is patched.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from softone_pipeline.sandbox import Company, Sandbox
from softone_pipeline_tests.scenarios.truth import Truth, state

FIRST_DAY = dt.date(2025, 3, 24)
DAYS = 12
PHASES = {
    "fetching": "fetching",
    "writing": "in the transaction",
    "recording": "Dagster records",
    "publishing": "publishing",
}
"""The phases a run is killed in, and how they are called."""

# Rounds beyond three times those asked for, before a phase that is never hit is given up and told.
_SPARE = 20

# For one run, which takes some ten seconds; one that hangs is killed, and told.
_PATIENCE_SECONDS = 600


@dataclass
class Crashes:
    """What came of the rounds: by phase the kills that hit it and what was found right after, and what was wrong."""

    kills: Counter[str] = field(default_factory=Counter)
    found: dict[str, Counter[str]] = field(default_factory=lambda: {phase: Counter() for phase in PHASES})
    wrong: dict[str, list[str]] = field(default_factory=lambda: {phase: [] for phase in PHASES})
    too_late: int = 0
    lost_runs: int = 0
    """Runs that Dagster would have taken to be under way for ever, and that the next load marked as failed."""

    @property
    def all_wrong(self) -> list[str]:
        missed = [f"no run was hit: {said}" for phase, said in PHASES.items() if not self.kills[phase]]
        return [*(line for lines in self.wrong.values() for line in lines), *missed]

    def table(self) -> str:
        rows: list[tuple[str, ...]] = [
            ("killed while", "kills", "found the earlier state", "found the later state", "wrong")
        ]
        for phase, said in PHASES.items():
            found = self.found[phase]
            counts = (self.kills[phase], found["earlier"], found["later"], len(self.wrong[phase]))
            rows.append((said, *map(str, counts)))
        totals = [sum(int(row[column]) for row in rows[1:]) for column in range(1, 5)]
        rows.append(("all", *map(str, totals)))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


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
        self._home = folder / "home"
        self.lost_runs = 0

    def __enter__(self) -> Site:
        self._sandbox.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox.stop()

    def load(self) -> list[Any]:
        """Run the command to its end; returns everything that is then not as it should be."""
        process = self._start()
        try:
            process.wait(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode:
            return [f"exit status {process.returncode}: {self._said.read_text('utf-8')[-800:]}"]
        return [*self._truth.wrong(self.published)[:3], *self._runs_under_way()]

    def _runs_under_way(self) -> list[str]:
        """Nothing runs after a load: what is left was killed, and others would wait for it for ever."""
        with closing(sqlite3.connect(f"file:{self._home}/history/runs.db?mode=ro", uri=True)) as history:
            runs = history.execute("select run_id, status from runs").fetchall()
        self.lost_runs = sum(status == "FAILURE" for _, status in runs)
        return [f"run {run_id} is still {status}" for run_id, status in runs if status not in {"FAILURE", "SUCCESS"}]

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
        longest = {"fetching": 0.02, "writing": 0.03, "recording": 0.4, "publishing": 0.005}[phase]
        later = self._rng.random() ** 2 * longest
        gives_up = time.monotonic() + _PATIENCE_SECONDS
        while process.poll() is None and not is_there[phase]() and time.monotonic() < gives_up:
            time.sleep(0.0005)
        time.sleep(later)
        is_hit = process.poll() is None and (phase in {"fetching", "recording"} or is_there[phase]())
        # It may have come to its end by itself.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return is_hit

    def found(self, before: list[Any] | None) -> str:
        """What the published file is right after a kill: "earlier", "later", or else what is wrong with it."""
        if not self.published.exists():
            return "earlier" if before is None else "the published file is gone"
        if state(self.published) == before:
            return "earlier"
        wrong = self._truth.wrong(self.published)
        return f"the published file is neither the earlier state nor the later one: {wrong[:3]}" if wrong else "later"

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
            "DAGSTER_HOME": str(self._home),
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


def crash(rounds: int, *, seed: int, say: Callable[[str], None] = print) -> Crashes:
    """Rounds of killing and loading again, each phase in its turn; a round counts when its run was hit in the phase.

    After one that went wrong, the next begins with a company of its own.
    """
    crashes = Crashes()
    rounds_played = 0
    while crashes.kills.total() < rounds and rounds_played < 3 * rounds + _SPARE:
        with tempfile.TemporaryDirectory(prefix="crashes-") as folder, Site(Path(folder), seed + rounds_played) as site:
            before: list[Any] | None = None
            is_right = True
            while is_right and crashes.kills.total() < rounds and rounds_played < 3 * rounds + _SPARE:
                # The first round kills a run that makes everything for the first time.
                if before is not None:
                    site.evening()
                phase = min(PHASES, key=lambda phase: crashes.kills[phase])
                wrong = _round(site, phase, before, crashes)
                for line in wrong:
                    crashes.wrong[phase].append(f"round {rounds_played}, killed while {PHASES[phase]}: {line}")
                    say(f"WRONG: {crashes.wrong[phase][-1]}")
                is_right = not wrong
                before = state(site.published) if is_right else None
                rounds_played += 1
                if rounds_played % 10 == 0:
                    say(f"{rounds_played} rounds, kills by phase: {dict(crashes.kills)}, too late: {crashes.too_late}")
            crashes.lost_runs += site.lost_runs
    return crashes


def _round(site: Site, phase: str, before: list[Any] | None, crashes: Crashes) -> list[Any]:
    """Kill a run in a phase, look, load; returns everything that was not as it should be."""
    wrong: list[Any] = []
    try:
        is_hit = site.kill_while(phase)
        found = site.found(before)
        if found not in {"earlier", "later"}:
            wrong.append(found)
        if is_hit:
            crashes.kills[phase] += 1
            crashes.found[phase][found] += 1
        else:
            crashes.too_late += 1
        wrong += site.load()
    except Exception:
        wrong.append(traceback.format_exc(limit=-6))
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m softone_pipeline_tests.crashes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="kills that hit their phase")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    crashes = crash(given.rounds, seed=given.seed, say=lambda text: print(text, flush=True))
    print(crashes.table())
    print(
        f"{crashes.kills.total()} kills in {time.monotonic() - began:.0f} s; {crashes.too_late} more came too late for "
        f"their phase and do not count; {crashes.lost_runs} runs were marked as failed by the next load"
    )
    for line in crashes.all_wrong:
        print(f"WRONG: {line}")
    return 1 if crashes.all_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
