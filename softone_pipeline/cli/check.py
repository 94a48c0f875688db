"""softone check."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click
from pydantic import SecretStr

from softone_pipeline.cli.console import escaped, out
from softone_pipeline.errors import SettingProblem, SettingsError
from softone_pipeline.settings import ErpSettings, PipelineSettings, variable_name


@click.command()
def check() -> None:
    """Try the settings: each one well formed, login, one small request.

    Changes nothing and prints no secret. Says what to do about whatever does not work.
    """
    problems: list[SettingProblem] = []
    for settings_type in (PipelineSettings, ErpSettings):
        try:
            settings_type.load()
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    settings, erp = PipelineSettings.load(), ErpSettings.load()
    out.print("[green]✓[/] Every setting is present and well formed.")
    for line in _settings_lines(erp, settings):
        out.print(f"    {escaped(line)}", soft_wrap=True)
    folder = settings.duckdb_path.absolute().parent
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise click.ClickException(
            f"{existing} is no folder that can be written. Set SOFTONE_DUCKDB_PATH to a file in a folder of yours."
        )
    out.print(f"[green]✓[/] {escaped(str(folder))} can be written.", soft_wrap=True)

    from softone_pipeline.softone import SoftOneClient

    with SoftOneClient(erp) as client:
        report = client.check()
    out.print(f"[green]✓[/] Logged in ({report.token_source}).")
    out.print(
        f"[green]✓[/] {report.path} answered with {report.invoices} invoices for {report.first_day} to {report.last_day}."
    )
    if report.first_page is None:
        out.print(
            "    Which number its first page has shows only with more invoices; the client finds out as it reads."
        )
    else:
        out.print(f"    Its first page has number {report.first_page}.")
    out.print("Next: softone backfill --from YYYY-MM-DD --to YYYY-MM-DD")


def _settings_lines(erp: ErpSettings, settings: PipelineSettings) -> Iterator[str]:
    shown = {**settings.model_dump(), **erp.model_dump()}
    for name, value in sorted(shown.items()):
        if value is not None:
            yield f"{variable_name(name)} = {'(set)' if isinstance(value, SecretStr) else value}"
