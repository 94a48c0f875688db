"""What the commands that keep the stored data in order ask for before they begin."""

from __future__ import annotations

import sys

import click

from softone_pipeline.settings import PipelineSettings


def need_a_database(settings: PipelineSettings) -> None:
    """Refuse to go on without one."""
    if not settings.warehouse_path.exists():
        raise click.UsageError(
            f"There is no database at {settings.warehouse_path}: nothing has been loaded, or SOFTONE_DUCKDB_PATH is another."
        )


def confirm(question: str) -> None:
    """Ask before what cannot be undone. Ends the command on a no, and where there is nobody to ask."""
    if not sys.stdin.isatty():
        raise click.UsageError("This cannot be undone. Without a terminal to ask at, say --yes.")
    click.confirm(f"{question} This cannot be undone", abort=True)
