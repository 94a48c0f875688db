"""The check that asks the ERP again: in a job of its own, naming what differs, leaving everything as it is."""

from __future__ import annotations

import datetime as dt
from typing import Any

import dagster as dg
import duckdb
import pytest

from softone_pipeline.definitions import build_definitions
from softone_pipeline.orchestration.partitions import range_tags
from softone_pipeline.sandbox import Sandbox
from softone_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, RAW, Plant, days_between

VERIFIED = dg.AssetCheckKey(RAW, "verified_against_erp")


def _verify(
    plant: Plant, first_day: dt.date | str = FIRST_DAY, last_day: dt.date | str = LAST_DAY
) -> dg.AssetCheckEvaluation:
    days = {"first_day": str(first_day), "last_day": str(last_day)}
    config: dict[str, Any] = {"ops": {"raw__customer_invoices_verified_against_erp": {"config": days}}}
    run = build_definitions().resolve_job_def("verify").execute_in_process(instance=plant.instance, run_config=config)
    (evaluation,) = run.get_asset_check_evaluations()
    assert evaluation.check_name == "verified_against_erp"
    return evaluation


def test_loading_does_not_read_the_erp_twice_and_verifying_does_so_without_writing(plant: Plant) -> None:
    assert plant.load().succeeded
    assert not plant.instance.event_log_storage.get_asset_check_execution_history(VERIFIED, limit=1)
    before = plant.pipelines_own("from raw.customer_invoices order by all")
    evaluation = _verify(plant)
    assert evaluation.passed, evaluation.description
    assert evaluation.metadata["days_whole"].value == 8
    assert evaluation.metadata["invoices_matched"].value == len(before)
    assert plant.pipelines_own("from raw.customer_invoices order by all") == before


def test_a_run_that_the_ui_launches_with_every_check_of_the_asset_reads_the_erp_once(plant: Plant) -> None:
    job = build_definitions().resolve_implicit_global_asset_job_def().get_subset(asset_selection={RAW})
    assert "raw__customer_invoices_verified_against_erp" in {node.name for node in job.nodes}
    run = job.execute_in_process(instance=plant.instance, tags=range_tags(FIRST_DAY, LAST_DAY))
    assert run.success
    assert plant.materialized_days() == set(days_between(FIRST_DAY, LAST_DAY))
    assert VERIFIED.name not in {evaluation.check_name for evaluation in run.get_asset_check_evaluations()}


@pytest.mark.parametrize(
    ("first_day", "last_day", "said"),
    [
        (LAST_DAY, FIRST_DAY, "There is nothing to verify from 2025-04-02 to 2025-03-26"),
        (FIRST_DAY - dt.timedelta(days=1), LAST_DAY, "days go from 2025-03-26"),
        (FIRST_DAY, "2099-01-01", "There is nothing to verify"),
        (FIRST_DAY, "2025-04-31", "days like 2026-11-30"),
    ],
)
def test_days_that_cannot_be_verified_are_refused(
    plant: Plant, first_day: dt.date, last_day: dt.date | str, said: str
) -> None:
    with pytest.raises(dg.Failure, match=said):
        _verify(plant, first_day, last_day)


def test_an_invoice_that_is_lost_from_the_store_is_named(plant: Plant) -> None:
    assert plant.load().succeeded
    lost = plant.company.invoices()[3]["InvoiceId"]
    with duckdb.connect(str(plant.settings.warehouse_path)) as connection:
        connection.execute("delete from raw.customer_invoices where invoice_id = ?", [lost])
    evaluation = _verify(plant)
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert f"not_here: invoice {lost}" in str(evaluation.description)
    assert evaluation.metadata["differences"].value == 1


def test_what_the_erp_would_not_say_is_unknown_in_the_certificate_and_not_nothing(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plant.load().succeeded
    with Sandbox(plant.company, faults=["null:rate=1"], faults_in_a_row=None) as sandbox:
        monkeypatch.setenv("SOFTONE_BASE_URL", sandbox.base_url)
        evaluation = _verify(plant)
    assert not evaluation.passed
    stored = dict(plant.pipelines_own("select partition_date::varchar, count(*) from raw.customer_invoices group by 1"))
    lines = str(evaluation.metadata["certificate"].value).splitlines()[2:]
    for line in lines:
        day, here, there, matched, _, total_there, whole = line.strip("| ").split(" | ")
        assert here == str(stored.get(day, 0))
        assert (there, matched, total_there, whole) == ("—", "—", "—", "NO")
    assert sum(stored.values()) > len(lines) == 8
