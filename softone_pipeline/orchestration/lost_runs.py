"""Runs whose process is gone without a word (kill -9, power cut): found by the sign of life that each one holds.

Dagster does not see them: its default launcher cannot ask after a run, and a code server only watches its own. They
stay "started", so that queued runs, and the sensor that refreshes the tables, would wait for them for ever.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path

import dagster as dg

from softone_pipeline.orchestration.placement import Placement
from softone_pipeline.settings import PipelineSettings

log = logging.getLogger(__name__)

_SUFFIX = ".alive"
_LOST = "The process of this run is gone: it was killed, or the machine went down. What it wrote is whole."


@contextmanager
def sign_of_life(warehouse: Path, run_id: str) -> Iterator[None]:
    """Held while this process works for the run: a locked file beside the pipeline's own database.

    The kernel lets go of the lock when the process ends, however it ends; a number of a process would be given again.
    """
    with ExitStack() as stack:
        # Where the folder cannot be written or has no locks, the run says so itself or does without.
        with contextlib.suppress(OSError):
            _hold(warehouse, run_id, stack)
        yield


def fail_lost_runs(instance: dg.DagsterInstance, warehouse: Path) -> list[str]:
    """Mark each run as failed whose every sign of life has been let go of, not taken away; returns their ids."""
    lost = []
    prefix = _prefix(warehouse)
    signs = sorted(warehouse.parent.glob(f"{glob.escape(prefix)}*{_SUFFIX}"))
    for run_id, group in groupby(signs, key=lambda sign: sign.name.removeprefix(prefix).partition(".")[0]):
        left = list(group)
        run = instance.get_run_by_id(run_id)
        # Runs of another Dagster instance on the same database are its own affair.
        if run is None or not all(map(_is_let_go_of, left)):
            continue
        if not run.is_finished:
            log.warning("Run %s is marked as failed: its process is gone.", run_id)
            instance.report_run_failed(run, _LOST)
            lost.append(run_id)
        for sign in left:
            sign.unlink(missing_ok=True)
    return lost


def build_lost_runs_sensor(settings: PipelineSettings, place: Placement) -> dg.SensorDefinition:
    @dg.sensor(
        name=place.name("fail_lost_runs"),
        description="Marks a run as failed whose process was killed, so that nothing waits for it and it is tried again.",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def fail_lost_runs_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        lost = fail_lost_runs(context.instance, settings.warehouse_path)
        return dg.SkipReason(f"Marked as failed: {', '.join(lost)}." if lost else "No run is lost.")

    return fail_lost_runs_sensor


def _prefix(warehouse: Path) -> str:
    return f".{warehouse.stem}.run-"


def _hold(warehouse: Path, run_id: str, stack: ExitStack) -> None:
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f"{_prefix(warehouse)}{run_id}.", dir=warehouse.parent)
    stack.callback(os.close, descriptor)
    unlocked = Path(name)
    path = unlocked.with_name(unlocked.name + _SUFFIX)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        unlocked.unlink()
        raise
    # It has its lock before it has its name: nobody sees it without.
    unlocked.rename(path)
    stack.callback(path.unlink, missing_ok=True)


def _is_let_go_of(sign: Path) -> bool:
    try:
        with sign.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        # Held; or taken away just now, by a run that came to its end.
        return False
    return True
