"""A range of days loaded in this process, through the same assets and into the same Dagster history as the UI's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import dagster as dg

from softone_pipeline.errors import SoftOneError
from softone_pipeline.orchestration.checks import SEARCH_IS_COMPLETE
from softone_pipeline.orchestration.lost_runs import fail_lost_runs, sign_of_life
from softone_pipeline.orchestration.partitions import range_tags
from softone_pipeline.orchestration.placement import ALONE
from softone_pipeline.tables.raw.customer_invoices import CUSTOMER_INVOICES

_RAW = ALONE.key(CUSTOMER_INVOICES)


@dataclass(frozen=True, slots=True)
class BackfillOutcome:
    """What came of it: the days that stand, what failed, and the checks that did not pass, each as a sentence."""

    days_standing: int
    days_asked: int
    failures: tuple[str, ...]
    failed_checks: tuple[str, ...]
    run_ids: tuple[str, ...]

    @property
    def succeeded(self) -> bool:
        return not self.failures


def run_backfill(
    definitions: dg.Definitions, instance: dg.DagsterInstance, warehouse: Path, first_day: dt.date, last_day: dt.date
) -> BackfillOutcome:
    """Fetch the days, then refresh payments, core, the marts and the published copy for whatever days stand.

    Two runs, so that one day that fails does not keep the others from the tables. `warehouse` is the pipeline's own
    file. An earlier one that was killed is marked as failed first: the UI's sensor would wait for it. Raises
    KeyboardInterrupt when stopped by Ctrl-C, which Dagster records as a failed step; the days that stand are recorded.
    """
    fail_lost_runs(instance, warehouse)
    job = definitions.resolve_job_def("refresh")
    fetched = _execute(_part(job, {_RAW}), instance, warehouse, tags=range_tags(first_day, last_day))
    results = [fetched]
    asked = (last_day - first_day).days + 1
    standing = _days_recorded(instance, fetched.run_id)
    if standing:
        behind = job.asset_layer.selected_asset_keys - {_RAW}
        results.append(_execute(_part(job, behind), instance, warehouse))
    failed_checks = [
        evaluation for result in results for evaluation in result.get_asset_check_evaluations() if not evaluation.passed
    ]
    unrefreshed = [evaluation for evaluation in failed_checks if _left_a_table_behind(evaluation)]
    return BackfillOutcome(
        days_standing=standing,
        days_asked=asked,
        failures=(
            *(sentence for result in results for sentence in _failures(result)),
            *map(_sentence, unrefreshed),
        ),
        failed_checks=tuple(_sentence(evaluation) for evaluation in failed_checks if evaluation not in unrefreshed),
        run_ids=tuple(result.run_id for result in results),
    )


def _execute(
    job: dg.JobDefinition, instance: dg.DagsterInstance, warehouse: Path, tags: Mapping[str, str] | None = None
) -> dg.ExecuteInProcessResult:
    run_id = str(uuid4())
    # From before the run is known of: whenever this process is killed, it can be told.
    with sign_of_life(warehouse, run_id):
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            tags=tags,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
    if any(map(_is_interruption, result.filter_events(lambda event: event.is_step_failure))):
        raise KeyboardInterrupt
    return result


def _part(job: dg.JobDefinition, assets: AbstractSet[dg.AssetKey]) -> dg.JobDefinition:
    """Some assets of a job with the checks that it has of them: left to itself, Dagster would take every check there is."""
    checks = {key for key in job.asset_layer.asset_graph.asset_check_keys if key.asset_key in assets}
    return job.get_subset(asset_selection=assets, asset_check_selection=checks)


def _sentence(evaluation: dg.AssetCheckEvaluation) -> str:
    return f"{evaluation.asset_key.to_user_string()}: {evaluation.description}"


def _left_a_table_behind(evaluation: dg.AssetCheckEvaluation) -> bool:
    """Whether a check says that payments were not refreshed: their step goes on, so that the tables behind it can."""
    return evaluation.check_name == SEARCH_IS_COMPLETE and evaluation.severity is dg.AssetCheckSeverity.ERROR


def _days_recorded(instance: dg.DagsterInstance, run_id: str) -> int:
    """Days that a run has recorded, also where it failed: the result of a failed run does not hold them."""
    events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    return len({event.dagster_event.partition for event in events if event.dagster_event})


def failure_sentence(event: dg.DagsterEvent) -> str:
    """Why a step failed, in its own words."""
    failure = event.step_failure_data
    said = failure.user_failure_data.description if failure.user_failure_data else None
    cause = failure.error.cause or failure.error if failure.error else None
    if said or cause is None:
        return said or f"{event.step_key} failed"
    return cause.message.strip().removeprefix(f"{SoftOneError.__module__}.{cause.cls_name}: ")


def _failures(result: dg.ExecuteInProcessResult) -> list[str]:
    """Why each failed step failed, in its own words; a run that failed in no step says so itself."""
    if result.success:
        return []
    sentences = [failure_sentence(event) for event in result.filter_events(lambda event: event.is_step_failure)]
    return sentences or [f"run {result.run_id} failed"]


def _is_interruption(step_failure: dg.DagsterEvent) -> bool:
    error = step_failure.step_failure_data.error
    return error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__
