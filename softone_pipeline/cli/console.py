"""How the commands print: two consoles, tables, Swedish numbers, exit codes."""

from __future__ import annotations

import codecs
import datetime as dt
import io
import json
import os
import sys
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import click
from rich.console import Console
from rich.segment import Segments
from rich.table import Table as RichTable
from rich.text import Text

from softone_pipeline.readable import amount, moment, whole

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

_WIDEST = 200


class _Aside(Console):
    """Where nobody has to listen: once it is closed nothing is said there any more, and the work goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        # Python would fail at its end for what is left to be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


# Text is printed as it stands: names, numbers and arguments hold what they like, [brackets] too. Style is `marked`.
out = Console(highlight=False, markup=False, emoji=False)
err = _Aside(stderr=True, highlight=False, markup=False, emoji=False)


# What a terminal that knows no UTF-8 shows for what has no letter of its own in it.
_PLAIN = str.maketrans({"\u2212": "-", "–": "-", "—": "-", "✓": "*"})


def speak_plainly_where_needed() -> None:
    """Let a terminal of another encoding than UTF-8 have the nearest plain letters, instead of an error."""
    codecs.register_error("plain letters", _plain_letters)
    for stream in (sys.stdout, sys.stderr):
        # Anything else was put in its place by somebody who knows what it takes.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain letters")


def _plain_letters(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(_PLAIN)
    bare = (unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?" for letter in text)
    return "".join(bare), error.end


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under a title; numbers to the right, as Swedish readers write them."""
    table = RichTable(title=f"\n{title}", title_justify="left", box=None, title_style="bold")
    for index, name in enumerate(columns):
        is_number = any(isinstance(row[index], (int, Decimal)) for row in rows)
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number)
    for row in rows:
        table.add_row(*(swedish(value) for value in row))
    # Wider than the terminal rather than with amounts cut short.
    out.print(Segments(out.render(table, out.options.update(width=max(out.width, _WIDEST)))), crop=False)


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON, on one line without `indent`: amounts as text with their decimals, days and moments in ISO form."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=indent, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def swedish(value: object) -> str:
    """A value as Swedish readers write it: 1\u00a0234,50. Amounts get two decimals, moments are Sweden's."""
    if isinstance(value, Decimal):
        return amount(value)
    if isinstance(value, int):
        return whole(value)
    if isinstance(value, dt.datetime):
        return moment(value)
    return "" if value is None else str(value)


def marked(style: str, head: str, text: str) -> Text:
    """Text behind a word or two that stand out."""
    return Text.assemble((head, style), " ", text)
