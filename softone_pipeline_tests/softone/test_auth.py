"""Logging in, keeping the token, renewing it, and giving up."""

from __future__ import annotations

import datetime as dt
import json
import time
from http.server import BaseHTTPRequestHandler

import pytest

from softone_pipeline.errors import (
    AuthenticationError,
    EndpointNotFoundError,
    RequestFailedError,
    RequestRefusedError,
    WindowError,
)
from softone_pipeline.softone import Window
from softone_pipeline_tests.softone import fake_erp
from softone_pipeline_tests.softone.conftest import Connect
from softone_pipeline_tests.softone.fake_erp import (
    DAY,
    LOGIN_PATH,
    PASSWORD,
    USERNAME,
    Answer,
    FakeErp,
    invoices,
)

DAYS = [(DAY + dt.timedelta(days=n),) * 2 for n in range(60)]


def logins(erp: FakeErp) -> int:
    return sum(asked.path == LOGIN_PATH for asked in erp.asked)


def test_a_login_sends_licence_user_and_password(erp: FakeErp, connect: Connect) -> None:
    client = connect(license="4711")
    client.read_window(DAY, DAY)
    asked = next(asked for asked in erp.asked if asked.path == LOGIN_PATH)
    assert asked.body == {"License": "4711", "UserName": USERNAME, "Password": PASSWORD}
    assert list(asked.query) == ["companyApiKey", "connectApiKey"]
    assert client.traffic.logins == 1


def test_without_a_licence_the_login_leaves_it_out(erp: FakeErp, connect: Connect) -> None:
    connect().read_window(DAY, DAY)
    assert "License" not in erp.asked[0].body


@pytest.mark.parametrize("key", ["Token", "token", "TOKEN", None])
def test_a_token_comes_under_any_case_or_as_a_bare_string(erp: FakeErp, connect: Connect, key: str | None) -> None:
    erp.bare_token = key is None
    erp.token_key = key or "Token"
    erp.invoices = invoices(1)
    assert len(connect().read_window(DAY, DAY).invoices) == 1


def test_windows_read_at_once_share_one_login(erp: FakeErp, connect: Connect) -> None:
    erp.delay = 0.01
    results = list(connect(max_connections=8).read_windows(DAYS))
    assert all(isinstance(result, Window) for result in results)
    assert logins(erp) == 1


@pytest.mark.parametrize(("threads", "uses"), [(1, 1), (1, 2), (1, 5), (4, 5), (4, 9)])
def test_a_token_that_runs_out_is_renewed_and_nothing_is_lost(
    erp: FakeErp, connect: Connect, threads: int, uses: int
) -> None:
    erp.uses_per_token = uses
    erp.invoices = [text for first, _ in DAYS[:10] for text in invoices(first.toordinal(), day=first)]
    results = list(connect(max_connections=threads).read_windows(DAYS[:10]))
    found = [result.invoices[0].invoice_id for result in results if isinstance(result, Window)]
    assert found == [first.toordinal() for first, _ in DAYS[:10]]


def test_all_tokens_revoked_in_the_middle_of_a_run_cost_one_login_more(erp: FakeErp, connect: Connect) -> None:
    erp.delay = 0.01
    revoked: list[bool] = []

    def revoke(asked: fake_erp.Asked) -> None:
        with erp.lock:
            if len(erp.asked) >= 40 and not revoked:
                revoked.append(True)
                erp.valid_tokens.clear()

    erp.before_answer = revoke
    results = list(connect(max_connections=4).read_windows(DAYS))
    assert all(isinstance(result, Window) for result in results)
    assert logins(erp) == 2


@pytest.mark.parametrize("how", fake_erp.UNREADABLE)
def test_a_refused_token_is_renewed_though_the_refusals_text_cannot_be_read(
    erp: FakeErp, connect: Connect, how: str
) -> None:
    erp.token_refusal = fake_erp.unreadable(401, how)
    erp.uses_per_token = 3
    erp.invoices = [text for first, _ in DAYS[:10] for text in invoices(first.toordinal(), day=first)]
    client = connect(max_connections=1)
    results = list(client.read_windows(DAYS[:10]))
    assert [len(result.invoices) for result in results if isinstance(result, Window)] == [1] * 10
    assert client.traffic.retries == 0


def test_a_given_token_needs_no_login(erp: FakeErp, connect: Connect) -> None:
    erp.valid_tokens.add("given+token")
    erp.invoices = invoices(1)
    client = connect(username=None, password=None, token="given+token")
    assert len(client.read_window(DAY, DAY).invoices) == 1
    assert client.check().token_source == "SOFTONE_TOKEN"
    assert logins(erp) == 0


def test_a_given_token_that_is_refused_is_replaced_by_a_login(erp: FakeErp, connect: Connect) -> None:
    erp.invoices = invoices(1)
    client = connect(token="stale")
    assert len(client.read_window(DAY, DAY).invoices) == 1
    assert client.check().token_source == "login"
    assert logins(erp) == 1


def test_a_given_token_that_is_refused_and_cannot_be_renewed_says_so(erp: FakeErp, connect: Connect) -> None:
    client = connect(username=None, password=None, token="stale")
    with pytest.raises(AuthenticationError, match="SOFTONE_TOKEN") as caught:
        client.read_window(DAY, DAY)
    assert caught.value.server_message == "Ogiltig token"
    with pytest.raises(AuthenticationError, match="SOFTONE_TOKEN"):
        client.read_window(DAY, DAY)
    assert len(erp.asked) == 1


REFUSALS = {
    "200 with a message": Answer(200, json.dumps({"Token": None, "Message": "Fel lösenord"})),
    "200 with an empty token": Answer(200, json.dumps({"token": "", "message": "Fel lösenord"})),
    "200 with an error message": Answer(
        200, json.dumps({"Token": None, "Message": "", "ErrorMessage": "Fel lösenord"})
    ),
    "200 with errors": Answer(200, json.dumps({"Errors": ["Fel lösenord"]})),
    "200 with errors in objects": Answer(200, json.dumps({"errors": [{"code": 3, "message": "Fel lösenord"}]})),
    "401": Answer(401, json.dumps("Fel lösenord")),
    "403": Answer(403, json.dumps({"Message": "Fel lösenord"})),
    "400": Answer(400, "Fel lösenord"),
}


@pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS)
def test_a_refused_login_is_final_and_asked_for_once(erp: FakeErp, connect: Connect, answer: Answer) -> None:
    erp.login_answers.extend([answer] * 100)
    client = connect()
    with pytest.raises(AuthenticationError, match="Fel lösenord") as caught:
        list(client.read_windows(DAYS))
    assert caught.value.server_message == "Fel lösenord"
    for first, last in DAYS:
        with pytest.raises(AuthenticationError, match="Fel lösenord"):
            client.read_window(first, last)
    assert len(erp.asked) == 1


@pytest.mark.parametrize("how", fake_erp.UNREADABLE)
def test_a_login_whose_refusal_cannot_be_read_is_asked_for_once_too(erp: FakeErp, connect: Connect, how: str) -> None:
    erp.login_answers.extend([fake_erp.unreadable(401, how)] * 100)
    with pytest.raises(AuthenticationError, match="refused the login of company acme"):
        list(connect().read_windows(DAYS))
    assert len(erp.asked) == 1


@pytest.mark.parametrize("token", ["secret\\ud83dtoken", "secret" * 12_000], ids=["half a character", "too long"])
def test_a_token_that_no_address_can_hold_is_an_authentication_error(
    erp: FakeErp, connect: Connect, token: str
) -> None:
    erp.login_answers.extend([Answer(200, f'{{"Token": "{token}"}}')] * 100)
    with pytest.raises(AuthenticationError, match="token that the login of company acme brought") as caught:
        list(connect().read_windows(DAYS))
    assert "secret" not in str(caught.value)
    assert len(erp.asked) == 1


def test_a_given_token_that_no_address_can_hold_is_named_by_its_variable(erp: FakeErp, connect: Connect) -> None:
    with pytest.raises(AuthenticationError, match="token in SOFTONE_TOKEN"):
        connect(token="x" * 70_000).check()


LOGIN_FAULTS = {
    "reset": Answer(play=fake_erp.reset),
    "cut": Answer(200, '{"Token": "abc'),
    "HTML": Answer(200, "<html>Down</html>"),
    "null": Answer(200, "null"),
    "no token, no message": Answer(200, "{}"),
    "empty string": Answer(200, '""'),
    "number": Answer(200, "1"),
    "500": Answer(500),
    "429": Answer(429, "", {"Retry-After": "0"}),
}


@pytest.mark.parametrize("answer", LOGIN_FAULTS.values(), ids=LOGIN_FAULTS)
def test_a_login_that_fails_for_a_moment_is_repeated(erp: FakeErp, connect: Connect, answer: Answer) -> None:
    erp.login_answers.extend([answer, answer])
    erp.invoices = invoices(1)
    client = connect()
    assert len(client.read_window(DAY, DAY).invoices) == 1
    assert client.traffic.retries == 2


def test_a_login_that_keeps_failing_is_a_failed_window_not_a_refusal(erp: FakeErp, connect: Connect) -> None:
    erp.login_answers.extend([Answer(503, "Underhåll")] * 100)
    with pytest.raises(WindowError, match="login: HTTP 503: Underhåll"):
        connect().read_window(DAY, DAY)


def test_a_login_that_does_not_exist_names_the_setting_to_check(erp: FakeErp, connect: Connect) -> None:
    erp.login_answers.append(Answer(404, "Not Found"))
    with pytest.raises(EndpointNotFoundError, match=r"/Login/Token.*SOFTONE_BASE_URL"):
        connect().check()


def test_a_window_whose_login_does_not_exist_says_to_check_the_address(erp: FakeErp, connect: Connect) -> None:
    erp.login_answers.append(Answer(404, "Not Found"))
    with pytest.raises(WindowError) as caught:
        connect().read_window(DAY, DAY)
    assert "SOFTONE_BASE_URL" in caught.value.to_do
    assert "send company" not in caught.value.to_do


def test_a_login_that_is_a_page_says_so_and_what_it_says(erp: FakeErp, connect: Connect) -> None:
    erp.login_answers.extend([Answer(200, f"\ufeff <html><h1>Underhåll</h1>{PASSWORD}</html>")] * 2)
    with pytest.raises(RequestFailedError, match="login: the answer is a page of HTML: Underhåll") as caught:
        connect(max_attempts=2).check()
    assert PASSWORD not in str(caught.value)


def test_a_search_that_is_a_page_says_so(erp: FakeErp, connect: Connect) -> None:
    erp.search_answer = Answer(200, "<!DOCTYPE html><p>Underhåll</p>")
    with pytest.raises(RequestFailedError, match="the answer is a page of HTML: Underhåll"):
        connect(max_attempts=2).search(first_day=DAY, last_day=DAY, max_rows=5)
    erp.search_answer = Answer(200, "[{")
    with pytest.raises(RequestFailedError, match="cut short or is no JSON"):
        connect(max_attempts=1).search(first_day=DAY, last_day=DAY, max_rows=5)


def test_a_redirected_login_is_not_followed(erp: FakeErp, connect: Connect) -> None:
    erp.login_answers.extend([Answer(301, "", {"Location": "https://elsewhere.example/?secret=1"})] * 2)
    with pytest.raises(RequestRefusedError, match=r"https://elsewhere.example/"):
        connect().check()


def test_a_login_that_is_redirected_for_a_moment_is_asked_again(erp: FakeErp, connect: Connect) -> None:
    erp.login_answers.append(Answer(302, "", {"Location": "https://elsewhere.example/?secret=1"}))
    connect().check()
    assert logins(erp) == 2


def test_a_fresh_token_that_is_refused_ends_everything_after_two_logins(erp: FakeErp, connect: Connect) -> None:
    erp.fault_for = lambda asked: Answer(401, json.dumps("Behörighet saknas"))
    client = connect()
    with pytest.raises(AuthenticationError, match="Behörighet saknas"):
        client.read_window(DAY, DAY)
    assert logins(erp) == 2
    with pytest.raises(AuthenticationError, match="Behörighet saknas"):
        client.read_window(DAY, DAY)
    assert logins(erp) == 2
    assert len(erp.filter_requests) == 2


@pytest.mark.parametrize("uses", [1, 2])
@pytest.mark.parametrize("threads", [2, 4, 8])
def test_a_fresh_token_that_another_thread_has_used_up_is_no_refusal(
    erp: FakeErp, connect: Connect, threads: int, uses: int
) -> None:
    erp.uses_per_token = uses
    erp.fault_for = lambda asked: Answer(play=dripped)
    erp.invoices = [text for first, _ in DAYS[:20] for text in invoices(first.toordinal(), day=first)]
    client = connect(max_connections=threads)
    results = list(client.read_windows(DAYS[:20]))
    assert [len(result.invoices) for result in results if isinstance(result, Window)] == [1] * 20
    assert client.traffic.retries == 0
    # each token is used as often as it may be, but for the few that were in the air
    assert logins(erp) <= len(erp.filter_requests)


def dripped(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """The status at once, the body a while later."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.flush()
    time.sleep(0.01)
    handler.wfile.write(body)


def test_tokens_that_are_all_refused_end_a_run_of_many_threads_after_two_logins(erp: FakeErp, connect: Connect) -> None:
    erp.fault_for = lambda asked: Answer(401, json.dumps("Behörighet saknas"))
    with pytest.raises(AuthenticationError, match="Behörighet saknas"):
        list(connect(max_connections=8).read_windows(DAYS))
    time.sleep(0.1)
    assert logins(erp) == 2


def test_wrong_keys_end_a_run_without_a_storm(erp: FakeErp, connect: Connect) -> None:
    with pytest.raises(AuthenticationError, match="Felaktig nyckel"):
        list(connect(company_api_key="wrong", max_connections=8).read_windows(DAYS))
    time.sleep(0.1)
    assert len(erp.asked) == 1
