"""A handful of kills in every test run, one a phase; a hundred by `python -m softone_pipeline_tests.crashes`."""

from __future__ import annotations

import pytest

from softone_pipeline_tests.crashes import PHASES, crash


@pytest.mark.timeout(600)
def test_a_run_killed_in_any_phase_leaves_a_whole_file_and_the_next_run_finishes() -> None:
    crashes = crash(len(PHASES), seed=1)
    assert crashes.all_wrong == []
    assert crashes.kills == dict.fromkeys(PHASES, 1)
    # A run that nobody marked would be under way for ever; which kill leaves one depends on the moment.
    assert crashes.lost_runs >= 1
