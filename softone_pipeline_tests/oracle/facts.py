"""What core.invoices and core.invoice_rows must say about one invoice as received.

Lives here: sign, footing, row kinds, VAT classes. Not here: sums over several invoices (`marts`).
Money is counted in whole öre (int) from the wire to the last line; only what is returned is Decimal.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Wire = dict[str, Any]
Fact = dict[str, Any]

RATES = (25, 12, 6)
TAX_REDUCTION_WORDS = ("rot", "rut", "husarbete", "husavdrag", "skattereduktion", "grön teknik")
ROUNDING_LIMIT = 50  # öre
STOCKHOLM = ZoneInfo("Europe/Stockholm")
BILLING_TYPES = {1: "debit", 2: "credit", 3: "interest", 4: "reminder"}
STATUS_CLASSES = {1: "preliminary", 2: "counted", 3: "counted", 4: "cancelled", 5: "counted"}

_WORDS = re.compile(
    # words end where letters and digits end: "ROT-avdrag" and "ROT_30" hold one, "rotavdrag" and "ROT30" none
    r"(?<![^\W_])(?:" + "|".join(r"\s+".join(word.split()) for word in TAX_REDUCTION_WORDS) + r")(?![^\W_])"
)


# ----------------------------------------------------------------------------------------- reading the wire


def parse(text: str) -> Wire:
    """One invoice's JSON text, with every decimal exact."""
    wire = json.loads(text, parse_float=Decimal)
    if not isinstance(wire, dict):
        raise TypeError(f"not an invoice object: {text[:60]}")
    return wire


def number(value: object) -> Decimal | None:
    """A wire number (int, Decimal, or in quotes) exactly; a float has lost its digits and is refused."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise TypeError(f"{value!r} is not an exact number")
    return Decimal(value)


def scaled(value: object, decimals: int) -> int | None:
    """The number times 10^decimals as an int. What does not fit belongs in quarantine."""
    exact = number(value)
    if exact is None:
        return None
    whole: int
    numerator, denominator = exact.as_integer_ratio()
    whole, rest = divmod(numerator * 10**decimals, denominator)
    if rest or abs(whole) >= 10**18:
        raise ValueError(f"{value} does not fit DECIMAL(18,{decimals})")
    return whole


def ore(value: object) -> int | None:
    return scaled(value, 2)


def required_ore(wire: Wire, field: str) -> int:
    amount = ore(wire[field])
    if amount is None:
        raise ValueError(f"{field} is null: quarantined before it comes here")
    return amount


def integer(value: object) -> int | None:
    return scaled(value, 0)


def day(value: str | None) -> date | None:
    """The Stockholm day: a date-time without zone is Swedish already, one with zone is converted."""
    if value is None:
        return None
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo is None else moment.astimezone(STOCKHOLM)).date()


def half_away(numerator: int, denominator: int) -> int:
    """numerator/denominator to the nearest int, halves away from zero: h(x) when both are in öre."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -magnitude if numerator < 0 else magnitude


def money(amount: int | None) -> Decimal | None:
    return None if amount is None else Decimal(amount).scaleb(-2)


def six_decimals(value: object) -> Decimal | None:
    whole = scaled(value, 6)
    return None if whole is None else Decimal(whole).scaleb(-6)


def names_a_tax_reduction(*texts: str | None) -> bool:
    return any(_WORDS.search(unicodedata.normalize("NFC", text).casefold()) for text in texts if text)


# ----------------------------------------------------------------------------------------------------- rows


@dataclass
class _Row:
    """A row in öre, sign-normalised; s and v are invoice currency, acc_s and acc_v accounting currency."""

    wire: Wire
    s: int | None
    v: int | None
    acc_s: int | None
    acc_v: int | None
    kind: str = "item"
    vat_class: str | None = None
    vat_rate: int | None = None
    vat_status: str | None = None
    flag: str | None = None

    @property
    def is_zero(self) -> bool:
        return not self.s and not self.v


@dataclass(frozen=True)
class Footing:
    """price_basis and, in öre of the invoice's currency, the rounding. r is None where nothing footed."""

    basis: str
    r: int | None

    @property
    def rounding(self) -> int:
        return self.r or 0


def foots(total: int, header_vat: int, amounts: list[tuple[int, int]]) -> Footing | None:
    """Steps 2 and 3: amounts are (SumAmount, VatAmount) of the rows that take part."""
    s = sum(amount for amount, _ in amounts)
    v = sum(vat for _, vat in amounts)
    net, gross = total - s - header_vat, total - s
    net_holds = abs(net) <= ROUNDING_LIMIT
    gross_holds = v != 0 and abs(gross) <= ROUNDING_LIMIT
    if gross_holds and not (net_holds and abs(net) <= abs(gross)):
        return Footing("gross", gross)
    return Footing("net", net) if net_holds else None


def _mark_subtotals(rows: list[_Row]) -> bool:
    running, found = 0, False
    for row in rows:
        s = row.s or 0
        if row.wire["ProductNr"] is None and row.v == 0 and s != 0 and abs(s - running) <= 1:
            row.kind, running, found = "subtotal", 0, True
        else:
            running += s
    return found


def _foot(total: int, header_vat: int, rows: list[_Row]) -> Footing:
    """Steps 1 to 5; marks subtotal rows on the way."""
    if not rows:
        return Footing("header", 0)
    first = foots(total, header_vat, [(row.s or 0, row.v or 0) for row in rows])
    if first:
        return first
    again = None
    if _mark_subtotals(rows):
        left = [(row.s or 0, row.v or 0) for row in rows if row.kind != "subtotal"]
        again = foots(total, header_vat, left)
    return again or Footing("unreconciled", None)


def _mark_rounding(total: int, footing: Footing, rows: list[_Row]) -> None:
    if footing.r != 0 or total % 100:
        return
    taking_part = [row for row in rows if row.kind != "subtotal"]
    small = [row for row in taking_part if row.v == 0 and row.s and abs(row.s) <= ROUNDING_LIMIT]
    if len(small) == 1 and any(not row.is_zero for row in taking_part if row is not small[0]):
        small[0].kind = "rounding"


def expected_vat(s: int, rate: int, gross: bool) -> int:
    """e_r in öre: h(s·r), or h(s − s/(1+r)) = h(s·r/(1+r)) on gross."""
    return half_away(s * rate, 100 + rate if gross else 100)


def vat_class(s: int | None, v: int | None, gross: bool) -> tuple[str, str | None]:
    """(vat_class, vat_status) of a row, before tax reductions; s and v in öre of the invoice's currency."""
    if s is None or v is None:
        return "unknown", "missing_amount"
    if s == 0 and v == 0:
        return "none", None
    if v == 0:
        return "0", "small" if abs(s) <= 8 else None
    if s == 0:
        return "unknown", "vat_without_base"
    if (s < 0) != (v < 0):
        return "unknown", "sign_conflict"
    for status, slack in (("exact", 0), ("near", 1)):
        fitting = [rate for rate in RATES if abs(v - expected_vat(s, rate, gross)) <= slack]
        if len(fitting) == 1:
            return str(fitting[0]), status
        if fitting:
            return "unknown", "small_amount"
    return "unknown", "no_rate_match"


def header_vat_class(total: int, header_vat: int) -> str:
    """The class of a header-only invoice; öre of the invoice's currency."""
    if header_vat == 0:
        return "0"
    net = total - header_vat
    # |HV − r·net| ≤ 0.01 + 0.5·r, times 100 to stay whole: 0.5·r kronor are r/2 öre
    fitting = [rate for rate in RATES if 2 * abs(100 * header_vat - rate * net) <= 200 + 100 * rate]
    return str(fitting[0]) if len(fitting) == 1 else "unknown"


def _classify(rows: list[_Row], footing: Footing, billing: str) -> None:
    # the sign that takes money off: negative on a debit invoice, its mirror on a credit
    takes_off = {"debit": -1, "credit": 1}.get(billing, 0)
    has_vat = any(row.v for row in rows)
    for row in rows:
        if row.kind == "subtotal":
            continue
        if row.kind == "rounding":
            row.vat_class = "rounding"
            continue
        row.vat_class, row.vat_status = vat_class(row.s, row.v, footing.basis == "gross")
        if row.vat_class.isdigit():
            row.vat_rate = int(row.vat_class)
        if row.vat_class == "unknown":
            row.flag = row.vat_status
        if row.vat_class == "0" and has_vat and (row.s or 0) * takes_off > 0:
            if names_a_tax_reduction(row.wire["Text"], row.wire["ProductNr"]):
                row.kind = row.vat_class = "tax_reduction"
                row.vat_rate = row.vat_status = None
            else:
                row.flag = "negative_zero_row"
        if row.kind == "item" and row.wire["ProductNr"] is None and row.is_zero:
            row.kind = "text"


# ---------------------------------------------------------------------------------------------- the invoice


def rounding_in_accounting_currency(
    rounding: int, total: int, total_currency: int, *, in_accounting_currency: bool
) -> int:
    if in_accounting_currency or total == total_currency:
        return rounding
    # a total of zero in the currency gives no rate: the difference is left to header_adjustment
    return half_away(rounding * total, total_currency) if total_currency else 0


def _discount(wire: Wire, sum_currency: int | None) -> int | None:
    quantity, price = scaled(wire["Quantity"], 6), scaled(wire["UnitPriceCurrency"], 6)
    if quantity is None or price is None or sum_currency is None:
        return None
    return half_away(abs(quantity * price), 10**10) - abs(sum_currency)


def core_invoice(
    wire: Wire, *, company: str = "default", accounting_currency: str = "SEK", missing: bool = False
) -> tuple[Fact, list[Fact]]:
    """The core.invoices row and the core.invoice_rows rows of one invoice; fetched_at is left out.

    Keys with an underscore are not columns: `_flags` (invoice), `_flag` (row), `_vat_within_tolerance`.
    """
    received = wire["InvoiceRows"] or []
    total_currency = required_ore(wire, "TotalAmountCurrency")
    billing_type = integer(wire["BillingType"])
    billing = BILLING_TYPES.get(billing_type or 0, "unknown")
    sent_sum = sum(ore(row["SumAmountCurrency"]) or 0 for row in received)
    flip = billing_type == 2 and total_currency > 0 and sent_sum >= 0

    def signed(amount: int | None) -> int | None:
        return -amount if flip and amount is not None else amount

    sign = -1 if flip else 1
    total_currency *= sign
    total = sign * required_ore(wire, "TotalAmount")
    header_vat = sign * required_ore(wire, "VATAmount")
    header_vat_currency = sign * required_ore(wire, "VATAmountCurrency")
    rows = [
        _Row(
            wire=row,
            s=signed(ore(row["SumAmountCurrency"])),
            v=signed(ore(row["VatAmountCurrency"])),
            acc_s=signed(ore(row["SumAmount"])),
            acc_v=signed(ore(row["VatAmount"])),
        )
        for row in received
    ]

    footing = _foot(total_currency, header_vat_currency, rows)
    if rows:
        _mark_rounding(total_currency, footing, rows)
    _classify(rows, footing, billing)

    gross = footing.basis == "gross"

    def net(row: _Row, amount: int | None, vat: int | None) -> int:
        return 0 if row.kind == "subtotal" else (amount or 0) - ((vat or 0) if gross else 0)

    nets = [(net(row, row.acc_s, row.acc_v), net(row, row.s, row.v)) for row in rows]
    rounding = rounding_in_accounting_currency(
        footing.rounding,
        total,
        total_currency,
        in_accounting_currency=wire["Currency"] == accounting_currency,
    )
    status = integer(wire["OriginStatus"])
    status_class = "missing" if missing else STATUS_CLASSES.get(status or 0, "unknown")
    invoice_date = day(wire["InvoiceDate"])
    row_vat = sum(row.v or 0 for row in rows)
    within_tolerance = not rows or abs(header_vat_currency - row_vat) <= (len(rows) + 2) // 2

    shared: Fact = {
        "company": company,
        "invoice_id": integer(wire["InvoiceId"]),
        "partition_date": invoice_date,
        "invoice_date": invoice_date,
        "invoice_nr": wire["InvoiceNr"],
        "customer_nr": wire["CustomerNr"],
        "currency": wire["Currency"],
        "billing_type_name": billing,
        "status_class": status_class,
    }
    invoice: Fact = shared | {
        "customer_name": wire["CustomerName"],
        "customer_org_nr": wire["CustomerOrgNr"],
        "due_date": day(wire["DueDate"]),
        "billing_type": billing_type,
        "origin_status": status,
        "total_amount": money(total),
        "total_amount_currency": money(total_currency),
        "vat_amount": money(header_vat),
        "vat_amount_currency": money(header_vat_currency),
        "net_amount": money(sum(acc for acc, _ in nets) if rows else total - header_vat),
        "net_amount_currency": money(sum(cur for _, cur in nets) if rows else total_currency - header_vat_currency),
        "rounding_amount": money(rounding),
        "rounding_amount_currency": money(footing.rounding),
        "row_count": len(rows),
        "price_basis": footing.basis,
        "sign_normalised": flip,
        "_vat_within_tolerance": within_tolerance,
        "_flags": [
            name
            for name, raised in (
                ("unreconciled", footing.basis == "unreconciled"),
                ("header_vat", not within_tolerance),
                ("billing_type", billing == "unknown"),
                ("origin_status", status_class == "unknown"),
            )
            if raised
        ],
    }
    facts = [
        shared
        | {
            "row_nr": row_nr,
            "product_nr": row.wire["ProductNr"],
            "text": row.wire["Text"],
            "quantity": six_decimals(row.wire["Quantity"]),
            "unit_price": six_decimals(row.wire["UnitPrice"]),
            "unit_price_currency": six_decimals(row.wire["UnitPriceCurrency"]),
            "sum_amount": money(row.acc_s),
            "sum_amount_currency": money(row.s),
            "net_amount": money(acc_net),
            "net_amount_currency": money(cur_net),
            "vat_amount": money(row.acc_v),
            "vat_amount_currency": money(row.v),
            "discount_amount_currency": money(_discount(row.wire, row.s)),
            "row_kind": row.kind,
            "vat_class": row.vat_class,
            "vat_rate": None if row.vat_rate is None else Decimal(row.vat_rate),
            "vat_status": row.vat_status,
            "attest_state": integer(row.wire["AttestState"]),
            "attest_state_name": row.wire["AttestStateName"],
            "accounts": row.wire["Accounts"],
            "_flag": row.flag,
        }
        for row_nr, (row, (acc_net, cur_net)) in enumerate(zip(rows, nets, strict=True), start=1)
    ]
    return invoice, facts


def core(
    wires: Iterable[Wire],
    *,
    company: str = "default",
    accounting_currency: str = "SEK",
    missing: Collection[int] = (),
) -> tuple[list[Fact], list[Fact]]:
    """All of core.invoices and core.invoice_rows; missing holds the ids that are gone from the source."""
    invoices: list[Fact] = []
    rows: list[Fact] = []
    for wire in wires:
        invoice, its_rows = core_invoice(
            wire,
            company=company,
            accounting_currency=accounting_currency,
            missing=integer(wire["InvoiceId"]) in missing,
        )
        invoices.append(invoice)
        rows.extend(its_rows)
    return invoices, rows
