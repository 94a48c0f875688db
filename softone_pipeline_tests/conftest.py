"""What tests of several rooms share: a clean environment, a warehouse in a folder of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from softone_pipeline.settings import PipelineSettings
from softone_pipeline.tables import MACROS, TABLES
from softone_pipeline.warehouse import Warehouse

# Tests run in the background of a shell have SIGINT ignored, and so would have everything that they start and stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine's, no .env, no proxy in the way of loopback."""
    for name in list(os.environ):
        if name.startswith("SOFTONE_") or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> PipelineSettings:
    return PipelineSettings(duckdb_path=tmp_path / "data" / "softone.duckdb")


@pytest.fixture
def warehouse(settings: PipelineSettings) -> Warehouse:
    return Warehouse(settings.warehouse_path, TABLES, macros=MACROS)
