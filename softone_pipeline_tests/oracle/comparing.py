"""What the oracle and a table disagree on, row by row and value by value. Plain lists of rows; no DuckDB."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

VAT_KEY = ("period_month", "currency", "billing_type_name", "status_class", "vat_class", "rate_source")


def differences(
    expected: list[dict[str, Any]],
    found: list[dict[str, Any]],
    key: tuple[str, ...],
    ignored: tuple[str, ...] = (),
) -> list[Any]:
    """What the two disagree on, over the oracle's own columns."""
    wanted = {tuple(line[name] for name in key): line for line in expected}
    got = {tuple(line[name] for name in key): line for line in found}
    assert len(wanted) == len(expected)
    assert len(got) == len(found)
    differences: list[Any] = [("only on one side", identity) for identity in wanted.keys() ^ got.keys()]
    for identity in wanted.keys() & got.keys():
        for name, value in wanted[identity].items():
            if not name.startswith("_") and name not in ignored and got[identity][name] != value:
                differences.append((identity, name, "oracle", value, "sql", got[identity][name]))
    return differences


def one_rounding_line(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The oracle tells a rounding row's rounding from a header's; the mart has one line for both."""
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for sent in lines:
        line = {name: value for name, value in sent.items() if name != "invoice_count"}
        if line["vat_class"] == "rounding":
            line["rate_source"] = "header"
        identity = tuple(line[name] for name in VAT_KEY)
        if identity not in merged:
            merged[identity] = line
            continue
        for name, value in line.items():
            if isinstance(value, (int, Decimal)):
                merged[identity][name] += value
    return list(merged.values())
