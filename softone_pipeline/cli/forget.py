"""softone forget."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
import duckdb

from softone_pipeline.cli.console import EXIT_FAILED, err, marked, out, print_table
from softone_pipeline.errors import SettingProblem, SettingsError
from softone_pipeline.readable import plural
from softone_pipeline.settings import PipelineSettings

if TYPE_CHECKING:
    from softone_pipeline.tables.raw.forgetting import Forgotten, Identity


class _DryRun(Exception):  # noqa: N818 (no error: it rolls a transaction back)
    """Carries what would have been done out of a transaction that is to be rolled back."""

    def __init__(self, forgotten: Forgotten) -> None:
        self.forgotten = forgotten
        super().__init__()


@click.command()
@click.argument("customer_nr")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask. Needed where there is no terminal.")
def forget(customer_nr: str, *, dry_run: bool, yes: bool) -> None:
    """Take a customer's identity out of everything that is stored here, for good.

    Name, number, organisation number and free text go: from raw and its history, quarantine, core, marts, the
    published copy, Dagster's history and captured output. Exported files that name the customer are deleted. Amounts
    stay, under a pseudonym, so that VAT still ties. What the ERP sends of the customer later is stored without
    identity too. Needs SOFTONE_HASH_KEY. Backups, and a history that Dagster
    keeps in PostgreSQL, are out of reach; they are named, and what to do.
    """
    settings = PipelineSettings.load()
    if settings.hash_key is None:
        raise SettingsError([SettingProblem("SOFTONE_HASH_KEY", "is missing. The pseudonym is made with it")])
    if not settings.warehouse_path.exists():
        raise click.UsageError(
            f"There is no database at {settings.warehouse_path}: nothing has been loaded, or SOFTONE_DUCKDB_PATH is another."
        )

    from softone_pipeline.orchestration.forgetting import scrub_history
    from softone_pipeline.tables.rebuild import rebuild_derived, rewrite_and_publish, warehouse_of

    # First what would be: it also tells what to look for elsewhere, before the database has forgotten it.
    found = _forget(settings, customer_nr, dry_run=True)
    if not found.is_known:
        raise click.UsageError(f"Company {settings.company} has no customer {customer_nr} in what is stored.")
    home = Path(os.environ.get("DAGSTER_HOME") or ".dagster").expanduser().absolute()
    if dry_run:
        scrubbed = scrub_history(home, found.identity, dry_run=True)
        exports, unreadable = _exports(settings, found.identity)
        _say("What would be done", found, scrubbed.rows, scrubbed.files, exports)
        _say_out_of_reach(settings, [*scrubbed.out_of_reach, *unreadable])
        return
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("This cannot be undone. Without a terminal to ask at, say --yes.")
        click.confirm(
            f"Forget customer {customer_nr} of {settings.company}, {found.versions} {plural(found.versions, 'version')} of invoices? "
            "This cannot be undone",
            abort=True,
        )
    scrubbed = scrub_history(home, found.identity)
    exports, unreadable = _exports(settings, found.identity)
    for path in exports:
        path.unlink(missing_ok=True)
    warehouse = warehouse_of(settings)
    done = _forget(settings, customer_nr, dry_run=False)
    with warehouse.transaction() as connection:
        rebuild_derived(connection, settings)
    rewrite_and_publish(warehouse, settings)
    _say("What was done", done, scrubbed.rows, scrubbed.files, exports)
    out.print(f"The customer is {done.identity.pseudonym} from now on.")
    _say_out_of_reach(settings, [*scrubbed.out_of_reach, *unreadable])
    if scrubbed.out_of_reach or unreadable:
        sys.exit(EXIT_FAILED)


def _forget(settings: PipelineSettings, customer_nr: str, *, dry_run: bool) -> Forgotten:
    from softone_pipeline.tables.raw.forgetting import forget_customer
    from softone_pipeline.tables.raw.pseudonymising import Privacy
    from softone_pipeline.tables.rebuild import warehouse_of

    try:
        with warehouse_of(settings).transaction() as connection:
            hide = Privacy.of(settings).pseudonymiser(connection, settings.company)
            assert hide is not None
            done = forget_customer(connection, settings.company, hide, customer_nr)
            if dry_run:
                raise _DryRun(done)
            return done
    except _DryRun as told:
        return told.forgotten


def _exports(settings: PipelineSettings, identity: Identity) -> tuple[list[Path], list[str]]:
    """Exported files that name the customer, and those of which it cannot be told."""
    from softone_pipeline.export.forgetting import mentions
    from softone_pipeline.warehouse import handed_over

    naming, unreadable = [], []
    for entry in handed_over(settings.duckdb_path):
        if not entry.path.exists() or entry.command == "backup":
            continue
        try:
            if mentions(entry.path, identity.pattern()):
                naming.append(entry.path)
        except (OSError, duckdb.Error, zipfile.BadZipFile) as error:
            unreadable.append(f"{entry.path}: {error}")
    return naming, unreadable


def _say(title: str, found: Forgotten, rows: int, files: int, exports: list[Path]) -> None:
    print_table(
        title,
        ("where", "how many"),
        [
            ("raw.customer_invoices, versions without identity", found.versions),
            ("raw.quarantine, payloads without identity", found.quarantined),
            ("Dagster's history, rows without identity", rows),
            ("captured output, files without identity", files),
            ("exported files that named the customer, deleted", len(exports)),
        ],
    )
    for path in exports:
        out.print(f"   {path}", soft_wrap=True)


def _say_out_of_reach(settings: PipelineSettings, others: list[str]) -> None:
    """What may still hold the customer and is left to the user."""
    from softone_pipeline.warehouse import handed_over

    own = settings.warehouse_path
    kept = [
        *(
            entry.path
            for entry in handed_over(settings.duckdb_path)
            if entry.command == "backup" and entry.path.exists()
        ),
        *sorted(own.parent.glob(f"{own.name}.version*")),
        *sorted(own.parent.glob(f"{own.stem}.replaced*{own.suffix}")),
    ]
    for path in kept:
        err.print(marked("bold yellow", "Out of reach:", f"{path} may still name the customer."), soft_wrap=True)
    for other in others:
        err.print(marked("bold yellow", "Out of reach:", other), soft_wrap=True)
    if not kept and not others:
        out.print("Copies that were made elsewhere (backups of the disk, files given away) are out of reach.")
