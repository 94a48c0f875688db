"""The command line: softone demo | check | backfill | up | verify | explain | reconcile | report | export
| sandbox. One module a command.

Only words and exit codes live here; what a command does lives in the rooms behind it. They are imported inside
the commands, because importing Dagster takes two seconds that `softone --help` need not cost.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import click
from dotenv import load_dotenv

from softone_pipeline.cli.backfill import backfill
from softone_pipeline.cli.backup import backup, restore
from softone_pipeline.cli.check import check
from softone_pipeline.cli.console import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_INTERRUPTED, err, escaped
from softone_pipeline.cli.demo import demo
from softone_pipeline.cli.explain import explain
from softone_pipeline.cli.export import export
from softone_pipeline.cli.forget import forget
from softone_pipeline.cli.pseudonymise import pseudonymise
from softone_pipeline.cli.reconcile import reconcile
from softone_pipeline.cli.report import report
from softone_pipeline.cli.sandbox import sandbox
from softone_pipeline.cli.up import up
from softone_pipeline.cli.verify import verify
from softone_pipeline.errors import OutputRefusedError, SettingsError, SoftOneError


class _Commands(click.Group):
    """Turns errors into one message and an exit code; tracebacks only with --debug."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            err.print("Stopped. What was written is whole; the same command again goes on.")
            sys.exit(EXIT_INTERRUPTED)
        except SoftOneError as error:
            if ctx.params.get("debug"):
                raise
            err.print(f"[bold red]Error:[/] {escaped(str(error))}", soft_wrap=True)
            sys.exit(EXIT_BAD_INPUT if isinstance(error, (SettingsError, OutputRefusedError)) else EXIT_FAILED)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            from softone_pipeline.warehouse import disk_trouble

            if trouble := disk_trouble(error):
                err.print(
                    f"[bold red]Error:[/] A file could not be written, here or in DAGSTER_HOME: {escaped(trouble)}"
                )
                sys.exit(EXIT_FAILED)
            err.print(f"[bold red]Unexpected error:[/] {escaped(type(error).__name__)}: {escaped(str(error))}")
            err.print("Run it again as `softone --debug …` to see where it comes from.")
            sys.exit(EXIT_FAILED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks and every log line.")
@click.version_option(package_name="softone-pipeline")
def main(debug: bool) -> None:
    """Customer invoices from SoftOne GO to DuckDB tables, run by Dagster.

    Start with `softone demo`: it needs no account. For your own company put the SOFTONE_ settings into the
    environment or into a file called .env in the current folder, try them with `softone check`, load history with
    `softone backfill`, and let `softone up` keep it fresh.

    Exit status: 0 all is well, 1 something failed, 2 a setting or an argument is wrong, 130 stopped by Ctrl-C.
    """
    load_dotenv(Path(".env"))
    # Dagster asks this before it has read any dagster.yaml.
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR, format="%(levelname)s %(message)s")
    # Whoever waits is told for what.
    logging.getLogger("softone_pipeline").setLevel(logging.DEBUG if debug else logging.WARNING)


for command in (
    demo,
    check,
    backfill,
    up,
    verify,
    explain,
    reconcile,
    report,
    export,
    backup,
    restore,
    pseudonymise,
    forget,
    sandbox,
):
    main.add_command(command)
