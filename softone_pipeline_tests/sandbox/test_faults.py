"""Each fault fires, is logged, and looks on the wire as its description says. The truth stays what it was."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from softone_pipeline.sandbox import (
    BAD_INVOICE_KINDS,
    DEFAULT,
    EXAMPLE_ID,
    FAULTS,
    Company,
    Sandbox,
    parse_fault,
)
from softone_pipeline.sandbox.server import FILTER_LITERAL_PATH
from softone_pipeline_tests.sandbox.conftest import Caller, small_company

Call = Callable[..., Caller]
EXAMPLE: dict[str, Any] = {"InvoiceId": str(EXAMPLE_ID)}


def fired(caller: Caller) -> dict[str, int]:
    return dict(caller.sandbox.faults_fired())


# How a fault is written


def test_a_fault_is_a_name_with_perhaps_a_value_and_how_often() -> None:
    assert parse_fault("slow").seconds == 1
    assert parse_fault("slow:0.25").seconds == 0.25
    assert parse_fault("page-cap:20").count == 20
    assert parse_fault("bad-invoice:nan").value == "nan"
    assert parse_fault("slow:0.25,every=3").every == 3
    assert parse_fault("server-error:503,first=2").first == 2
    assert parse_fault("html:rate=0.5").rate == 0.5
    assert parse_fault("outage:2,after=5").after == 5


@pytest.mark.parametrize(
    "text",
    [
        "slow:fast",
        "slow:-1",
        "slow:1,2",
        "html:1",
        "html:sometimes=1",
        "html:every=0",
        "html:rate=2",
        "html:rate=x",
        "html:every=2,first=1",
        "html:after=3",
        "page-cap:0",
        "page-cap:20,every=2",
        "bad-invoice:ugly",
        "big-day:rate=1",
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text.split(":", maxsplit=1)[0]):
        parse_fault(text)


def test_an_unknown_fault_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="token-expires, ") as caught:
        parse_fault("gremlins")
    assert all(name in str(caught.value) for name in FAULTS)


def test_every_fault_can_be_switched_on_and_says_what_it_does() -> None:
    for name, description in FAULTS.items():
        assert parse_fault(name).name == name
        assert len(description) > 15


# Login and tokens


def test_login_refused_200_has_a_message_and_no_token(call: Call) -> None:
    caller = call("login-refused-200")
    response = caller.log_in()
    assert response.status_code == 200
    assert response.json() == {"Token": None, "Message": "Felaktigt användarnamn eller lösenord"}
    assert fired(caller) == {"login-refused-200": 1}


def test_login_refused_401_says_why_in_a_json_string(call: Call) -> None:
    caller = call("login-refused-401:first=1")
    response = caller.log_in()
    assert (response.status_code, response.json()) == (401, "Felaktigt användarnamn eller lösenord")
    assert caller.log_in().json()["Token"]


def test_bare_token_is_a_json_string_that_works(call: Call) -> None:
    caller = call("bare-token")
    caller.token = caller.log_in().json()
    assert isinstance(caller.token, str)
    assert caller.filter(**EXAMPLE).status_code == 200
    assert fired(caller) == {"bare-token": 1}


def test_token_expires_refuses_the_token_for_good_and_a_new_login_helps(call: Call) -> None:
    caller = call("token-expires:every=2")
    assert [caller.filter(**EXAMPLE).status_code for _ in range(3)] == [200, 401, 401]
    assert caller.sandbox.log[1].fault == "token-expires"
    caller.token = caller.log_in().json()["Token"]
    assert caller.filter(**EXAMPLE).status_code == 200


def test_a_new_token_is_not_taken_before_the_refused_request_has_had_its_answer(call: Call) -> None:
    caller = call("token-expires:rate=1")
    for _ in range(5):
        assert caller.filter(**EXAMPLE).status_code == 401
        caller.token = caller.log_in().json()["Token"]
        assert caller.filter(**EXAMPLE).status_code == 200


def test_short_tokens_end_however_much_they_are_used(call: Call) -> None:
    now = [0.0]
    caller = call("short-token:3", clock=lambda: now[0])
    statuses = []
    for now[0] in (1, 2, 2.9, 3.1):
        statuses.append(caller.filter(**EXAMPLE).status_code)
    assert statuses == [200, 200, 200, 401]
    assert fired(caller) == {"short-token": 1}


# Instead of an answer


@pytest.mark.parametrize(
    ("fault", "retry_after"), [("rate-limit:3", "3"), ("rate-limit", "1"), ("rate-limit-zero", "0")]
)
def test_rate_limits_say_how_many_seconds_to_wait(call: Call, fault: str, retry_after: str) -> None:
    caller = call(f"{fault}{',' if ':' in fault else ':'}first=1")
    response = caller.filter(**EXAMPLE)
    assert (response.status_code, response.headers["Retry-After"]) == (429, retry_after)
    assert caller.filter(**EXAMPLE).status_code == 200
    assert sum(fired(caller).values()) == 1


def test_rate_limit_date_says_until_when_to_wait(call: Call) -> None:
    response = call("rate-limit-date:5,first=1").filter(**EXAMPLE)
    assert response.status_code == 429
    wait = parsedate_to_datetime(response.headers["Retry-After"]) - dt.datetime.now(dt.UTC)
    assert 3 < wait.total_seconds() <= 6


def test_server_errors_are_mixed_or_the_one_named(call: Call) -> None:
    mixed = call("server-error:rate=1")
    statuses = Counter(mixed.filter(Number=str(n)).status_code for n in range(40))
    assert set(statuses) == {500, 502, 503, 504}
    named = call("server-error:503,rate=1")
    assert {named.filter(Number=str(n)).status_code for n in range(5)} == {503}


def test_reset_before_sends_not_one_byte(call: Call) -> None:
    caller = call("reset-before:first=1")
    with pytest.raises(httpx.ReadError, match="reset"):
        caller.filter(**EXAMPLE)
    assert caller.sandbox.log[0].status == 0
    assert caller.filter(**EXAMPLE).status_code == 200


def test_reset_middle_breaks_off_in_the_body(call: Call) -> None:
    caller = call("reset-middle:first=1")
    with pytest.raises(httpx.ReadError, match="reset"):
        caller.filter()
    assert caller.sandbox.log[0].status == 200
    assert caller.filter().status_code == 200


def test_cut_length_ends_before_the_announced_length(call: Call) -> None:
    caller = call("cut-length:first=1")
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        caller.filter()
    assert fired(caller) == {"cut-length": 1}


def test_cut_close_looks_whole_and_is_not(call: Call) -> None:
    caller = call("cut-close:first=1")
    response = caller.filter()
    assert response.status_code == 200
    assert "Content-Length" not in response.headers
    assert response.headers["Connection"] == "close"
    with pytest.raises(json.JSONDecodeError):
        response.json()
    assert len(caller.filter().content) // 2 == len(response.content)


def test_html_is_a_page_with_status_200(call: Call) -> None:
    response = call("html:first=1").filter()
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.text.startswith("<!DOCTYPE html>")


def test_null_is_null(call: Call) -> None:
    caller = call("null:every=2")
    assert [caller.filter(**EXAMPLE).text == "null" for _ in range(4)] == [False, True, False, True]


def test_an_outage_comes_after_some_requests_and_passes(call: Call) -> None:
    caller = call("outage:0.4,after=2")
    statuses: list[int] = []
    deadline = time.monotonic() + 5
    while statuses.count(200) < 5 and time.monotonic() < deadline:
        try:
            statuses.append(caller.filter(Number=str(len(statuses))).status_code)
        except httpx.TransportError:
            statuses.append(0)
    assert statuses[:2] == [200, 200]
    assert set(statuses[2:-3]) == {0, 503}
    assert statuses[-3:] == [200, 200, 200]


def test_echo_url_puts_the_keys_into_the_error_text(call: Call) -> None:
    response = call("echo-url").filter(path="/nowhere")
    assert response.status_code == 404
    assert DEFAULT.company_api_key in response.text


def test_faults_that_come_and_go_are_the_same_for_the_same_seed_in_any_order(call: Call) -> None:
    def run(order: list[int], seed: int) -> dict[int, int]:
        caller = call("server-error", "rate-limit-zero", fault_seed=seed, fault_rate=0.3)
        return {n: caller.filter(Number=str(n)).status_code for n in order}

    forwards = run(list(range(40)), 1)
    assert forwards == run(list(reversed(range(40))), 1)
    assert forwards != run(list(range(40)), 2)
    assert 5 < sum(status != 200 for status in forwards.values()) < 35


def test_the_same_request_is_not_spoiled_for_ever(call: Call) -> None:
    caller = call("server-error", "reset-before", "null", "html", fault_rate=0.9)
    for n in range(10):
        for _attempt in range(4):
            try:
                response = caller.filter(Number=str(n))
            except httpx.TransportError:
                continue
            if response.status_code == 200 and response.text == "[]":
                break
        else:
            pytest.fail(f"request {n} was spoiled four times in a row")


# An answer in odd clothes


def test_a_single_invoice_comes_as_the_object_and_more_as_a_list(call: Call) -> None:
    caller = call("single-object")
    assert caller.filter(**EXAMPLE).json()["InvoiceId"] == EXAMPLE_ID
    assert isinstance(caller.filter().json(), list)
    assert caller.filter(Number="none").json() == []
    assert fired(caller) == {"single-object": 1}


def test_a_byte_order_mark_comes_before_the_json(call: Call, shared_company: Company) -> None:
    content = call("bom:rate=1").filter(**EXAMPLE).content
    assert content == b"\xef\xbb\xbf[" + shared_company.payload(Company.example_invoice()).encode() + b"]"


def test_gzip_is_only_for_those_who_accept_it(call: Call) -> None:
    caller = call("gzip")
    packed = caller.filter()
    plain = caller.filter(headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content
    assert fired(caller) == {"gzip": 1}


def test_slow_answers_take_their_seconds(call: Call) -> None:
    caller = call("slow:0.3,first=1")
    started = time.monotonic()
    caller.filter(**EXAMPLE)
    assert time.monotonic() - started >= 0.3
    assert caller.sandbox.log[0].fault == "slow"


def test_stopping_does_not_wait_for_slow_answers(shared_company: Company) -> None:
    with Sandbox(shared_company, faults=["slow:60,first=1"]) as sandbox:
        with httpx.Client(base_url=sandbox.base_url, timeout=0.2) as http, pytest.raises(httpx.ReadTimeout):
            Caller(sandbox, http).filter(**EXAMPLE)
        started = time.monotonic()
    assert time.monotonic() - started < 5


# Paging


def test_page_base_1_has_an_empty_page_0(call: Call) -> None:
    caller = call("page-base-1")
    everything = caller.all_ids()
    assert caller.ids(0, 50) == []
    assert caller.ids(1, 50) == everything[:50]
    assert fired(caller) == {"page-base-1": 1}


def test_page_0_as_1_gives_the_first_page_twice(call: Call) -> None:
    caller = call("page-0-as-1")
    everything = caller.all_ids()
    assert [caller.ids(number, 50) for number in (0, 1, 2)] == [
        everything[:50],
        everything[:50],
        everything[50:100],
    ]


def test_page_0_refused_is_a_400_and_pages_count_from_1(call: Call) -> None:
    caller = call("page-0-refused")
    assert caller.filter(PageNumber=0, PageNrOfRecords=50).status_code == 400
    assert caller.ids(1, 50) == caller.all_ids()[:50]


def test_page_0_refused_once_is_a_passing_refusal_by_a_server_that_counts_from_0(call: Call) -> None:
    caller = call("page-0-refused:first=1")
    assert caller.filter(PageNumber=0, PageNrOfRecords=50).status_code == 400
    assert caller.ids(1, 50) == caller.all_ids()[50:100]
    assert caller.ids(0, 50) == caller.all_ids()[:50]


def test_page_cap_shortens_large_pages_and_page_fixed_any(call: Call) -> None:
    capped, fixed = call("page-cap:20"), call("page-fixed:20")
    assert (len(capped.ids(0, 50)), len(capped.ids(0, 10))) == (20, 10)
    assert capped.ids(1, 50) == capped.all_ids()[20:40]
    assert (len(fixed.ids(0, 50)), len(fixed.ids(0, 10))) == (20, 20)
    assert fired(capped) == {"page-cap": 2}
    assert fired(fixed) == {"page-fixed": 2}


def test_paging_ignored_sends_everything_on_every_page(call: Call) -> None:
    caller = call("paging-ignored")
    assert caller.ids(0, 50) == caller.ids(7, 50) == caller.all_ids()
    assert fired(caller) == {"paging-ignored": 2}


def test_last_page_repeated_has_no_end(call: Call) -> None:
    caller = call("last-page-repeated")
    everything = caller.all_ids()
    last = everything[len(everything) // 50 * 50 :]
    pages = len(everything) // 50 + 1
    assert caller.ids(pages - 1, 50) == caller.ids(pages, 50) == caller.ids(pages + 40, 50) == last
    assert caller.ids(0, 50, Number="none") == []


def test_shifting_pages_move_in_the_first_reading_and_then_settle(call: Call) -> None:
    kinds = set()
    for seed in range(8):
        caller = call("shifting-pages", fault_seed=seed)
        everything = caller.all_ids()

        def read(caller: Caller = caller, pages: int = len(everything) // 50 + 1) -> list[int]:
            return [invoice for number in range(pages) for invoice in caller.ids(number, 50)]

        first, second = read(), read()
        assert len(set(first)) == len(everything) - 1
        assert second == everything
        kinds.add("repeats" if len(first) > len(set(first)) else "skips")
        assert fired(caller)["shifting-pages"] >= 1
    assert kinds == {"repeats", "skips"}


def test_a_window_of_one_page_does_not_shift(call: Call) -> None:
    caller = call("shifting-pages")
    everything = caller.all_ids()
    assert caller.ids(0, 1000) == everything
    assert not fired(caller)


# How invoices are written


def test_quoted_numbers_say_the_same(call: Call, shared_company: Company) -> None:
    invoice = call("quoted-numbers:rate=1").filter(**EXAMPLE).json()[0]
    assert (invoice["TotalAmount"], invoice["InvoiceRows"][0]["Quantity"]) == ("628.00", "1.000000")
    assert invoice["InvoiceId"] == EXAMPLE_ID
    everything = call("quoted-numbers:everything,rate=1").filter(**EXAMPLE).json()[0]
    assert (everything["InvoiceId"], everything["OriginStatus"]) == (str(EXAMPLE_ID), "3")
    found = call("quoted-numbers:rate=1").search(Number="99233").json()[0]
    assert Decimal(found["PaidAmount"]) == shared_company.paid_amounts()[EXAMPLE_ID]


def test_unknown_fields_leave_the_known_ones_alone(call: Call) -> None:
    invoice = json.loads(call("unknown-fields:rate=1").filter(**EXAMPLE).text, parse_float=Decimal)[0]
    example = Company.example_invoice()
    assert set(invoice) > set(example)
    assert {key: invoice[key] for key in example if key != "InvoiceRows"} == {
        key: value for key, value in example.items() if key != "InvoiceRows"
    }
    for row, plain in zip(invoice["InvoiceRows"], example["InvoiceRows"], strict=True):
        assert plain.items() <= row.items()
        assert set(row) > set(plain)


def test_missing_fields_are_those_that_were_null(call: Call) -> None:
    invoice = json.loads(call("missing-fields:rate=1").filter(**EXAMPLE).text, parse_float=Decimal)[0]
    example = Company.example_invoice()
    assert example.keys() - invoice.keys() == {"CustomerOrgNr"}
    assert example["InvoiceRows"][0].keys() - invoice["InvoiceRows"][0].keys() == {"AttestStateName"}
    assert all(example[key] == value for key, value in invoice.items() if key != "InvoiceRows")


def test_dates_with_zone_mean_the_same_stockholm_day(call: Call, shared_company: Company) -> None:
    caller = call("dates-with-zone:rate=1")
    truth = {i["InvoiceId"]: i for i in shared_company.invoices()}
    forms = Counter[str]()
    for invoice in caller.filter().json():
        for key in ("InvoiceDate", "DueDate"):
            text = invoice[key]
            if text is None:
                continue
            moment = dt.datetime.fromisoformat(text)
            local = moment.astimezone(ZoneInfo("Europe/Stockholm")).replace(tzinfo=None)
            assert local.isoformat() == truth[invoice["InvoiceId"]][key]
            forms["Z" if text.endswith("Z") else text[-6:]] += 1
    assert {"Z", "+01:00", "-05:00"} <= forms.keys()


def test_dates_as_instants_bring_a_day_with_the_day_before(call: Call, shared_company: Company) -> None:
    caller = call("dates-as-instants")
    days = sorted({i["InvoiceDate"][:10] for i in shared_company.invoices() if i["InvoiceDate"]})
    day = next(day for day in days if str(dt.date.fromisoformat(day) - dt.timedelta(days=1)) in days)
    before = dt.date.fromisoformat(day) - dt.timedelta(days=1)
    asked: dict[str, Any] = {"InvoiceDateFrom": f"{before}T00:00:00", "InvoiceDateTo": f"{before}T23:59:59"}
    brought = caller.filter(**asked).json()
    assert {i["InvoiceDate"][:10] for i in brought if i["InvoiceDate"]} == {day}
    assert fired(caller) == {"dates-as-instants": 1}


@pytest.mark.parametrize("fault", ["quoted-numbers", "unknown-fields", "missing-fields", "dates-with-zone"])
def test_content_faults_choose_some_invoices_and_always_the_same(
    call: Call, shared_company: Company, fault: str
) -> None:
    caller = call(fault, fault_rate=0.3)
    first, second = caller.filter().text, caller.filter(IncludeRowAccountInfo=False).text
    assert first == second
    plain = {i["InvoiceId"]: shared_company.payload(i) for i in shared_company.invoices()}
    changed = [i for i, text in plain.items() if caller.sandbox.sent(i) != text]
    assert 0.15 < len(changed) / len(plain) < 0.45
    assert fired(caller) == {fault: 2}


# What the data holds


def test_bad_invoices_come_on_some_days_and_the_company_knows_them(call: Call) -> None:
    company = small_company()
    before = company.invoices()
    caller = call("bad-invoice:rate=0.3", company=company)
    bad = company.bad_invoices()
    assert {b.kind for b in bad} == set(BAD_INVOICE_KINDS)
    assert company.invoices() == before
    body = caller.filter().text
    assert all(b.payload in body for b in bad)
    assert fired(caller) == {"bad-invoice": 1}
    by_kind = {b.kind: json.loads(b.payload, parse_float=Decimal) for b in bad}
    assert "InvoiceId" not in by_kind["no-id"]
    assert by_kind["nan"]["VATAmount"] == "NaN"
    assert by_kind["wrong-type"]["TotalAmount"] == "etthundra kronor"
    assert by_kind["huge-integer"]["TotalAmountCurrency"] > 10**20
    assert by_kind["bad-date"]["InvoiceDate"].startswith("2026-02-30")
    assert by_kind["surplus-decimals"]["InvoiceRows"][0]["SumAmount"].as_tuple().exponent == -3


@pytest.mark.parametrize("kind", BAD_INVOICE_KINDS)
def test_a_bad_invoice_is_found_by_day_and_good_when_mended(call: Call, kind: str) -> None:
    company = small_company()
    caller = call(f"bad-invoice:{kind},rate=0", company=company)
    (bad,) = company.bad_invoices()
    day: dict[str, Any] = {"InvoiceDateFrom": f"{bad.day}T00:00:00", "InvoiceDateTo": f"{bad.day}T23:59:59"}
    assert bad.payload in caller.filter(**day).text
    company.mend()
    assert company.payload(company.invoice(bad.invoice_id)) in caller.filter(**day).text


def test_a_duplicate_id_comes_with_other_content_before_the_true_one(call: Call) -> None:
    company = small_company()
    before = company.invoices()
    caller = call("duplicate-id", company=company)
    sent = json.loads(caller.filter().text, parse_float=Decimal)
    twins = company.duplicates()
    assert twins
    assert company.invoices() == before
    assert len(sent) == len(before) + len(twins)
    for invoice_id, twin in twins.items():
        pair = [invoice for invoice in sent if invoice["InvoiceId"] == invoice_id]
        assert pair == [twin, company.invoice(invoice_id)]
        assert pair[0]["TotalAmount"] != pair[1]["TotalAmount"]
    assert fired(caller) == {"duplicate-id": 1}
    assert len(caller.search().json()) == len(before)


def test_a_big_day_holds_as_many_invoices_as_asked_for(call: Call) -> None:
    company = small_company()
    caller = call("big-day:700", company=company)
    assert company.big_day is not None
    day = company.big_day.isoformat()
    assert len(caller.all_ids(InvoiceDateFrom=f"{day}T00:00:00", InvoiceDateTo=f"{day}T23:59:59")) == 700
    assert sum(i["InvoiceDate"].startswith(day) for i in company.invoices()) == 700
    assert fired(caller) == {"big-day": 1}


# Where things are


@pytest.mark.parametrize(("fault", "status"), [("search-missing", 404), ("search-forbidden", 403)])
def test_search_can_be_missing_or_forbidden_while_filter_works(call: Call, fault: str, status: int) -> None:
    caller = call(fault)
    assert caller.search().status_code == status
    assert caller.filter(**EXAMPLE).status_code == 200
    assert fired(caller) == {fault: 1}


def test_filter_moved_answers_only_at_the_literal_url(call: Call) -> None:
    caller = call("filter-moved")
    assert caller.filter(**EXAMPLE).status_code == 404
    assert caller.filter(path=FILTER_LITERAL_PATH, **EXAMPLE).json()[0]["InvoiceId"] == EXAMPLE_ID
    assert fired(caller) == {"filter-moved": 1}


# Several at once


def test_faults_on_the_way_and_in_the_writing_go_together_and_leave_the_truth_alone(call: Call) -> None:
    company = small_company()
    truth = company.invoices()
    caller = call(
        "server-error",
        "reset-before",
        "cut-length",
        "null",
        "bom:rate=1",
        "gzip",
        "page-cap:30",
        "quoted-numbers",
        company=company,
        fault_rate=0.2,
    )
    read: list[int] = []
    number = 0
    while True:
        try:
            response = caller.filter(PageNumber=number, PageNrOfRecords=100)
            page = json.loads(response.content.decode("utf-8-sig"))
        except (httpx.TransportError, json.JSONDecodeError):
            continue
        if response.status_code != 200 or page is None:
            continue
        if not page:
            break
        read += [invoice["InvoiceId"] for invoice in page]
        number += 1
    assert sorted(read) == [invoice["InvoiceId"] for invoice in truth]
    assert company.invoices() == truth
    assert len(fired(caller)) >= 6


def test_faults_can_be_switched_while_it_runs(call: Call) -> None:
    caller = call("null:rate=1")
    assert caller.filter(**EXAMPLE).text == "null"
    caller.sandbox.switch([])
    assert caller.filter(**EXAMPLE).json()[0]["InvoiceId"] == EXAMPLE_ID
