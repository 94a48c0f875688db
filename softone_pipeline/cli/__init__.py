"""The command line: softone demo | check | backfill | up | verify | explain | reconcile | report | export
| backup | restore | pseudonymise | forget | sandbox. One module a command, but for restore, which is beside backup.

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
from softone_pipeline.cli.console import (
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    err,
    marked,
    print_json,
    speak_plainly_where_needed,
)
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
from softone_pipeline.errors import SoftOneError, WarehouseAccessError


class _Commands(click.Group):
    """Turns errors into one message, what to do, and an exit code; with --json into one object. Tracebacks: --debug."""

    def invoke(self, ctx: click.Context) -> Any:
        # What comes after the command's name, not yet parsed: it may be what is wrong.
        as_json = "--json" in ctx.args
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            _say("Stopped", "Stopped. What was written is whole.", "The same command again goes on.", as_json=as_json)
            sys.exit(EXIT_INTERRUPTED)
        except click.ClickException as error:
            if not as_json:
                raise
            usage = f"softone {ctx.invoked_subcommand or ''} --help".replace("  ", " ")
            _say(type(error).__name__, error.format_message(), f"{usage} shows what it takes.", as_json=as_json)
            sys.exit(error.exit_code)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            if isinstance(error, SoftOneError):
                _say(type(error).__name__, str(error), error.to_do, as_json=as_json)
                sys.exit(EXIT_BAD_INPUT if error.is_bad_input else EXIT_FAILED)
            from softone_pipeline.warehouse import disk_trouble

            if trouble := disk_trouble(error):
                what = f"A file could not be written, here or in DAGSTER_HOME: {trouble}"
                _say("WarehouseAccessError", what, WarehouseAccessError.to_do, as_json=as_json)
                sys.exit(EXIT_FAILED)
            what = f"Unexpected error, {type(error).__name__}: {error}"
            _say("UnexpectedError", what, "Run it as softone --debug … to see where it comes from.", as_json=as_json)
            sys.exit(EXIT_FAILED)


def _say(kind: str, message: str, to_do: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"error": {"kind": kind, "message": message, "to_do": to_do}})
    elif kind == "Stopped":
        err.print(f"{message} {to_do}")
    else:
        err.print(marked("bold red", "Error:", message), soft_wrap=True)
        if to_do not in message:
            err.print(marked("bold", "To do:", to_do), soft_wrap=True)


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
    speak_plainly_where_needed()
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
