"""The sandbox without faults: it answers as api.md says the ERP does."""

from __future__ import annotations

import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import pytest

from softone_pipeline.sandbox import DEFAULT, EXAMPLE_ID, Company, Credentials, Sandbox
from softone_pipeline.sandbox.server import FILTER_LITERAL_PATH, FILTER_PATH, SEARCH_PATH
from softone_pipeline_tests.sandbox.conftest import KEYS, LAST_DAY, Caller

Call = Callable[..., Caller]
WEEK: dict[str, Any] = {"InvoiceDateFrom": "2026-02-23", "InvoiceDateTo": "2026-03-01"}


def test_a_login_gives_a_token_that_opens_filter(call: Call) -> None:
    caller = call()
    answer = caller.log_in().json()
    assert answer["Message"] == ""
    caller.token = answer["Token"]
    assert caller.filter(**WEEK).status_code == 200


@pytest.mark.parametrize("wrong", [{"Password": "x"}, {"UserName": "x"}, {"License": "x"}, {"License": None}])
def test_a_wrong_login_is_status_200_with_a_message_and_no_token(call: Call, wrong: dict[str, Any]) -> None:
    response = call().log_in(**wrong)
    assert response.status_code == 200
    assert response.json() == {"Token": None, "Message": "Felaktigt användarnamn eller lösenord"}


def test_without_a_licence_of_its_own_the_sandbox_asks_for_none(call: Call) -> None:
    assert call(credentials=Credentials(license=None)).log_in(License=None).json()["Token"]


def test_wrong_keys_and_unknown_tokens_are_a_401_with_a_swedish_text(call: Call) -> None:
    caller = call()
    wrong_keys = caller.http.post(FILTER_PATH, params=KEYS | {"companyApiKey": "x", "token": caller.token})
    assert (wrong_keys.status_code, wrong_keys.json()) == (401, "Ogiltig API-nyckel.")
    caller.token = "x"
    assert (caller.filter().status_code, caller.filter().json()) == (401, "Ogiltig token.")


def test_a_token_must_be_used_within_a_minute_and_each_use_prolongs_it(call: Call) -> None:
    now = [0.0]
    caller = call(clock=lambda: now[0])
    now[0] = 61
    assert caller.filter(**WEEK).json() == "Din session har gått ut. Logga in igen."
    caller.token = caller.sandbox.issue_token()
    for step in (59, 599, 599, 599):
        now[0] += step
        assert caller.filter(**WEEK).status_code == 200
    now[0] += 601
    assert caller.filter(**WEEK).status_code == 401


def test_filter_gives_the_truth_byte_for_byte(call: Call, shared_company: Company) -> None:
    caller = call()
    texts = [shared_company.payload(invoice) for invoice in shared_company.invoices()]
    body = caller.filter().text
    assert len(body) == len(",".join(texts)) + 2
    assert all(text in body for text in texts)
    assert caller.filter(InvoiceId=str(EXAMPLE_ID)).text == f"[{shared_company.payload(Company.example_invoice())}]"


def test_accounts_are_filled_only_when_asked_for(call: Call, shared_company: Company) -> None:
    caller = call()
    without = caller.filter(InvoiceId=str(EXAMPLE_ID)).json()[0]["InvoiceRows"]
    filled = caller.filter(InvoiceId=str(EXAMPLE_ID), IncludeRowAccountInfo=True)
    assert [row["Accounts"] for row in without] == [[], [], []]
    assert filled.json()[0]["InvoiceRows"][0]["Accounts"][0] == {
        "AccountNr": "3001",
        "Amount": -310.40,
        "AmountCurrency": -310.40,
    }
    with_accounts = shared_company.payload(Company.example_invoice(), accounts=True)
    assert filled.text == f"[{with_accounts}]"


def test_answers_come_in_order_of_date_and_then_id(call: Call) -> None:
    invoices = call().filter().json()
    order = [(invoice["InvoiceDate"], invoice["InvoiceId"]) for invoice in invoices]
    assert order == sorted(order)


def test_dates_are_inclusive_and_compared_as_date_times(call: Call, company: Company) -> None:
    company.put(Company.example_invoice() | {"InvoiceId": 5, "InvoiceDate": "2026-02-23T13:45:00"})
    caller = call(company=company)
    day = "2026-02-23"
    whole = caller.all_ids(InvoiceDateFrom=f"{day}T00:00:00", InvoiceDateTo=f"{day}T23:59:59")
    midnight = caller.all_ids(InvoiceDateFrom=day, InvoiceDateTo=day)
    assert {5, EXAMPLE_ID} <= set(whole)
    assert EXAMPLE_ID in midnight
    assert 5 not in midnight
    truth = {i["InvoiceId"] for i in company.invoices() if i["InvoiceDate"].startswith(day)}
    assert set(whole) == truth


def test_an_invoice_without_a_date_is_found_by_its_id_and_in_no_window(call: Call, company: Company) -> None:
    company.put(Company.example_invoice() | {"InvoiceId": 5, "InvoiceDate": None})
    caller = call(company=company)
    assert caller.all_ids(InvoiceId="5") == [5]
    assert 5 not in caller.all_ids(InvoiceDateTo="2099-01-01")
    assert 5 not in caller.all_ids(InvoiceDateFrom="1900-01-01")


def test_preliminary_and_booked_invoices_come_only_when_included(call: Call, shared_company: Company) -> None:
    caller = call()
    statuses = {i["OriginStatus"] for i in shared_company.invoices()}
    assert {1, 3} <= statuses
    for preliminary in (True, False):
        for voucher in (True, False):
            found = caller.filter(IncludePreliminary=preliminary, IncludeVoucher=voucher).json()
            assert (1 in {i["OriginStatus"] for i in found}) is preliminary
            assert (3 in {i["OriginStatus"] for i in found}) is voucher


def test_filter_finds_by_number_and_id(call: Call) -> None:
    caller = call()
    assert caller.all_ids(Number="99233") == [EXAMPLE_ID]
    assert caller.all_ids(InvoiceId="99233") == []
    assert caller.all_ids(InvoiceId="none") == []


@pytest.mark.parametrize("base", [0, 1])
def test_pages_follow_each_other_and_end_with_an_empty_one(call: Call, base: int) -> None:
    caller = call(page_base=base)
    everything = caller.all_ids()
    read: list[int] = []
    for number in range(base, 1000):
        page = caller.ids(number, 50)
        if not page:
            break
        read += page
    assert read == everything
    if base == 1:
        assert caller.ids(0, 50) == []


def test_the_server_may_cap_its_pages(call: Call) -> None:
    assert len(call(page_cap=20).ids(0, 500)) == 20


def test_search_tells_what_is_paid(call: Call, shared_company: Company) -> None:
    caller = call()
    found = caller.search().json()
    truth = {i["InvoiceId"]: i for i in shared_company.invoices()}
    assert {f["CustomerInvoiceId"] for f in found} == truth.keys()
    paid = shared_company.paid_amounts()
    assert all(Decimal(str(f["PaidAmount"])) == paid[f["CustomerInvoiceId"]] for f in found)
    assert all(f["Number"] == truth[f["CustomerInvoiceId"]]["InvoiceNr"] for f in found)
    assert set(found[0]) == {
        "CustomerInvoiceId",
        "Number",
        "CustomerId",
        "CustomerNr",
        "CustomerName",
        "BillingType",
        "InvoiceDate",
        "DueDate",
        "TotalAmount",
        "VatAmount",
        "PaidAmount",
    }


def test_search_filters_and_cuts(call: Call) -> None:
    caller = call()
    everything = caller.search().json()
    unpaid = caller.search(FullyPaid=False).json()
    paid = caller.search(FullyPaid=True).json()
    assert len(unpaid) + len(paid) == len(everything)
    assert unpaid
    assert paid
    assert caller.search(most=7).json() == everything[:7]
    number = everything[0]["CustomerNr"]
    mine = caller.search(CustomerNr=number).json()
    assert mine == [f for f in everything if f["CustomerNr"] == number]
    assert [f["CustomerInvoiceId"] for f in caller.search(Number="99233").json()] == [EXAMPLE_ID]
    week = caller.search(**WEEK).json()
    assert week == [f for f in everything if "2026-02-23" <= f["InvoiceDate"] <= "2026-03-01T00:00:00"]


def test_an_unknown_path_is_404_and_a_body_that_is_no_object_400(call: Call) -> None:
    caller = call()
    assert caller.filter(path="/nowhere").status_code == 404
    params = KEYS | {"token": caller.token}
    assert caller.http.post(SEARCH_PATH, params=params, content=b"{not json").status_code == 400
    assert caller.http.post(SEARCH_PATH, params=params, content=b"[]").status_code == 400
    assert caller.filter(InvoiceDateFrom="yesterday").status_code == 400
    assert caller.http.get(FILTER_PATH, params=params).status_code == 405


def test_filter_can_live_at_the_documents_literal_url(call: Call) -> None:
    caller = call(path=FILTER_LITERAL_PATH)
    assert caller.filter(path=FILTER_PATH).status_code == 404
    assert caller.filter(path=FILTER_LITERAL_PATH).status_code == 200


def test_the_log_tells_every_request_and_no_key(call: Call) -> None:
    caller = call()
    caller.log_in()
    caller.page(3, 50, **WEEK)
    caller.search()
    log = caller.sandbox.log
    assert [record.endpoint for record in log] == ["login", "filter", "search"]
    assert (log[1].page, log[1].body["InvoiceDateFrom"], log[1].status) == (3, "2026-02-23", 200)
    assert log[1].fault is None
    said = repr(log) + repr(caller.sandbox.credentials)
    for secret in (DEFAULT.company_api_key, DEFAULT.connect_api_key, DEFAULT.password, caller.token):
        assert secret not in said


def test_the_control_panel_lets_an_evening_pass_from_outside(call: Call, company: Company) -> None:
    caller = call(company=company)
    before = caller.all_ids()
    changes = caller.http.post("/sandbox/advance").json()
    assert set(caller.all_ids()) == set(before) - set(changes["vanished"]) | set(changes["new"])
    assert changes["redated"]
    assert caller.http.post("/sandbox/faults", json={"faults": ["bom:first=1"]}).json() == {"faults": ["bom"]}
    assert caller.filter().content.startswith(b"\xef\xbb\xbf")
    assert caller.http.get("/sandbox/faults-fired").json() == {"bom": 1}
    assert caller.http.get("/sandbox/").json()["invoices"] == len(company)
    assert len(caller.http.get("/sandbox/requests?last=2").json()) == 2
    assert caller.http.post("/sandbox/faults", json={"faults": ["none"]}).status_code == 400
    assert caller.http.post("/sandbox/nothing").status_code == 404
    company.spoil(EXAMPLE_ID, "nan")
    caller.http.post("/sandbox/mend")
    assert not company.bad_invoices()


def test_the_environment_points_the_pipeline_here(call: Call) -> None:
    sandbox = call().sandbox
    assert sandbox.environment() == {
        "SOFTONE_BASE_URL": sandbox.base_url,
        "SOFTONE_COMPANY_API_KEY": "sandbox-company-key",
        "SOFTONE_CONNECT_API_KEY": "sandbox-connect-key",
        "SOFTONE_LICENSE": "0000",
        "SOFTONE_USERNAME": "sandbox",
        "SOFTONE_PASSWORD": "sandbox-password",
    }


def test_a_stopped_sandbox_leaves_nothing_behind_and_starts_again_where_it_was(
    shared_company: Company,
) -> None:
    threads = threading.active_count()
    sandbox = Sandbox(shared_company)
    with pytest.raises(RuntimeError, match="before it is started"):
        _ = sandbox.base_url
    with sandbox, httpx.Client(base_url=sandbox.base_url) as http:
        Caller(sandbox, http).filter()
        address = sandbox.base_url
        sandbox.stop()
        with pytest.raises(httpx.TransportError):
            http.post("/Login/Token")
        sandbox.start()
        assert sandbox.base_url == address
        assert Caller(sandbox, http).filter().status_code == 200
    assert threading.active_count() == threads


def test_many_callers_at_once_get_what_one_would(call: Call) -> None:
    caller = call(latency_seconds=0.05)
    everything = caller.filter().text
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(lambda _: caller.filter().text, range(12))) == {everything}
    assert caller.sandbox.most_at_once == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_forever_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = (
        "import datetime as dt, signal\n"
        "from softone_pipeline.sandbox import Company, Sandbox\n"
        # A shell's background job ignores SIGINT, and its children with it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "day = dt.date(2026, 2, 1)\n"
        f"Sandbox(Company(first_day=day, last_day=day), port={port}).serve_forever()\n"
        "print('done')\n"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=8), timeout=10) as http,
    ):
        assert http.get("/sandbox/").status_code == 200
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=10)
    assert (out.strip(), err, process.returncode) == ("done", "", 0)


def test_the_last_day_is_the_company_s_today(call: Call, company: Company) -> None:
    open_ones = call(company=company).search(FullyPaid=False).json()
    due = open_ones[-1]
    company.pay(due["CustomerInvoiceId"], Decimal(str(due["TotalAmount"])))
    assert due["CustomerInvoiceId"] not in {
        found["CustomerInvoiceId"] for found in call(company=company).search(FullyPaid=False).json()
    }
    assert company.last_day == LAST_DAY == dt.date(2026, 3, 31)
