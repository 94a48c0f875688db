"""When pseudonyms are applied: to what is fetched, before it is landed, and to what stands, on demand.

What is replaced by what is told by softone/pseudonyms.py. How raw was written stands in raw.privacy and
raw.forgotten, so that another key or mode never mixes with it in silence.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

import duckdb
from pydantic import SecretStr

from softone_pipeline.errors import SettingProblem, SettingsError
from softone_pipeline.readable import counted, plural
from softone_pipeline.softone import (
    InvoiceAnswer,
    InvoiceUnreadable,
    Mode,
    Pseudonymiser,
    Window,
    normalise_invoice,
)

if TYPE_CHECKING:
    from softone_pipeline.settings import PipelineSettings

_BATCH = 20_000
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')


@dataclass(frozen=True, slots=True)
class Privacy:
    """The settings: whose identity is replaced, under which key, and the words that a text keeps."""

    mode: Mode = "none"
    key: SecretStr | None = field(default=None, repr=False)
    words: Sequence[str] = ()
    mode_setting: str = "SOFTONE_PSEUDONYMISE"
    key_setting: str = "SOFTONE_HASH_KEY"

    @classmethod
    def of(cls, settings: PipelineSettings) -> Privacy:
        return cls(
            settings.pseudonymise,
            settings.hash_key,
            settings.tax_reduction_words,
            settings.variable("pseudonymise"),
            settings.variable("hash_key"),
        )

    @property
    def key_check(self) -> str | None:
        """Tells the key from another. None where nothing is written under it."""
        if self.mode == "none" or self.key is None:
            return None
        return Pseudonymiser(self.mode, self.key.get_secret_value(), ()).key_check

    def begin(self, connection: duckdb.DuckDBPyConnection, company: str) -> Pseudonymiser | None:
        """What is to be done to payloads before they are written; None: nothing. Run it in the transaction.

        Raises SettingsError when raw was written under another mode or key.
        """
        hide = self.pseudonymiser(connection, company)
        if problem := self.difference(connection, company):
            raise SettingsError([problem])
        if written_with(connection, company) != (self.mode, self.key_check):
            self.note(connection, company)
        return hide if hide and (self.mode != "none" or hide.forgotten) else None

    def pseudonymiser(self, connection: duckdb.DuckDBPyConnection, company: str) -> Pseudonymiser | None:
        """With the customers that were forgotten. None without a key. Raises SettingsError when they need another."""
        rows = connection.execute(
            "select pseudonym, key_check from raw.forgotten where company = ?", [company]
        ).fetchall()
        hide = None
        if self.key is not None:
            hide = Pseudonymiser(
                self.mode, self.key.get_secret_value(), self.words, [pseudonym for pseudonym, _ in rows]
            )
        if any(hide is None or key_check != hide.key_check for _, key_check in rows):
            raise SettingsError(
                [
                    SettingProblem(
                        self.key_setting,
                        f"is {'missing' if hide is None else 'another one than then'}, but {counted(len(rows), 'customer')} of "
                        f"company {company} {plural(len(rows), 'was', 'were')} forgotten under it, and only with it can they be told from others: "
                        "without it they would come back. Set it to what it was",
                    )
                ]
            )
        return hide

    def apply(self, connection: duckdb.DuckDBPyConnection, company: str) -> tuple[int, int]:
        """Bring what stands into line with the settings. Returns what rewrite_payloads does; run it in a transaction."""
        hide = self.pseudonymiser(connection, company)
        changed = rewrite_payloads(connection, company, hide.payload) if hide else (0, 0)
        self.note(connection, company)
        return changed

    def tighten(self, connection: duckdb.DuckDBPyConnection, company: str) -> tuple[int, int] | None:
        """Apply them only where raw was written less strictly; None where it was not.

        Whether to go on with another key than before stays for somebody to decide: until then it is a difference.
        """
        mode, key_check = written_with(connection, company)
        if not is_stricter(self.mode, mode):
            return None
        changed = self.apply(connection, company)
        if key_check is not None:
            connection.execute("update raw.privacy set key_check = ? where company = ?", [key_check, company])
        return changed

    def note(self, connection: duckdb.DuckDBPyConnection, company: str) -> None:
        """Write down that raw is from now on written with this mode and key."""
        connection.execute("delete from raw.privacy where company = ?", [company])
        connection.execute("insert into raw.privacy values (?, ?, ?, now())", [company, self.mode, self.key_check])

    def difference(self, connection: duckdb.DuckDBPyConnection, company: str) -> SettingProblem | None:
        """What raw was written with that is not what the settings say; None where it is, or where nothing stands."""
        mode, key_check = written_with(connection, company)
        if (mode, key_check) == (self.mode, self.key_check) or not _has_payloads(connection, company):
            return None
        if mode == self.mode:
            return SettingProblem(
                self.key_setting,
                f"is another one than the pseudonyms of company {company} were made with: every customer would get a new "
                "pseudonym. Set it to what it was, or run `softone pseudonymise` to go on with the new one",
            )
        return SettingProblem(
            self.mode_setting,
            f"is {self.mode}, but what is stored of company {company} was written with {mode}. Run "
            "`softone pseudonymise` once to bring it into line, or set it back",
        )


def is_stricter(mode: Mode, other: Mode) -> bool:
    modes = get_args(Mode)
    return modes.index(mode) > modes.index(other)


def written_with(connection: duckdb.DuckDBPyConnection, company: str) -> tuple[Mode, str | None]:
    """The mode that raw was written with, and what tells its key from another."""
    found = connection.execute("select mode, key_check from raw.privacy where company = ?", [company]).fetchone()
    return (found[0], found[1]) if found else ("none", None)


def hide_window(hide: Pseudonymiser | None, window: Window) -> Window:
    if hide is None:
        return window
    return dataclasses.replace(window, invoices=tuple(map(hide.received, window.invoices)))


def hide_answer(hide: Pseudonymiser | None, answer: InvoiceAnswer) -> InvoiceAnswer:
    if hide is None or answer.invoice is None:
        return answer
    return dataclasses.replace(answer, invoice=hide.received(answer.invoice))


def rewrite_payloads(
    connection: duckdb.DuckDBPyConnection, company: str, change: Callable[[str], str]
) -> tuple[int, int]:
    """Change what stands in raw, every version of it; no version begins or ends by it. Run it in a transaction.

    Returns how many versions and quarantined payloads are another now. core is derived whole at its next refresh.
    """
    versions = 0
    connection.execute(
        "create or replace temp table payload_rewritten (row_id bigint, payload varchar, normalised varchar)"
    )
    for rows in _batches(
        connection,
        "select rowid, payload::varchar, payload_normalised is not null from raw.customer_invoices where company = ?",
        company,
    ):
        changed = [
            (row_id, new, normalise_invoice(new) if is_odd else None)
            for row_id, old, is_odd in rows
            if (new := change(old)) != old
        ]
        versions += len(changed)
        if changed:
            ids, payloads, normalised = (list(column) for column in zip(*changed, strict=True))
            connection.execute(
                "insert into payload_rewritten select unnest($ids::bigint[]), unnest($p::varchar[]), unnest($n::varchar[])",
                {"ids": ids, "p": payloads, "n": normalised},
            )
    connection.execute(
        """
        update raw.customer_invoices as version
        set payload = new.payload, payload_normalised = new.normalised, payload_hash = md5(new.payload)
        from payload_rewritten as new
        where version.rowid = new.row_id
        """
    )
    quarantined = 0
    for row_id, old, field_, reason in connection.execute(
        "select rowid, payload, field, reason from raw.quarantine where company = ?", [company]
    ).fetchall():
        if (new := change(old)) != old:
            quarantined += 1
            connection.execute(
                "update raw.quarantine set payload = ?, field = ?, reason = ? where rowid = ?",
                [new, *_why_unreadable(new, field_, reason), row_id],
            )
    connection.execute("drop table payload_rewritten")
    if versions:
        # Not deleted: with what it keeps, another company's refresh derives this one's tables as well.
        connection.execute("update core.build_state set sql_digest = '' where company = ?", [company])
    return versions, quarantined


def _why_unreadable(payload: str, field_: str, reason: str) -> tuple[str, str]:
    try:
        normalise_invoice(payload)
    except InvoiceUnreadable as error:
        return error.field, error.reason
    # What made it unreadable is gone with the person: said without what was quoted.
    return field_, _QUOTED.sub('"…"', reason)


def _batches(connection: duckdb.DuckDBPyConnection, query: str, company: str) -> Iterator[list[tuple[int, str, bool]]]:
    reader = connection.cursor()
    try:
        result = reader.execute(query, [company])
        while rows := result.fetchmany(_BATCH):
            yield rows
    finally:
        reader.close()


def _has_payloads(connection: duckdb.DuckDBPyConnection, company: str) -> bool:
    found = connection.execute(
        """
        select exists (select 1 from raw.customer_invoices where company = $company)
            or exists (select 1 from raw.quarantine where company = $company)
        """,
        {"company": company},
    ).fetchone()
    return found == (True,)
