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


@pytest.mark.parametrize("url", ["http://10.0.0.1", "http://localhost.evil.se", "https://x.se?companyApiKey=1", "x"])
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


def test_an_error_names_variables_as_they_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_ALERT_EMAIL_TO", "anna@example.com")
    with pytest.raises(SettingsError, match="ACME_ALERT_SMTP: is missing: ACME_ALERT_EMAIL_TO needs it"):
        PipelineSettings.load(prefix="ACME_")
