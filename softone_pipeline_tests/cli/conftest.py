"""The commands as a user runs them: own process, own folder, the sandbox for an ERP."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from softone_pipeline.sandbox import DEFAULT, Company, Sandbox

FIRST_DAY = dt.date(2026, 2, 16)
LAST_DAY = dt.date(2026, 3, 1)
SECRETS = (DEFAULT.company_api_key, DEFAULT.connect_api_key, DEFAULT.password)


@dataclass
class Shell:
    """A folder in which `softone …` is run. `variables` are the settings of every command."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> Mapping[str, str]:
        return os.environ | {"COLUMNS": "200", "PYTHONWARNINGS": "default"} | self.variables

    def run(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Whatever it says: no traceback, no secret."""
        done = subprocess.run(
            [sys.executable, "-m", "softone_pipeline", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        assert not [secret for secret in SECRETS if secret in said]
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "softone_pipeline", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the published copy."""
        with duckdb.connect(str(self.folder / "data" / "softone.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def company() -> Company:
    return Company(first_day=FIRST_DAY, last_day=LAST_DAY, invoices_per_day=12)


@pytest.fixture
def erp(company: Company) -> Iterator[Sandbox]:
    with Sandbox(company) as sandbox:
        yield sandbox


@pytest.fixture
def shell(tmp_path: Path, erp: Sandbox) -> Shell:
    quick = {"SOFTONE_RETRY_WAIT_SECONDS": "0.01", "SOFTONE_START_DATE": "2026-01-01"}
    return Shell(tmp_path, DEFAULT.environment(erp.base_url) | quick)


def truth(company: Company, first_day: dt.date = FIRST_DAY, last_day: dt.date = LAST_DAY) -> set[tuple[int, str]]:
    """(invoice id, total) of what the ERP has in these days."""
    return {
        (invoice["InvoiceId"], f"{invoice['TotalAmount']:.2f}")
        for invoice in company.invoices()
        if first_day <= dt.date.fromisoformat(str(invoice["InvoiceDate"])[:10]) <= last_day
    }
