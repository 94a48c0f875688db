"""Every error this package raises on purpose, drawn as a tree. None of them ever carries a key, a token or a URL's query.

A class stands here, or in the module that the tree names behind it.

    SoftOneError
    ├── SettingsError               a setting is missing or malformed
    ├── AuthenticationError         the ERP refused the login or a fresh token
    ├── RequestError                one request to the ERP came to nothing
    │   ├── EndpointNotFoundError   neither known path answers
    │   ├── RequestRefusedError     the ERP said no (4xx); asking again will not help
    │   └── RequestFailedError      it kept failing for as many attempts as the settings allow
    │       ├── NoConnectionError   nobody was reached at all
    │       └── StoppedError        the client was closed before the request was done (softone/transport.py)
    ├── InvoiceUnreadable           one invoice cannot be typed exactly (softone/models.py; ends in raw.quarantine)
    ├── WindowError                 a window of days could not be read whole; nothing of it was written
    │   └── UnstableWindowError     its pages kept moving while they were read
    ├── ClockError                  what stands was asked for in the future; nothing was written
    ├── AlertError                  an alert could not be delivered
    ├── NothingToExplainError       what is to be explained is not in the database (tables/proof/explain.py)
    ├── LedgerError                 the ledger's figures cannot be read (tables/proof/ledger.py)
    ├── SumTooLargeError            a sum over invoices does not fit its column
    ├── WarehouseError              the DuckDB side
    │   ├── WarehouseLockedError    another process holds the file for longer than we wait
    │   ├── WarehouseVersionError   the file was made by a newer or unknown version of this package
    │   ├── OutdatedCopyError       the published copy was made by an earlier version of this package
    │   ├── WarehouseAccessError    the file or its folder cannot be read or written
    │   │   ├── NothingPublishedError   there is no published copy yet
    │   │   └── WarehouseMemoryError    DuckDB needs more memory than it may take
    │   └── BackupRefusedError      a backup is damaged, foreign, or older than what it would replace
    └── OutputError                 a file for people (export, report) could not be made
        └── OutputRefusedError      what was asked for cannot be: a bad query, a file in the way, too much for Excel

An error says what happened, to which company, day, page or invoice, and `to_do` what to do next. The facts are
fields as well, so that a caller need not read the sentence.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Days in a row that failed alike.
_MOST_TOLD_DAY_BY_DAY = 7


class SoftOneError(Exception):
    """The root: catch this to catch everything the package raises on purpose.

    `to_do` is the next step, for whoever is on duty. `is_bad_input`: the caller asked for what cannot be; nothing failed.
    """

    to_do: str = "See softone_pipeline/docs/runbook.md, which starts from what an error says."
    is_bad_input: bool = False


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One setting that is missing or malformed: its environment variable and what it should look like."""

    variable: str
    problem: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.problem}"


class SettingsError(SoftOneError):
    """One or more settings are missing or malformed. `problems` names each of them."""

    to_do = "Set them in the environment or in a .env file beside you."
    is_bad_input = True

    def __init__(self, problems: Sequence[SettingProblem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"Settings are missing or malformed:\n{lines}\n{self.to_do}")


class AuthenticationError(SoftOneError):
    """The ERP refused the login, or a token it had just issued. `server_message` is its own text."""

    to_do = (
        "Check the keys, user name, password and licence (softone check tries them), and with SoftOne that the API user "
        "is active. Then load the same days again."
    )

    def __init__(self, what: str, *, server_message: str | None = None) -> None:
        self.server_message = server_message
        said = f" The server says: {server_message}" if server_message else ""
        super().__init__(f"{what}{said}")


class RequestError(SoftOneError):
    """One request came to nothing. `status` is the HTTP status, None when no answer came."""

    to_do = "Load the same days again when the ERP answers; what stood before still stands."

    def __init__(self, message: str, *, status: int | None = None, attempts: int = 1) -> None:
        self.status = status
        self.attempts = attempts
        super().__init__(message)


class EndpointNotFoundError(RequestError):
    """Neither the documented path nor its alternative answers under this base URL."""

    to_do = "Check SOFTONE_BASE_URL, and with SoftOne that the API is part of the licence."


class RequestRefusedError(RequestError):
    """The ERP refused the request (a 4xx that is not about login or rate): asking again will not help."""

    to_do = "Asking again will not help: check the API user's rights, and what the server says above."


class RequestFailedError(RequestError):
    """The request kept failing (no connection, 5xx, 429, a body that is no list of invoices), or was not sent any more
    (`attempts` 0), for the ERP had not answered anything for minutes.
    """

    to_do = (
        "Load the same days again when the ERP answers; what stood before still stands. If it happens often, lower "
        "SOFTONE_MAX_CONNECTIONS or set SOFTONE_REQUESTS_PER_SECOND."
    )


class NoConnectionError(RequestFailedError):
    """No attempt reached anybody, and nobody has answered this client before: a name, a port or a way that is not there, a
    handshake that failed.
    """

    to_do = (
        "Check SOFTONE_BASE_URL (host, port, https), the network, and the proxy if this machine needs one (HTTPS_PROXY); "
        "softone check tries them. Then load the same days again."
    )


class WindowError(SoftOneError):
    """A window of days could not be read whole. Nothing of it was written; earlier data stands.

    `first_day` and `last_day` are inclusive; `page` is the page that failed, None when it was no single page. `to_do`:
    another next step than the usual one, where the cause has one.
    """

    to_do = (
        "Load that day again (softone backfill, or Re-execute from failure). If it alone keeps failing, send company, day "
        "and page to SoftOne."
    )

    def __init__(
        self,
        reason: str,
        *,
        company: str,
        first_day: dt.date,
        last_day: dt.date,
        page: int | None = None,
        to_do: str | None = None,
    ) -> None:
        self.to_do = to_do or type(self).to_do
        self.reason = reason
        self.company = company
        self.first_day = first_day
        self.last_day = last_day
        self.page = page
        days = f"{first_day}" if first_day == last_day else f"{first_day} to {last_day}"
        where = f"company {company}, {days}" + (f", page {page}" if page is not None else "")
        super().__init__(f"Invoices could not be read ({where}): {reason} Nothing was written for it.")


class UnstableWindowError(WindowError):
    """The pages of a window kept moving while they were read, however often it was begun again."""

    to_do = "Load that day again when nobody is invoicing, or set a larger SOFTONE_PAGE_SIZE."


def told_together(errors: Iterable[SoftOneError]) -> list[SoftOneError]:
    """The same errors, to be read: more than a week of days in a row that failed alike is told as one window."""
    rows: list[list[SoftOneError]] = []
    for error in errors:
        if rows and _follows(rows[-1][-1], error):
            rows[-1].append(error)
        else:
            rows.append([error])
    return [error for row in rows for error in _as_one(row)]


def _follows(before: SoftOneError, error: SoftOneError) -> bool:
    return (
        isinstance(before, WindowError)
        and isinstance(error, WindowError)
        and error.first_day == before.last_day + dt.timedelta(days=1)
        and (type(error), error.reason, error.company, error.page, error.to_do)
        == (type(before), before.reason, before.company, before.page, before.to_do)
    )


def _as_one(row: Sequence[SoftOneError]) -> Sequence[SoftOneError]:
    first, last = row[0], row[-1]
    if len(row) <= _MOST_TOLD_DAY_BY_DAY or not isinstance(first, WindowError) or not isinstance(last, WindowError):
        return row
    days = {"first_day": first.first_day, "last_day": last.last_day}
    return [type(first)(first.reason, company=first.company, page=first.page, to_do=first.to_do, **days)]


class ClockError(SoftOneError):
    """The newest that stands of a company lies after this machine's now: one of two clocks is, or was, wrong."""

    to_do = (
        "Set this machine's clock right and run the same again. If it is right, an earlier run's was not: restore a backup "
        'of before that run, or see "A clock was wrong" in softone_pipeline/docs/runbook.md.'
    )

    def __init__(self, message: str, *, company: str, newest: dt.datetime, now: dt.datetime) -> None:
        self.company = company
        self.newest = newest
        self.now = now
        super().__init__(message)


class AlertError(SoftOneError):
    """An alert did not reach its sink. The sink's address is a secret and is not told."""

    to_do = "Check SOFTONE_ALERT_WEBHOOK or SOFTONE_ALERT_SMTP, and see to what the alert was to tell."

    def __init__(self, reason: str, *, title: str) -> None:
        self.reason = reason
        super().__init__(f"The alert was not delivered, {reason}. It said: {title}")


class SumTooLargeError(SoftOneError):
    """A sum over invoices (of a month, a customer) does not fit DECIMAL(18,2). Its table stands as it was."""

    to_do = (
        "Find the invoices of absurd amounts (from core.invoices order by abs(total_amount) desc, in the published copy or "
        "in what raw.customer_invoices holds), have them corrected in the ERP, and load their days again."
    )


class WarehouseError(SoftOneError):
    """Something about the DuckDB files. `path` names the file."""

    to_do = "Nothing was half-written. Mend what it says about the file, then run the same again."

    def __init__(self, message: str, *, path: str) -> None:
        self.path = path
        super().__init__(message)


class WarehouseLockedError(WarehouseError):
    """Another process held the database for longer than we are willing to wait."""

    to_do = "Close what holds the file (analysts open the published copy instead), then run the same again."


class WarehouseVersionError(WarehouseError):
    """The database was made by a newer or unknown version of this package, and is left alone."""

    to_do = "Upgrade softone-pipeline, or point SOFTONE_DUCKDB_PATH elsewhere."


class OutdatedCopyError(WarehouseError):
    """The published copy was made by an earlier version, and lacks a table or column that is asked for."""

    to_do = "Load any day again (softone backfill): the copy is then published in today's shape."


class WarehouseAccessError(WarehouseError):
    """The database or its folder cannot be read or written (rights, disk full, not a DuckDB file)."""

    to_do = "Make room on the disk or mend the rights of file and folder, then run the same again."


class NothingPublishedError(WarehouseAccessError):
    """There is no published copy to read: nothing has been loaded yet, or it lies elsewhere."""

    to_do = (
        "Load some days first (softone backfill --from YYYY-MM-DD --to YYYY-MM-DD), or let SOFTONE_DUCKDB_PATH name the "
        "database that there is."
    )


class WarehouseMemoryError(WarehouseAccessError):
    """DuckDB needs more memory than it may take, although what it can it puts on disk."""

    to_do = "Set SOFTONE_DUCKDB_MEMORY_LIMIT higher, then run the same again."


class BackupRefusedError(WarehouseError):
    """A backup that is damaged, foreign, or older than what it would replace. Nothing was changed."""

    to_do = "Take another backup, or see softone_pipeline/docs/backup.md on replacing newer data."


class OutputError(SoftOneError):
    """A file for people (an export, a report) could not be made. `path` names it."""

    to_do = "Make room or mend the rights there, or give another name; then run the same again."

    def __init__(self, message: str, *, path: str) -> None:
        self.path = path
        super().__init__(message)


class OutputRefusedError(OutputError):
    """What was asked for cannot be: a query that is none, a file in the way, more than the format can hold."""

    to_do = "Change the command as it says; softone export --help shows what it takes."
    is_bad_input = True
