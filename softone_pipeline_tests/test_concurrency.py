"""Everybody at once, with an outsider who holds the file for seconds; for minutes by the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from softone_pipeline_tests.concurrency import play


@pytest.mark.timeout(600)
def test_backfills_of_the_ui_and_the_command_line_a_schedule_analysts_and_an_outsider_at_once(tmp_path: Path) -> None:
    outcome = play(tmp_path, hold_seconds=0)
    assert outcome.wrong == []
    # Two backfills and the schedule's run; the sensor may have started others.
    assert outcome.runs.keys() == {"SUCCESS"}
    assert outcome.runs["SUCCESS"] >= 3
    # Two commands, and the run whose turn it was.
    assert outcome.waiters >= 3
    assert outcome.looks > 10
    assert outcome.states >= 2
    assert len(outcome.faults.keys() - {"search-missing"}) >= 2
