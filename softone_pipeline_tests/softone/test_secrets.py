"""No key, token or password ever leaves the client: not in logs, not in errors, not in what errors drag along."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import quote, unquote_plus

import pytest

from softone_pipeline.errors import SettingsError
from softone_pipeline.settings import ErpSettings
from softone_pipeline.softone import SoftOneClient
from softone_pipeline.softone.redaction import Redactor
from softone_pipeline_tests.secret_forms import ENCODINGS, SECRETS, written_twice, written_ways
from softone_pipeline_tests.softone import fake_erp
from softone_pipeline_tests.softone.conftest import Connect
from softone_pipeline_tests.softone.fake_erp import (
    COMPANY_KEY,
    CONNECT_KEY,
    DAY,
    PASSWORD,
    Answer,
    Asked,
    FakeErp,
    invoices,
)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and everything behind it, suppressed or not."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def all_of(asked: Asked) -> list[str]:
    return [*asked.query.values(), *map(str, asked.body.values())]


def echo(asked: Asked) -> str:
    """A server that repeats everything it was sent, in every writing."""
    return json.dumps({"Message": " ".join(form for secret in all_of(asked) for form in written_ways(secret))})


def echoing(status: int) -> object:
    return lambda asked: Answer(status, echo(asked))


def encoded(encode: Callable[[str], str]) -> object:
    """A text that is no JSON, short enough to be shown."""
    return lambda asked: Answer(500, " ".join(encode(secret) for secret in all_of(asked)))


def on_the_wire(before: bytes) -> Answer:
    """Bytes that are no HTTP, with everything that was sent among them."""

    def play(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.wfile.write(before + unquote_plus(handler.path).encode() + b"\r\n\r\n")
        handler.close_connection = True

    return Answer(play=play)


SCENES = {
    "all well": lambda asked: None,
    "reset": lambda asked: Answer(play=fake_erp.reset),
    "cut": lambda asked: Answer(play=fake_erp.cut_with_length),
    "broken gzip": lambda asked: Answer(play=fake_erp.broken_gzip),
    "redirect": lambda asked: Answer(302, "", {"Location": f"{asked.path}?{'&'.join(asked.query.values())}"}),
    "cookie": lambda asked: Answer(500, "", {"Set-Cookie": f"t={quote(asked.query['token'])}"}),
    "HTML": lambda asked: Answer(200, f"<html>{echo(asked)}</html>"),
    "redirect, encoded twice": lambda asked: Answer(
        302,
        "",
        {"Location": f"/login/{quote(' '.join(quote(value, safe='') for value in asked.query.values()), safe='')}"},
    ),
    **{f"encoding {number}": encoded(encode) for number, encode in enumerate(ENCODINGS)},
    "status line": lambda asked: on_the_wire(b""),
    "header": lambda asked: on_the_wire(b"HTTP/1.1 200 OK\r\n"),
    "chunk": lambda asked: on_the_wire(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    **{str(status): echoing(status) for status in (200, 400, 401, 403, 500)},
}


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("password", [PASSWORD, "wrong<pass>word&1"])
def test_no_secret_is_in_any_log_or_error(
    erp: FakeErp, connect: Connect, caplog: pytest.LogCaptureFixture, name: str, password: str
) -> None:
    erp.invoices = invoices(1, 2, 3)
    erp.fault_for = SCENES[name]  # type: ignore[assignment]
    caplog.set_level(logging.DEBUG)
    for logger in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        caplog.set_level(logging.DEBUG, logger)
    client = connect(password=password, max_attempts=2)
    errors: list[BaseException] = []
    for call in (
        lambda: client.read_window(DAY, DAY),
        lambda: list(client.read_windows([(DAY, DAY)])),
        lambda: list(client.read_invoices([1])),
        client.check,
        lambda: client.search(first_day=DAY, last_day=DAY, max_rows=5),
    ):
        try:
            found = call()
        except Exception as error:
            errors.append(error)
        else:
            errors += [result for result in found if isinstance(result, Exception)] if isinstance(found, list) else []
    if name != "all well" or password != PASSWORD:
        assert errors
    shown = [caplog.text, repr(client), repr(vars(client))]
    shown += [str(record.__dict__) for record in caplog.records]
    for raised in errors:
        shown.append("".join(traceback.format_exception(raised)))
        for link in chain(raised):
            shown += [str(link), repr(link), repr(link.args), repr(vars(link))]
    tokens = list(erp.token_uses) + list(erp.valid_tokens)
    for secret in (COMPANY_KEY, CONNECT_KEY, password, *tokens):
        for form in written_twice(secret):
            assert not any(form in text for text in shown)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "address",
    [
        "http://user:s3cret/x@proxy:3128",
        "http://user:31/s3cret@proxy:3128",
        "user:s3cret#x@proxy:3128",
        "http://user:s3cret@proxy:port",
        "http://user:s3cret@:3128",
        "http://user:s3cret@-å:3128",
        "gopher://user:s3cret@proxy:3128",
        "socks5://user:s3cret@proxy:1080",
    ],
)
def test_a_proxy_that_is_none_is_told_by_its_variable_alone(
    monkeypatch: pytest.MonkeyPatch, variable: str, address: str
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv(variable, address)
    given = {"company_api_key": COMPANY_KEY, "connect_api_key": CONNECT_KEY, "token": "t"}
    with pytest.raises(SettingsError, match=rf"  {variable.upper()}: should look like http://user:password@") as caught:
        SoftOneClient(ErpSettings.load(**given))
    shown = [text for link in chain(caught.value) for text in (str(link), repr(link))]
    assert len(shown) == 2
    for part in ("s3cret", "gopher", "1080"):
        assert part not in "".join(shown)


def test_a_proxy_with_a_user_and_an_encoded_password_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:s3cret%2Fx@proxy.example:3128/")
    given = {"company_api_key": COMPANY_KEY, "connect_api_key": CONNECT_KEY, "token": "t"}
    SoftOneClient(ErpSettings.load(**given)).close()


@pytest.mark.parametrize("secret", [*SECRETS, "QmFzZTY0+S2V5/MQ==", "pa%cd\\x41\\b&amp;ss", "o'brien&åäö😀", "100%25"])
def test_a_secret_is_hidden_however_it_is_written_and_written_again(secret: str) -> None:
    redactor = Redactor("another+secret", secret)
    for form in written_twice(secret):
        assert redactor.clean(f"50%25 before ({form}) after\\t&c") == "50%25 before (***) after\\t&c", form


def test_an_address_within_an_address_shows_no_token() -> None:
    redactor = Redactor("AbC+dEf/gH9tokenXYZ==")
    text = "Not found: %2FEconomy%3Ftoken%3DAbC%252BdEf%252FgH9tokenXYZ%253D%253D%26page%3D1"
    assert redactor.clean(text) == "Not found: %2FEconomy%3Ftoken%3D***%26page%3D1"
    assert redactor.clean(r"?token=AbC\u002BdEf/gH9tokenXYZ==&page=1") == "?token=***&page=1"
    assert redactor.clean("A\0b\0C\0+\0d\0E\0f\0/\0g\0H\09\0t\0o\0k\0e\0n\0X\0Y\0Z\0=\0=\0") == "***"


def test_a_text_with_more_readings_than_can_be_looked_through_is_not_shown() -> None:
    assert Redactor("secret").clean("%" + "25" * 100 + "73ecret") == "***"


def test_a_short_secret_is_hidden_where_it_stands_alone() -> None:
    redactor = Redactor("a", "1å")
    assert redactor.clean("a bad day: password=a, key=1%C3%A5.") == "*** bad day: password=***, key=***."


def test_no_half_of_a_secret_is_left_at_the_end_of_what_is_looked_at() -> None:
    secret = "".join(f"{number:03}" for number in range(400))
    assert "000001" not in Redactor(secret).clean((secret + " ") * 1000)


def test_a_server_text_is_cleaned_before_it_is_shown() -> None:
    redactor = Redactor("s3cret/å&", None, "")
    assert redactor.clean("a s3cret/å& b") == "a *** b"
    assert redactor.clean("?k=S3CRET%2F%c3%a5%26&x=1") == "?k=***&x=1"
    assert redactor.clean("s3cret/&aring;&amp;") == "***"
    assert redactor.clean("<p>one</p>\n<script>var x = 1;</script>\ttwo\x1b[31m") == "one two [31m"
    redactor.learn("abc")
    redactor.learn("abcdef")
    assert redactor.clean("xabcdefx") == "x***x"
    assert len(redactor.clean("word " * 1000)) == 300
    # cut only after the secrets are out, or half of one could stay
    assert "s3c" not in redactor.clean("x" * 296 + "s3cret/å&")


@pytest.mark.parametrize("text", ["<script s3cret ", "&amp;%25\\u0041 s3cret ", "%25", "\\\\", "&amp;amp;", "s3cret"])
def test_a_huge_page_is_cleaned_quickly(text: str) -> None:
    redactor = Redactor("s3cret")
    for number in range(100):
        redactor.learn(f"token+{number}")
    before = time.process_time()
    assert "s3cret" not in redactor.clean(text * 1_000_000)
    assert time.process_time() - before < 2


def test_without_secrets_a_text_stays_as_it_is() -> None:
    assert Redactor().clean("Fel") == "Fel"
