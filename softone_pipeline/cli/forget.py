"""softone forget."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
import duckdb

from softone_pipeline.cli.console import EXIT_FAILED, err, marked, out, print_table
from softone_pipeline.cli.upkeep import confirm, need_a_database
from softone_pipeline.errors import SettingProblem, SettingsError
from softone_pipeline.readable import counted
from softone_pipeline.settings import PipelineSettings, dagster_home

if TYPE_CHECKING:
    from softone_pipeline.tables.raw.forgetting import Forgotten, Identity


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
    need_a_database(settings)

    from softone_pipeline.orchestration.forgetting import scrub_history
    from softone_pipeline.tables.rebuild import rebuild_derived, rewrite_and_publish, warehouse_of

    warehouse, home = warehouse_of(settings), dagster_home()
    with warehouse.connect() as connection:
        connection.execute("begin")
        found = _forget(connection, settings, customer_nr)
        connection.execute("rollback")
    if not found.is_known:
        raise click.UsageError(f"Company {settings.company} has no customer {customer_nr} in what is stored.")
    if dry_run:
        scrubbed = scrub_history(home, found.identity, dry_run=True)
        exports, unreadable = _exports(settings, found.identity, dry_run=True)
        _say("What would be done", found, scrubbed.rows, scrubbed.files, exports)
        _say_out_of_reach(settings, [*scrubbed.out_of_reach, *unreadable])
        return
    if not yes:
        confirm(
            f"Forget customer {customer_nr} of {settings.company}, {counted(found.versions, 'version')} of invoices?"
        )
    with warehouse.transaction() as connection:
        done = _forget(connection, settings, customer_nr)
        rebuild_derived(connection, settings)
        # When the database can do its part, and before it has: it alone knows what to look for, and if this is cut
        # short the same command begins again.
        scrubbed = scrub_history(home, done.identity)
        exports, unreadable = _exports(settings, done.identity)
    rewrite_and_publish(warehouse, settings)
    _say("What was done", done, scrubbed.rows, scrubbed.files, exports)
    out.print(f"The customer is {done.identity.pseudonym} from now on.")
    _say_out_of_reach(settings, [*scrubbed.out_of_reach, *unreadable])
    if scrubbed.out_of_reach or unreadable:
        sys.exit(EXIT_FAILED)


def _forget(connection: duckdb.DuckDBPyConnection, settings: PipelineSettings, customer_nr: str) -> Forgotten:
    from softone_pipeline.tables.raw.forgetting import forget_customer
    from softone_pipeline.tables.raw.pseudonymising import Privacy

    hide = Privacy.of(settings).pseudonymiser(connection, settings.company)
    assert hide is not None
    return forget_customer(connection, settings.company, hide, customer_nr)


def _exports(settings: PipelineSettings, identity: Identity, *, dry_run: bool = False) -> tuple[list[Path], list[str]]:
    """Exported files that name the customer, deleted unless it is a dry run; and those of which it cannot be told."""
    from softone_pipeline.export.forgetting import mentions
    from softone_pipeline.warehouse import handed_over, registry_of, torn_lines

    naming = []
    unreadable = [
        f"Line {number} of {registry_of(settings.duckdb_path)} cannot be read: it was to name a file that was exported. Look for "
        "one that is in no other line, delete it if it names the customer, and then the line"
        for number in torn_lines(settings.duckdb_path)
    ]
    for entry in handed_over(settings.duckdb_path):
        if not entry.path.exists() or entry.command == "backup":
            continue
        try:
            if mentions(entry.path, identity.pattern()):
                if not dry_run:
                    entry.path.unlink(missing_ok=True)
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
        *sorted(own.parent.glob(f"{own.stem}.replaced*")),
    ]
    for path in kept:
        err.print(marked("bold yellow", "Out of reach:", f"{path} may still name the customer."), soft_wrap=True)
    for other in others:
        err.print(marked("bold yellow", "Out of reach:", other), soft_wrap=True)
    if not kept and not others:
        out.print("Copies that were made elsewhere (backups of the disk, files given away) are out of reach.")
