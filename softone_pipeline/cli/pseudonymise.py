"""softone pseudonymise."""

from __future__ import annotations

import click

from softone_pipeline.cli.console import out
from softone_pipeline.cli.upkeep import confirm
from softone_pipeline.readable import counted
from softone_pipeline.settings import PipelineSettings


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask. Needed where there is no terminal.")
def pseudonymise(*, yes: bool) -> None:
    """Bring what is stored into line with SOFTONE_PSEUDONYMISE and SOFTONE_HASH_KEY, after one of them was changed.

    Stricter: identities are replaced in raw and all its history, and everything derived, as if it had been so from
    the start; no version begins or ends by it. Less strict, or another key: what is stored stays as it is, for it
    cannot be read back, and an invoice that is fetched again gets one new version.
    """
    settings = PipelineSettings.load()
    if not yes:
        confirm(
            f"Store company {settings.company} with SOFTONE_PSEUDONYMISE={settings.pseudonymise} from now on, and replace "
            "what stands?"
        )

    from softone_pipeline.tables.raw.pseudonymising import Privacy
    from softone_pipeline.tables.rebuild import rebuild_derived, rewrite_and_publish, warehouse_of

    warehouse = warehouse_of(settings)
    with warehouse.transaction() as connection:
        versions, quarantined = Privacy.of(settings).apply(connection, settings.company)
        rebuild_derived(connection, settings)
    rewrite_and_publish(warehouse, settings)
    out.print(f"{counted(versions, 'version')} and {counted(quarantined, 'payload')} in quarantine were pseudonymised.")
    out.print("Dagster's history and exported files are as they were: see softone_pipeline/docs/privacy.md.")
