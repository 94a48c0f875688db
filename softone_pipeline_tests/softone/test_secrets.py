"""No key, token or password ever leaves the client: not in logs, not in errors, not in what errors drag along."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest

from softone_pipeline.softone.redaction import Redactor
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


def forms(secret: str) -> set[str]:
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}


def echo(asked: Asked) -> str:
    """A server that repeats everything it was sent, in every writing."""
    secrets = [*asked.query.values(), *map(str, asked.body.values())]
    return json.dumps({"Message": " ".join(form for secret in secrets for form in forms(secret))})


def echoing(status: int) -> object:
    return lambda asked: Answer(status, echo(asked))


SCENES = {
    "all well": lambda asked: None,
    "reset": lambda asked: Answer(play=fake_erp.reset),
    "cut": lambda asked: Answer(play=fake_erp.cut_with_length),
    "broken gzip": lambda asked: Answer(play=fake_erp.broken_gzip),
    "redirect": lambda asked: Answer(302, "", {"Location": f"{asked.path}?{'&'.join(asked.query.values())}"}),
    "cookie": lambda asked: Answer(500, "", {"Set-Cookie": f"t={quote(asked.query['token'])}"}),
    "HTML": lambda asked: Answer(200, f"<html>{echo(asked)}</html>"),
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
        for form in forms(secret):
            assert not any(form in text for text in shown)


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


def test_a_huge_page_of_markup_is_cleaned_quickly() -> None:
    before = time.process_time()
    assert Redactor("s3cret").clean("<script s3cret " * 1_000_000).startswith("<script *** <script")
    assert time.process_time() - before < 2


def test_without_secrets_a_text_stays_as_it_is() -> None:
    assert Redactor().clean("Fel") == "Fel"
