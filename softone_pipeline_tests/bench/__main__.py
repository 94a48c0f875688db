"""Runs every contender in turn, several rounds, and prints one table of medians and ratios.

Each round starts each contender once, as a process of its own in an empty folder, so that noise meets all alike.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from softone_pipeline_tests.bench.data import FIRST_DAY, DataSet, render
from softone_pipeline_tests.bench.exactness import problems
from softone_pipeline_tests.bench.measuring import Measured, measure

_PACKAGE = "softone_pipeline_tests.bench"
_ROOT = Path(__file__).parents[2]


def contenders(data: DataSet) -> dict[str, tuple[str, list[str]]]:
    """By name: the path under the server's root, and the command. dlt only where it is installed."""
    days = str(data.expected.days)
    ours = [sys.executable, "-m", f"{_PACKAGE}.contender"]
    command_line = [
        sys.executable,
        *("-m", "softone_pipeline", "backfill", "--from", str(FIRST_DAY), "--to", str(data.expected.last_day)),
    ]
    found = {
        "fetch only": ("", [*ours, "fetch", str(FIRST_DAY), days]),
        "library": ("", [*ours, "library", str(FIRST_DAY), days]),
        "softone backfill": ("", command_line),
        "backfill, empty days": ("/empty", command_line),
    }
    if importlib.util.find_spec("dlt") and importlib.util.find_spec("pyarrow"):
        found["dlt, landing only"] = (
            "",
            [sys.executable, "-m", f"{_PACKAGE}.dlt_contender", str(FIRST_DAY), days, "."],
        )
    return found


@contextmanager
def serving(data: DataSet) -> Iterator[str]:
    """The server in a process of its own; gives its address."""
    command = [sys.executable, "-m", f"{_PACKAGE}.server", str(data.folder)]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def run(name: str, data: DataSet, address: str) -> Measured:
    """One contender once, in an empty folder. Raises ClickException when it fails or is not exact."""
    path, command = contenders(data)[name]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("SOFTONE_", "DAGSTER_"))}
        environment |= {
            "PYTHONPATH": str(_ROOT),
            "DAGSTER_HOME": str(folder / "dagster"),
            "SOFTONE_BASE_URL": address + path,
            "SOFTONE_TOKEN": "bench-token",
            "SOFTONE_COMPANY_API_KEY": "bench",
            "SOFTONE_CONNECT_API_KEY": "bench",
            "SOFTONE_START_DATE": str(FIRST_DAY),
            "SOFTONE_DUCKDB_PATH": str(folder / "softone.duckdb"),
        }
        measured = measure(command, environment, folder)
        if measured.status != 0:
            raise click.ClickException(f"{name} ended with status {measured.status}: {measured.output}")
        if name in {"library", "softone backfill"} and (wrong := problems(folder / "softone.duckdb", data.expected)):
            raise click.ClickException(f"{name} is not exact: {'; '.join(wrong)}")
    return measured


@click.command(help=__doc__)
@click.option("--days", default=100, show_default=True, help="Days of invoices.")
@click.option("--per-day", default=1000, show_default=True, help="Invoices a day, at least 30.")
@click.option("--rounds", default=5, show_default=True, help="How often each contender runs.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keeps the rendered invoices for another time.")
def main(days: int, per_day: int, rounds: int, folder: Path | None) -> None:
    with tempfile.TemporaryDirectory() as made:
        data = render((folder or Path(made)) / f"{days}x{per_day}", days=days, per_day=per_day)
        names = list(contenders(data))
        if "dlt, landing only" not in names:
            click.echo('dlt is left out: pip install -e ".[bench]"')
        rows = data.expected.rows
        results: dict[str, list[Measured]] = defaultdict(list)
        with serving(data) as address:
            for number in range(1, rounds + 1):
                for name in names:
                    results[name].append(one := run(name, data, address))
                    click.echo(f"round {number}: {name} {one.wall:.2f} s, CPU {one.cpu:.2f} s", err=True)
    click.echo(f"{days} days of {per_day} invoices, {rows} rows, medians of {rounds} rounds")
    click.echo(table(results))


def table(results: dict[str, list[Measured]]) -> str:
    """Medians as a Markdown table; ratios are to the library path."""
    library = _medians(results["library"])
    lines = ["| contender | wall s | CPU s | peak MB | wall ÷ library | CPU ÷ library |", "|---|--:|--:|--:|--:|--:|"]
    for name, found in results.items():
        wall, cpu, peak = _medians(found)
        lines.append(
            f"| {name} | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {wall / library[0]:.2f} | {cpu / library[1]:.2f} |"
        )
    return "\n".join(lines)


def _medians(found: list[Measured]) -> tuple[float, float, float]:
    return (
        statistics.median(one.wall for one in found),
        statistics.median(one.cpu for one in found),
        statistics.median(one.peak_mb for one in found),
    )


if __name__ == "__main__":
    main()
