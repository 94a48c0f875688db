"""softone check."""

from __future__ import annotations

from collections.abc import Iterator

import click
from pydantic import SecretStr
from rich.text import Text

from softone_pipeline.cli.console import marked, out, print_json
from softone_pipeline.errors import SettingProblem, SettingsError
from softone_pipeline.readable import counted
from softone_pipeline.settings import ErpSettings, PipelineSettings, dagster_home, variable_name


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Say what was found as one JSON object.")
def check(as_json: bool) -> None:
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
    say = _unsaid if as_json else out.print
    say(marked("green", "✓", "Every setting is present and well formed."))
    for line in _settings_lines(erp, settings):
        say(f"    {line}", soft_wrap=True)

    from softone_pipeline.softone import SoftOneClient
    from softone_pipeline.warehouse import unwritable

    folder = settings.duckdb_path.absolute().parent
    home = dagster_home()
    for place, variable in ((folder, "SOFTONE_DUCKDB_PATH"), (home, "DAGSTER_HOME")):
        if trouble := unwritable(place):
            raise click.ClickException(f"{trouble} {variable} says where.")
        say(marked("green", "✓", f"{place} can be written."), soft_wrap=True)

    with SoftOneClient(erp) as client:
        report = client.check()
    say(marked("green", "✓", f"Logged in ({report.token_source})."))
    say(
        marked(
            "green",
            "✓",
            f"{report.path} answered with {counted(report.invoices, 'invoice')} for {report.first_day} to {report.last_day}.",
        ),
        soft_wrap=True,
    )
    if report.first_page is None:
        say(
            "    Which number its first page has shows only with more invoices; the client finds out as it reads.",
            soft_wrap=True,
        )
    else:
        say(f"    Its first page has number {report.first_page}.")
    if as_json:
        facts = {
            "settings": dict(line.split(" = ", 1) for line in _settings_lines(erp, settings)),
            "folder": folder,
            "token_source": report.token_source,
            "path": report.path,
            "invoices": report.invoices,
            "first_day": report.first_day,
            "last_day": report.last_day,
            "first_page": report.first_page,
        }
        print_json(facts, indent=None)
    say("Next: softone backfill --from YYYY-MM-DD --to YYYY-MM-DD")


def _unsaid(text: str | Text, *, soft_wrap: bool = False) -> None:
    """With --json nothing is said but the object."""


def _settings_lines(erp: ErpSettings, settings: PipelineSettings) -> Iterator[str]:
    shown = {**settings.model_dump(), **erp.model_dump()}
    for name, value in sorted(shown.items()):
        if value not in {None, ()}:
            yield f"{variable_name(name)} = {_shown(value)}"


def _shown(value: object) -> str:
    """As it would be written in a .env file, but for secrets."""
    if isinstance(value, SecretStr):
        return "(set)"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
