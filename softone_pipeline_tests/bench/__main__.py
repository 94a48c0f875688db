"""Runs every contender in turn, several rounds, and prints a table of medians and one of ratios.

Each round starts each contender once, as a process of its own in an empty folder, so that noise meets all alike.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from softone_pipeline_tests.bench import floor
from softone_pipeline_tests.bench.data import FIRST_DAY, DataSet, render
from softone_pipeline_tests.bench.measuring import Measured, measure, median
from softone_pipeline_tests.bench.parts import DLT, FLOOR, LIBRARY, Contender, parts, ratios

_ROOT = Path(__file__).parents[2]
PARTS = ("load", "latency", "lookback", "day", "many-days")


@contextmanager
def serving(data: DataSet) -> Iterator[str]:
    """The server in a process of its own; gives its address."""
    command = [sys.executable, "-m", "softone_pipeline_tests.bench.server", str(data.folder)]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def run(
    name: str, contender: Contender, data: DataSet, address: str, then: Callable[[Path], None] | None = None
) -> Measured:
    """One contender once, in an empty folder, which `then` may look at. Raises ClickException unless it is exact."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        measured = measure(contender.command, _environment(contender, folder, address), folder)
        if measured.status != 0:
            raise click.ClickException(f"{name} ended with status {measured.status}: {measured.output}")
        if wrong := contender.judge(folder, data.expected):
            raise click.ClickException(f"{name} is not exact: {'; '.join(wrong)}")
        if then is not None:
            then(folder)
    return measured


def _environment(contender: Contender, folder: Path, address: str) -> dict[str, str]:
    # Compiled modules are kept, as where a package was installed: compiling them anew takes half a second a process.
    dropped = ("SOFTONE_", "DAGSTER_", "PYTHONDONTWRITEBYTECODE")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return {
        **kept,
        "PYTHONPATH": str(_ROOT),
        "DAGSTER_HOME": str(folder / "dagster"),
        "SOFTONE_BASE_URL": address + contender.path,
        "SOFTONE_TOKEN": "bench-token",
        "SOFTONE_COMPANY_API_KEY": "bench",
        "SOFTONE_CONNECT_API_KEY": "bench",
        "SOFTONE_START_DATE": str(FIRST_DAY),
        "SOFTONE_DUCKDB_PATH": str(folder / "softone.duckdb"),
        **contender.settings,
    }


@click.command(help=__doc__)
@click.option("--days", default=100, show_default=True, help="Days of invoices.")
@click.option("--per-day", default=1000, show_default=True, help="Invoices a day, at least 30.")
@click.option("--rounds", default=5, show_default=True, help="How often each contender runs.")
@click.option("--only", "wanted", multiple=True, type=click.Choice(PARTS), help="These parts; all without it.")
@click.option("--million", is_flag=True, help="1,000 days of 1,000 invoices: with --only day --rounds 1, some minutes.")
@click.option("--big-day", is_flag=True, help="One day of 200,000 invoices: with --only load --rounds 1, some minutes.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keeps the rendered invoices for another time.")
def main(
    days: int, per_day: int, rounds: int, wanted: tuple[str, ...], million: bool, big_day: bool, folder: Path | None
) -> None:
    if million:
        days, per_day = 1000, 1000
    if big_day:
        days, per_day = 1, 200_000
    with tempfile.TemporaryDirectory() as made:
        data = render((folder or Path(made)) / f"{days}x{per_day}", days=days, per_day=per_day)
        by_part = parts(data)
        contenders = {name: one for part in wanted or PARTS for name, one in by_part[part].items()}
        if missing := {FLOOR, DLT} - by_part["load"].keys():
            click.echo(f'Left out: {", ".join(sorted(missing))}. They need pip install -e ".[bench]"')
        results: dict[str, list[Measured]] = defaultdict(list)
        with serving(data) as address:
            if FLOOR in contenders:
                run(LIBRARY, contenders[LIBRARY], data, address, lambda folder: floor.prepare(folder, data.folder))
            for number in range(1, rounds + 1):
                for name, contender in contenders.items():
                    results[name].append(one := run(name, contender, data, address))
                    click.echo(
                        f"round {number}: {name} {one.wall:.2f} s, CPU {one.cpu:.2f} s {dict(one.remarks)}", err=True
                    )
        medians = {name: median(found) for name, found in results.items()}
        click.echo(f"{days} days of {per_day} invoices, {data.expected.rows} rows, medians of {rounds} rounds\n")
        click.echo(_table(medians))


def _table(medians: Mapping[str, Measured]) -> str:
    lines = ["| contender | wall s | CPU s | peak MB |", "|---|--:|--:|--:|"]
    lines += [f"| {name} | {one.wall:.2f} | {one.cpu:.2f} | {one.peak_mb:.0f} |" for name, one in medians.items()]
    lines += ["", "| what is asked for | measured | bound |", "|---|--:|---|"]
    lines += [f"| {what} | {figure:.2f} | {bound} |" for what, figure, bound in ratios(medians)]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
