"""The benchmark in small: that what it measures really happens, and that its judge is awake. No timings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import duckdb
import pytest

from softone_pipeline_tests.bench.__main__ import serving
from softone_pipeline_tests.bench.data import ADVERSARIAL, FIRST_DAY, DataSet, first_days, render
from softone_pipeline_tests.bench.exactness import problems


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    return render(tmp_path / "data", days=2, per_day=len(ADVERSARIAL) + 8)


@pytest.fixture
def loaded(data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the library contender publishes of the invoices served."""
    path = tmp_path / "softone.duckdb"
    load(data, path, monkeypatch)
    return path


def load(
    data: DataSet, path: Path, monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str] = MappingProxyType({})
) -> dict[str, float]:
    """The library contender's remarks."""
    from softone_pipeline_tests.bench.contender import library

    with serving(data) as address:
        for name, value in {
            "BASE_URL": address,
            "TOKEN": "t",
            "COMPANY_API_KEY": "a",
            "CONNECT_API_KEY": "b",
            "START_DATE": str(FIRST_DAY),
            "DUCKDB_PATH": str(path),
            **settings,
        }.items():
            monkeypatch.setenv(f"SOFTONE_{name}", value)
        return library(first_days(data.expected.days))


def test_every_amount_served_is_exact_or_quarantined_by_name(loaded: Path, data: DataSet) -> None:
    assert problems(loaded, data.expected) == []


def test_a_big_day_takes_two_requests_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In small what `--big-day` does with 200,000: a page and a look at its border, however many pages there are."""
    data = render(tmp_path / "data", days=1, per_day=4000)
    path = tmp_path / "softone.duckdb"
    done = load(data, path, monkeypatch, {"PAGE_SIZE": "40"})
    assert problems(path, data.expected) == []
    assert 200 <= done["requests"] <= 205


def test_one_ore_and_one_lost_quarantine_are_noticed(loaded: Path, data: DataSet) -> None:
    loaded.chmod(0o600)
    with duckdb.connect(str(loaded)) as connection:
        connection.execute("delete from raw.quarantine where field = 'TotalAmount'")
    served = dataclasses.replace(data.expected, total=data.expected.total + 1)
    refused = [value for field, _, value in ADVERSARIAL if field == "TotalAmount" and value is None]
    assert len(problems(loaded, served)) == 1 + len(refused)
