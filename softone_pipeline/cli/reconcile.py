"""softone reconcile: our sums of a month beside the ledger's, and what may explain a difference."""

from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from softone_pipeline.cli.console import EXIT_FAILED, err, out, print_json, print_table
from softone_pipeline.cli.days import Date
from softone_pipeline.cli.explain import parse_month
from softone_pipeline.readable import counted
from softone_pipeline.settings import STOCKHOLM, PipelineSettings


def _amount(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Decimal | None:
    from softone_pipeline.tables.proof.ledger import parse_amount

    try:
        return None if value is None else parse_amount(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.option("--period", required=True, metavar="YYYY-MM", help="The month, by invoice date.")
@click.option(
    "--receivables", metavar="AMOUNT", callback=_amount, help="Invoiced to accounts receivable in the month, with VAT."
)
@click.option(
    "--receivables-open", metavar="AMOUNT", callback=_amount, help="Accounts receivable at the end of the month (1510)."
)
@click.option("--vat-25", metavar="AMOUNT", callback=_amount, help="Output VAT at 25 % (2611).")
@click.option("--vat-12", metavar="AMOUNT", callback=_amount, help="Output VAT at 12 % (2621).")
@click.option("--vat-6", metavar="AMOUNT", callback=_amount, help="Output VAT at 6 % (2631).")
@click.option("--totals", type=_FILE, help="CSV from the ERP: account or name; amount.")
@click.option(
    "--invoices", type=_FILE, help="CSV from the ERP: invoice number; amount with VAT. Finds the very invoices."
)
@click.option(
    "--taken",
    type=Date(("%Y-%m-%d", "%Y-%m-%dT%H:%M"), like="2026-11-30 or 2026-11-30T16:00"),
    help="When the ledger's figures were taken.",
)
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON.")
def reconcile(
    *,
    period: str,
    totals: Path | None,
    invoices: Path | None,
    taken: dt.datetime | None,
    as_json: bool,
    **typed: Decimal | None,
) -> None:
    """Hold a month's sums against the ledger's, and list what may explain a difference.

    Amounts as in "1 234 567,89"; in accounting currency. Exit status 0 when all that was given ties to the öre.
    """
    from softone_pipeline.tables.proof import ledger
    from softone_pipeline.tables.proof.reconcile import reconcile as hold
    from softone_pipeline.warehouse import open_published

    settings, month = PipelineSettings.load(), parse_month(period)
    others = 0
    theirs: dict[str, Decimal] = {}
    if totals:
        theirs, others = ledger.read_totals(totals)
    theirs |= {name.replace("_", "-"): amount for name, amount in typed.items() if amount is not None}
    by_number = ledger.read_invoices(invoices) if invoices else None
    if not theirs and by_number is None:
        raise click.UsageError("Give at least one of the ledger's figures, such as --receivables or --totals FILE.")
    with open_published(settings.duckdb_path) as connection:
        found = hold(
            connection,
            settings,
            month=month,
            theirs=theirs,
            invoices=by_number,
            taken_at=taken.replace(tzinfo=STOCKHOLM) if taken else None,
        )
    if as_json:
        print_json(
            {
                "ties": found.ties,
                "days_not_fetched": found.days_not_fetched,
                "positions": [
                    {name: getattr(p, name) for name in ("name", "ours", "theirs", "difference", "ties", "note",
                                                         "candidates", "same_amount", "together")}
                    for p in found.positions
                ],
                "invoices": found.invoices,
            }
        )  # fmt: skip
    else:
        _print(settings, month, found, others)
    if not found.ties:
        sys.exit(EXIT_FAILED)


def _print(settings: PipelineSettings, month: dt.date, found: Any, others: int) -> None:
    print_table(
        f"{settings.company}, {month:%Y-%m}, in {settings.accounting_currency}",
        ("position", "ours", "the ledger's", "difference", ""),
        [
            (
                p.name,
                p.ours,
                p.theirs,
                p.difference,
                "not given" if p.theirs is None else "ties" if p.ties else "DIFFERS",
            )
            for p in found.positions
        ],
    )
    for p in found.positions:
        if p.note:
            out.print(f"{p.name}: {p.note}.", soft_wrap=True)
        if p.candidates:
            print_table(
                f"{p.name}: what would make the ledger differ, and by how much",
                ("reason", "effect", "invoices", "such as"),
                [
                    (c["reason"], c["effect"], c["invoice_count"], ", ".join(map(str, c["invoice_ids"])))
                    for c in p.candidates
                ],
            )
        if p.same_amount:
            print_table(
                f"{p.name}: single invoices that alone make the difference",
                ("invoice", "number", "date", "status", "amount", "how"),
                [
                    (str(i["invoice_id"]), i["invoice_nr"], i["invoice_date"], i["status_class"], i["amount"], i["how"])
                    for i in p.same_amount
                ],
            )
        for reasons in p.together:
            out.print(f"{p.name}: exactly the difference is {reasons}.", soft_wrap=True)
    if found.invoices:
        print_table(
            "Invoices that are not alike on both sides",
            ("number", "ours", "the ledger's", "difference", "what", "stands here as"),
            [
                (i["invoice_nr"], i["ours"], i["theirs"], i["difference"], i["what"], i["stands_as"])
                for i in found.invoices
            ],
        )
    if found.days_not_fetched:
        err.print(
            f"{counted(found.days_not_fetched, 'day of the month has', 'days of the month have')} never "
            "been fetched: run softone backfill first.",
            soft_wrap=True,
        )
    if others:
        out.print(f"{counted(others, 'line of another account was', 'lines of other accounts were')} left out.")
    if not found.ties:
        err.print(
            "Not everything ties. Go on with: softone explain vat|invoice …, softone verify --from … --to …",
            soft_wrap=True,
        )
