"""What a restored database must not bring back: whoever was forgotten since, and identities that are pseudonyms now.

A backup is as it was made; what became of privacy afterwards stands in the database that it replaces.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from softone_pipeline.errors import SettingsError, WarehouseAccessError
from softone_pipeline.readable import counted
from softone_pipeline.softone import Mode
from softone_pipeline.tables.raw.pseudonymising import Privacy, is_stricter, rewrite_payloads, written_with
from softone_pipeline.warehouse import Warehouse, open_published


@dataclass(frozen=True, slots=True)
class Standing:
    """What a database says of privacy: the rows of raw.forgotten, and of raw.privacy mode and key check by company."""

    forgotten: list[tuple[Any, ...]]
    written_with: dict[str, tuple[Mode, str | None]]


def privacy_in(warehouse: Warehouse, published: Path) -> Standing | None:
    """What the pipeline's own file says, or where that cannot be read its published copy.

    None where neither can be read: then nobody knows.
    """
    for path, opened in ((warehouse.path, warehouse.connect_as_it_is), (published, lambda: open_published(published))):
        with contextlib.suppress(WarehouseAccessError, duckdb.Error):
            if path.exists():
                with opened() as connection:
                    raw = connection.execute(
                        "select table_name from duckdb_tables() where schema_name = 'raw'"
                    ).fetchall()
                    if raw:
                        # Of a version without these tables: it could neither forget nor pseudonymise.
                        forgotten = "select company, pseudonym, key_check, forgotten_at from raw.forgotten"
                        privacy = "select company, mode, key_check from raw.privacy"
                        return Standing(
                            connection.execute(forgotten).fetchall() if ("forgotten",) in raw else [],
                            {row[0]: row[1:] for row in connection.execute(privacy).fetchall()}
                            if ("privacy",) in raw
                            else {},
                        )
    return None


def forget_again(
    connection: duckdb.DuckDBPyConnection, privacy: Privacy, company: str, forgotten: Iterable[tuple[Any, ...]]
) -> list[str]:
    """Take out of a restored database whoever was forgotten after the backup was made, of whatever company.

    Raises SettingsError without the key that customers of `company` were forgotten under. Returns the other companies
    whose customers were forgotten under another key: they still stand in it.
    """
    known = set(connection.execute("select company, pseudonym from raw.forgotten").fetchall())
    since = [row for row in forgotten if row[:2] not in known]
    if since:
        connection.executemany("insert into raw.forgotten values (?, ?, ?, ?)", since)
    left = []
    # Whatever the mode is now: theirs alone are changed.
    privacy = dataclasses.replace(privacy, mode="none")
    for other in sorted({row[0] for row in since}):
        try:
            again = privacy.pseudonymiser(connection, other)
        except SettingsError:
            if other == company:
                raise
            left.append(other)
        else:
            assert again is not None
            rewrite_payloads(connection, other, again.payload)
    return left


def hide_again(
    connection: duckdb.DuckDBPyConnection, privacy: Privacy, company: str, standing: Standing | None
) -> tuple[list[str], list[str]]:
    """Pseudonymise in a restored database what is pseudonyms by now: of `company` by the settings, of others as it stood.

    Returns, in sentences, what was done and what could not be. Whatever that is, of `company` nothing shows that the
    settings hide. Raises SettingsError without the key that customers of it were forgotten under.
    """
    done, left = [], []
    for (each,) in connection.execute(
        "select company from raw.customer_invoices union select company from raw.quarantine order by 1"
    ).fetchall():
        before, _ = written_with(connection, each)
        if each == company:
            changed = privacy.tighten(connection, each)
            if problem := privacy.difference(connection, each):
                again = ", and restore once more if it is set back" if changed else ""
                left.append(f"{problem.variable} {problem.problem}{again}.")
        else:
            changed, why = _hide_other(connection, privacy, each, standing)
            if why:
                left.append(
                    f"customers of company {each} stand here as in the backup, which was written with {before}, {why}. Run "
                    "`softone pseudonymise` with the settings of that company."
                )
        if changed:
            versions, quarantined = changed
            done.append(
                f"The backup of company {each} was written with {before}: {counted(versions, 'version')} and "
                f"{counted(quarantined, 'payload')} in quarantine were pseudonymised."
            )
    return done, left


def _hide_other(
    connection: duckdb.DuckDBPyConnection, privacy: Privacy, company: str, standing: Standing | None
) -> tuple[tuple[int, int] | None, str | None]:
    """Of a company whose settings are not here: what was changed, or why it could not be."""
    before, _ = written_with(connection, company)
    if standing is None:
        unknown = "and neither the database that stood here nor its published copy could be read to tell whether it is to be stricter"
        return None, unknown if before != "all" else None
    mode, key_check = standing.written_with.get(company, ("none", None))
    theirs = dataclasses.replace(privacy, mode=mode)
    # The same key serves both, also for whoever was forgotten.
    with contextlib.suppress(SettingsError):
        if not is_stricter(mode, before) or theirs.key_check == key_check:
            return theirs.tighten(connection, company), None
    return None, f"though it was {mode} here, under another {privacy.key_setting}"
