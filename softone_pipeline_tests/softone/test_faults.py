"""The faults real servers show (api.md): none may lose an invoice, invent one, or be taken for an empty day."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import logging
import random
import socket
import time
from collections.abc import Callable
from email.utils import format_datetime

import httpx
import pytest

from softone_pipeline.errors import (
    EndpointNotFoundError,
    NoConnectionError,
    RequestFailedError,
    RequestRefusedError,
    SettingsError,
    SoftOneError,
    WindowError,
)
from softone_pipeline.softone import SoftOneClient, Window
from softone_pipeline.softone.answers import asked_wait
from softone_pipeline_tests.softone import fake_erp
from softone_pipeline_tests.softone.conftest import Connect, settings_for
from softone_pipeline_tests.softone.fake_erp import (
    DAY,
    FILTER_PATH,
    OTHER_FILTER_PATH,
    Answer,
    FakeErp,
    invoice,
    invoices,
)

MESSAGE = json.dumps({"Message": "Ett internt fel har inträffat"})

_INVOICE = json.dumps([{"InvoiceId": 1, "CustomerName": "Per Persson", "CustomerOrgNr": "19121212-1212"}])
# Invoices in a wrapping that nobody knows: what they say is nobody's business.
WRAPPED = {
    "JSON in a JSON text": (json.dumps(_INVOICE), "a JSON text that holds JSON"),
    "JSON in a JSON text in a JSON text": (json.dumps(json.dumps(_INVOICE)), "a JSON text that holds JSON"),
    "cut JSON in a JSON text": (json.dumps(_INVOICE[:-9]), "a JSON text that holds JSON"),
    "JSON in a message": (json.dumps({"Message": _INVOICE}), "no list of invoices"),
    "XML": ('<?xml version="1.0"?><Invoices><Invoice><Name>Per Persson</Name></Invoice></Invoices>', "is XML"),
    "XML without a prolog": ("<!-- 2 --><ArrayOfInvoice><Name>Per Persson</Name></ArrayOfInvoice>", "is XML"),
    "XML in a JSON text": ('"<Invoices><Name>Per Persson</Name></Invoices>"', "no list of invoices"),
    "cut JSON": (_INVOICE[:-9], "cut short or is no JSON"),
}

PASSING_FAULTS = {
    "reset": Answer(play=fake_erp.reset),
    "hang up": Answer(play=fake_erp.hang_up),
    "cut, with Content-Length": Answer(play=fake_erp.cut_with_length),
    "cut, without Content-Length": Answer(play=fake_erp.cut_without_length),
    "cut, chunked": Answer(play=fake_erp.cut_chunked),
    "cut gzip": Answer(play=fake_erp.cut_gzip),
    "broken gzip": Answer(play=fake_erp.broken_gzip),
    "HTML": Answer(200, "<!DOCTYPE html><html><body>Service unavailable</body></html>"),
    "null": Answer(200, "null"),
    "nothing": Answer(200, " "),
    "no content": Answer(play=fake_erp.no_content),
    "message": Answer(200, MESSAGE),
    "message in a list": Answer(200, f"[{MESSAGE}]"),
    "message in an invoice's fields": Answer(200, invoice(0, None, InvoiceNr=None, ErrorMessage="Internt fel")),
    "message beside an invoice without a number": Answer(200, invoice(7, InvoiceNr=None, ErrorMessage="Internt fel")),
    "message in an invoice's fields, in a list": Answer(200, f"[{invoice(0, None, Message='Internt fel')}]"),
    "an invoice of nothing": Answer(200, json.dumps({"InvoiceId": None, "InvoiceNr": "", "InvoiceRows": None})),
    **{name: Answer(200, body) for name, (body, _) in WRAPPED.items()},
    "list of other things": Answer(200, "[1, null]"),
    "a number": Answer(200, "1"),
    "a string": Answer(200, '"Timeout expired"'),
    "two lists": Answer(200, "[][]"),
    "invalid UTF-8": Answer(200, b'[{"InvoiceId": 1, "InvoiceNr": "\xff"}]'),
    "control characters": Answer(200, b'[{"InvoiceId": 1, "InvoiceNr": "\x1e"}]'),
    **{str(status): Answer(status, MESSAGE) for status in (202, 206, 408, 425, 429, 500, 502, 503, 504, 599)},
    **{str(status): Answer(status, "", {"Location": "/underhall.html"}) for status in (302, 303, 307)},
}


def ids(window: Window) -> list[int | None]:
    return [received.invoice_id for received in window.invoices]


@pytest.mark.parametrize("fault", PASSING_FAULTS.values(), ids=PASSING_FAULTS)
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_passing_fault_changes_nothing(erp: FakeErp, connect: Connect, fault: Answer, at: int) -> None:
    erp.invoices = invoices(*range(1, 11))
    erp.faults.extend([None] * at + [fault, fault])
    window = connect(page_size=4).read_window(DAY, DAY)
    assert ids(window) == list(range(1, 11))
    assert window.traffic.retries == 2


@pytest.mark.parametrize("fault", PASSING_FAULTS.values(), ids=PASSING_FAULTS)
def test_a_lasting_fault_fails_the_window_by_name_and_is_no_empty_day(
    erp: FakeErp, connect: Connect, fault: Answer
) -> None:
    erp.invoices = invoices(1, 2)
    erp.fault_for = lambda asked: fault
    with pytest.raises(WindowError) as caught:
        connect(max_attempts=3).read_window(DAY, DAY)
    assert (caught.value.company, caught.value.first_day, caught.value.page) == ("acme", DAY, 0)
    assert "company acme, 2026-03-01, page 0" in str(caught.value)
    cause = caught.value.__cause__
    assert isinstance(cause, RequestFailedError)
    assert cause.attempts == 3
    assert len(erp.filter_requests) == 3


@pytest.mark.parametrize("status", [200, 403, 500])
@pytest.mark.parametrize(("body", "why"), WRAPPED.values(), ids=WRAPPED)
def test_an_answer_that_wraps_invoices_is_named_and_not_quoted(
    erp: FakeErp, connect: Connect, caplog: pytest.LogCaptureFixture, status: int, body: str, why: str
) -> None:
    erp.fault_for = lambda asked: Answer(status, body)
    with pytest.raises(WindowError, match=why if status == 200 else f"HTTP {status}") as caught:
        connect(max_attempts=2).read_window(DAY, DAY)
    for text in (str(caught.value), str(caught.value.__cause__), caplog.text):
        assert "Per" not in text
        assert "1212" not in text


def test_an_error_in_an_invoices_fields_says_what_it_says(erp: FakeErp, connect: Connect) -> None:
    erp.fault_for = lambda asked: Answer(200, invoice(0, None, InvoiceNr=None, Message="", ErrorMessage="Internt fel"))
    with pytest.raises(WindowError, match="no list of invoices: Internt fel"):
        connect(max_attempts=2).read_window(DAY, DAY)


@pytest.mark.parametrize("play", [fake_erp.gzipped, fake_erp.with_bom])
def test_gzip_and_a_byte_order_mark_are_no_faults(erp: FakeErp, connect: Connect, play: object) -> None:
    erp.invoices = invoices(*range(1, 11))
    erp.fault_for = lambda asked: Answer(play=play)  # type: ignore[arg-type]
    window = connect(page_size=4).read_window(DAY, DAY)
    assert ids(window) == list(range(1, 11))
    assert window.traffic.retries == 0


def test_a_single_object_counts_as_a_list_of_one(erp: FakeErp, connect: Connect) -> None:
    erp.single_object = True
    erp.invoices = invoices(*range(1, 6))
    assert ids(connect(page_size=4).read_window(DAY, DAY)) == [1, 2, 3, 4, 5]


def test_one_invoice_with_nan_does_not_hide_the_others_of_its_page(erp: FakeErp, connect: Connect) -> None:
    odd = invoice(2, TotalAmount=float("nan"))
    erp.fault_for = lambda asked: Answer(200, f"[{invoice(1)}, {odd} ,{invoice(3)}]")
    window = connect().read_window(DAY, DAY)
    assert ids(window) == [1, 2, 3]
    assert window.invoices[1].payload == odd
    assert window.invoices[1].invoice_date == DAY


def test_a_refusal_is_not_repeated_and_shows_the_servers_text(erp: FakeErp, connect: Connect) -> None:
    erp.first_page = 0
    erp.fault_for = lambda asked: Answer(403, "<h1>Behörighet</h1><p>saknas &amp; nekas</p>")
    with pytest.raises(WindowError, match="Behörighet saknas & nekas") as caught:
        connect().read_window(DAY, DAY)
    assert isinstance(caught.value.__cause__, RequestRefusedError)
    assert [asked.page for asked in erp.filter_requests] == [0, 1]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_named_without_its_query_and_no_other_host_is_called(
    erp: FakeErp, connect: Connect, status: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_host:
        other_host.setblocking(False)
        address = f"http://127.0.0.1:{other_host.getsockname()[1]}/new"
        erp.fault_for = lambda asked: Answer(status, "", {"Location": f"{address}?token={asked.query['token']}"})
        with pytest.raises(WindowError, match=rf"redirects \(HTTP {status}\) to {address}\. .*BASE_URL") as caught:
            connect().read_window(DAY, DAY)
        with pytest.raises(BlockingIOError):
            other_host.accept()
    assert "token" not in str(caught.value)
    # Those that last by their own word are refused at once, page 0 and page 1; the others may pass.
    is_lasting = status in {301, 308}
    assert isinstance(caught.value.__cause__, RequestRefusedError if is_lasting else RequestFailedError)
    assert len(erp.filter_requests) == (2 if is_lasting else 4)


@pytest.mark.parametrize(
    "location", ["javascript:history.back()", "mailto:it@example.com", "http://xn--a/", "http://[/"]
)
def test_a_redirect_to_an_address_that_is_none_is_a_fault_like_others(
    erp: FakeErp, connect: Connect, location: str
) -> None:
    erp.invoices = invoices(1, 2, 3)
    erp.faults.extend([Answer(302, "", {"Location": location})] * 2)
    client = connect()
    assert ids(client.read_window(DAY, DAY)) == [1, 2, 3]
    erp.faults.extend([Answer(302, "", {"Location": location})] * 8)
    with pytest.raises(WindowError, match="No usable answer"):
        client.read_window(DAY, DAY)


def test_no_cookie_is_kept_whatever_its_letters(erp: FakeErp, connect: Connect) -> None:
    erp.invoices = invoices(*range(1, 11))
    erp.fault_for = lambda asked: Answer(200, "", {"Set-Cookie": "plats=Sk\xf6vde; Path=/"})
    assert ids(connect(page_size=4).read_window(DAY, DAY)) == list(range(1, 11))
    assert not any("Cookie" in asked.headers for asked in erp.asked)


@pytest.mark.parametrize("how", fake_erp.UNREADABLE)
def test_how_long_a_server_asks_to_wait_is_heard_though_its_text_is_cut(
    erp: FakeErp, connect: Connect, how: str
) -> None:
    erp.invoices = invoices(1)
    erp.faults.append(fake_erp.unreadable(429, how, Retry_After="1"))
    before = time.monotonic()
    connect().read_window(DAY, DAY)
    assert time.monotonic() - before >= 1


def test_the_documents_literal_path_is_tried_when_the_other_is_missing(erp: FakeErp, connect: Connect) -> None:
    erp.filter_paths = {OTHER_FILTER_PATH}
    erp.invoices = invoices(1, 2, 3)
    client = connect()
    assert ids(client.read_window(DAY, DAY)) == [1, 2, 3]
    assert ids(client.read_window(DAY, DAY)) == [1, 2, 3]
    assert [asked.path for asked in erp.filter_requests].count(FILTER_PATH) == 1
    assert client.check().path == OTHER_FILTER_PATH


def test_a_fault_while_the_path_is_looked_for_does_not_settle_it(erp: FakeErp, connect: Connect) -> None:
    erp.filter_paths = {OTHER_FILTER_PATH}
    erp.faults.extend([Answer(500), Answer(200, "<html>")])
    erp.invoices = invoices(1, 2, 3)
    assert ids(connect().read_window(DAY, DAY)) == [1, 2, 3]


def test_a_path_that_only_refuses_is_not_kept_and_is_named(erp: FakeErp, connect: Connect) -> None:
    erp.filter_paths = {FILTER_PATH, OTHER_FILTER_PATH}
    erp.invoices = invoices(1, 2, 3)
    is_moving = True

    def answer(asked: fake_erp.Asked) -> Answer | None:
        if asked.path == OTHER_FILTER_PATH:
            return Answer(403, "Inte här")
        return Answer(404, "Not Found") if is_moving else None

    erp.fault_for = answer
    client = connect()
    with pytest.raises(WindowError, match=rf"refused {OTHER_FILTER_PATH} \(HTTP 403\): Inte här"):
        client.read_window(DAY, DAY)
    is_moving = False
    assert ids(client.read_window(DAY, DAY)) == [1, 2, 3]
    assert client.check().path == FILTER_PATH


def test_neither_path_answering_names_both(erp: FakeErp, connect: Connect) -> None:
    erp.filter_paths = set()
    with pytest.raises(WindowError, match="SOFTONE_BASE_URL") as caught:
        connect().read_window(DAY, DAY)
    assert FILTER_PATH in str(caught.value)
    assert OTHER_FILTER_PATH in str(caught.value)
    assert isinstance(caught.value.__cause__, EndpointNotFoundError)
    assert len(erp.filter_requests) == 2


@pytest.mark.parametrize(
    ("variable", "arrange"),
    [
        ("BASE_URL", lambda erp: setattr(erp, "filter_paths", set())),
        ("BASE_URL", lambda erp: setattr(erp, "fault_for", lambda asked: Answer(301, "", {"Location": "/new"}))),
        ("BASE_URL", lambda erp: erp.login_answers.append(Answer(404, "Not Found"))),
        ("COMPANY_API_KEY", lambda erp: setattr(erp, "fault_for", lambda asked: Answer(401, "nej"))),
    ],
    ids=["no path", "redirect", "no login", "fresh token refused"],
)
def test_an_error_names_the_variable_under_the_prefix_that_it_was_read_with(
    erp: FakeErp, variable: str, arrange: Callable[[FakeErp], object]
) -> None:
    arrange(erp)
    with SoftOneClient(settings_for(erp, prefix="ACME_")) as client, pytest.raises(SoftOneError) as caught:
        client.read_window(DAY, DAY)
    assert f"ACME_{variable}" in str(caught.value)
    assert "SOFTONE_" not in str(caught.value)


def test_no_server_at_all_fails_by_name(erp: FakeErp) -> None:
    settings = settings_for(erp, base_url="http://127.0.0.1:9", max_attempts=2)
    with SoftOneClient(settings) as client:
        with pytest.raises(NoConnectionError, match=r"from http://127\.0\.0\.1:9; the last: ConnectError"):
            client.check()
        with pytest.raises(WindowError, match="ConnectError") as caught:
            client.read_window(DAY, DAY)
    assert isinstance(caught.value.__cause__, NoConnectionError)
    assert "SOFTONE_BASE_URL" in caught.value.to_do


def test_an_erp_that_has_answered_before_and_is_gone_has_the_right_address(connect: Connect, erp: FakeErp) -> None:
    client = connect(max_attempts=2)
    client.read_window(DAY, DAY)
    erp.server.server_close()
    erp.fault_for = lambda asked: Answer(play=fake_erp.reset)
    with pytest.raises(WindowError) as caught:
        client.read_window(DAY, DAY)
    assert "SOFTONE_BASE_URL" not in caught.value.to_do


def test_a_server_that_stops_sending_is_given_up_after_the_timeout(erp: FakeErp, connect: Connect) -> None:
    erp.delay = 1
    with pytest.raises(WindowError, match="Timeout"):
        connect(timeout_seconds=0.05, max_attempts=2).read_window(DAY, DAY)


def test_an_impossible_base_url_is_a_setting_to_mend(erp: FakeErp) -> None:
    with pytest.raises(SettingsError, match="SOFTONE_BASE_URL"):
        SoftOneClient(settings_for(erp, base_url="https://exa\u0001mple.com:80"))


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_seconds_are_waited(erp: FakeErp, connect: Connect, status: int) -> None:
    erp.invoices = invoices(1)
    erp.faults.append(Answer(status, MESSAGE, {"Retry-After": "1"}))
    before = time.monotonic()
    connect().read_window(DAY, DAY)
    assert 1 <= time.monotonic() - before < 10


@pytest.mark.parametrize(
    "value", ["0", "-5", "soon", "", format_datetime(dt.datetime(2020, 1, 1, tzinfo=dt.UTC), usegmt=True)]
)
def test_a_retry_after_that_asks_for_nothing_gives_the_normal_wait(erp: FakeErp, connect: Connect, value: str) -> None:
    erp.invoices = invoices(1)
    erp.faults.append(Answer(429, MESSAGE, {"Retry-After": value}))
    before = time.monotonic()
    assert ids(connect().read_window(DAY, DAY)) == [1]
    assert time.monotonic() - before < 5


def wait_for(value: str, status: int = 429, **headers: str) -> float:
    return asked_wait(httpx.Response(status, headers={"Retry-After": value, **headers}))


def test_retry_after_is_read_in_all_its_forms_and_capped() -> None:
    now = dt.datetime.now(dt.UTC)
    assert wait_for("7") == 7
    assert wait_for("1.5") == 1.5
    assert wait_for("86400") == 600
    assert wait_for("9" * 400) == 600
    for unreadable in ("nan", "inf", "Infinity", "-inf", "1e999", "1e3", "1_0", "0x10", "+5", "5 5", "-7"):
        assert wait_for(unreadable) == 0, unreadable
    assert wait_for("7", status=500) == 0
    assert 28 < wait_for(format_datetime(now + dt.timedelta(seconds=30), usegmt=True)) <= 30
    assert wait_for("Fri, 99 Foo 2026 00:00:00 GMT") == 0
    # by the server's own clock, an hour ahead
    ahead = now.replace(microsecond=0) + dt.timedelta(hours=1)
    date = format_datetime(ahead + dt.timedelta(seconds=5), usegmt=True)
    assert wait_for(date, Date=format_datetime(ahead, usegmt=True)) == 5


def test_waits_double_up_to_16_seconds_and_eight_attempts_take_about_a_minute(
    erp: FakeErp, connect: Connect, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softone_pipeline.softone.sending._sleep", lambda halt, seconds: None)
    erp.fault_for = lambda asked: Answer(500, MESSAGE)
    with caplog.at_level(logging.WARNING, "softone_pipeline.softone"), pytest.raises(WindowError):
        connect(max_attempts=8, retry_wait_seconds=0.5).read_window(DAY, DAY)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 7
    assert lines[0].startswith(
        "company acme, 2026-03-01, page 0: HTTP 500: Ett internt fel har inträffat (attempt 1 of 8, the next in 0."
    )
    waits = [float(line.rsplit(" ", 2)[1]) for line in lines]
    assert all(0.74 * full - 0.06 <= wait <= full for wait, full in zip(waits, [0.5, 1, 2, 4, 8, 16, 16], strict=True))
    assert sum(waits) < 60


def test_many_random_faults_lose_no_invoice(erp: FakeErp, connect: Connect) -> None:
    chance = random.Random(7)
    faults = [fault for fault in PASSING_FAULTS.values() if fault.status != 429]
    erp.invoices = invoices(*range(1, 201))
    erp.fault_for = lambda asked: chance.choice(faults) if chance.random() < 0.3 else None
    assert ids(connect(page_size=10, max_attempts=30, retry_wait_seconds=0.001).read_window(DAY, DAY)) == list(
        range(1, 201)
    )


def test_what_is_asked_for_is_what_the_vendor_document_names(erp: FakeErp, connect: Connect) -> None:
    connect(page_size=77, include_preliminary=False).read_window(DAY, dt.date(2026, 3, 31))
    asked = erp.filter_requests[0]
    assert asked.body == {
        "InvoiceDateFrom": "2026-03-01T00:00:00",
        "InvoiceDateTo": "2026-03-31T23:59:59",
        "IncludePreliminary": False,
        "IncludeVoucher": True,
        "IncludeRowAccountInfo": True,
        "PageNumber": 0,
        "PageNrOfRecords": 77,
    }
    assert list(asked.query) == [
        "companyApiKey",
        "connectApiKey",
        "token",
        "importId",
        "specialFunctionalities",
    ]
    assert asked.query["importId"] == "0"
    assert asked.query["specialFunctionalities"] == ""


def test_an_erp_that_answers_nobody_is_soon_asked_no_more(
    erp: FakeErp, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softone_pipeline.softone.sending._LONGEST_SILENCE", 0.3)
    erp.fault_for = lambda asked: Answer(play=fake_erp.reset)
    client = connect(max_attempts=3, retry_wait_seconds=0.05, max_connections=2)
    days = [DAY + dt.timedelta(days=n) for n in range(200)]
    outcomes = list(client.read_windows((day, day) for day in days))
    assert [type(outcome) for outcome in outcomes] == [WindowError] * 200
    assert "No usable answer after 3 attempts" in str(outcomes[0])
    assert f"Not asked for any more: {erp.base_url} has not answered anything for" in str(outcomes[-1])
    assert len(erp.filter_requests) < 200


def test_a_client_that_has_not_asked_for_long_asks_again(
    erp: FakeErp, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softone_pipeline.softone.sending._LONGEST_SILENCE", 0.3)
    erp.fault_for = lambda asked: Answer(play=fake_erp.reset)
    client = connect(max_attempts=2, retry_wait_seconds=0.05)
    for _ in range(3):
        with pytest.raises(WindowError, match="No usable answer after 2 attempts"):
            client.read_window(DAY, DAY)
        time.sleep(0.4)
    *_, last = client.read_windows([(DAY, DAY)] * 100)
    assert "Not asked for any more" in str(last)
    time.sleep(0.4)
    erp.fault_for = lambda asked: None
    assert isinstance(client.read_window(DAY, DAY), Window)


def test_an_erp_that_answers_now_and_then_is_asked_on(
    erp: FakeErp, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softone_pipeline.softone.sending._LONGEST_SILENCE", 0.5)
    faults = itertools.cycle([Answer(play=fake_erp.reset), Answer(503, MESSAGE), None])
    erp.delay = 0.02
    erp.fault_for = lambda asked: next(faults)
    client = connect(max_connections=1, retry_wait_seconds=0.001)
    started = time.monotonic()
    outcomes = list(client.read_windows((DAY + dt.timedelta(days=n),) * 2 for n in range(20)))
    assert [type(outcome) for outcome in outcomes] == [Window] * 20
    assert time.monotonic() - started > 2 * 0.5
