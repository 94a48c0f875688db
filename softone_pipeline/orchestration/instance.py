"""Where Dagster keeps its state, for the commands that start Dagster themselves."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager

from softone_pipeline.errors import WarehouseAccessError
from softone_pipeline.settings import dagster_home
from softone_pipeline.warehouse import unwritable, why_not_written

_HERE = Path(__file__).parent

# A DuckDB file has one writer at a time: everything that writes it shares a pool of one (dagster.yaml).
WAREHOUSE_POOL = "softone_warehouse"

# Names the code location as pyproject.toml does, also where there is no checkout.
WORKSPACE = _HERE / "workspace.yaml"


def prepared_home() -> Path:
    """The folder of `dagster_home()`; made, and given our dagster.yaml, when it has none.

    Sets DAGSTER_HOME for this process and its children. Raises WarehouseAccessError when it cannot be written.
    """
    home = dagster_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "dagster.yaml").exists():
            shutil.copyfile(_HERE / "dagster.yaml", home / "dagster.yaml")
        trouble = unwritable(home)
    except OSError as error:
        trouble = f"{home} cannot be written: {why_not_written(error)}"
    if trouble:
        raise WarehouseAccessError(
            f"Dagster's history cannot be kept: {trouble} DAGSTER_HOME says where.",
            path=str(home),
        )
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def instance() -> dg.DagsterInstance:
    """The Dagster instance of `prepared_home()`, for runs in this process: what they print is not captured.

    Capturing takes processes of Dagster's that Ctrl-C reaches too, and they die of it with a traceback each. The run's
    log holds every line of ours all the same.
    """
    uncaptured = {"module": NoOpComputeLogManager.__module__, "class": NoOpComputeLogManager.__name__}
    return dg.DagsterInstance.from_ref(
        InstanceRef.from_dir(str(prepared_home()), overrides={"compute_logs": uncaptured})
    )


def prepare_pool() -> None:
    """Make the pool known in an instance that is new: the queue lets whatever waits in its first look past it."""
    with instance() as dagster_instance:
        dagster_instance.event_log_storage.initialize_concurrency_limit_to_default(WAREHOUSE_POOL)
