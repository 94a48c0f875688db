"""Settings: read once, checked once, never shown where they are secret."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from softone_pipeline.errors import SettingsError
from softone_pipeline.settings import ErpSettings, PipelineSettings
from softone_pipeline.tables.rebuild import warehouse_of

KEYS = {"company_api_key": "c-secret", "connect_api_key": "k-secret", "username": "u", "password": "p-secret"}


def test_defaults_are_those_of_the_readme() -> None:
    settings = PipelineSettings.load()
    assert (settings.start_date, settings.lookback_days, settings.days_ahead) == (dt.date(2024, 1, 1), 60, 0)
    assert settings.duckdb_path == Path("data/softone.duckdb")
    assert settings.warehouse_path == Path("data/softone_pipeline.duckdb")
    erp = ErpSettings.load(**KEYS)
    assert (erp.page_size, erp.max_connections, erp.max_attempts) == (500, 4, 8)
    assert erp.include_preliminary


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTONE_LOOKBACK_DAYS", "")
    assert PipelineSettings.load().lookback_days == 60


def test_no_secret_is_shown_by_a_repr_or_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "secret" not in repr(ErpSettings.load(**KEYS))
    monkeypatch.setenv("SOFTONE_BASE_URL", "ftp://user:p-secret@host")
    with pytest.raises(SettingsError) as caught:
        ErpSettings.load(**KEYS)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1:8571", "http://[::1]:1", "https://x.se/"])
def test_plain_http_is_for_loopback_only(url: str) -> None:
    assert ErpSettings.load(**KEYS, base_url=url).base_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1",
        "http://localhost.evil.se",
        "https://x.se?companyApiKey=1",
        "x",
        "https://x.se?",
        "https://x.se#",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="SOFTONE_BASE_URL"):
        ErpSettings.load(**KEYS, base_url=url)


def test_the_memory_limit_is_duckdbs(tmp_path: Path) -> None:
    settings = PipelineSettings.load(duckdb_path=tmp_path / "softone.duckdb", duckdb_memory_limit="1 GiB")
    with warehouse_of(settings).connect() as connection:
        assert connection.execute("select current_setting('memory_limit')").fetchall() == [("1.0 GiB",)]
    with pytest.raises(SettingsError, match="SOFTONE_DUCKDB_MEMORY_LIMIT"):
        PipelineSettings.load(duckdb_memory_limit="much")


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTONE_VAT_RATES", "25, 12,6,13.5")
    monkeypatch.setenv("SOFTONE_TAX_REDUCTION_WORDS", "rot, grön teknik")
    settings = PipelineSettings.load()
    assert [str(rate) for rate in settings.vat_rates] == ["25", "12", "6", "13.5"]
    assert settings.tax_reduction_words == ("rot", "grön teknik")


@pytest.mark.parametrize("rates", ["25,25", "25,0", "12,-5", "100", "6.001", "25,x", "25,NaN"])
def test_a_rate_lies_between_nothing_and_all_and_is_named_once(rates: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTONE_VAT_RATES", rates)
    with pytest.raises(SettingsError, match="SOFTONE_VAT_RATES"):
        PipelineSettings.load()


@pytest.mark.parametrize("password", ["Hemligt7/x", "Hemligt7?x", "Hemligt7#x", "7/x"])
def test_a_mail_password_that_is_not_encoded_is_refused_and_not_shown(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTONE_ALERT_EMAIL_TO", "anna@example.com")
    monkeypatch.setenv("SOFTONE_ALERT_SMTP", f"smtps://larm:{password}@mail.example.com")
    with pytest.raises(SettingsError, match="percent-encoded") as caught:
        PipelineSettings.load()
    assert "7" not in str(caught.value)


@pytest.mark.parametrize("login", ["larm:Hemligt7å", "larm:Hemligt7%C3%A5", "lärm:Hemligt7"])
def test_a_mail_password_that_no_login_carries_is_refused_and_not_shown(login: str) -> None:
    with pytest.raises(SettingsError, match=r"SOFTONE_ALERT_SMTP: should have .* of ASCII letters") as caught:
        PipelineSettings.load(alert_smtp=f"smtps://{login}@mail.example.com")
    assert "7" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "scheme"), [("alert_smtp", "smtps"), ("alert_webhook", "https"), ("base_url", "https")]
)
@pytest.mark.parametrize("password", ["hem℀7x", "[hem7x]"])
def test_an_address_that_cannot_be_read_is_refused_and_not_shown(name: str, scheme: str, password: str) -> None:
    kind, keys = (ErpSettings, KEYS) if name == "base_url" else (PipelineSettings, {})
    with pytest.raises(SettingsError, match=name.upper()) as caught:
        kind.load(**{**keys, name: f"{scheme}://larm:{password}@mail.example.com"})
    assert "7x" not in str(caught.value)


MALFORMED = [
    (ErpSettings, "TIMEOUT_SECONDS", "inf", "should be a number that is not infinite"),
    (ErpSettings, "TIMEOUT_SECONDS", "1e400", "should be a number that is not infinite"),
    (ErpSettings, "TIMEOUT_SECONDS", "nan", "should be a number that is not infinite"),
    (ErpSettings, "TIMEOUT_SECONDS", "1e9", "should be at most 3600"),
    (ErpSettings, "TIMEOUT_SECONDS", "0", "should be more than 0"),
    (ErpSettings, "TIMEOUT_SECONDS", "soon", "should be a number"),
    (ErpSettings, "REQUESTS_PER_SECOND", "inf", "should be a number that is not infinite"),
    (ErpSettings, "REQUESTS_PER_SECOND", "0.001", "should be at least 0.1"),
    (ErpSettings, "REQUESTS_PER_SECOND", "1e-9", "should be at least 0.1"),
    (ErpSettings, "RETRY_WAIT_SECONDS", "inf", "should be a number that is not infinite"),
    (ErpSettings, "RETRY_WAIT_SECONDS", "nan", "should be a number that is not infinite"),
    (ErpSettings, "PAGE_SIZE", "many", "should be a whole number"),
    (ErpSettings, "PAGE_SIZE", "1.5", "should be a whole number"),
    (ErpSettings, "INCLUDE_PRELIMINARY", "perhaps", "should be true or false"),
    (ErpSettings, "COMPANY_API_KEY", "   ", "is blank"),
    (ErpSettings, "COMPANY_API_KEY", "c-sec\nret", "should be one line, without control characters"),
    (ErpSettings, "CONNECT_API_KEY", "k-sec\tret", "should be one line, without control characters"),
    (ErpSettings, "TOKEN", " \t", "is blank"),
    (ErpSettings, "PASSWORD", "p-sec\rret", "should be one line, without control characters"),
    (ErpSettings, "PASSWORD", "  ", "is blank"),
    (ErpSettings, "BASE_URL", "http://127.0.0.1:99999", "should look like https://apiexternal.softone.se"),
    (ErpSettings, "BASE_URL", "http://[::1", "should look like https://apiexternal.softone.se"),
    (ErpSettings, "COMPANY", "å" * 51, "is too long: 100 letters at most"),
    (PipelineSettings, "COMPANY", "a" * 101, "is too long: 100 letters at most"),
    (PipelineSettings, "COMPANY", "Åkeri\nAB", "without line breaks and other control characters"),
    (PipelineSettings, "COMPANY", " ", "should be a name"),
    (PipelineSettings, "ACCOUNTING_CURRENCY", "kronor", "should be three capital letters, like SEK"),
    (PipelineSettings, "START_DATE", "2024-01-01T10:00", "should be a day like 2024-01-31, without a time"),
    (PipelineSettings, "START_DATE", "2024-02-30", "should be a day like 2024-01-31"),
    (PipelineSettings, "START_DATE", "in spring", "should be a day like 2024-01-31"),
    (PipelineSettings, "VAT_RATES", ",", "is too short"),
    (PipelineSettings, "VAT_RATES", "25,x", "should be a number"),
    (PipelineSettings, "VAT_RATES", "100", "should be less than 100"),
    (PipelineSettings, "VAT_RATES", "6.001", "should have at most 2 decimals"),
    (PipelineSettings, "HASH_KEY", "short", "is too short. The key of the pseudonyms: at least 16 characters"),
    (PipelineSettings, "PSEUDONYMISE", "some", "should be 'none', 'persons' or 'all'"),
    (PipelineSettings, "DUCKDB_MEMORY_LIMIT", "much", "should look like 360MB, 1GB or 40%"),
    (PipelineSettings, "DUCKDB_MEMORY_LIMIT", "1KB", "should be at least 64MB"),
    (PipelineSettings, "DUCKDB_MEMORY_LIMIT", "0.0001 GiB", "should be at least 64MB"),
    (PipelineSettings, "DUCKDB_MEMORY_LIMIT", "0%", "should lie between 1% and 100%"),
    (PipelineSettings, "ALERT_WEBHOOK", "https://x.se/sec\nret", "should be one line, without control characters"),
]


@pytest.mark.parametrize(("kind", "name", "value", "said"), MALFORMED, ids=lambda value: str(value)[:30])
def test_a_malformed_value_is_refused_in_one_plain_line(
    kind: type[ErpSettings | PipelineSettings], name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for field, given in KEYS.items():
        monkeypatch.setenv(f"SOFTONE_{field.upper()}", given)
    monkeypatch.setenv(f"SOFTONE_{name}", value)
    with pytest.raises(SettingsError) as caught:
        kind.load()
    heading, line, _ = str(caught.value).splitlines()
    assert heading == "Settings are missing or malformed:"
    assert line.startswith(f"  SOFTONE_{name}: ")
    assert said in line
    for jargon in ("Input", "String", "Tuple", "Value", "pattern", "valid", "sec"):
        assert jargon not in line.replace("SECONDS", "").replace("second", "").replace("A secret", "")


def test_white_space_around_a_key_is_no_part_of_it() -> None:
    erp = ErpSettings.load(**(KEYS | {"company_api_key": " c-secret\n", "token": "t-secret ", "password": " p "}))
    secrets = (erp.company_api_key, erp.token, erp.password)
    assert [secret and secret.get_secret_value() for secret in secrets] == ["c-secret", "t-secret", " p "]


@pytest.mark.parametrize("limit", ["64MB", "1 GiB", "40%", "0.5GB", "100%"])
def test_limits_that_duckdb_takes_are_taken(limit: str) -> None:
    assert PipelineSettings.load(duckdb_memory_limit=limit).duckdb_memory_limit == limit


def test_an_error_names_variables_as_they_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_ALERT_EMAIL_TO", "anna@example.com")
    with pytest.raises(SettingsError, match="ACME_ALERT_SMTP: is missing: ACME_ALERT_EMAIL_TO needs it"):
        PipelineSettings.load(prefix="ACME_")
