"""Each fault by itself, over real HTTP: the log shows that it fired, and the tables are the oracle's, or the error has a name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import softone_pipeline
from softone_pipeline.sandbox import FAULTS
from softone_pipeline_tests.scenarios import matrix
from softone_pipeline_tests.scenarios.drawing import LASTING
from softone_pipeline_tests.scenarios.playing import play_scenario

PAGE = Path(softone_pipeline.__file__).parent / "docs" / "reliability.md"
# Search is played in tables/test_payments.py.
SEARCH = {"search-missing", "search-forbidden"}


@pytest.mark.parametrize("faults", matrix.PASSING, ids=matrix.name_of)
def test_a_fault_by_itself_ends_in_the_oracles_tables(faults: tuple[str, ...]) -> None:
    outcome = play_scenario(matrix.passing(faults))
    assert outcome.wrong == []
    assert {fault.partition(":")[0] for fault in faults} == outcome.fired.keys()
    assert outcome.windows == 3
    assert outcome.most_pages >= (1 if faults == ("paging-ignored",) else 3)


@pytest.mark.parametrize("fault", LASTING)
def test_a_fault_that_lasts_fails_by_name_and_changes_nothing(fault: str) -> None:
    outcome = play_scenario(matrix.lasting(fault))
    assert outcome.wrong == []
    assert {fault.partition(":")[0]} == outcome.fired.keys()
    assert outcome.most_pages >= 3
    assert outcome.must_fail == 1


def test_every_fault_that_the_sandbox_knows_is_played_alone() -> None:
    passing, lasting = matrix.names()
    played = {fault.partition(":")[0] for case in passing | lasting for fault in case.split()}
    assert played == FAULTS.keys() - SEARCH


def test_the_page_on_reliability_lists_what_is_played() -> None:
    """Its two tables name, between backticks in their second column, the cases that pass and those that fail."""
    rows = re.findall(r"^\|[^|]+\|([^|]+`[^|]+)\|[^|]+\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {case for cell in rows for case in re.findall("`([^`]+)`", cell)}
    passing, lasting = matrix.names()
    assert listed == passing | lasting
