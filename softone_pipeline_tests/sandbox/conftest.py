"""A small company, and a caller that speaks to a sandbox over real HTTP as any client would."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from softone_pipeline.sandbox import DEFAULT, Company, Sandbox
from softone_pipeline.sandbox.server import FILTER_PATH, LOGIN_PATH, SEARCH_PATH

FIRST_DAY = dt.date(2026, 2, 1)
LAST_DAY = dt.date(2026, 3, 31)
KEYS = {"companyApiKey": DEFAULT.company_api_key, "connectApiKey": DEFAULT.connect_api_key}
LOGIN = {"License": DEFAULT.license, "UserName": DEFAULT.username, "Password": DEFAULT.password}


class Caller:
    """One keep-alive connection to a sandbox, with the requests of the vendor's document."""

    def __init__(self, sandbox: Sandbox, http: httpx.Client) -> None:
        self.sandbox = sandbox
        self.http = http
        self.token = sandbox.issue_token()

    def log_in(self, **other: Any) -> httpx.Response:
        return self.http.post(LOGIN_PATH, params=KEYS, json=LOGIN | other)

    def filter(self, *, path: str = FILTER_PATH, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        asked = {"IncludePreliminary": True, "IncludeVoucher": True} | body
        return self.http.post(path, params=KEYS | {"token": self.token}, json=asked, headers=headers)

    def page(self, number: int, size: int, **body: Any) -> list[dict[str, Any]]:
        response = self.filter(PageNumber=number, PageNrOfRecords=size, **body)
        assert response.status_code == 200, response.text
        found: list[dict[str, Any]] = response.json()
        return found

    def ids(self, number: int, size: int, **body: Any) -> list[int]:
        return [invoice["InvoiceId"] for invoice in self.page(number, size, **body)]

    def all_ids(self, **body: Any) -> list[int]:
        return [invoice["InvoiceId"] for invoice in self.filter(**body).json()]

    def search(self, *, most: int = 0, **body: Any) -> httpx.Response:
        asked = {"IncludePreliminary": True, "IncludeVoucherStatus": True} | body
        params: dict[str, Any] = KEYS | {"token": self.token, "maxNrRows": most}
        return self.http.post(SEARCH_PATH, params=params, json=asked)


def small_company(**given: Any) -> Company:
    arguments: dict[str, Any] = {
        "seed": 3,
        "first_day": FIRST_DAY,
        "last_day": LAST_DAY,
        "invoices_per_day": 6,
    }
    return Company(**(arguments | given))


@pytest.fixture(scope="session")
def shared_company() -> Company:
    """A company that no test changes."""
    return small_company()


@pytest.fixture
def company() -> Company:
    """A company of the test's own."""
    return small_company()


@pytest.fixture
def call(shared_company: Company) -> Iterator[Callable[..., Caller]]:
    """Start a sandbox with these faults and settings, and call it. Its company is the shared one, if not told."""
    with ExitStack() as stack:

        def start(*faults: str, company: Company | None = None, **settings: Any) -> Caller:
            sandbox = stack.enter_context(Sandbox(company or shared_company, faults=faults, **settings))
            # No TLS here, and reading the certificates would take longer than most of these tests.
            http = httpx.Client(base_url=sandbox.base_url, timeout=10, verify=False)
            return Caller(sandbox, stack.enter_context(http))

        yield start
