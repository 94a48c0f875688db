"""Which invoices belong to a window, single invoices, the check, Search, and how many things happen at once."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import logging
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from softone_pipeline.errors import (
    AuthenticationError,
    EndpointNotFoundError,
    RequestError,
    RequestFailedError,
    RequestRefusedError,
    WindowError,
)
from softone_pipeline.softone import InvoiceAnswer, InvoiceUnreadable, SearchInvoice, SoftOneClient, Traffic, Window
from softone_pipeline.softone.transport import MeteredTransport, Pace, StoppedError, _proxy_for, silence_urls
from softone_pipeline_tests.softone.conftest import Connect, settings_for
from softone_pipeline_tests.softone.fake_erp import (
    DAY,
    FILTER_PATH,
    LOGIN_PATH,
    Answer,
    Asked,
    FakeErp,
    invoice,
    invoices,
)

ONE = dt.timedelta(days=1)
DAYS = [(DAY + n * ONE, DAY + n * ONE) for n in range(40)]


# --- which invoices


def test_only_invoices_of_the_asked_days_are_kept(erp: FakeErp, connect: Connect) -> None:
    kept = [invoice(1, DAY), invoice(2, DAY + ONE), invoice(3, "2026-03-01T13:45:10.1234567")]
    erp.invoices = [*kept, invoice(4, DAY - ONE), invoice(5, DAY + 2 * ONE)]
    erp.fault_for = lambda asked: Answer(200, "[" + ",".join(erp.invoices) + "]")
    window = connect().read_window(DAY, DAY + ONE)
    assert [received.payload for received in window.invoices] == kept
    assert [received.invoice_date for received in window.invoices] == [DAY, DAY + ONE, DAY]


def test_invoices_without_a_readable_date_are_kept_without_one(erp: FakeErp, connect: Connect) -> None:
    texts = [invoice(1, None), invoice(2, ...), invoice(3, "soon"), invoice(4, 20260301)]
    texts += [invoice(5, "0001-01-01T00:00:00"), invoice(6, "2026-02-30"), invoice(7, True)]
    erp.fault_for = lambda asked: Answer(200, "[" + ",".join(texts) + "]")
    window = connect().read_window(DAY, DAY)
    assert [received.invoice_id for received in window.invoices] == [1, 2, 3, 4, 5, 6, 7]
    assert {received.invoice_date for received in window.invoices} == {None}


def test_a_date_with_a_zone_counts_by_its_stockholm_day_and_is_never_dropped(erp: FakeErp, connect: Connect) -> None:
    texts = [
        invoice(1, "2026-02-28T23:30:00Z"),  # the 1st in Stockholm
        invoice(2, "2026-03-01T23:30:00Z"),  # the 2nd in Stockholm, but written as the 1st: no other window has it
        invoice(3, "2026-02-28T22:30:00Z"),  # the 28th both ways
    ]
    erp.fault_for = lambda asked: Answer(200, "[" + ",".join(texts) + "]")
    window = connect().read_window(DAY, DAY)
    assert [(r.invoice_id, r.invoice_date) for r in window.invoices] == [(1, DAY), (2, DAY + ONE)]


def _in_utc(day: dt.date) -> str:
    return f"{day - ONE}T23:00:00Z"


def _with_offset(day: dt.date) -> str:
    return f"{day}T00:00:00+01:00"


@pytest.fixture
def comparing_instants(erp: FakeErp) -> FakeErp:
    """A server that compares the midnight of an invoice's day, as an instant, with the asked days as if they were UTC's."""

    def instant(text: str) -> str:
        return dt.datetime.fromisoformat(json.loads(text)["InvoiceDate"]).astimezone(dt.UTC).isoformat()

    def select(body: dict[str, Any]) -> list[str]:
        if "InvoiceDateFrom" not in body:
            return erp.invoices
        return [text for text in erp.invoices if body["InvoiceDateFrom"] <= instant(text) <= body["InvoiceDateTo"]]

    erp.select = select  # type: ignore[method-assign]
    return erp


@pytest.mark.parametrize("write", [_in_utc, _with_offset])
def test_days_are_whole_where_the_server_compares_instants(
    comparing_instants: FakeErp, connect: Connect, write: Callable[[dt.date], str]
) -> None:
    # no invoice on two days of seven, as at a weekend
    days = [day for n, (day, _) in enumerate(DAYS) if n % 7 not in {2, 3}]
    comparing_instants.invoices = [invoice(day.toordinal(), write(day)) for day in days]
    for connections in (1, 4):
        for first in range(8):
            windows = list(connect(max_connections=connections).read_windows(DAYS[first:]))
            found = {
                (received.invoice_date, received.invoice_id)
                for window in windows
                if isinstance(window, Window)
                for received in window.invoices
                if received.invoice_date is not None and received.invoice_date <= DAYS[-1][1]
            }
            assert found == {(day, day.toordinal()) for day in days if day >= DAYS[first][0]}
            assert [window.first_day for window in windows] == [day for day, _ in DAYS[first:]]
            # and a single day alone, whose next day has invoices
            day = DAYS[first][0]
            if day in days and day + ONE in days:
                alone = connect().read_window(day, day).invoices
                assert day.toordinal() in [received.invoice_id for received in alone]


@pytest.mark.parametrize("connections", [1, 3])
def test_more_threads_than_connections_share_them(erp: FakeErp, connect: Connect, connections: int) -> None:
    erp.invoices = [invoice(day.toordinal(), day) for day, _ in DAYS]
    client = connect(max_connections=connections, max_attempts=1)
    found: list[Window | WindowError] = []
    threads = [threading.Thread(target=lambda: found.extend(client.read_windows(DAYS))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 * len(DAYS)
    assert [error for error in found if isinstance(error, WindowError)] == []
    assert erp.most_under_way <= connections


def test_a_server_that_sends_plain_dates_is_asked_for_no_day_twice(erp: FakeErp, connect: Connect) -> None:
    erp.invoices = [invoice(day.toordinal(), day) for day, _ in DAYS[3:]]
    list(connect().read_windows(DAYS))
    assert {(a.body["InvoiceDateFrom"][:10], a.body["InvoiceDateTo"][:10]) for a in erp.filter_requests} == {
        (f"{day}", f"{day}") for day, _ in DAYS
    }


def test_a_window_says_what_it_asked(erp: FakeErp, connect: Connect) -> None:
    before = dt.datetime.now(dt.UTC)
    window = connect(include_preliminary=False).read_window(DAY, DAY + ONE)
    assert (window.first_day, window.last_day, window.include_preliminary) == (DAY, DAY + ONE, False)
    assert before <= window.asked_at <= dt.datetime.now(dt.UTC)
    assert window.traffic.logins == 1
    assert window.traffic.requests == len(erp.asked) == 3
    assert window.traffic.bytes_received > 4


def test_a_window_that_ends_before_it_begins_is_a_mistake(connect: Connect) -> None:
    with pytest.raises(ValueError, match="ends"):
        connect().read_window(DAY, DAY - ONE)


# --- many windows


def test_windows_come_in_the_order_given_whatever_takes_long(erp: FakeErp, connect: Connect) -> None:
    erp.invoices = [invoice(first.toordinal(), first) for first, _ in DAYS]
    erp.before_answer = lambda asked: time.sleep(0.02 * (len(erp.asked) % 3))
    client = connect(max_connections=8)
    results = list(client.read_windows(DAYS))
    assert [result.first_day for result in results] == [first for first, _ in DAYS]
    assert all(isinstance(result, Window) and len(result.invoices) == 1 for result in results)
    assert 2 <= erp.most_under_way <= 8
    total = sum((result.traffic for result in results if isinstance(result, Window)), Traffic())
    assert total == client.traffic
    assert client.traffic.requests == len(erp.asked)


def test_one_failed_window_does_not_stop_the_others(erp: FakeErp, connect: Connect) -> None:
    bad = DAYS[7][0]
    erp.fault_for = lambda asked: Answer(500) if asked.body["InvoiceDateFrom"].startswith(f"{bad}") else None
    results = list(connect(max_attempts=2).read_windows(DAYS))
    failed = [result for result in results if isinstance(result, WindowError)]
    assert [(error.first_day, error.last_day, error.page) for error in failed] == [(bad, bad, 0)]
    assert results.index(failed[0]) == 7


@pytest.mark.parametrize(("bytes_each", "most"), [(40, 64), (8_000_000, 2 * 3)])
def test_finished_windows_wait_for_the_reader_in_bounded_number(
    erp: FakeErp, connect: Connect, bytes_each: int, most: int
) -> None:
    taken: list[int] = []

    def endless() -> Iterator[tuple[dt.date, dt.date]]:
        for n in itertools.count():
            taken.append(n)
            yield DAY, DAY

    erp.invoices = [invoice(1, DAY, CustomerName="Å" * bytes_each)]
    windows = connect(max_connections=3).read_windows(endless())
    next(windows)
    time.sleep(0.3)
    assert 2 * 3 + 1 <= len(taken) <= most + 1
    next(windows)
    assert len(taken) <= most + 2
    windows.close()  # type: ignore[attr-defined]


def test_an_authentication_error_does_not_wait_for_its_turn(erp: FakeErp, connect: Connect) -> None:
    first = f"{DAYS[0][0]}"

    def fault(asked: Asked) -> Answer:
        is_first = asked.body["InvoiceDateFrom"].startswith(first)
        return Answer(503, "", {"Retry-After": "60"}) if is_first else Answer(401, '"Nej"')

    erp.fault_for = fault
    before = time.monotonic()
    with pytest.raises(AuthenticationError, match="Nej"):
        list(connect().read_windows(DAYS))
    assert time.monotonic() - before < 5
    time.sleep(0.1)
    asked = len(erp.asked)
    time.sleep(0.1)
    assert len(erp.asked) == asked < 20


def test_closing_ends_waits_between_attempts_at_once(erp: FakeErp) -> None:
    erp.fault_for = lambda asked: Answer(503, "", {"Retry-After": "60"})
    client = SoftOneClient(settings_for(erp))
    errors: list[WindowError] = []

    def read() -> None:
        try:
            client.read_window(DAY, DAY)
        except WindowError as error:
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    while not erp.filter_requests:
        time.sleep(0.01)
    time.sleep(0.05)
    client.close()
    thread.join(10)
    assert not thread.is_alive()
    assert isinstance(errors[0].__cause__, StoppedError)
    with pytest.raises(RuntimeError, match="closed"):
        client.read_window(DAY, DAY)


@pytest.mark.parametrize("path", [LOGIN_PATH, FILTER_PATH])
def test_closing_ends_requests_under_way_at_once_and_what_waits_for_them(erp: FakeErp, path: str) -> None:
    is_over = threading.Event()
    erp.before_answer = lambda asked: (is_over.wait(20), None)[1] if asked.path == path else None
    client = SoftOneClient(settings_for(erp, requests_per_second=2, timeout_seconds=30))
    found: list[Window | WindowError] = []
    thread = threading.Thread(target=lambda: found.extend(client.read_windows(DAYS)))
    thread.start()
    while not any(asked.path == path for asked in erp.asked):
        time.sleep(0.01)
    client.close()
    thread.join(5)
    is_ended = not thread.is_alive()
    is_over.set()
    thread.join()
    assert is_ended
    assert {type(error.__cause__) for error in found if isinstance(error, WindowError)} == {StoppedError}


def test_leaving_a_run_early_leaves_nothing_behind(erp: FakeErp, connect: Connect) -> None:
    erp.invoices = [invoice(1, DAY)]
    erp.fault_for = lambda asked: (
        None if asked.body["InvoiceDateFrom"].startswith(f"{DAY}") else Answer(503, "", {"Retry-After": "60"})
    )
    windows = connect().read_windows(DAYS)
    assert isinstance(next(windows), Window)
    windows.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 10
    while any(thread.name.startswith("softone") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("rate", "windows", "least"), [(20.0, 20, 1.9), (0.5, 1, 4.0), (400.0, 60, 0.2)])
def test_no_more_requests_are_sent_than_the_rate_allows(
    erp: FakeErp, connect: Connect, rate: float, windows: int, least: float
) -> None:
    client = connect(requests_per_second=rate, max_connections=4)
    began = time.monotonic()
    results = list(client.read_windows((DAYS * 2)[:windows]))
    assert all(isinstance(result, Window) for result in results)
    times = sorted(asked.at for asked in erp.asked)
    # the first is the login; every window is two requests
    assert len(times) == 1 + 2 * windows
    # From before the first was let through: it may arrive late, and the others need not.
    assert times[-1] - began >= 0.95 * least
    if rate == 20:
        # In no second more than the rate, but for the unpunctuality of threads; a burst would double it.
        assert max(sum(start <= at < start + 1 for at in times) for start in times) <= 30


_PACED = """
import sys, threading, time
from pathlib import Path
from typing import Any
from softone_pipeline.softone.transport import Pace
pace = Pace(20.0, Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    pace.wait(threading.Event())
    print(time.monotonic(), flush=True)
"""


def test_processes_that_share_a_pace_keep_the_rate_together(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PACED, str(tmp_path / "pace.sqlite")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    began = time.monotonic()
    moments: list[float] = []
    threads = [
        threading.Thread(target=lambda each=process: moments.extend(map(float, each.communicate("\n")[0].split())))
        for process in processes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moments) == 40
    # One alone takes 0.95 s. From before the first was let through: it may be told late, and the others need not.
    assert max(moments) - began >= 0.95 * 39 / 20


def test_a_clock_that_was_set_back_holds_nobody_up(tmp_path: Path) -> None:
    pace = Pace(20.0, tmp_path / "pace.sqlite")
    pace.wait(threading.Event())
    with contextlib.closing(sqlite3.connect(tmp_path / "pace.sqlite")) as file, file:
        assert file.execute("update rate_bucket set item_timestamp = item_timestamp + 3600000").rowcount == 1
    pace.wait(threading.Event())
    pace.close()


def test_a_pace_that_cannot_be_shared_is_kept_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    began = time.monotonic()
    pace = Pace(20.0, tmp_path / "file" / "pace.sqlite")
    for _ in range(5):
        pace.wait(threading.Event())
    pace.close()
    assert time.monotonic() - began >= 0.95 * 4 / 20
    assert "is not shared with other processes" in caplog.text


# --- single invoices


def _answers(client: SoftOneClient, invoice_ids: list[int]) -> list[InvoiceAnswer]:
    answers = list(client.read_invoices(invoice_ids))
    return [answer for answer in answers if isinstance(answer, InvoiceAnswer)]


def _found(answers: list[InvoiceAnswer]) -> list[int | None]:
    return [answer.invoice.invoice_id if answer.invoice else None for answer in answers]


def test_single_invoices_are_asked_for_by_id_without_dates(erp: FakeErp, connect: Connect) -> None:
    erp.invoices = [invoice(number, "1999-01-01") for number in range(1, 30)]
    wanted = [7, 99, 3, -5, 7]
    answers = _answers(connect(include_preliminary=False), wanted)
    assert [answer.invoice_id for answer in answers] == wanted
    assert _found(answers) == [7, None, 3, None, 7]
    body = next(asked.body for asked in erp.filter_requests if asked.body["InvoiceId"] == "7")
    assert body["IncludePreliminary"] is True
    assert not {"InvoiceDateFrom", "InvoiceDateTo"} & body.keys()
    assert all(answer.asked_at.tzinfo is not None for answer in answers)


@pytest.mark.parametrize("page_0", ["empty", "refused", "like page 1"])
def test_single_invoices_are_found_on_a_server_that_counts_from_1(erp: FakeErp, connect: Connect, page_0: str) -> None:
    erp.first_page, erp.page_0_on_base_1 = 1, page_0
    erp.invoices = invoices(1, 2)
    answers = _answers(connect(), [2, 3])
    assert _found(answers) == [2, None]


def test_other_invoices_in_the_answer_are_ignored(erp: FakeErp, connect: Connect) -> None:
    texts = invoices(*range(100, 109), 10)

    def page(asked: Asked) -> Answer:
        at = asked.page * asked.size
        return Answer(200, "[" + ",".join(texts[at : at + asked.size]) + "]")

    erp.fault_for = page
    answers = _answers(connect(page_size=4), [10, 1])
    assert _found(answers) == [10, None]


def test_an_answer_whose_id_cannot_be_read_says_nothing_about_the_invoice(erp: FakeErp, connect: Connect) -> None:
    erp.fault_for = lambda asked: Answer(200, f"[{invoice('seven')}]") if asked.page == 0 else None
    (failed,) = connect().read_invoices([7])
    assert isinstance(failed, RequestFailedError)
    assert (
        "Invoice 7 of company acme could not be asked for: The answer holds an invoice whose id cannot be read"
        in str(failed)
    )


def test_an_invoice_that_cannot_be_asked_for_is_named(erp: FakeErp, connect: Connect) -> None:
    erp.fault_for = lambda asked: Answer(500, "Fel") if asked.body["InvoiceId"] == "2" else None
    _, failed, other = connect(max_attempts=2).read_invoices([1, 2, 3])
    assert isinstance(failed, RequestFailedError)
    assert re.search(r"Invoice 2 of company acme.*Fel", str(failed))
    assert (failed.status, failed.attempts) == (500, 2)
    assert isinstance(other, InvoiceAnswer)


# --- the check


def test_the_check_says_what_answered(erp: FakeErp, connect: Connect) -> None:
    today = dt.datetime.now(dt.UTC).date()
    erp.invoices = [invoice(number, today) for number in range(1, 4)]
    report = connect().check()
    assert (report.path, report.token_source, report.first_page) == (FILTER_PATH, "login", None)
    assert report.invoices == 3
    assert report.traffic.requests == 2


@pytest.mark.parametrize("page_0", ["empty", "refused", "like page 1"])
def test_the_check_works_on_a_server_that_counts_from_1(erp: FakeErp, connect: Connect, page_0: str) -> None:
    erp.first_page, erp.page_0_on_base_1 = 1, page_0
    erp.invoices = [invoice(1, dt.datetime.now(dt.UTC).date())]
    assert connect().check().invoices == 1


def test_the_check_tells_what_was_learnt_about_paging(erp: FakeErp, connect: Connect) -> None:
    erp.first_page = 1
    erp.invoices = invoices(1, 2)
    client = connect()
    client.read_window(DAY, DAY)
    assert client.check().first_page == 1


def test_the_check_raises_the_refusal(erp: FakeErp, connect: Connect) -> None:
    erp.fault_for = lambda asked: Answer(403, '"Nej"')
    with pytest.raises(RequestRefusedError, match="Nej"):
        connect().check()


# --- Search

SEARCH_ROW = """{"CustomerInvoiceId": 12677557, "Number": "99233", "CustomerId": 5, "CustomerNr": "11357",
 "CustomerName": "Per Persson", "BillingType": 1, "InvoiceDate": "2026-02-23T00:00:00", "DueDate": null,
 "TotalAmount": 9007199254740993.01, "VatAmount": 125.520000, "PaidAmount": null, "Unknown": 1}"""


def test_search_gives_exact_amounts(erp: FakeErp, connect: Connect) -> None:
    paid = SEARCH_ROW.replace('"PaidAmount": null', '"PaidAmount": "100.5"')
    erp.search_answer = Answer(200, f"[{SEARCH_ROW}, {paid}]")
    said = {"CustomerInvoiceId": "12677557", "TotalAmount": "9007199254740993.01"}
    assert connect().search(first_day=DAY, last_day=DAY + ONE, max_rows=20) == [
        SearchInvoice.model_validate(said),
        SearchInvoice.model_validate(said | {"PaidAmount": "100.50"}),
    ]
    asked = erp.asked[-1]
    assert asked.query["maxNrRows"] == "20"
    assert asked.body["InvoiceDateFrom"] == "2026-03-01T00:00:00"
    assert asked.body["InvoiceDateTo"] == "2026-03-02T23:59:59"


def test_a_payment_that_leaves_more_open_than_fits_cannot_be_read(erp: FakeErp, connect: Connect) -> None:
    whole = SEARCH_ROW.replace("9007199254740993.01", "9999999999999999.99")
    erp.search_answer = Answer(200, whole.replace('"PaidAmount": null', '"PaidAmount": 9999999999999999.99'))
    (paid,) = connect().search(first_day=DAY, last_day=DAY, max_rows=20)
    assert isinstance(paid, SearchInvoice)
    assert paid.paid_amount == paid.total_amount
    erp.search_answer = Answer(200, whole.replace('"PaidAmount": null', '"PaidAmount": -0.01'))
    (open_,) = connect().search(first_day=DAY, last_day=DAY, max_rows=20)
    assert "PaidAmount: leaves an open amount that does not fit" in str(open_)


def test_search_of_nothing_is_an_empty_list(erp: FakeErp, connect: Connect) -> None:
    erp.search_answer = Answer(200, "[]")
    assert connect().search(first_day=DAY, last_day=DAY, max_rows=20) == []


@pytest.mark.parametrize("body", ["null", "<html>", '{"Message": "Fel"}', '[{"Message": "Fel"}]', "[1]", "[", ""])
def test_search_that_is_no_list_fails_after_its_attempts(erp: FakeErp, connect: Connect, body: str) -> None:
    erp.search_answer = Answer(200, body)
    with pytest.raises(RequestFailedError):
        connect(max_attempts=2).search(first_day=DAY, last_day=DAY, max_rows=20)


def test_a_search_that_is_missing_or_not_allowed_says_so(erp: FakeErp, connect: Connect) -> None:
    with pytest.raises(EndpointNotFoundError, match=r"/Search does not answer"):
        connect().search(first_day=DAY, last_day=DAY, max_rows=20)
    erp.search_answer = Answer(403, json.dumps({"Message": "Behörighet saknas"}))
    with pytest.raises(RequestRefusedError, match="Behörighet saknas") as caught:
        connect().search(first_day=DAY, last_day=DAY, max_rows=20)
    assert caught.value.status == 403


def test_a_search_refused_with_401_does_not_take_filter_along(erp: FakeErp, connect: Connect) -> None:
    erp.search_answer = Answer(401, '"Nej"')
    client = connect()
    with pytest.raises(AuthenticationError, match="Nej"):
        client.search(first_day=DAY, last_day=DAY, max_rows=20)
    assert client.read_window(DAY, DAY).invoices == ()


def test_a_search_row_that_cannot_be_read_exactly_is_named_in_its_place(erp: FakeErp, connect: Connect) -> None:
    bad = SEARCH_ROW.replace('"PaidAmount": null', '"PaidAmount": 0.001')
    nameless = SEARCH_ROW.replace("12677557", '"A17"')
    erp.search_answer = Answer(200, f"[{bad}, {SEARCH_ROW}, {nameless}]")
    first, good, last = connect().search(first_day=DAY, last_day=DAY, max_rows=20)
    assert isinstance(good, SearchInvoice)
    assert isinstance(first, InvoiceUnreadable)
    assert isinstance(last, InvoiceUnreadable)
    assert (first.field, first.invoice_id) == ("PaidAmount", 12677557)
    assert "0.001 does not fit" in first.reason
    assert (last.field, last.invoice_id) == ("CustomerInvoiceId", None)


# --- the network


def test_this_machine_is_never_reached_through_a_proxy(
    erp: FakeErp, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert connect().read_window(DAY, DAY).invoices == ()
    assert _proxy_for("https://localhost:1")[1] is None
    assert _proxy_for("https://[::1]:1")[1] is None
    assert _proxy_for("https://apiexternal.softone.se") == ("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "softone.se")
    assert _proxy_for("https://apiexternal.softone.se")[1] is None


def test_a_transport_can_be_given_instead_of_the_network(erp: FakeErp) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"Token": "t"} if request.url.path == LOGIN_PATH else [])

    with SoftOneClient(settings_for(erp), transport=httpx.MockTransport(respond)) as client:
        assert client.read_window(DAY, DAY).invoices == ()
        assert client.traffic.requests == 3
        assert len(list(client.read_windows(DAYS))) == len(DAYS)
    assert erp.asked == []


def test_request_error_is_what_single_requests_raise(erp: FakeErp, connect: Connect) -> None:
    erp.filter_paths = set()
    with pytest.raises(RequestError, match="Neither"):
        connect().check()


def test_silencing_twice_adds_one_filter() -> None:
    silence_urls()
    silence_urls()
    assert len(logging.getLogger("httpx").filters) == 1
    assert isinstance(
        MeteredTransport(httpx.MockTransport(lambda r: httpx.Response(200)), at_once=1, requests_per_second=None),
        httpx.BaseTransport,
    )
