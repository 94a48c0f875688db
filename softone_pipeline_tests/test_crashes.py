"""A handful of kills in every test run, one a phase; a hundred by `python -m softone_pipeline_tests.crashes`."""

from __future__ import annotations

import pytest

from softone_pipeline_tests.crashes import PHASES, crash


@pytest.mark.timeout(600)
def test_a_run_killed_in_any_phase_leaves_a_whole_file_and_the_next_run_finishes() -> None:
    kills, wrong = crash(len(PHASES), seed=1)
    assert wrong == []
    assert set(PHASES) <= kills.keys()
