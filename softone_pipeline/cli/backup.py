"""softone backup and softone restore."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from softone_pipeline.cli.console import EXIT_FAILED, err, marked, out, swedish
from softone_pipeline.cli.upkeep import need_a_database
from softone_pipeline.readable import counted, moment
from softone_pipeline.settings import PipelineSettings

if TYPE_CHECKING:
    import duckdb

    from softone_pipeline.warehouse import Manifest


def _size(manifest: Manifest) -> str:
    return f"{counted(manifest.row_count, 'row', swedish=True)} of {counted(len(manifest.rows), 'table')}"


@click.command()
@click.argument("dest", type=click.Path(path_type=Path), required=False)
def backup(dest: Path | None) -> None:
    """Back up the pipeline's own database: raw history cannot be fetched again.

    DEST is a file, or a folder that gets a file named after the moment; without it, `backups` beside the database.
    It may run at any time: it waits for the database like every run, and holds it only while it is copied. The
    backup is one file, readable by whoever may read the database, with digests that `softone restore` checks.
    """
    settings = PipelineSettings.load()
    need_a_database(settings)

    from softone_pipeline.tables.rebuild import warehouse_of
    from softone_pipeline.warehouse import back_up, remember

    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    target = dest or settings.duckdb_path.with_name("backups")
    if dest is None or target.is_dir() or not target.suffix:
        target = target / f"{settings.duckdb_path.stem}-{stamp}.zip"
    # Before it is made: `softone forget` must know of every copy.
    remember(settings.duckdb_path, target, command="backup", source=str(settings.warehouse_path))
    manifest = back_up(warehouse_of(settings), target)
    out.print(f"Backed up {_size(manifest)} to")
    out.print(f"  {target} ({swedish(target.stat().st_size)} bytes)", soft_wrap=True)


@click.command()
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Also replace a database that is newer than the backup.")
def restore(source: Path, *, force: bool) -> None:
    """Put a backup in the place of the pipeline's own database, and publish it.

    Every byte is checked first, whoever was forgotten since is forgotten again, what SOFTONE_PSEUDONYMISE hides by now
    is pseudonymised, and a backup of an earlier version is brought up to date. A database that was fetched into after
    the backup is not replaced without --force. What stood there is kept beside, whatever it was.
    """
    settings = PipelineSettings.load()

    from softone_pipeline.tables.raw.pseudonymising import Privacy
    from softone_pipeline.tables.raw.restoring import forget_again, hide_again, privacy_in
    from softone_pipeline.tables.rebuild import rebuild_derived, rewrite_and_publish, warehouse_of
    from softone_pipeline.warehouse import restore as put_back

    warehouse = warehouse_of(settings)
    privacy, standing = Privacy.of(settings), privacy_in(warehouse, settings.duckdb_path)
    left: list[str] = []
    hidden: list[str] = []
    shown: list[str] = []

    def prepare(connection: duckdb.DuckDBPyConnection) -> None:
        left.extend(forget_again(connection, privacy, settings.company, standing.forgotten if standing else ()))
        pseudonymised, not_pseudonymised = hide_again(connection, privacy, settings.company, standing)
        hidden.extend(pseudonymised)
        shown.extend(not_pseudonymised)
        rebuild_derived(connection, settings)

    done = put_back(warehouse, source, force=force, prepare=prepare)
    rewrite_and_publish(warehouse, settings)
    made_at = moment(dt.datetime.fromisoformat(done.manifest.made_at))
    out.print(
        f"Restored {_size(done.manifest)}, as they were at {made_at}, and published them to {settings.duckdb_path}.",
        soft_wrap=True,
    )
    if done.replaced is not None:
        out.print(f"What stood there is kept as {done.replaced}; delete it when you like.", soft_wrap=True)
    for sentence in hidden:
        out.print(sentence, soft_wrap=True)
    if standing is None:
        unknown = (
            f"whoever was forgotten after {made_at}, for neither the database that stood here nor its published copy could be "
            "read. Run `softone forget` again for each of them."
        )
        err.print(marked("bold yellow", "Out of reach:", unknown), soft_wrap=True)
    for company in left:
        again = (
            f"customers of company {company} that were forgotten after {made_at} stand here again, for it was under another "
            "SOFTONE_HASH_KEY. Run `softone pseudonymise` with the settings of that company."
        )
        err.print(marked("bold yellow", "Out of reach:", again), soft_wrap=True)
    for sentence in shown:
        err.print(marked("bold yellow", "Out of reach:", sentence), soft_wrap=True)
    if left or shown:
        sys.exit(EXIT_FAILED)
