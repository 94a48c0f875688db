"""Takes one customer's identity out of raw, for good: the law on bookkeeping keeps the amounts, the GDPR the person.

What lies outside the database (Dagster's history, exports) is orchestration's and the command's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import duckdb

from softone_pipeline.softone import Pseudonymiser, customer_nr_of, identity_of, is_pseudonym
from softone_pipeline.softone.pseudonyms import ten_digits
from softone_pipeline.tables.raw.pseudonymising import rewrite_payloads

# A text as short as this says nothing of anybody by itself, and would be found everywhere.
_SHORT_NAME = 3
_SHORT_TEXT = 8


@dataclass(frozen=True, slots=True)
class Identity:
    """What names a customer in other places: the number, names and organisation numbers, and texts of nobody else's."""

    customer_nr: str
    pseudonym: str
    names: frozenset[str] = field(default=frozenset(), repr=False)
    texts: frozenset[str] = field(default=frozenset(), repr=False)

    def pattern(self) -> re.Pattern[str]:
        """Finds them as they stand and as JSON writes them, once and twice; the number where it is said to be one."""
        words = {form for text in (*self.names, *self.texts) for form in _forms(text)}
        found = [rf"(?<!\w)(?:{'|'.join(sorted(map(re.escape, words), key=len, reverse=True))})(?!\w)"] if words else []
        number = "|".join(sorted(map(re.escape, _forms(self.customer_nr))))
        found.append(
            rf"(?:(?<=\| )|(?<=\\\")|(?<=\")|(?<=customer )|(?<=kund ))(?:{number})(?= \||\\?\"|(?!\S)|[.,:;)])"
        )
        return re.compile("|".join(found))


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was changed in raw, and whether the customer had been forgotten before."""

    identity: Identity
    versions: int
    quarantined: int
    was_forgotten: bool

    @property
    def is_known(self) -> bool:
        return self.was_forgotten or self.versions + self.quarantined > 0


def forget_customer(
    connection: duckdb.DuckDBPyConnection, company: str, hide: Pseudonymiser, customer_nr: str
) -> Forgotten:
    """Replace the customer's identity in every version and in quarantine, and remember never to store it again.

    Run it in a transaction; rolled back, it tells what it would do.
    """
    pseudonym = customer_nr if is_pseudonym(customer_nr) else hide.customer(customer_nr)
    theirs: list[str] = []

    def change(payload: str) -> str:
        if customer_nr_of(payload) in (customer_nr, pseudonym):
            theirs.append(payload)
            return hide.without_identity(payload)
        return payload

    versions, quarantined = rewrite_payloads(connection, company, change)
    names, texts = _named(theirs)
    others = _texts_of_others(connection, company, texts, customer_nr, pseudonym)
    was_forgotten = pseudonym in hide.forgotten
    if (versions or quarantined) and not was_forgotten:
        connection.execute("insert into raw.forgotten values (?, ?, ?, now())", [company, pseudonym, hide.key_check])
    identity = Identity(customer_nr, pseudonym, frozenset(names), frozenset(texts - others))
    return Forgotten(identity, versions, quarantined, was_forgotten)


def _named(payloads: Iterable[str]) -> tuple[set[str], set[str]]:
    names: set[str] = set()
    texts: set[str] = set()
    for payload in payloads:
        found = identity_of(payload)
        numbers = found.get("CustomerOrgNr", set())
        for number in set(numbers):
            if digits := ten_digits(number):
                numbers |= {digits, f"{digits[:6]}-{digits[6:]}"}
        names |= {text for text in found.get("CustomerName", set()) | numbers if len(text) >= _SHORT_NAME}
        texts |= {text for text in found["Text"] if len(text) >= _SHORT_TEXT}
    return {text for text in names if not is_pseudonym(text)}, {text for text in texts if not text.startswith("~")}


def _texts_of_others(
    connection: duckdb.DuckDBPyConnection, company: str, texts: set[str], customer_nr: str, pseudonym: str
) -> set[str]:
    """Those of the texts that stand on other customers' invoices too, by core as it was before."""
    rows = connection.execute(
        """
        select distinct text from core.invoice_rows
        where company = $company and text in (select unnest($texts)) and customer_nr not in ($number, $pseudonym)
        """,
        {"company": company, "texts": sorted(texts), "number": customer_nr, "pseudonym": pseudonym},
    ).fetchall()
    return {row[0] for row in rows}


def _forms(text: str) -> set[str]:
    once = json.dumps(text)[1:-1]
    return {text, json.dumps(text, ensure_ascii=False)[1:-1], once, json.dumps(once)[1:-1]}
