"""The ledger's side of a reconciliation: amounts as Swedish people and systems write them, and two small CSV formats.

Totals: an account (BAS number) or a name, and an amount. Invoices: an invoice number and an amount with VAT in
accounting currency. With a heading or without; semicolon, comma or tab; UTF-8 (with or without BOM) or cp1252.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from softone_pipeline.errors import SoftOneError

RECEIVABLES = "receivables"
RECEIVABLES_OPEN = "receivables-open"

_SPACES = re.compile("[\\s\u00a0\u202f\u2009]")
_AMOUNT = re.compile(
    r"([0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+)(?:,([0-9]{1,2}))?|([0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)\.([0-9]{1,2})"
)
_NAMES = {
    "receivables": RECEIVABLES,
    "kundfordringar": RECEIVABLES,
    "fakturerat": RECEIVABLES,
    "receivables-open": RECEIVABLES_OPEN,
    "utestående": RECEIVABLES_OPEN,
    "kundreskontra": RECEIVABLES_OPEN,
}
# BAS: output VAT on sales within Sweden; 1510 is the balance of accounts receivable.
_ACCOUNTS = {"1510": RECEIVABLES_OPEN, "2610": "25", "2611": "25", "2620": "12", "2621": "12", "2630": "6", "2631": "6"}
_VAT_NAME = re.compile(r"(?:vat|moms|utgående moms)[\s-]*([0-9]{1,2}(?:[.,][0-9]+)?)\s*%?")


class LedgerError(SoftOneError):
    """The ledger's figures cannot be read; says in which line."""

    to_do = "Mend that line or column of the file; softone reconcile --help shows what it takes."
    is_bad_input = True


def parse_amount(text: str) -> Decimal:
    """`1 234 567,89`, `1.234,50`, `1234.5`, `-12`, `12,00-`, with any space, minus sign and `kr`. Raises ValueError."""
    plain = _SPACES.sub("", text).replace("\u2212", "-")
    plain = re.sub(r"(?i)(kr|sek)$", "", plain)
    is_negative = plain.startswith("-") or plain.endswith("-")
    found = _AMOUNT.fullmatch(plain.strip("-") if plain.count("-") <= 1 else "")
    if found is None:
        raise ValueError(f"{text!r} is no amount; write it like 1 234 567,89")
    whole, cents = (found[1], found[2]) if found[1] is not None else (found[3], found[4])
    amount = Decimal(re.sub("[.,]", "", whole) + "." + (cents or "0").ljust(2, "0"))
    return -amount if is_negative else amount


def read_totals(path: Path) -> tuple[dict[str, Decimal], int]:
    """Theirs by position, and how many lines were of other accounts. Lines of one position are added up.

    An account's amount is as ledgers write it, credit negative: on a VAT account it is turned. A name's is as it stands.
    """
    totals: dict[str, Decimal] = {}
    others = 0
    for name, amount in _pairs(path):
        position, is_credit = _position(name)
        if position is None:
            others += 1
        else:
            totals[position] = totals.get(position, Decimal("0.00")) + (-amount if is_credit else amount)
    if not totals:
        raise LedgerError(
            f"{path} has no line that is known: an account ({', '.join(_ACCOUNTS)}) or a name like moms 25."
        )
    return totals, others


def read_invoices(path: Path) -> dict[str, Decimal]:
    """Theirs by invoice number; lines of one number are added up."""
    found: dict[str, Decimal] = {}
    for number, amount in _pairs(path):
        found[number] = found.get(number, Decimal("0.00")) + amount
    if not found:
        raise LedgerError(f"{path} has no line with an invoice number and an amount.")
    return found


def _position(name: str) -> tuple[str | None, bool]:
    account = re.match(r"[0-9]{4}\b", name)
    if account is not None:
        position = _ACCOUNTS.get(account[0])
        is_vat = position is not None and position != RECEIVABLES_OPEN
        return (f"vat-{position}" if is_vat else position), is_vat
    plain = name.strip().lower()
    rate = _VAT_NAME.fullmatch(plain)
    return (f"vat-{rate[1].replace(',', '.')}" if rate else _NAMES.get(plain)), False


def _pairs(path: Path) -> Iterator[tuple[str, Decimal]]:
    """First and last column of every line; a first line whose last column holds no digit is the heading."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise LedgerError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    delimiter = next((sign for sign in (";", "\t") if sign in text), ",")
    for number, row in enumerate(csv.reader(text.splitlines(), delimiter=delimiter), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and not re.search("[0-9]", cells[-1])):
            continue
        if delimiter == "," and len(cells) == 3 and re.fullmatch("[0-9]{1,2}", cells[2]):
            cells = [cells[0], f"{cells[1]},{cells[2]}"]  # an unquoted decimal comma
        if len(cells) < 2 or not cells[0]:
            raise LedgerError(f"{path}, line {number}: a name and an amount are expected.")
        try:
            yield cells[0], parse_amount(cells[-1])
        except ValueError as error:
            raise LedgerError(f"{path}, line {number}: {error}.") from None
