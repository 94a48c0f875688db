"""The one reader of environment variables. Every setting is declared here, with its default and its meaning.

`.env` in the current folder is read too; the environment wins over it. An empty variable counts as not set.
`ErpSettings` is what the client needs, `PipelineSettings` what the tables, the files and the partitions need.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from softone_pipeline.errors import SettingProblem, SettingsError

STOCKHOLM = ZoneInfo("Europe/Stockholm")
PREFIX = "SOFTONE_"

# What pydantic finds, in words for whoever wrote the value. The braces are its own facts.
_IN_PLAIN_WORDS = {
    "missing": "is missing",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_parsing": "should be a number",
    "decimal_parsing": "should be a number",
    "finite_number": "should be a number that is not infinite",
    "greater_than": "should be more than {gt}",
    "greater_than_equal": "should be at least {ge}",
    "less_than": "should be less than {lt}",
    "less_than_equal": "should be at most {le}",
    "decimal_max_places": "should have at most {decimal_places} decimals",
    "bool_parsing": "should be true or false",
    "literal_error": "should be {expected}",
    "date_parsing": "should be a day like 2024-01-31",
    "date_from_datetime_parsing": "should be a day like 2024-01-31",
    "date_from_datetime_inexact": "should be a day like 2024-01-31, without a time",
    "too_short": "is too short",
    "string_too_short": "is too short",
}

# What an address with a password in it is to be told.
PERCENT_ENCODED = "in the user and the password, write / ? # @ : and % percent-encoded, like %2F for /"

_LONGEST_LABEL = 100
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(?:([KMGT])(i?)B|%)")

# In per cent.
_Rate = Annotated[Decimal, Field(gt=0, lt=100, decimal_places=2)]

# What the name of the pipeline's own file ends with.
_OWN = "_pipeline.duckdb"

# A DuckDB file whose stem is one of these makes `raw.x` ambiguous for whoever opens it.
_RESERVED_STEMS = {"raw", "core", "mart", "main", "temp", "system", "pg_catalog", "information_schema"}


def stockholm_today() -> dt.date:
    """The calendar day in Sweden now."""
    return dt.datetime.now(STOCKHOLM).date()


def end_of(day: dt.date) -> dt.datetime:
    """The midnight in Sweden that ends the day: what is fetched earlier may not be all of it."""
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), STOCKHOLM)


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    _prefix: str = PrivateAttr(default=PREFIX)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Last come the defaults of another prefix than SOFTONE_: companies side by side share neither label nor file."""
        prefix = getattr(env_settings, "env_prefix", PREFIX)
        name = prefix.strip("_").lower()
        own = {} if prefix == PREFIX or not name else {"company": name, "duckdb_path": f"data/{name}.duckdb"}
        return init_settings, env_settings, dotenv_settings, InitSettingsSource(settings_cls, own)

    @classmethod
    def load(cls, *, prefix: str = PREFIX, **given: Any) -> Self:
        """Read the environment (arguments win over it).

        `prefix` takes the place of SOFTONE_ in every variable's name: one prefix for each company. ACME_ also gives the
        label acme and the database data/acme.duckdb, where nothing else is said.
        Raises SettingsError naming every variable that is missing or malformed; never shows a value of a secret.
        """
        present = {name: value for name, value in given.items() if value is not None}
        try:
            settings = cls(**{"_env_prefix": prefix, **present})
        except ValidationError as error:
            raise SettingsError(_problems(cls, error, prefix)) from None
        settings._prefix = prefix
        return settings

    @property
    def prefix(self) -> str:
        """What the names of the variables begin with that these settings were read from."""
        return self._prefix

    def variable(self, field: str) -> str:
        """The environment variable that a field was read from, or would be: what an error tells the user to mend."""
        return variable_name(field, self._prefix)

    def with_own_names(self, text: str) -> str:
        """A text that names variables, with their names as they are here."""
        return text.replace(PREFIX, self._prefix)


def _label(value: str) -> str:
    """Refuse what could be no part of a file's name."""
    if not value.strip() or _CONTROL.search(value):
        raise ValueError("should be a name, without line breaks and other control characters")
    if len(value.encode()) > _LONGEST_LABEL:
        raise ValueError(f"is too long: {_LONGEST_LABEL} letters at most, one like å counting as two")
    return value


def _secret_line(value: SecretStr | None) -> SecretStr | None:
    """A secret without the white space around it, which no secret has. Refuses what has no place in a request."""
    if value is None:
        return None
    secret = value.get_secret_value().strip()
    if not secret:
        raise ValueError("is blank")
    if _CONTROL.search(secret):
        raise ValueError("should be one line, without control characters")
    return SecretStr(secret)


_Company = Annotated[str, AfterValidator(_label)]
_Key = Annotated[SecretStr, AfterValidator(_secret_line)]


class ErpSettings(_Settings):
    """How to reach the ERP, and how hard to press it."""

    base_url: str = Field(
        default="https://apiexternal.softone.se",
        description="Root of the API. https always; plain http only to this machine (the sandbox).",
    )
    company_api_key: _Key = Field(description="The key that identifies the company; SoftOne GO issues it.")
    connect_api_key: _Key = Field(description="The key that identifies the integration; SoftOne issues it.")
    token: _Key | None = Field(
        default=None, description="A token to use as it is. Without username and password it cannot be renewed."
    )
    license: str | None = Field(default=None, description="The licence number, when the login asks for one.")
    username: str | None = Field(
        default=None, validate_default=True, description="The API user. Needed unless a token is given."
    )
    password: SecretStr | None = Field(
        default=None, validate_default=True, description="The API user's password. Needed unless a token is given."
    )
    company: _Company = Field(default="default", description="Label of the company in every table's first column.")
    page_size: int = Field(default=500, ge=1, le=100_000, description="Invoices asked for per page.")
    include_preliminary: bool = Field(default=True, description="Fetch invoices that are not definitive yet as well.")
    max_connections: int = Field(
        default=4, ge=1, le=64, description="Requests to the ERP that may be under way at once."
    )
    requests_per_second: float | None = Field(
        default=None,
        # A slower one would look as if it hung.
        ge=0.1,
        le=1000,
        allow_inf_nan=False,
        description="Our own limit on requests per second. Not set: unlimited.",
    )
    timeout_seconds: float = Field(
        default=60,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="How long to wait for the ERP to connect, or to send the next bytes.",
    )
    max_attempts: int = Field(default=8, ge=1, le=100, description="Attempts per request before giving up.")
    retry_wait_seconds: float = Field(
        default=0.5,
        ge=0,
        le=60,
        allow_inf_nan=False,
        description="First wait between attempts; it doubles each time, with jitter.",
    )

    @field_validator("base_url")
    @classmethod
    def _base_url_is_safe(cls, value: str) -> str:
        parts = _split(value)
        if not parts or parts.scheme not in {"https", "http"} or not parts.hostname:
            raise ValueError("should look like https://apiexternal.softone.se")
        # As it stands: the path of a request would go behind a lone ? or #.
        if parts.username or parts.password or "?" in value or "#" in value:
            raise ValueError("should be the bare address: no user, no query (keys have settings of their own)")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("plain http is only allowed to this machine; use https://")
        return value.rstrip("/")

    @field_validator("password")
    @classmethod
    def _password_is_one_line(cls, value: SecretStr | None) -> SecretStr | None:
        # kept as it is: a password may begin or end with a space
        return value if _secret_line(value) else None

    @field_validator("username", "password")
    @classmethod
    def _can_get_a_token(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.data.get("token") is None:
            raise ValueError("is missing")
        return value


class PipelineSettings(_Settings):
    """Where the tables live, which days there are, and how amounts are read."""

    company: _Company = Field(default="default", description="Label of the company in every table's first column.")
    duckdb_path: Path = Field(
        default=Path("data/softone.duckdb"),
        description="The published database, the one that analysts open. The pipeline's own file lies beside it.",
    )
    start_date: dt.date = Field(
        default=dt.date(2024, 1, 1),
        description="First day that is fetched (YYYY-MM-DD); the first partition.",
    )
    lookback_days: int = Field(
        default=60, ge=1, le=3660, description="How many days back the daily run reads again, today included."
    )
    days_ahead: int = Field(
        default=0,
        ge=0,
        le=3660,
        description="How many days after today are partitions too (post-dated invoices).",
    )
    accounting_currency: str = Field(default="SEK", description="The company's accounting currency (ISO 4217).")

    vat_rates: Annotated[tuple[_Rate, ...], NoDecode] = Field(
        default=(Decimal(25), Decimal(12), Decimal(6)),
        min_length=1,
        description="VAT rates in per cent that rows are matched with, like 25,12,6 (mervärdesskattelagen 9 kap.).",
    )
    tax_reduction_words: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("rot", "rut", "husarbete", "husavdrag", "skattereduktion", "grön teknik"),
        description="Words, comma-separated, that mark a deduction without VAT as a tax reduction.",
    )

    pseudonymise: Literal["none", "persons", "all"] = Field(
        default="none",
        description="Whose names, organisation numbers and free text are replaced by pseudonyms before they are stored.",
    )
    hash_key: SecretStr | None = Field(
        default=None,
        validate_default=True,
        min_length=16,
        description="The key of the pseudonyms: at least 16 characters, drawn at random, never changed.",
    )
    duckdb_mode: str = Field(
        default="0600", description="Who may read and write the pipeline's own file, in octal digits."
    )
    published_mode: str = Field(default="0440", description="Who may read the published database, in octal digits.")

    # A million invoices take 600 MB of the whole process with it, a day of 200,000 goes through.
    duckdb_memory_limit: str = Field(
        default="360MB",
        description="How much memory DuckDB may take while loading, like 1GB; what is beyond goes to a temporary folder.",
    )

    alert_webhook: _Key | None = Field(
        default=None, description="Where alerts are posted as JSON. https; plain http only to this machine. A secret."
    )
    alert_email_to: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Who gets alerts by e-mail, addresses separated by commas."
    )
    alert_email_from: str | None = Field(
        default=None, description="The sender of those e-mails. Default: the first of those who get them."
    )
    alert_smtp: _Key | None = Field(
        default=None,
        validate_default=True,
        description="The mail server: smtps://user:password@host, or smtp:// for STARTTLS. A secret.",
    )
    stale_after_hours: int = Field(
        default=36, ge=1, le=8760, description="How old the newest fetch may be before data counts as stale."
    )

    @field_validator("alert_webhook")
    @classmethod
    def _webhook_is_safe(cls, value: SecretStr | None) -> SecretStr | None:
        parts = _split(value.get_secret_value()) if value else None
        if value and not (
            parts
            and parts.hostname
            and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)))
        ):
            raise ValueError("should be a whole address that begins with https://")
        return value

    @field_validator("alert_smtp")
    @classmethod
    def _mail_has_a_server(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None:
            if info.data.get("alert_email_to"):
                raise ValueError("is missing: SOFTONE_ALERT_EMAIL_TO needs it")
            return None
        address = value.get_secret_value()
        parts = _split(address)
        if not address.lower().startswith(("smtps://", "smtp://")) or (parts and not parts.hostname):
            raise ValueError("should look like smtps://user:password@mail.example.com")
        parts = server_address(address)
        if parts is None:
            raise ValueError(f"should end with the server, or with its port: {PERCENT_ENCODED}")
        if not unquote((parts.username or "") + (parts.password or "")).isascii():
            raise ValueError("should have a user and a password of ASCII letters: a login by SMTP takes no others")
        return value

    @field_validator("hash_key")
    @classmethod
    def _pseudonyms_have_a_key(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("pseudonymise") in {"persons", "all"}:
            raise ValueError("is missing: pseudonyms are made with it")
        return value

    @field_validator("duckdb_mode", "published_mode")
    @classmethod
    def _mode_is_safe(cls, value: str, info: ValidationInfo) -> str:
        try:
            mode = int(value, 8)
        except ValueError:
            raise ValueError("should be octal digits like 0640") from None
        owner = 0o600 if info.field_name == "duckdb_mode" else 0o400
        if mode & owner != owner or mode & ~0o666 or mode & 0o002:
            raise ValueError(f"should let the owner in ({owner:04o}), execute nothing and not let everybody write")
        return value

    @field_validator("vat_rates", "tax_reduction_words", "alert_email_to", mode="before")
    @classmethod
    def _listed_by_commas(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("vat_rates")
    @classmethod
    def _each_rate_once(cls, value: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
        if len(set(value)) < len(value):
            raise ValueError("should name each rate once: a row's VAT that fits two rates fits none")
        return value

    @field_validator("accounting_currency")
    @classmethod
    def _currency_is_a_code(cls, value: str) -> str:
        if not re.fullmatch("[A-Z]{3}", value):
            raise ValueError("should be three capital letters, like SEK")
        return value

    @field_validator("duckdb_memory_limit")
    @classmethod
    def _memory_is_enough(cls, value: str) -> str:
        found = _MEMORY.fullmatch(value)
        if not found:
            raise ValueError("should look like 360MB, 1GB or 40%")
        amount, unit, is_binary = float(found[1]), found[2], bool(found[3])
        if unit is None and not 1 <= amount <= 100:
            raise ValueError("should lie between 1% and 100%")
        if unit and amount * (1024 if is_binary else 1000) ** " KMGT".index(unit) < 64_000_000:
            raise ValueError("should be at least 64MB")
        return value

    @field_validator("duckdb_path")
    @classmethod
    def _path_is_a_usable_file(cls, value: Path) -> Path:
        if value.suffix != ".duckdb":
            raise ValueError("should be a file ending in .duckdb, like data/softone.duckdb")
        if value.stem.split(".")[0].lower() in _RESERVED_STEMS:
            raise ValueError(f"a database called {value.stem!r} cannot be queried, a schema has that name")
        return value

    @field_validator("start_date")
    @classmethod
    def _start_is_not_in_the_future(cls, value: dt.date) -> dt.date:
        if value > stockholm_today():
            raise ValueError("should not lie in the future")
        return value

    @property
    def duckdb_config(self) -> dict[str, str]:
        """DuckDB's own configuration, for whoever opens the pipeline's file."""
        return {"memory_limit": self.duckdb_memory_limit}

    @property
    def warehouse_path(self) -> Path:
        """The pipeline's own database, beside the published one. Only the pipeline opens it."""
        return self.duckdb_path.with_name(f"{self.duckdb_path.stem}{_OWN}")

    @property
    def pace_file(self) -> Path:
        """What the processes on this database share, so that together they keep SOFTONE_REQUESTS_PER_SECOND."""
        return self.duckdb_path.with_name(f".{self.duckdb_path.stem}.pace.sqlite")

    @property
    def last_day(self) -> dt.date:
        """The last day that is a partition: today in Sweden, plus `days_ahead`."""
        return stockholm_today() + dt.timedelta(days=self.days_ahead)


def variable_name(field: str, prefix: str = PREFIX) -> str:
    """The environment variable of a settings field."""
    return f"{prefix}{field.upper()}"


def is_set(variable: str) -> bool:
    """Whether the environment has a value for it."""
    return bool(os.environ.get(variable))


def dagster_home() -> Path:
    """Where Dagster keeps its history: DAGSTER_HOME, or `.dagster` in the current folder."""
    return Path(os.environ.get("DAGSTER_HOME") or ".dagster").expanduser().absolute()


def published_path(warehouse: Path) -> Path:
    """Where the copy of a pipeline's own file is published: beside it. Raises ValueError for a name that is no such file's."""
    name = warehouse.name.removesuffix(_OWN)
    if name in {"", warehouse.name}:
        raise ValueError(
            f"{warehouse} can be no pipeline's own file: that is called NAME{_OWN}, and the copy that analysts open, "
            "NAME.duckdb, is published beside it."
        )
    return warehouse.with_name(f"{name}.duckdb")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(address: str) -> SplitResult | None:
    """Its parts, if it is an address and its port, if any, can be one. (The library's own error would quote the text.)"""
    try:
        parts = urlsplit(address)
        return parts if parts.port is None or parts.port > 0 else None
    except ValueError:
        return None


def server_address(address: str) -> SplitResult | None:
    """The parts of an address that ends with its server or port: a / ? or # in its password would end it earlier."""
    parts = _split(address)
    return (
        parts if parts and parts.hostname and not parts.path.strip("/") and not parts.query + parts.fragment else None
    )


def _problems(model: type[_Settings], error: ValidationError, prefix: str) -> list[SettingProblem]:
    problems: dict[str, SettingProblem] = {}
    for detail in error.errors(include_input=False, include_url=False):
        said = _IN_PLAIN_WORDS.get(detail["type"])
        text = said.format(**detail.get("ctx", {})) if said else detail["msg"].removeprefix("Value error, ")
        field = str(detail["loc"][0]) if detail["loc"] else ""
        # The first is the cause of the others.
        problems.setdefault(field, _problem(model, field, text, prefix))
    return list(problems.values())


def _problem(model: type[_Settings], field: str, text: str, prefix: str) -> SettingProblem:
    description = model.model_fields[field].description if field in model.model_fields else None
    told = text.replace(PREFIX, prefix) + (f". {description}" if description else "")
    return SettingProblem(variable_name(field, prefix), told)
