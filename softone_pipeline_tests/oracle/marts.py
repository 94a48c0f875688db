"""What mart.vat_summary, mart.vat_return_draft and mart.customer_balance must say, from core's facts alone.

Needs only columns of core (flagged_count uses the underscored extras of `facts` where they are there), so it
can be fed with the pipeline's own core tables as well as with the oracle's.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_DOWN, Decimal
from typing import Any

from softone_pipeline_tests.oracle.facts import Fact, header_vat_class, ore

ZERO = Decimal("0.00")
AMOUNTS = ("net_amount", "vat_amount", "net_amount_currency", "vat_amount_currency")


class OracleError(AssertionError):
    """A promise of tables.md is broken inside the oracle, or by the core facts it was fed with."""


@dataclass
class _Line:
    amounts: list[Decimal] = field(default_factory=lambda: [ZERO] * 4)
    invoices: set[Any] = field(default_factory=set)
    rows: int = 0
    flagged: int = 0

    def add(self, amounts: Iterable[Decimal | None], *, rows: int = 0, flagged: bool = False) -> None:
        self.amounts = [old + (new or ZERO) for old, new in zip(self.amounts, amounts, strict=True)]
        self.rows += rows
        self.flagged += flagged

    def take(self, other: "_Line", invoice_id: int) -> None:
        self.add(other.amounts, rows=other.rows)
        self.flagged += other.flagged
        self.invoices.add(invoice_id)


def _exact_ore(amount: Decimal) -> int:
    whole = ore(amount)
    assert whole is not None
    return whole


def vat_lines(invoice: Fact, rows: Iterable[Fact]) -> dict[tuple[str, str], _Line]:
    """One invoice's lines by (vat_class, rate_source); the identity is asserted in both currencies."""
    lines: dict[tuple[str, str], _Line] = defaultdict(_Line)
    total, total_currency = invoice["total_amount"], invoice["total_amount_currency"]
    vat, vat_currency = invoice["vat_amount"], invoice["vat_amount_currency"]
    if invoice["price_basis"] == "header":
        found = header_vat_class(_exact_ore(total_currency), _exact_ore(vat_currency))
        header = (total - vat, vat, total_currency - vat_currency, vat_currency)
        lines[found, "header"].add(header, flagged=found == "unknown")
    else:
        for row in rows:
            if row["row_kind"] != "subtotal":
                amounts = [row[name] for name in AMOUNTS]
                lines[row["vat_class"], "row"].add(amounts, rows=1, flagged=row.get("_flag") is not None)
        net_rows, vat_rows, net_rows_currency, vat_rows_currency = (
            sum((line.amounts[n] for line in lines.values()), ZERO) for n in range(4)
        )
        rounding, rounding_currency = invoice["rounding_amount"], invoice["rounding_amount_currency"]
        if rounding or rounding_currency:
            lines["rounding", "header"].add((rounding, ZERO, rounding_currency, ZERO))
        adjustment = (
            total - vat - net_rows - rounding,
            vat - vat_rows,
            total_currency - vat_currency - net_rows_currency - rounding_currency,
            vat_currency - vat_rows_currency,
        )
        if any(adjustment):
            flagged = bool({"unreconciled", "header_vat"} & set(invoice.get("_flags", ())))
            lines["header_adjustment", "header"].add(adjustment, flagged=flagged)
        if invoice["net_amount"] != net_rows or invoice["net_amount_currency"] != net_rows_currency:
            raise OracleError(f"invoice {invoice['invoice_id']}: net_amount is not the sum of its rows'")
        # what is left beyond rows and rounding is no more than the header's VAT says, where the invoice foots
        beyond = {"net": ZERO, "gross": -adjustment[3], "unreconciled": adjustment[2]}[invoice["price_basis"]]
        if adjustment[2] != beyond:
            raise OracleError(f"invoice {invoice['invoice_id']} does not foot as {invoice['price_basis']}")
    for what, n in ((total, 0), (total_currency, 2)):
        if sum((line.amounts[n] + line.amounts[n + 1] for line in lines.values()), ZERO) != what:
            raise OracleError(f"invoice {invoice['invoice_id']}: lines do not sum to {what}")
    return dict(lines)


def vat_summary(invoices: list[Fact], rows: list[Fact]) -> list[Fact]:
    rows_of: dict[tuple[str, int], list[Fact]] = defaultdict(list)
    for row in rows:
        rows_of[row["company"], row["invoice_id"]].append(row)
    summary: dict[tuple[Any, ...], _Line] = defaultdict(_Line)
    for invoice in invoices:
        key = (invoice["company"], invoice["invoice_id"])
        day = invoice["invoice_date"]
        month = None if day is None else day.replace(day=1)
        group = (key[0], month, *(invoice[k] for k in ("currency", "billing_type_name", "status_class")))
        for line_key, line in vat_lines(invoice, rows_of[key]).items():
            summary[group + line_key].take(line, key[1])
    names = [
        "company",
        "period_month",
        "currency",
        "billing_type_name",
        "status_class",
        "vat_class",
        "rate_source",
    ]
    return [
        dict(zip(names, group, strict=True))
        | dict(zip(AMOUNTS, line.amounts, strict=True))
        | {"invoice_count": len(line.invoices), "row_count": line.rows, "flagged_count": line.flagged}
        for group, line in summary.items()
    ]


BOXES: dict[str, tuple[tuple[str, ...], str]] = {
    "05": (("25", "12", "6"), "net_amount"),
    "10": (("25",), "vat_amount"),
    "11": (("12",), "vat_amount"),
    "12": (("6",), "vat_amount"),
    "0-base": (("0",), "net_amount"),
}


def vat_return_draft(
    invoices: Iterable[Fact], rows: Iterable[Fact], quarantined: Iterable[tuple[str, date]] = ()
) -> list[Fact]:
    """Five boxes for every company and month that has an invoice; note is for people and left out.

    quarantined: company and day of each invoice in quarantine.
    """
    rows_of: dict[tuple[str, int], list[Fact]] = defaultdict(list)
    for row in rows:
        rows_of[row["company"], row["invoice_id"]].append(row)
    partial: set[tuple[str, date | None]] = {(company, day.replace(day=1)) for company, day in quarantined}
    months: dict[tuple[str, date | None], dict[str, _Line]] = {}
    for invoice in invoices:
        day = invoice["invoice_date"]
        key = (invoice["company"], None if day is None else day.replace(day=1))
        classes = months.setdefault(key, defaultdict(_Line))
        own_rows = rows_of[invoice["company"], invoice["invoice_id"]]
        if invoice["status_class"] == "counted" and invoice["billing_type_name"] in ("debit", "credit"):
            for (vat_class, _), line in vat_lines(invoice, own_rows).items():
                classes[vat_class].take(line, invoice["invoice_id"])
                if vat_class in ("unknown", "header_adjustment") and (line.flagged or any(line.amounts[:2])):
                    partial.add(key)
        elif invoice["status_class"] in ("counted", "unknown"):
            said = [row["vat_amount"] or ZERO for row in own_rows if row["row_kind"] != "subtotal"]
            if invoice["vat_amount"] or sum(said, ZERO):
                partial.add(key)
    draft = []
    for key, classes in months.items():
        for box, (placed, column) in BOXES.items():
            exact = sum((classes[vat_class].amounts[AMOUNTS.index(column)] for vat_class in placed), ZERO)
            draft.append(
                {
                    "company": key[0],
                    "period_month": key[1],
                    "box": box,
                    "amount_kr": int(exact.to_integral_value(ROUND_DOWN)),
                    "coverage": "partial" if key in partial or box == "0-base" else "derived",
                    "_exact": exact,
                }
            )
    return draft


INVOICED = {
    "debit": "debit_invoiced",
    "credit": "credited",
    "interest": "interest",
    "reminder": "reminder",
    "unknown": "other_invoiced",
}
BUCKETS = ("not_due", "due_1_30", "due_31_60", "due_61_90", "due_over_90", "no_due_date")


def bucket(as_of: date, due_date: date | None) -> str:
    if due_date is None:
        return "no_due_date"
    days = (as_of - due_date).days
    return BUCKETS[0] if days <= 0 else BUCKETS[min(1 + (days - 1) // 30, 4)]


def _balance(group: list[Fact], as_of: date, paid: dict[int, Decimal] | None) -> Fact:
    known = paid is not None and all(invoice["invoice_id"] in paid for invoice in group)
    invoiced = dict.fromkeys(INVOICED.values(), ZERO)
    for invoice in group:
        invoiced[INVOICED[invoice["billing_type_name"]]] += invoice["total_amount"]
    payment: dict[str, Decimal | None] = dict.fromkeys(("paid_amount", "open_amount", "unapplied_credit", *BUCKETS))
    if known and paid is not None:
        sums = dict.fromkeys(payment, ZERO)
        for invoice in group:
            paid_amount = paid[invoice["invoice_id"]] * (-1 if invoice["sign_normalised"] else 1)
            open_amount = invoice["total_amount"] - paid_amount
            sums["paid_amount"] += paid_amount
            sums["open_amount"] += open_amount
            sums["unapplied_credit" if open_amount < 0 else bucket(as_of, invoice["due_date"])] += open_amount
        if sums["open_amount"] != sums["unapplied_credit"] + sum((sums[b] for b in BUCKETS), ZERO):
            raise OracleError("buckets and unapplied credit are not the open amount")
        payment.update(sums)
    dated = [invoice["invoice_date"] for invoice in group if invoice["invoice_date"] is not None]
    named = [invoice for invoice in group if invoice["customer_name"] is not None]
    newest = max(named, key=lambda i: (i["invoice_date"] or date.min, i["invoice_id"]), default=None)
    return {
        "customer_name": newest and newest["customer_name"],
        "invoice_count": len(group),
        **invoiced,
        "net_invoiced": sum(invoiced.values(), ZERO),
        "past_due_invoiced": sum(
            (
                invoice["total_amount"]
                for invoice in group
                if invoice["total_amount"] > 0 and invoice["due_date"] is not None and invoice["due_date"] < as_of
            ),
            ZERO,
        ),
        "payment_basis": "known" if known else "unknown",
        **payment,
        "last_invoice_date": max(dated, default=None),
    }


def customer_balance(invoices: list[Fact], *, as_of: date, paid: dict[int, Decimal] | None = None) -> list[Fact]:
    """Counted invoices per company, customer and invoice currency, in accounting currency.

    paid: PaidAmount per invoice id as Search said it (unflipped); None when Search never answered uncut.
    """
    groups: dict[tuple[str, str | None, str | None], list[Fact]] = defaultdict(list)
    for invoice in invoices:
        if invoice["status_class"] == "counted":
            groups[invoice["company"], invoice["customer_nr"], invoice["currency"]].append(invoice)
    return [
        {"company": company, "as_of": as_of, "customer_nr": customer_nr, "currency": currency}
        | _balance(group, as_of, paid)
        for (company, customer_nr, currency), group in groups.items()
    ]
