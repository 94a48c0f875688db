"""softone up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import click

from softone_pipeline.cli.console import out
from softone_pipeline.settings import PipelineSettings, stockholm_today

# Dagster would have people type `dg dev`, which wants a project around it.
_NOT_OURS_TO_HEED = "ignore:Function `dev_command` is superseded"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address the UI listens on.")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of the UI.")
@click.option("--sandbox", "with_sandbox", is_flag=True, help="Start the pretend ERP beside it (after `softone demo`).")
def up(host: str, port: int, with_sandbox: bool) -> None:
    """Start the Dagster UI and its daemon, until Ctrl-C.

    State is kept in DAGSTER_HOME, or in .dagster in this folder. Then: open the UI, Catalog, raw/customer_invoices,
    Materialize, choose days. Turn on the schedule refresh_recent_days under Automation to keep it fresh.
    """
    from softone_pipeline.orchestration.instance import WORKSPACE, dagster_home, prepare_pool

    settings = PipelineSettings.load()
    home = dagster_home()
    out.print(f"Dagster's history is kept in {home}", soft_wrap=True)
    out.print(f"The UI will be at http://{host}:{port}")
    prepare_pool()
    dagster = [sys.executable, "-W", _NOT_OURS_TO_HEED, "-m", "dagster"]
    command = [*dagster, "dev", "-w", str(WORKSPACE), "-h", host, "-p", str(port)]
    with _sandbox_process(settings) if with_sandbox else nullcontext():
        sys.exit(subprocess.call(command))


@contextmanager
def _sandbox_process(settings: PipelineSettings) -> Iterator[None]:
    days = (stockholm_today() - settings.start_date).days + 1
    process = subprocess.Popen([sys.executable, "-m", "softone_pipeline", "sandbox", "--days", str(days)])
    try:
        yield
    finally:
        process.terminate()
        process.wait()
