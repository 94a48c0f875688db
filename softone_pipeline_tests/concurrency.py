"""Everybody at once, on real processes: `python -m softone_pipeline_tests.concurrency --hold 180`.

Two backfills from the UI over overlapping days (each step in a process of its own), the schedule's run, two
`softone backfill`, an analyst who keeps the published file open, one who opens it again and again, and an outsider who
holds the pipeline's own file. The ERP misbehaves meanwhile. Nobody may fail, and the tables must be the oracle's.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from softone_pipeline.sandbox import Company, Sandbox
from softone_pipeline.settings import STOCKHOLM
from softone_pipeline_tests.orchestration.server import Server
from softone_pipeline_tests.scenarios.truth import Truth

FIRST_DAY = dt.date(2025, 3, 24)
DAYS = [FIRST_DAY + dt.timedelta(days=n) for n in range(16)]
RAW = "raw/customer_invoices"
FAULTS = (
    "server-error:rate=0.04",
    "reset-middle:rate=0.04",
    "cut-length:rate=0.04",
    "token-expires:rate=0.02",
    "rate-limit-zero:rate=0.04",
    # Payments have tests of their own; without Search the balances are what is invoiced.
    "search-missing",
)

# What nobody is to read anywhere.
_LOCK_ERRORS = re.compile("Could not set lock|Conflicting lock|database is locked|WarehouseLockedError", re.IGNORECASE)
_WAITED = re.compile(r"Waited (\d+) s so far")

_ANALYST = """
import select, sys, duckdb
path, keeps_it_open = sys.argv[1], sys.argv[2] == "keeps it open"
held = duckdb.connect(path, read_only=True) if keeps_it_open else None
looks, seen = 0, set()
print("reads", flush=True)
while not (looks and select.select([sys.stdin], [], [], 0.1)[0]):
    connection = held or duckdb.connect(path, read_only=True)
    invoices, lines = connection.execute('''
        select
            (select sum(total_amount) from core.invoices),
            (select sum(net_amount) + sum(vat_amount) from mart.vat_summary)
    ''').fetchone()
    assert invoices == lines, (invoices, lines)
    seen.add(invoices)
    looks += 1
    if not held:
        connection.close()
print(looks, len(seen))
"""

# Whoever opens a file with DuckDB the usual way.
_OUTSIDER = """
import sys, time, duckdb
while True:
    try:
        held = duckdb.connect(sys.argv[1])
        break
    except duckdb.IOException:
        time.sleep(0.05)
print("holds it", flush=True)
sys.stdin.readline()
"""


@dataclass
class Outcome:
    """What came of it: everything that is `wrong`, and the figures."""

    wrong: list[str] = field(default_factory=list)
    runs: Counter[str] = field(default_factory=Counter)
    """Runs of the UI by status."""
    faults: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    """How often the analyst opened the published file."""
    states: int = 0
    """How many different states of it that analyst saw."""
    waiters: int = 0
    """Runs and commands whose log says that they wait for the outsider, by the number of its process."""
    longest_wait_seconds: int = 0
    seconds: float = 0.0


def play(folder: Path, *, hold_seconds: float) -> Outcome:
    """Let everybody loose in a folder; the outsider holds the file that long, and until a run and both commands wait."""
    began = time.monotonic()
    outcome = Outcome()
    company = Company(first_day=DAYS[0], last_day=DAYS[-1], invoices_per_day=8)
    published = folder / "softone.duckdb"
    with Sandbox(company, faults=FAULTS) as sandbox, ExitStack() as stack:
        truth = Truth(company, sandbox)
        variables = sandbox.environment() | {
            "SOFTONE_START_DATE": DAYS[0].isoformat(),
            "SOFTONE_DUCKDB_PATH": str(published),
            "SOFTONE_RETRY_WAIT_SECONDS": "0.02",
            # Kept together, in a file that all of them write.
            "SOFTONE_REQUESTS_PER_SECOND": "40",
            "COLUMNS": "200",
        }
        server = stack.enter_context(
            Server(folder, variables, module="softone_pipeline_tests.orchestration.several_processes")
        )
        shell = _Shell(folder, os.environ | variables | {"DAGSTER_HOME": str(server.home)}, stack)
        first = shell.backfill(DAYS[0])
        first.wait(timeout=300)
        if first.returncode:
            outcome.wrong.append(shell.said(first))
            return outcome
        outcome.wrong += map(str, truth.wrong(published)[:3])
        company.advance()

        keeper, reader = (shell.python(_ANALYST, str(published), how) for how in ("keeps it open", "opens it"))
        own = folder / "softone_pipeline.duckdb"
        outsider = shell.python(_OUTSIDER, str(own))
        held_since = time.monotonic()
        commands = [shell.backfill(day) for day in (DAYS[0], DAYS[5])]
        backfills = [server.backfill([RAW], days) for days in (DAYS[:12], DAYS[4:])]
        (request,) = server.requested_by(
            "refresh_recent_days", dt.datetime.combine(DAYS[-1], dt.time(5, 30), STOCKHOLM)
        )
        scheduled = server.launch({tag["key"]: tag["value"] for tag in request["tags"]})
        waits = f"Waiting for {own}: process {outsider.pid} ("

        def logs() -> list[str]:
            """What each command and each run has said."""
            runs = [" ".join(event.get("message") or "" for event in server.log(run.id)) for run in server.runs()]
            return [*runs, *map(shell.said, commands)]

        def is_waited_for() -> bool:
            *runs, one, other = logs()
            return waits in one and waits in other and any(waits in run for run in runs)

        server.until("a run and both commands wait for the outsider", is_waited_for, timeout=180)
        time.sleep(max(0, hold_seconds - (time.monotonic() - held_since)))
        outcome.waiters = sum(waits in log for log in logs())
        outsider.communicate("\n")

        for command in commands:
            if command.wait(timeout=300):
                outcome.wrong.append(shell.said(command))
        for backfill in backfills:
            (run,) = server.until("the backfill's run", lambda id=backfill: server.runs_of(id), timeout=180)  # type: ignore[misc]
            server.wait_for(run.id, timeout=300)
        server.wait_for(scheduled, timeout=300)
        of_the_ui = [run for run in server.runs() if "dagster/code_location" in run.tags]
        # The sensor may have asked for another, which is for later.
        outcome.runs = Counter(run.status for run in of_the_ui if run.has_ended)
        if not list(folder.glob(".*.pace.sqlite")):
            outcome.wrong.append("nobody kept the rate together with others")
        outcome.wrong += [repr(run) for run in server.runs() if run.status in {"FAILURE", "CANCELED"}]
        outcome.wrong += map(str, truth.wrong(published)[:3])
        for log in (*logs(), server.output):
            outcome.wrong += [log[max(0, at.start() - 300) : at.end() + 300] for at in _LOCK_ERRORS.finditer(log)][:2]
            waited = [outcome.longest_wait_seconds, *map(int, _WAITED.findall(log))]
            outcome.longest_wait_seconds = max(waited)
        for analyst, reads_one_state in ((keeper, True), (reader, False)):
            said, complaint = analyst.communicate("\n", timeout=60)
            if analyst.returncode:
                outcome.wrong.append(complaint)
                continue
            outcome.looks, outcome.states = map(int, said.split())
            if reads_one_state and outcome.states != 1:
                outcome.wrong.append("what an analyst has open has changed")
        outcome.faults = sandbox.faults_fired()
    outcome.seconds = time.monotonic() - began
    return outcome


class _Shell:
    """Processes in a folder, which end with the stack."""

    def __init__(self, folder: Path, environment: Mapping[str, str], stack: ExitStack) -> None:
        self._folder = folder
        self._environment = environment
        self._stack = stack
        self._outputs: dict[int, Path] = {}

    def backfill(self, first_day: dt.date) -> subprocess.Popen[str]:
        output = self._folder / f"said_{len(self._outputs)}.txt"
        days = ("--from", str(first_day), "--to", str(DAYS[-1]))
        with output.open("w") as file:
            process = self._start("-m", "softone_pipeline", "backfill", *days, output=file.fileno())
        self._outputs[process.pid] = output
        return process

    def said(self, process: subprocess.Popen[str]) -> str:
        return self._outputs[process.pid].read_text("utf-8", errors="replace")

    def python(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        """A program that says a line when it is ready, and ends when it is told a line."""
        process = self._start("-c", program, *arguments, output=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline()
        return process

    def _start(self, *arguments: str, output: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.PIPE if output == subprocess.PIPE else output,
            text=True,
        )
        self._stack.callback(process.communicate)
        self._stack.callback(process.kill)
        return process


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m softone_pipeline_tests.concurrency", description=__doc__)
    parser.add_argument("--hold", type=float, default=180, help="seconds for which the outsider holds the file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="concurrency-") as folder:
        outcome = play(Path(folder), hold_seconds=given.hold)
    for wrong in outcome.wrong:
        print(f"WRONG: {wrong}")
    print(f"{outcome.seconds:.0f} s; wrong: {len(outcome.wrong)}")
    print(f"runs of the UI: {dict(outcome.runs)}; faults fired: {dict(outcome.faults)}")
    print(
        f"waited for the outsider, and said so: {outcome.waiters}; the longest wait that was told: "
        f"{outcome.longest_wait_seconds} s"
    )
    print(f"the published file was opened {outcome.looks} times without one error, in {outcome.states} states")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
