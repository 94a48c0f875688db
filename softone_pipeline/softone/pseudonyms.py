"""Takes the person out of an invoice's payload, before anything is stored: what is replaced, and by what.

Amounts, dates, codes and article numbers stay to the letter. When it is applied is the tables' business.
"""

from __future__ import annotations

import datetime as dt
import hmac
import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from softone_pipeline.softone import fields
from softone_pipeline.softone.jsontext import JsonNumber, array_items, object_items, parse, skip_space
from softone_pipeline.softone.received import ReceivedInvoice

Mode = Literal["none", "persons", "all"]

_CODES = {"InvoiceNr", "Currency", "ProductNr", "AttestStateName", "CustomerNr"}

_NUMBERS = fields.HEADER_NUMBERS | fields.ROW_NUMBERS
_KNOWN_OF_HEADER = fields.HEADER_NUMBERS | fields.DATES | _CODES
_KNOWN_OF_ROW = fields.ROW_NUMBERS | _CODES

_NUMBER = re.compile(r'"?-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"?')
_DATE = re.compile(r'"[0-9T:.Z+-]*"')
_CENTURY = ("16", "18", "19", "20")
_FOREIGN_VAT = re.compile(r"(?!SE)[A-Z]{2}(?=(?:[A-Z]*[0-9]){5})[0-9A-Z]{5,13}")
# Not personal, and whether an invoice can be read may hang on them.
_KEPT_AS_THEY_ARE = {"null", "true", "false", "NaN", "Infinity", "-Infinity"}
_SPACES = "[\\t\\n\\f\\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
_DIGITS = 20

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])


class Pseudonymiser:
    """Stable pseudonyms under one key: the same value gives the same pseudonym, another value another one.

    `mode` says whose payloads are changed; `words` are what marks a tax reduction, which a text keeps.
    Customers in `forgotten` (by their pseudonym) lose their identity whatever the mode.
    """

    def __init__(self, mode: Mode, key: str, words: Sequence[str], forgotten: Collection[str] = frozenset()) -> None:
        self.mode = mode
        self.forgotten = frozenset(forgotten)
        self._key = key.encode()
        # as core.invoice_rows looks for them
        found = [_SPACES.join(map(re.escape, unicodedata.normalize("NFC", word).split())) for word in words]
        self._words = re.compile(rf"(?<![^\W_])(?:{'|'.join(found)})(?![^\W_])", re.IGNORECASE) if found else None

    def __repr__(self) -> str:
        return f"Pseudonymiser({self.mode!r})"

    @property
    def key_check(self) -> str:
        """Tells this key from another, and nothing about it."""
        return self._digest("key check", "")

    def customer(self, customer_nr: str) -> str:
        """What stands for a customer's number."""
        return self._pseudonym("CustomerNr", customer_nr)

    def received(self, invoice: ReceivedInvoice) -> ReceivedInvoice:
        """The invoice as it may be stored."""
        payload = self.payload(invoice.payload)
        return msgspec.structs.replace(invoice, body=payload.encode())

    def payload(self, payload: str) -> str:
        """The payload as it may be stored. What is nobody's that we hide stays to the letter."""
        members = _members(payload)
        if members is None:
            # Not even an object: nothing is known of what stands in it.
            return payload if self.mode == "none" else self._string("payload", payload)
        customer = _text(members.get("CustomerNr"))
        if customer is not None and (customer in self.forgotten or self.customer(customer) in self.forgotten):
            return self.without_identity(payload)
        if self.mode == "none" or (self.mode == "persons" and not is_person(_text(members.get("CustomerOrgNr")))):
            return payload
        return self._object({name: self._header(name, raw, members) for name, raw in members.items()})

    def without_identity(self, payload: str) -> str:
        """The payload of a forgotten customer: of who it was only the pseudonym of the number is left.

        What becomes of it does not depend on what is taken out, nor on whether pseudonyms stood there already.
        """
        members = _members(payload)
        if members is None:
            return '""'
        customer = _text(members.get("CustomerNr"))
        pseudonym = json.dumps(customer if is_pseudonym(customer) else self.customer(customer or ""))
        masked = {}
        for name, raw in members.items():
            if name == "InvoiceRows":
                masked[name] = self._rows(raw, forget=True)
            elif name in {"CustomerNr", "CustomerName"}:
                masked[name] = pseudonym
            elif name in _KNOWN_OF_HEADER:
                masked[name] = self._field(name, raw)
            elif name == "CustomerOrgNr":
                masked[name] = "null"
        return self._object(masked)

    def _header(self, name: str, raw: str, members: Mapping[str, str]) -> str:
        if name == "InvoiceRows":
            return self._rows(raw, forget=False)
        if name == "CustomerNr":
            # Kept, for balances hang on it, unless it is a personal number itself.
            customer, org_nr = _text(raw) or "", _text(members.get("CustomerOrgNr"))
            if is_personal_number(customer) or (ten_digits(customer) or "-") == ten_digits(org_nr or ""):
                return json.dumps(self.customer(customer))
        return self._field(name, raw)

    def _field(self, name: str, raw: str) -> str:
        """One value: kept where it is of the kind that its field holds, otherwise a pseudonym of the same JSON type."""
        if raw in _KEPT_AS_THEY_ARE or raw == '""':
            return raw
        if name in _NUMBERS:
            is_kept = _NUMBER.fullmatch(raw) is not None
        elif name in fields.DATES:
            is_kept = _DATE.fullmatch(raw) is not None or _NUMBER.fullmatch(raw) is not None
        else:
            is_kept = name in _CODES and raw[:1] not in ("{", "[")
        return raw if is_kept or _is_pseudonym_text(raw) else self._string(name, raw)

    def _rows(self, raw: str, *, forget: bool) -> str:
        rows = _items(raw)
        return (
            self._field("InvoiceRows", raw)
            if rows is None
            else f"[{','.join(self._row(r, forget=forget) for r in rows)}]"
        )

    def _row(self, raw: str, *, forget: bool) -> str:
        members = _members(raw)
        if members is None:
            return self._field("row", raw)
        masked = {}
        for name, value in members.items():
            if name == "Text":
                masked[name] = self._row_text(value, forget=forget)
            elif name == "Accounts":
                masked[name] = self._accounts(value)
            elif name in _KNOWN_OF_ROW or not forget:
                masked[name] = self._field(name, value)
        return self._object(masked)

    def _row_text(self, raw: str, *, forget: bool) -> str:
        """A pseudonym, and behind it the words that mark a tax reduction: what a row is classed by."""
        text = _text(raw)
        if raw in _KEPT_AS_THEY_ARE or raw[:1] in ("{", "[") or not text:
            return self._field("Text", raw)
        searched = unicodedata.normalize("NFC", text)
        words = [" ".join(found.group().split()) for found in self._words.finditer(searched)] if self._words else []
        if is_pseudonym(text.split(" ")[0]) and not forget:
            return raw
        # What cannot be stored stays so, or an invoice would be readable here and in quarantine there.
        spoilt = ["\0"] if "\0" in text else ["\ud800"] if _has_half_a_character(text) else []
        first = "~" if forget else self._pseudonym("Text", text)
        return json.dumps(" ".join([first, *dict.fromkeys(words), *spoilt]))

    def _accounts(self, raw: str) -> str:
        """Account numbers and amounts stay; names and texts (a project may be called after a person) do not."""
        items = _items(raw)
        if items is None:
            return self._field("Accounts", raw)
        accounts = []
        for item in items:
            members = _members(item)
            accounts.append(
                self._field("account", item)
                if members is None
                else self._object(
                    {
                        name: value
                        if _NUMBER.fullmatch(value) or value in _KEPT_AS_THEY_ARE
                        else self._field("account", value)
                        for name, value in members.items()
                    }
                )
            )
        return f"[{','.join(accounts)}]"

    def _string(self, purpose: str, raw: str) -> str:
        """A pseudonym of a JSON value, as JSON of the same type: so a value of a wrong type stays one."""
        spoilt = ""
        if raw.startswith('"'):
            text = _text(raw) or ""
            spoilt = "\\u0000" if "\0" in text else "\\ud800" if _has_half_a_character(text) else ""
        else:
            text = raw
        pseudonym = f'"{self._pseudonym(purpose, text)}{spoilt}"'
        match raw[:1]:
            case "[":
                return f"[{pseudonym}]"
            case "{":
                return f'{{"~":{pseudonym}}}'
            case _:
                return pseudonym

    def _pseudonym(self, purpose: str, text: str) -> str:
        return f"~{self._digest(purpose, text)}"

    def _digest(self, purpose: str, text: str) -> str:
        message = f"{purpose}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, "sha256").hex()[:_DIGITS]

    def _object(self, members: Mapping[str, str]) -> str:
        return "{" + ",".join(f"{json.dumps(name)}:{raw}" for name, raw in members.items()) + "}"


def ten_digits(number: str) -> str | None:
    """A Swedish organisation or personal number as ten digits; None when it is none.

    Takes the century (twelve digits), hyphens, plus signs and spaces away, and the SE and 01 of a VAT number.
    """
    cleaned = re.sub(r"[\s+\-\u2010-\u2015\u2212.]", "", number).upper()
    digits = cleaned.removeprefix("SE")
    if not (digits.isascii() and digits.isdigit()):
        return None
    if len(digits) == 12:
        is_vat_number = digits.endswith("01") and (cleaned != digits or not digits.startswith(_CENTURY))
        digits = digits[:10] if is_vat_number else digits[2:]
    return digits if len(digits) == 10 else None


def is_person(org_nr: str | None) -> bool:
    """Whether an organisation number is a private person's, or missing: then it is taken for one.

    Ten digits whose third is below 2 are a date of birth (a samordningsnummer's month is as anybody's). A foreign
    VAT number is a company's; what cannot be read at all counts as missing.
    """
    digits = ten_digits(org_nr or "")
    if digits is None:
        return _FOREIGN_VAT.fullmatch(re.sub(r"[\s\-.]", "", org_nr or "").upper()) is None
    return digits[2] < "2"


def is_personal_number(number: str) -> bool:
    """Whether it reads as a personal number or samordningsnummer: a date, and the right check digit."""
    digits = ten_digits(number)
    if digits is None:
        return False
    day = int(digits[4:6])
    try:
        dt.date(2000, int(digits[2:4]), day - 60 if day > 60 else day)
    except ValueError:
        return False
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(digits))
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0


def is_pseudonym(text: str | None) -> bool:
    """Whether a text is a pseudonym of ours already."""
    return text is not None and re.fullmatch(rf"~[0-9a-f]{{{_DIGITS}}}", text) is not None


def customer_nr_of(payload: str) -> str | None:
    """A payload's CustomerNr, where it can be told."""
    members = _members(payload)
    return _text(members.get("CustomerNr")) if members else None


def identity_of(payload: str) -> dict[str, set[str]]:
    """What names somebody in a payload: CustomerNr, CustomerName, CustomerOrgNr, and Text of the rows."""
    members = _members(payload) or {}
    found = {
        name: {text} for name in ("CustomerNr", "CustomerName", "CustomerOrgNr") if (text := _text(members.get(name)))
    }
    rows = [_members(row) or {} for row in _items(members.get("InvoiceRows", "")) or ()]
    found["Text"] = {text for row in rows if (text := _text(row.get("Text")))}
    return found


def _is_pseudonym_text(raw: str) -> bool:
    return raw.startswith('"~') and is_pseudonym(raw[1:-1])


def _members(raw: str) -> dict[str, str] | None:
    """The members of a JSON object as they are written; of a key that comes twice the last. None: no object."""
    if not raw.startswith("{"):
        return None
    try:
        return {name: str(value, "utf-8") for name, value in _OBJECT.decode(raw).items()}
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    try:
        return {name: raw[span.start : span.end] for name, span in object_items(raw)[0].items()}
    except (ValueError, RecursionError):
        return None


def _items(raw: str) -> list[str] | None:
    if not raw.startswith("["):
        return None
    try:
        return [str(value, "utf-8") for value in _ROWS.decode(raw)]
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    try:
        return [raw[span.start : span.end] for span in array_items(raw, skip_space(raw))[0]]
    except (ValueError, RecursionError):
        return None


def _text(raw: str | None) -> str | None:
    """A JSON string's text, or a number as written; None for everything else."""
    if raw is None or raw in _KEPT_AS_THEY_ARE or raw[:1] in ("{", "["):
        return None
    if raw.startswith('"') and "\\" not in raw:
        return raw[1:-1]
    try:
        value = parse(raw)
    except ValueError:
        return None
    return str(value) if isinstance(value, str | JsonNumber) else None


def _has_half_a_character(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
