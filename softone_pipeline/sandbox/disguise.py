"""The content faults: the same invoice written in another way, with the same meaning to the öre and the day.

Which invoices are disguised follows from the seed and their id, so that reading again finds no change.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from softone_pipeline.sandbox.faults import Fault, draw
from softone_pipeline.sandbox.records import STOCKHOLM
from softone_pipeline.sandbox.wire import decode, encode

_DATES = ("InvoiceDate", "DueDate")
_KEPT = 200_000


class Disguise:
    """Rewrites the objects that are sent, as far as the faults that are on ask for it."""

    def __init__(self, faults: Iterable[Fault], *, seed: int, rate: float) -> None:
        self._faults = [fault for fault in faults if fault.kind.place == "content"]
        self._seed = seed
        self._rate = rate
        self._kept: dict[bytes, tuple[bytes, frozenset[str]]] = {}

    def __bool__(self) -> bool:
        return bool(self._faults)

    def put_on(self, text: bytes, invoice_id: int) -> tuple[bytes, frozenset[str]]:
        """The object as it is sent, and the faults that changed it."""
        kept = self._kept.get(text)
        if kept is None:
            if len(self._kept) > _KEPT:
                self._kept.clear()
            kept = self._kept[text] = self._rewrite(text, invoice_id)
        return kept

    def _rewrite(self, text: bytes, invoice_id: int) -> tuple[bytes, frozenset[str]]:
        chosen = {
            fault.name: fault
            for fault in self._faults
            if draw(self._seed, fault.name, invoice_id) < fault.share(self._rate)
        }
        if not chosen:
            return text, frozenset()
        invoice: Any = decode(text)
        fired = set()
        for name, fault in chosen.items():
            match name:
                case "missing-fields":
                    changed = _without_nulls(invoice)
                case "unknown-fields":
                    changed = _with_unknown_fields(invoice)
                case "dates-with-zone":
                    changed = _with_zone(invoice, draw(self._seed, "zone", invoice_id))
                case _:
                    changed = _quoted(invoice, everything=fault.value == "everything")
            if changed != invoice:
                fired.add(name)
            invoice = changed
        return encode(invoice).encode(), frozenset(fired)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _with_unknown_fields(invoice: dict[str, Any]) -> dict[str, Any]:
    more = dict(invoice)
    if "InvoiceRows" in invoice:
        more["InvoiceRows"] = [
            {"RowNr": nth, **row, "Unit": "st", "Dimensions": [{"Dim": 1, "Value": None}]}
            for nth, row in enumerate(invoice["InvoiceRows"], start=1)
        ]
    return {
        "$type": "Invoice",
        **more,
        "ExternalId": None,
        "Delivery": {"Method": "E-faktura", "Copies": [1, 2]},
    }


def _with_zone(invoice: dict[str, Any], luck: float) -> dict[str, Any]:
    written = dict(invoice)
    for key in _DATES:
        try:
            local = dt.datetime.fromisoformat(invoice[key]).replace(tzinfo=STOCKHOLM)
        except (KeyError, TypeError, ValueError):
            continue
        if luck < 0.4:
            written[key] = local.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
        elif luck < 0.8:
            written[key] = local.isoformat()
        else:
            written[key] = local.astimezone(dt.timezone(dt.timedelta(hours=-5))).isoformat()
    return written


def _quoted(value: Any, *, everything: bool, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _quoted(item, everything=everything, key=name) for name, item in value.items()}
    if isinstance(value, list):
        return [_quoted(item, everything=everything) for item in value]
    if isinstance(value, Decimal) or (everything and isinstance(value, int) and not isinstance(value, bool)):
        return encode(value, key)
    return value
