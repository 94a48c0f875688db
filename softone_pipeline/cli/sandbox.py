"""softone sandbox."""

from __future__ import annotations

import datetime as dt

import click
from rich.table import Table as RichTable

from softone_pipeline.cli.console import out
from softone_pipeline.readable import counted
from softone_pipeline.settings import stockholm_today

# Where the sandbox answers unless told otherwise, so that the demo's .env keeps pointing at it.
SANDBOX_PORT = 8571


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=SANDBOX_PORT,
    show_default=True,
    help="0 picks a free one.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another company.")
@click.option(
    "--days",
    type=click.IntRange(1, 3660),
    default=90,
    show_default=True,
    help="Days of invoices, up to today.",
)
@click.option("--invoices-per-day", type=click.FloatRange(0.1, 10_000), default=25, show_default=True)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[:ARGUMENT]",
    help="Misbehave; may be given several times. `--fault list` lists them.",
)
def sandbox(port: int, seed: int, days: int, invoices_per_day: float, faults: tuple[str, ...]) -> None:
    """Run a pretend SoftOne GO on this machine, until Ctrl-C.

    It answers login, Filter and Search with made-up invoices, and prints the settings that reach it.
    """
    from softone_pipeline.sandbox import DEFAULT, FAULTS, Company, Sandbox, parse_fault

    if "list" in faults:
        table = RichTable("fault", "what it does", box=None)
        for name, description in FAULTS.items():
            table.add_row(name, str(description))
        out.print(table)
        return
    try:
        for fault in faults:
            parse_fault(fault)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    today = stockholm_today()
    company = Company(
        seed=seed,
        first_day=today - dt.timedelta(days=days - 1),
        last_day=today,
        invoices_per_day=invoices_per_day,
    )
    try:
        server = Sandbox(company, port=port, faults=faults)
        server.start()
    except OSError as error:
        raise click.ClickException(f"Port {port} cannot be used: {error.strerror}. Give another with --port.") from None
    invoices = counted(len(company.invoices()), "invoice")
    out.print(f"A pretend SoftOne GO with {invoices}. Settings that reach it:", soft_wrap=True)
    for name, value in DEFAULT.environment(server.base_url).items():
        out.print(f"  export {name}={value}", soft_wrap=True)
    server.serve_forever()
