"""The scripted ERP and a client for it, for the tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from softone_pipeline.settings import ErpSettings
from softone_pipeline.softone import SoftOneClient
from softone_pipeline_tests.softone.fake_erp import COMPANY_KEY, CONNECT_KEY, PASSWORD, USERNAME, FakeErp

Connect = Callable[..., SoftOneClient]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("SOFTONE_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def erp() -> Iterator[FakeErp]:
    with FakeErp().running() as running:
        yield running


@pytest.fixture
def connect(erp: FakeErp) -> Iterator[Connect]:
    """Makes clients for the scripted ERP; keyword arguments are settings. Closes them at the end."""
    clients: list[SoftOneClient] = []

    def connect(**given: Any) -> SoftOneClient:
        client = SoftOneClient(settings_for(erp, **given))
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


def settings_for(erp: FakeErp, **given: Any) -> ErpSettings:
    values: dict[str, Any] = {
        "base_url": erp.base_url,
        "company_api_key": COMPANY_KEY,
        "connect_api_key": CONNECT_KEY,
        "username": USERNAME,
        "password": PASSWORD,
        "company": "acme",
        "page_size": 4,
        "retry_wait_seconds": 0.01,
        "timeout_seconds": 5,
        "max_attempts": 4,
    }
    return ErpSettings.load(**(values | given))
