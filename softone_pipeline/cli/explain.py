"""softone explain: the rows, rounding, credits and adjustments that a figure is made of, and that nothing is left over."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
import msgspec

from softone_pipeline.cli.console import (
    EXIT_FAILED,
    err,
    marked,
    out,
    print_json,
    print_table,
    swedish,
)
from softone_pipeline.readable import counted, moment
from softone_pipeline.settings import PipelineSettings

if TYPE_CHECKING:
    import duckdb

    from softone_pipeline.tables.proof.explain import Explanation

_CLASSES = ("unknown", "none", "tax_reduction", "rounding", "header_adjustment", "0")
_STATUSES = ("counted", "preliminary", "cancelled", "missing", "unknown")
_show = click.option(
    "--largest", type=click.IntRange(1), default=10, show_default=True, help="How many invoices to list."
)
_all = click.option("--all", "show_all", is_flag=True, help="List every invoice.")
_json = click.option("--json", "as_json", is_flag=True, help="Everything as JSON.")


@click.group()
def explain() -> None:
    """What a figure is made of, down to the payload as received.

    Worked out beside the mart, from the payloads' own amounts, so that what is left over can be shown: it is zero, or
    something is wrong. Exit status 1 when a figure is not explained to the öre.
    """


@explain.command()
@click.argument("month", metavar="YYYY-MM")
@click.argument("vat_class", metavar="[CLASS]", required=False)
@click.option("--status", type=click.Choice(_STATUSES), default="counted", show_default=True, help="Which invoices.")
@_show
@_all
@_json
def vat(month: str, vat_class: str | None, *, status: str, largest: int, show_all: bool, as_json: bool) -> None:
    """A month of mart.vat_summary, every class or one (25, 12, 6, 0, rounding, header_adjustment, …).

    MONTH is by invoice date; `none` stands for invoices without a date.
    """
    from softone_pipeline.tables.proof.explain import explain_vat
    from softone_pipeline.warehouse import open_published

    settings = PipelineSettings.load()
    known = (*(f"{rate.normalize():f}" for rate in settings.vat_rates), *_CLASSES)
    if vat_class is not None and vat_class not in known:
        raise click.UsageError(f"{vat_class!r} is no VAT class; there are {', '.join(known)}.")
    day = None if month == "none" else parse_month(month)
    with open_published(settings.duckdb_path) as connection:
        found = explain_vat(connection, settings, month=day, vat_class=vat_class, status=status)
    if as_json:
        _finish_json(found)
        return
    facts = found.facts
    name = "invoices without a date" if day is None else f"{day:%Y-%m}"
    what = f"{name}, {f'VAT class {vat_class}' if vat_class else 'all VAT classes'}, {status} ({settings.company})"
    print_table(
        f"{what}, in {settings.accounting_currency}",
        ("where", "net", "VAT"),
        [(said, facts[f"{side}_net"], facts[f"{side}_vat"]) for side, said in _SIDES.items()],
    )
    print_table(
        "made of",
        ("class", "currency", "type", "from", "invoices", "rows", "turned negative", "net", "VAT", "net, own", "VAT, own"),
        [
            (p["vat_class"], p["currency"], p["billing_type_name"], p["rate_source"], p["invoice_count"], p["row_count"],
             p["turned_negative_count"], p["payload_net"], p["payload_vat"], p["payload_net_currency"], p["payload_vat_currency"])
            for p in found.parts
        ],
    )  # fmt: skip
    if day is not None and not found.invoices:
        out.print(
            f"Nothing is on this line: {counted(facts['days_fetched'], 'day of the month has', 'days of the month have')} been fetched."
        )
    _print_invoices(
        found.invoices,
        (
            "invoice_id",
            "invoice_nr",
            "invoice_date",
            "customer_nr",
            "billing_type_name",
            "row_count",
            "net_amount",
            "vat_amount",
        ),
        ("net_amount", "vat_amount"),
        count=None if show_all else largest,
    )
    _finish(found)


@explain.command()
@click.argument("customer_nr")
@_show
@_all
@_json
def balance(customer_nr: str, largest: int, show_all: bool, as_json: bool) -> None:
    """A customer's row of mart.customer_balance. CUSTOMER_NR "" stands for invoices without a customer number."""
    from softone_pipeline.tables.proof.explain import explain_balance
    from softone_pipeline.warehouse import open_published

    settings = PipelineSettings.load()
    with open_published(settings.duckdb_path) as connection:
        found = explain_balance(connection, settings, customer_nr=customer_nr)
    if as_json:
        _finish_json(found)
        return
    for cell in found.parts:
        print_table(
            f"Customer {customer_nr} {cell['customer_name'] or ''}, {cell['currency']} invoices, as of {cell['as_of']}, "
            f"payments {cell['payment_basis']} (amounts in {settings.accounting_currency})",
            ("of mart.customer_balance", "amount"),
            [(name, value) for name, value in cell.items() if isinstance(value, Decimal)],
        )
        if cell["payment_basis"] == "unknown":
            out.print(
                f"The ERP has not said what is paid of {cell['unknown_payment_count']} of its invoices: read invoiced, not outstanding."
            )
    _print_invoices(
        found.invoices,
        ("invoice_id", "invoice_nr", "invoice_date", "due_date", "billing_type_name", "currency", "total_amount",
         "paid_amount", "open_amount", "ageing"),
        ("total_amount", "paid_amount", "open_amount"),
        count=None if show_all else largest,
    )  # fmt: skip
    _finish(found)


@explain.command()
@click.argument("number", metavar="NR_OR_ID")
@_json
def invoice(number: str, as_json: bool) -> None:
    """One invoice, by its number or its InvoiceId: rows, lines, payment, versions, and the payload as received."""
    from softone_pipeline.warehouse import open_published

    settings = PipelineSettings.load()
    with open_published(settings.duckdb_path) as connection:
        found, answering = _the_invoice(connection, settings, number)
    if as_json:
        _finish_json(found)
        return
    f = found.facts
    if answering > 1:
        err.print(f"{answering} invoices answer to {number}: this is the one with that InvoiceId.")
    is_foreign = f["currency"] != settings.accounting_currency
    sides = ("", "_currency") if is_foreign else ("",)
    amounts = ("net", "VAT", "net, own", "VAT, own")[: 2 * len(sides)]
    out.print(
        f"Invoice {f['invoice_nr']} (id {f['invoice_id']}), {f['invoice_date'] or 'no date'}, due {f['due_date'] or 'no date'}, customer "
        f"{f['customer_nr']} {f['customer_name'] or ''}: {f['billing_type_name']}, {f['status_class']}, {f['currency']}, "
        f"prices {f['price_basis']}" + (", sent positive and turned negative" if f["sign_normalised"] else ""),
        soft_wrap=True,
    )
    print_table(
        "Rows",
        ("row", "kind", "article", "text", *amounts, "class", "status"),
        [
            (str(r["row_nr"]), r["row_kind"], r["product_nr"], r["text"], *_net_and_vat(r, sides), r["vat_class"], r["vat_status"])
            for r in f["rows"]
        ],
    )  # fmt: skip
    total = (value for s in sides for value in (f[f"total_amount{s}"] - f[f"vat_amount{s}"], f[f"vat_amount{s}"]))
    print_table(
        "Lines of mart.vat_summary: net + VAT add up to the total",
        ("class", "from", *amounts),
        [
            *((p["vat_class"], p["rate_source"], *_net_and_vat(p, sides)) for p in found.parts),
            ("total", "", *total),
        ],
    )
    out.print(
        f"Total with VAT: {swedish(f['total_amount'])}"
        + (f" ({swedish(f['total_amount_currency'])} {f['currency']})" if is_foreign else "")
    )
    payment = f["payment"]
    said = (
        f"{swedish(payment['paid_amount'])} paid of {swedish(payment['total_amount'])}, said {moment(payment['as_of'])}"
        if payment and payment["paid_amount"] is not None
        else "the ERP has not said"
    )
    out.print(f"Payment: {said}.")
    for version in f["versions"]:
        ended = (
            f", ended {moment(version['superseded_at'])} ({version['end_reason']})" if version["superseded_at"] else ""
        )
        out.print(
            f"Version of {moment(version['fetched_at'])}: {version['change']}, dated {version['partition_date']}{ended}"
        )
    for waiting in f["quarantined"]:
        err.print(
            f"A newer payload could not be typed ({waiting['field']} {waiting['reason']}): these are older figures."
        )
    if f["payload"]:
        out.print("\nThe payload as received (only indented):")
        out.print(_indented(f["payload"]), soft_wrap=True)
    if f["invoice_date"]:
        out.print(
            f"Where it is counted: softone explain vat {f['invoice_date']:%Y-%m}; softone explain balance '{f['customer_nr'] or ''}'"
        )
    _finish(found)


def _net_and_vat(line: dict[str, Any], sides: Sequence[str]) -> list[Any]:
    return [line[f"{name}_amount{side}"] for side in sides for name in ("net", "vat")]


_SIDES = {"mart": "mart.vat_summary says", "core": "core's rows come to", "payload": "the payloads come to"}


def parse_month(text: str) -> dt.date:
    """YYYY-MM as the month's first day, or a usage error."""
    try:
        return dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise click.UsageError(f"{text!r} is no month: write it like 2026-02.") from None


def _the_invoice(
    connection: duckdb.DuckDBPyConnection, settings: PipelineSettings, number: str
) -> tuple[Explanation, int]:
    """The invoice that a number or an id stands for, and how many answer to it. Raises NothingToExplainError."""
    from softone_pipeline.tables.proof import explain as proof

    candidates = proof.find_invoices(connection, settings.company, number)
    by_id = [c for c in candidates if str(c["invoice_id"]) == number]
    if by_id or len(candidates) == 1:
        chosen = (by_id or candidates)[0]
        return proof.explain_invoice(connection, settings, invoice_id=chosen["invoice_id"]), len(candidates)
    if candidates:
        lines = "\n".join(
            f"  {c['invoice_id']}  number {c['invoice_nr']}, {c['invoice_date']}, customer {c['customer_nr']}, {c['total_amount']}"
            for c in candidates
        )
        raise proof.NothingToExplainError(f"{len(candidates)} invoices have the number {number}; give the id:\n{lines}")
    waiting = proof.quarantined(connection, settings.company, number)
    if waiting:
        raise proof.NothingToExplainError(
            f"Invoice {number} could not be typed and is in no table: {waiting[0]['field']} {waiting[0]['reason']}. "
            f"As received: {waiting[0]['payload']}",
            is_bad_input=False,
        )
    raise proof.NothingToExplainError(f"No invoice of {settings.company} has the number or id {number!r}.")


def _print_invoices(
    invoices: Sequence[dict[str, Any]], columns: tuple[str, ...], sums: tuple[str, ...], *, count: int | None
) -> None:
    shown, rest = invoices[:count], invoices[count:] if count else []
    rows = [tuple(str(i[c]) if c == "invoice_id" else i[c] for c in columns) for i in shown]
    if rest:
        left = {name: sum((i[name] for i in rest if i[name] is not None), Decimal(0)) for name in sums}
        rows.append((counted(len(rest), "other"), *(left.get(name, "") for name in columns[1:])))
    print_table(f"{counted(len(invoices), 'invoice')}, the largest first", columns, rows)
    if rest:
        out.print("--all lists every one.")
    if shown:
        out.print(f"Go on with: softone explain invoice {shown[0]['invoice_id']}")


def _finish(found: Explanation) -> None:
    if found.holds:
        out.print(
            marked(
                "green",
                "✓",
                f"Residual {swedish(Decimal('0.00'))}: every figure is explained to the öre ({counted(len(found.residuals), 'comparison')}).",
            )
        )
        return
    err.print(
        marked("bold red", "NOT EXPLAINED:", "something was changed, or went wrong, between the payload and the mart.")
    )
    for name, residual in found.residuals.items():
        if residual:
            err.print(f"   {name}: {swedish(residual)}")
    for finding in found.findings:
        err.print(f"   {finding}")
    err.print("Load the days again (softone backfill); if it stays, the raw versions in raw.customer_invoices decide.")
    sys.exit(EXIT_FAILED)


def _finish_json(found: Explanation) -> None:
    print_json(
        {
            "holds": found.holds,
            "facts": found.facts,
            "parts": found.parts,
            "invoices": found.invoices,
            "residuals": found.residuals,
            "findings": found.findings,
        }
    )
    if not found.holds:
        sys.exit(EXIT_FAILED)


def _indented(payload: str) -> str:
    try:
        return msgspec.json.format(payload, indent=2)
    except msgspec.MsgspecError:
        return payload
