"""What a figure is made of, worked out beside the mart: from core's judgements and the payloads' own amounts.

A residual is what the mart (or core) says less what this comes to. It is shown to be zero, and can be other than
zero: then something was changed or went wrong between the payload and the mart. Words are the command's business.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

import duckdb

from softone_pipeline.errors import SoftOneError
from softone_pipeline.readable import counted
from softone_pipeline.settings import PipelineSettings
from softone_pipeline.tables.proof.lines import Row, choose, days_fetched, last_day_of, records, sql

_CELLS, _BALANCE = sql("vat_cells"), sql("balance_invoices")
_AMOUNTS = ("net", "vat", "net_currency", "vat_currency")
_BUCKETS = ("unapplied_credit", "not_due", "due_1_30", "due_31_60", "due_61_90", "due_over_90", "no_due_date")
_TYPES = {
    "debit": "debit_invoiced",
    "credit": "credited",
    "interest": "interest",
    "reminder": "reminder",
    "unknown": "other_invoiced",
}


class NothingToExplainError(SoftOneError):
    """What was asked for is not in the database; `is_bad_input` when no load could bring it."""

    to_do = "Check the number, the month and SOFTONE_COMPANY; days never loaded are brought by softone backfill."

    def __init__(self, message: str, *, is_bad_input: bool = True) -> None:
        self.is_bad_input = is_bad_input
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Explanation:
    """`facts` about the figure, `parts` it is made of, `invoices` behind it, and `residuals`: all zero when it holds."""

    facts: Row
    parts: list[Row]
    invoices: list[Row]
    residuals: dict[str, Decimal]
    findings: list[str]

    @property
    def holds(self) -> bool:
        return not any(self.residuals.values()) and not self.findings


def explain_vat(
    connection: duckdb.DuckDBPyConnection,
    settings: PipelineSettings,
    *,
    month: dt.date | None,
    vat_class: str | None,
    status: str = "counted",
) -> Explanation:
    """The cells of a month (None: invoices without a date) and class (None: every class)."""
    names = {"company": settings.company, "month": month, "status": status}
    chosen = choose(
        connection,
        settings,
        "select company, invoice_id from core.invoices where company = $company and status_class = $status "
        "and date_trunc('month', invoice_date) is not distinct from $month::date",
        names,
    )
    if chosen == 0 and month is not None and days_fetched(connection, settings.company, month) == 0:
        raise NothingToExplainError(
            f"No day of {month:%Y-%m} has been fetched for {settings.company}: "
            f"softone backfill --from {month} --to {last_day_of(month)}",
            is_bad_input=False,
        )
    cells = records(connection, _CELLS, {**names, "vat_class": vat_class})
    residuals = {
        f"{over} - {under}, {amount}": sum(
            (abs(cell[f"{over}_{amount}"] - cell[f"{under}_{amount}"]) for cell in cells), Decimal(0)
        )
        for over, under in (("mart", "core"), ("core", "payload"))
        for amount in _AMOUNTS
    }
    invoices = records(
        connection,
        """
        select invoice_id, invoice_nr, invoice_date, customer_nr, customer_name, billing_type_name, currency,
            sum(net_amount) as net_amount, sum(vat_amount) as vat_amount, count(row_nr) as row_count
        from line where $vat_class is null or vat_class = $vat_class
        group by all order by abs(sum(net_amount) + sum(vat_amount)) desc, invoice_id
        """,
        {"vat_class": vat_class},
    )
    facts = {
        "month": month,
        "vat_class": vat_class,
        "status_class": status,
        "days_fetched": None if month is None else days_fetched(connection, settings.company, month),
        **{
            f"{side}_{amount}": sum((cell[f"{side}_{amount}"] for cell in cells), Decimal(0))
            for side in ("mart", "core", "payload")
            for amount in ("net", "vat")
        },
    }
    return Explanation(facts, cells, invoices, residuals, [])


def explain_balance(
    connection: duckdb.DuckDBPyConnection, settings: PipelineSettings, *, customer_nr: str
) -> Explanation:
    """A customer's row(s) of mart.customer_balance; an empty number is that of invoices without one."""
    names = {"company": settings.company, "customer_nr": customer_nr}
    said = records(
        connection,
        "from mart.customer_balance where company = $company and coalesce(customer_nr, '') = $customer_nr "
        "order by currency",
        names,
    )
    invoices = records(connection, _BALANCE, names)
    if not said and not invoices:
        near = connection.execute(
            """
            select customer_nr
            from (select distinct customer_nr from mart.customer_balance where company = $company)
            where damerau_levenshtein(lower(customer_nr), lower($customer_nr)) <= $most_typos
                or (len($customer_nr) > 2 and contains(lower(customer_nr), lower($customer_nr)))
            order by damerau_levenshtein(lower(customer_nr), lower($customer_nr)), customer_nr limit 5
            """,
            names | {"most_typos": len(customer_nr) // 3},
        ).fetchall()
        where = "mart.customer_balance lists the numbers: softone export mart.customer_balance --to customers.xlsx"
        raise NothingToExplainError(
            f"No counted invoice of customer {customer_nr!r} in {settings.company}. "
            + (f"Numbers like it: {', '.join(row[0] for row in near)}." if near else f"No number is like it; {where}")
        )
    residuals: dict[str, Decimal] = {}
    for currency in sorted({row["currency"] for row in (*said, *invoices)}, key=str):
        own = [row for row in invoices if row["currency"] == currency]
        cell: Row = next((row for row in said if row["currency"] == currency), {})
        for name, amount in _balance(own).items():
            if amount is None or cell.get(name) is None:
                # Unknown on one side only is as wrong as another amount.
                residuals[f"{currency} {name}"] = (
                    Decimal(0) if amount is cell.get(name) else (amount or cell.get(name) or Decimal(1))
                )
            else:
                residuals[f"{currency} {name}"] = cell[name] - amount
        residuals[f"{currency} core - payload, total"] = sum(
            (abs(row["total_amount"] - (row["sent_total"] or Decimal(0))) for row in own), Decimal(0)
        )
    return Explanation({"customer_nr": customer_nr}, said, invoices, residuals, [])


def _balance(invoices: list[Row]) -> dict[str, Decimal | None]:
    zero = Decimal("0.00")
    is_known = all(row["paid_amount"] is not None for row in invoices)
    found: dict[str, Decimal | None] = {
        name: sum((row["total_amount"] for row in invoices if row["billing_type_name"] == kind), zero)
        for kind, name in _TYPES.items()
    }
    found["net_invoiced"] = sum((row["total_amount"] for row in invoices), zero)
    found["past_due_invoiced"] = sum(
        (r["total_amount"] for r in invoices if r["total_amount"] > 0 and (r["days_past_due"] or 0) > 0), zero
    )
    for name in ("paid_amount", "open_amount"):
        found[name] = sum((row[name] for row in invoices), zero) if is_known else None
    for bucket in _BUCKETS:
        found[bucket] = sum((r["open_amount"] for r in invoices if r["ageing"] == bucket), zero) if is_known else None
    return found


def find_invoices(connection: duckdb.DuckDBPyConnection, company: str, text: str) -> list[Row]:
    """Invoices with this number or this InvoiceId."""
    return records(
        connection,
        """
        select invoice_id, invoice_nr, invoice_date, customer_nr, customer_name, billing_type_name, status_class,
            currency, total_amount
        from core.invoices
        where company = $company and (invoice_nr = $text or invoice_id = try_cast($text as bigint))
        order by invoice_date, invoice_id
        """,
        {"company": company, "text": text},
    )


def quarantined(connection: duckdb.DuckDBPyConnection, company: str, text: str) -> list[Row]:
    """What waits in quarantine under this InvoiceId."""
    return records(
        connection,
        "select invoice_id, partition_date, field, reason, fetched_at, payload from raw.quarantine "
        "where company = $company and invoice_id = try_cast($text as bigint)",
        {"company": company, "text": text},
    )


def explain_invoice(
    connection: duckdb.DuckDBPyConnection, settings: PipelineSettings, *, invoice_id: int
) -> Explanation:
    """One invoice: rows, lines, payment, versions and payload, and that they add up to the total as received."""
    names = {"company": settings.company, "invoice_id": invoice_id}
    choose(connection, settings, "select $company as company, $invoice_id::bigint as invoice_id", names)
    rows = records(
        connection,
        """
        select row_nr, row_kind, product_nr, text, quantity, sum_amount, net_amount, vat_amount,
            sum_amount_currency, net_amount_currency, vat_amount_currency, vat_class, vat_status
        from core.invoice_rows where company = $company and invoice_id = $invoice_id order by row_nr
        """,
        names,
    )
    lines = records(
        connection,
        """
        select vat_class, rate_source, count(row_nr) as row_count,
            sum(net_amount) as net_amount, sum(vat_amount) as vat_amount,
            sum(net_amount_currency) as net_amount_currency, sum(vat_amount_currency) as vat_amount_currency,
            sum(sent_net) as sent_net, sum(sent_vat) as sent_vat,
            sum(sent_net_currency) as sent_net_currency, sum(sent_vat_currency) as sent_vat_currency
        from line group by all order by vat_class
        """,
    )
    (header,) = records(connection, "from core.invoices where company = $company and invoice_id = $invoice_id", names)
    versions = records(
        connection,
        "select partition_date, fetched_at, change, superseded_at, end_reason, latest, payload_hash, "
        "md5(payload) as md5, payload, raw.read_invoice(coalesce(payload_normalised, payload)) as sent "
        "from raw.customer_invoices where company = $company and invoice_id = $invoice_id order by fetched_at",
        names,
    )
    payment = records(
        connection,
        "select total_amount, paid_amount, as_of from raw.payment_status "
        "where company = $company and invoice_id = $invoice_id and superseded_at is null",
        names,
    )
    newest = next((version for version in versions if version["latest"]), None)
    findings = []
    residuals = {}
    if newest is None:
        findings.append("core has the invoice, raw has no version of it")
    else:
        sent = newest["sent"]
        sign = -1 if header["sign_normalised"] else 1
        for name, key in (("total_amount", "TotalAmount"), ("total_amount_currency", "TotalAmountCurrency")):
            suffix = name.removeprefix("total_amount")
            added = sum((line[f"net_amount{suffix}"] + line[f"vat_amount{suffix}"] for line in lines), Decimal(0))
            residuals[f"payload - lines, {name}"] = sign * sent[key] - added
            residuals[f"core - payload, {name}"] = header[name] - sign * sent[key]
        for amount in _AMOUNTS:
            core = amount.replace("net", "net_amount").replace("vat", "vat_amount")
            residuals[f"core - payload, lines' {amount}"] = sum(
                (abs(line[core] - line[f"sent_{amount}"]) for line in lines), Decimal(0)
            )
        if len(rows) != len(sent["InvoiceRows"] or []):
            findings.append(f"core has {counted(len(rows), 'row')}, the payload {len(sent['InvoiceRows'] or [])}")
        if newest["payload_hash"] != newest["md5"]:
            findings.append("the payload is not the one that its hash was taken of")
    facts = {
        **header,
        "rows": rows,
        "payment": payment[0] if payment else None,
        "payload": newest and newest["payload"],
    }
    shown = [{k: v for k, v in version.items() if k not in {"sent", "payload", "md5"}} for version in versions]
    facts["versions"] = shown
    facts["quarantined"] = quarantined(connection, settings.company, str(invoice_id))
    return Explanation(facts, lines, [], residuals, findings)
