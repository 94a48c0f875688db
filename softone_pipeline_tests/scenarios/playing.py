"""A scenario played: real HTTP from the sandbox, a real database, and after every round a look at the truth."""

from __future__ import annotations

import datetime as dt
import logging
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softone_pipeline.errors import AuthenticationError, WindowError
from softone_pipeline.sandbox import Company, Sandbox
from softone_pipeline.settings import ErpSettings, PipelineSettings
from softone_pipeline.softone import SoftOneClient
from softone_pipeline.tables import MACROS, MART_TABLES, TABLES
from softone_pipeline.tables.core.refresh import refresh_core
from softone_pipeline.tables.raw.loading import load_days
from softone_pipeline.warehouse import Warehouse
from softone_pipeline_tests.scenarios.drawing import COMPANY, LASTING, Door, Round, Scenario, scenario
from softone_pipeline_tests.scenarios.truth import Truth, state

_LEAST_WINDOWS, _LEAST_PAGES, _LEAST_FAULTS = 3, 3, 2


@dataclass
class Outcome:
    """What came of a scenario. It counts only if `is_telling`; it is right if nothing is `wrong`."""

    seed: int
    door: Door
    fired: Counter[str] = field(default_factory=Counter)
    windows: int = 0
    most_pages: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    must_fail: int = 0

    @property
    def is_telling(self) -> bool:
        """Whether it had enough windows, pages and faults to say something."""
        return self.windows >= _LEAST_WINDOWS and self.most_pages >= _LEAST_PAGES and len(self.fired) >= _LEAST_FAULTS


def play(seed: int) -> Outcome:
    """Play the scenario of a seed in a folder of its own. Never raises: what goes wrong is in the outcome."""
    return play_scenario(scenario(seed))


def play_scenario(drawn: Scenario) -> Outcome:
    """Play any scenario, in the same way."""
    outcome = Outcome(drawn.seed, drawn.door)
    started = time.monotonic()
    with _without_log(), tempfile.TemporaryDirectory(prefix="scenario-") as folder:
        try:
            _play(drawn, Path(folder), outcome)
        except Exception:
            outcome.wrong.append(traceback.format_exc(limit=-6))
    outcome.seconds = time.monotonic() - started
    return outcome


@contextmanager
def _without_log() -> Iterator[None]:
    """Retries by the thousand are what is wanted here. Other tests of this process want the log as it was."""
    logger = logging.getLogger("softone_pipeline")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _play(drawn: Scenario, folder: Path, outcome: Outcome) -> None:
    company = Company(
        seed=drawn.seed,
        first_day=drawn.first_day,
        last_day=drawn.last_day,
        invoices_per_day=drawn.invoices_per_day,
        include_example=False,
    )
    with Sandbox(company, fault_seed=drawn.seed, faults=()) as sandbox:
        plant = _Plant(drawn, folder, sandbox)
        truth = Truth(company, sandbox)
        has_doubles = False
        for number, played in enumerate(drawn.rounds):
            if played.evening:
                company.advance()
            sandbox.switch((*played.faults, NO_SEARCH))
            where = f"round {number} {played.faults}"
            if played.lasting is None:
                failures = plant.load()
                has_doubles = any(fault.startswith("duplicate-id") for fault in played.faults)
                outcome.wrong += [f"{where}: {failure}" for failure in failures]
                if not failures:
                    outcome.wrong += [f"{where}: {line}" for line in truth.wrong(plant.settings.warehouse_path)[:5]]
            else:
                outcome.must_fail += 1
                found = _fails_by_name(plant, played, truth, has_doubles=has_doubles)
                outcome.wrong += [f"{where}: {line}" for line in found]
            if outcome.wrong:
                break
        _count(sandbox, outcome)


def _fails_by_name(plant: _Plant, played: Round, truth: Truth, *, has_doubles: bool) -> list[str]:
    """What is not as it should be when a server stays broken: an error by name, and nothing changed.

    Where the last load brought doubles (`has_doubles`), days that can be read still do change: to what the ERP has.
    """
    before = state(plant.settings.warehouse_path)
    failures = plant.load()
    is_same = has_doubles or state(plant.settings.warehouse_path) == before
    wrong = [] if is_same else ["something changed though it failed"]
    said = "\n".join(failures)
    # Pages that always move alike are believed at the third reading, and days of one page do not move: what is said to
    # be loaded has to be right then.
    if str(played.lasting).startswith("shifting") and not failures:
        return wrong + truth.wrong(plant.settings.warehouse_path)[:5]
    names = LASTING[str(played.lasting)]
    return wrong + [f"the error does not say {name!r}: {said[:300]}" for name in names if name not in said]


# Payments have tests of their own; without Search the balances are what is invoiced.
NO_SEARCH = "search-missing"


class _Plant:
    """The pipeline that a scenario loads with, through its door."""

    def __init__(self, drawn: Scenario, folder: Path, sandbox: Sandbox) -> None:
        self._drawn = drawn
        self._folder = folder
        self._sandbox = sandbox
        self._days = [drawn.first_day + dt.timedelta(days=n) for n in range(drawn.days)]
        self._variables = sandbox.environment() | {
            "SOFTONE_DUCKDB_PATH": str(folder / "softone.duckdb"),
            "SOFTONE_START_DATE": drawn.first_day.isoformat(),
            "SOFTONE_PAGE_SIZE": str(drawn.page_size),
            "SOFTONE_MAX_CONNECTIONS": str(drawn.connections),
            "SOFTONE_RETRY_WAIT_SECONDS": str(drawn.retry_wait_seconds),
            "SOFTONE_TIMEOUT_SECONDS": "1",
            "DAGSTER_HOME": str(folder / "home"),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }
        self.settings = PipelineSettings(
            company=COMPANY, duckdb_path=folder / "softone.duckdb", start_date=drawn.first_day
        )

    def load(self) -> list[str]:
        """Load every day and refresh every table; returns what failed, in the words that a user reads."""
        doors: dict[Door, Callable[[], list[str]]] = {
            "library": self._by_library,
            "dagster": self._by_dagster,
            "command": self._by_command,
        }
        return doors[self._drawn.door]()

    def _by_library(self) -> list[str]:
        settings = self._erp()
        warehouse = Warehouse(self.settings.warehouse_path, TABLES, macros=MACROS)
        failed: list[str] = []
        try:
            with SoftOneClient(settings) as client:
                for batch in load_days(client, warehouse, company=COMPANY, run_id="run", days=self._days):
                    failed += map(str, batch.failed)
        except (WindowError, AuthenticationError) as error:
            return [str(error)]
        if len(failed) < len(self._days):
            with warehouse.transaction() as connection:
                refresh_core(connection, self.settings)
                for table in MART_TABLES:
                    table.rebuild(connection)
        return failed

    def _erp(self) -> ErpSettings:
        known = self._sandbox.credentials
        return ErpSettings.load(
            base_url=self._sandbox.base_url,
            company_api_key=known.company_api_key,
            connect_api_key=known.connect_api_key,
            license=known.license,
            username=known.username,
            password=known.password,
            company=COMPANY,
            page_size=self._drawn.page_size,
            max_connections=self._drawn.connections,
            retry_wait_seconds=self._drawn.retry_wait_seconds,
            timeout_seconds=1,
        )

    def _by_dagster(self) -> list[str]:
        import dagster as dg

        from softone_pipeline.definitions import build_definitions
        from softone_pipeline.orchestration.backfill import run_backfill

        before = dict(os.environ)
        os.environ.update(self._variables)
        try:
            with dg.DagsterInstance.ephemeral() as instance:
                outcome = run_backfill(
                    build_definitions(), instance, self.settings.warehouse_path, self._days[0], self._days[-1]
                )
        finally:
            os.environ.clear()
            os.environ.update(before)
        return list(outcome.failures)

    def _by_command(self) -> list[str]:
        (self._folder / "home").mkdir(exist_ok=True)
        days = ("--from", self._days[0].isoformat(), "--to", self._days[-1].isoformat())
        done = subprocess.run(
            [sys.executable, "-m", "softone_pipeline", "backfill", *days],
            cwd=self._folder,
            env=os.environ | self._variables | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        return [done.stderr] if done.returncode else []


def _count(sandbox: Sandbox, outcome: Outcome) -> None:
    outcome.fired = sandbox.faults_fired()
    del outcome.fired[NO_SEARCH]
    asked = {tuple(str(r.body.get(f"InvoiceDate{end}"))[:10] for end in ("From", "To")) for r in sandbox.log}
    # Where dates carry a zone the days beside are asked for as well: that is the same window.
    outcome.windows = sum(first == last != "None" for first, last in asked)
    outcome.most_pages = _most_pages(sandbox)


def _most_pages(sandbox: Sandbox) -> int:
    """The largest number of pages with content that a window was read in."""
    pages: dict[Any, set[Any]] = defaultdict(set)
    for record in sandbox.log:
        if record.endpoint == "filter" and record.items and record.body.get("PageNrOfRecords", 0) > 1:
            pages[record.body.get("InvoiceDateFrom")].add(record.page)
    return max(map(len, pages.values()), default=0)
