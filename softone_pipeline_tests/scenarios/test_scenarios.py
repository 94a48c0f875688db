"""The share of the scenarios that every test run plays; thousands more by `python -m softone_pipeline_tests.scenarios`."""

from __future__ import annotations

from collections import Counter

import pytest

from softone_pipeline_tests.scenarios.__main__ import telling
from softone_pipeline_tests.scenarios.drawing import scenario

COUNT = 200


@pytest.mark.timeout(600)
def test_two_hundred_mixes_of_faults_end_in_the_oracles_tables_or_fail_by_name() -> None:
    outcomes = list(telling(COUNT, seed=1, jobs=6))
    wrong = [(outcome.seed, outcome.wrong[0][:600]) for outcome in outcomes if outcome.wrong]
    assert wrong == []
    assert len(outcomes) == COUNT
    assert all(len(outcome.fired) >= 2 and outcome.most_pages >= 3 for outcome in outcomes)
    assert sum(outcome.must_fail for outcome in outcomes) > 10
    assert {"library", "dagster"} <= Counter(outcome.door for outcome in outcomes).keys()


def test_a_seed_is_always_the_same_scenario() -> None:
    assert [scenario(seed) for seed in range(50)] == [scenario(seed) for seed in range(50)]
