"""Who is told when a run fails or data goes stale, in which words, and that an address that is a secret stays one."""

from __future__ import annotations

import base64
import datetime as dt
import json
import logging
import os
import shutil
import socketserver
import ssl
import subprocess
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as email_policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from softone_pipeline.definitions import build_definitions
from softone_pipeline.errors import AlertError, SettingsError
from softone_pipeline.orchestration.alerts import Alert, to_email, to_webhook
from softone_pipeline.orchestration.instance import instance as instance_of_home
from softone_pipeline.orchestration.partitions import range_tags
from softone_pipeline.settings import PipelineSettings, stockholm_today
from softone_pipeline.tables.freshness import freshness
from softone_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, RAW, Plant

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
SECRET_PATH = "/hooks/T0-SECRET-B1"
PUBLISHED = dg.AssetKey(["published", "database"])


@dataclass
class Hook:
    """A webhook's far end."""

    url: str = ""
    status: int = 200
    received: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def hook() -> Iterator[Hook]:
    told = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(told.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_address[1]}{SECRET_PATH}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield told
        server.shutdown()
        thread.join()


@pytest.fixture
def hooked(hook: Hook, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> Hook:
    monkeypatch.setenv("SOFTONE_ALERT_WEBHOOK", hook.url)
    return hook


def sensor_of(name: str) -> dg.SensorDefinition:
    return build_definitions().get_repository_def().get_sensor_def(name)


def fail_a_run(plant: Plant) -> dg.ExecuteInProcessResult:
    plant.gate.broken.add(FIRST_DAY + dt.timedelta(days=1))
    result = (
        build_definitions()
        .resolve_job_def("refresh")
        .execute_in_process(
            instance=plant.instance,
            asset_selection=[RAW],
            tags=range_tags(FIRST_DAY, LAST_DAY),
            run_config=QUIET,
            raise_on_error=False,
        )
    )
    assert not result.success
    return result


def tell_of(result: dg.ExecuteInProcessResult, plant: Plant) -> None:
    (event,) = [event for event in result.all_events if event.event_type == dg.DagsterEventType.RUN_FAILURE]
    context = dg.build_run_status_sensor_context(
        sensor_name="alert_when_a_run_fails",
        dagster_instance=plant.instance,
        dagster_run=result.dagster_run,
        dagster_event=event,
    ).for_run_failure()
    sensor_of("alert_when_a_run_fails")(context)


def test_a_failed_run_is_told_with_company_days_cause_and_what_to_do(hooked: Hook, plant: Plant) -> None:
    result = fail_a_run(plant)
    tell_of(result, plant)
    (message,) = hooked.received
    assert message["company"] == "Provbolaget"
    assert message["title"] == f"SoftOne, company Provbolaget: a run failed ({FIRST_DAY} to {LAST_DAY})"
    assert "7 of 8 days stand" in message["text"]
    assert str(FIRST_DAY + dt.timedelta(days=1)) in message["text"]
    assert "Re-execute from failure" in message["text"]
    assert result.run_id in message["text"]
    for name in ("COMPANY_API_KEY", "CONNECT_API_KEY", "PASSWORD"):
        assert os.environ[f"SOFTONE_{name}"] not in json.dumps(message)


def test_a_run_of_somebody_elses_is_none_of_our_business(hooked: Hook, plant: Plant) -> None:
    @dg.job
    def theirs() -> None:
        _fails()

    result = theirs.execute_in_process(instance=plant.instance, run_config=QUIET, raise_on_error=False)
    tell_of(result, plant)
    assert hooked.received == []


@dg.op
def _fails() -> None:
    raise RuntimeError("theirs")


def test_a_sink_of_ones_own_takes_the_place_of_the_others(hooked: Hook, plant: Plant) -> None:
    told: list[Alert] = []
    definitions = build_definitions(alert_sinks=[told.append])
    sensor = definitions.get_repository_def().get_sensor_def("alert_when_data_is_stale")
    assert plant.load().succeeded
    with dg.build_sensor_context(instance=plant.instance) as context:
        sensor.evaluate_tick(context)
    assert [alert.company for alert in told] == ["Provbolaget"]
    assert hooked.received == []


def test_stale_data_is_told_of_once_a_day_and_shown_as_a_check(hooked: Hook, plant: Plant) -> None:
    sensor = sensor_of("alert_when_data_is_stale")
    with dg.build_sensor_context(instance=plant.instance) as context:
        assert sensor.evaluate_tick(context).skip_message == "Nothing has been published yet."
    assert plant.load().succeeded
    with dg.build_sensor_context(instance=plant.instance) as context:
        sensor.evaluate_tick(context)
    (evaluation,) = evaluations(plant)
    assert (evaluation.asset_key, evaluation.check_name, evaluation.passed) == (PUBLISHED, "yesterday_is_here", False)
    yesterday = stockholm_today() - dt.timedelta(days=1)
    assert (evaluation.description or "").splitlines()[0] == (
        f"Yesterday, {yesterday}, is not in the copy for company Provbolaget; the last day is {LAST_DAY}."
    )
    assert "To do: look under Runs" in (evaluation.description or "")
    with dg.build_sensor_context(instance=plant.instance) as context:
        sensor.evaluate_tick(context)
    assert [evaluation.passed for evaluation in evaluations(plant)] == [False, False]
    (message,) = hooked.received
    assert "is stale" in message["title"]
    assert "daemon" in message["text"]


def evaluations(plant: Plant) -> list[dg.AssetCheckEvaluation]:
    """What the check yesterday_is_here has said so far."""
    history = plant.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(PUBLISHED, "yesterday_is_here"), limit=10
    )
    return [record.evaluation for record in history if record.evaluation]


def test_a_sink_that_fails_is_tried_again_alone_and_the_check_is_yellow_all_the_same(plant: Plant) -> None:
    told: list[str] = []
    broken = [True]

    def chat(alert: Alert) -> None:
        if broken:
            raise RuntimeError("the chat is down")
        told.append(f"chat {alert.company}")

    definitions = build_definitions(alert_sinks=[chat, lambda alert: told.append(f"desk {alert.company}")])
    sensor = definitions.get_repository_def().get_sensor_def("alert_when_data_is_stale")
    assert plant.load().succeeded
    for _ in range(2):
        with (
            dg.build_sensor_context(instance=plant.instance) as context,
            pytest.raises(RuntimeError, match="the chat is down"),
        ):
            sensor.evaluate_tick(context)
    assert told == ["desk Provbolaget"]
    assert [evaluation.passed for evaluation in evaluations(plant)] == [False, False]
    broken.clear()
    for _ in range(2):
        with dg.build_sensor_context(instance=plant.instance) as context:
            sensor.evaluate_tick(context)
    assert told == ["desk Provbolaget", "chat Provbolaget"]


def verify(plant: Plant) -> dg.ExecuteInProcessResult:
    days = {"first_day": str(FIRST_DAY), "last_day": str(LAST_DAY)}
    return (
        build_definitions()
        .resolve_job_def("verify")
        .execute_in_process(
            instance=plant.instance,
            run_config=QUIET | {"ops": {"raw__customer_invoices_verified_against_erp": {"config": days}}},
            raise_on_error=False,
        )
    )


def test_days_that_could_not_be_verified_are_told(hooked: Hook, plant: Plant) -> None:
    assert plant.load().succeeded
    assert verify_and_tell(plant)
    assert hooked.received == []
    plant.gate.broken.add(FIRST_DAY)
    assert verify_and_tell(plant)
    (message,) = hooked.received
    assert message["title"] == "SoftOne, company Provbolaget: verified days are not whole"
    assert "Company Provbolaget: 5 of 8 days are whole." in message["text"]
    assert f"To do: load {FIRST_DAY} to " in message["text"]


def verify_and_tell(plant: Plant) -> bool:
    result = verify(plant)
    tell_of_success(result, plant)
    return result.success


def tell_of_success(result: dg.ExecuteInProcessResult, plant: Plant) -> None:
    (event,) = [event for event in result.all_events if event.event_type == dg.DagsterEventType.RUN_SUCCESS]
    context = dg.build_run_status_sensor_context(
        sensor_name="alert_when_days_are_not_whole",
        dagster_instance=plant.instance,
        dagster_run=result.dagster_run,
        dagster_event=event,
    )
    sensor_of("alert_when_days_are_not_whole")(context)


def test_a_load_that_went_well_is_not_told(hooked: Hook, plant: Plant) -> None:
    result = (
        build_definitions()
        .resolve_job_def("refresh")
        .execute_in_process(instance=plant.instance, tags=range_tags(FIRST_DAY, LAST_DAY), run_config=QUIET)
    )
    tell_of_success(result, plant)
    assert hooked.received == []


def test_verifying_that_fails_is_told_with_what_to_do(
    hooked: Hook, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOFTONE_PASSWORD")
    result = verify(plant)
    assert not result.success
    tell_of(result, plant)
    (message,) = hooked.received
    assert message["title"] == "SoftOne, company Provbolaget: verifying against the ERP failed"
    assert "SOFTONE_PASSWORD: is missing" in message["text"]
    assert message["text"].endswith("mend the cause, then launch the job verify again.")


@pytest.fixture
def at_home(plant: Plant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Plant]:
    """With the instance that `softone up` makes, which starts a run again whose process died."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    with instance_of_home() as plant.instance:
        yield plant


def kill(plant: Plant, *, launched_by_server: bool, after: dg.DagsterRun | None = None) -> dg.DagsterRun:
    """A run of the job that is marked as failed, as one is whose process is gone; told of."""
    origin = RemoteJobOrigin(
        RemoteRepositoryOrigin(
            ManagedGrpcPythonEnvCodeLocationOrigin(
                LoadableTargetOrigin(module_name="softone_pipeline.definitions"), "softone_pipeline"
            ),
            "__repository__",
        ),
        "refresh",
    )
    root = (after.root_run_id or after.run_id) if after else None
    lineage = {"dagster/root_run_id": root, "dagster/parent_run_id": after.run_id} if after and root else {}
    run = plant.instance.create_run_for_job(
        build_definitions().resolve_job_def("refresh"),
        tags=range_tags(FIRST_DAY, LAST_DAY) | lineage,
        root_run_id=root,
        parent_run_id=after.run_id if after else None,
        remote_job_origin=origin if launched_by_server else None,
    )
    event = plant.instance.report_run_failed(run, "The process of this run is gone.")
    context = dg.build_run_status_sensor_context(
        sensor_name="alert_when_a_run_fails",
        dagster_instance=plant.instance,
        dagster_run=run,
        dagster_event=event,
    ).for_run_failure()
    sensor_of("alert_when_a_run_fails")(context)
    return run


def test_a_killed_run_that_dagster_starts_again_is_told_as_such_until_no_other_follows(
    hooked: Hook, at_home: Plant
) -> None:
    runs = [kill(at_home, launched_by_server=True)]
    runs += [kill(at_home, launched_by_server=True, after=runs[-1])]
    runs += [kill(at_home, launched_by_server=True, after=runs[-1])]
    first, second, last = hooked.received
    days = f"({FIRST_DAY} to {LAST_DAY})"
    for message, run in ((first, runs[0]), (second, runs[1])):
        assert message["title"] == f"SoftOne, company Provbolaget: a run failed and is tried again {days}"
        assert f"To do: nothing yet. Dagster starts {run.run_id} again by itself" in message["text"]
        assert "mend the cause" not in message["text"]
    assert last["title"] == f"SoftOne, company Provbolaget: a run failed {days}"
    assert f"see {runs[2].run_id} under Runs, mend the cause" in last["text"]


def test_a_killed_backfill_that_no_server_can_start_again_is_told_as_failed(hooked: Hook, at_home: Plant) -> None:
    kill(at_home, launched_by_server=False)
    (message,) = hooked.received
    assert message["title"] == f"SoftOne, company Provbolaget: a run failed ({FIRST_DAY} to {LAST_DAY})"
    assert "mend the cause" in message["text"]


def test_fresh_is_yesterday_and_a_fetch_that_is_not_old(open_plant: Callable[..., Plant]) -> None:
    today = stockholm_today()
    plant = open_plant(today - dt.timedelta(days=2), today)
    assert plant.load(today - dt.timedelta(days=2), today).succeeded
    now = dt.datetime.now(dt.UTC)
    assert freshness(plant.settings, now).is_fresh
    old = freshness(PipelineSettings.load(stale_after_hours=2), now + dt.timedelta(hours=3))
    assert "hours old, more than the 2 allowed" in old.sentence
    assert not old.is_fresh


def test_the_check_stands_at_the_copy_and_can_be_run_by_hand(plant: Plant) -> None:
    assert plant.load().succeeded
    definitions = build_definitions()
    key = dg.AssetCheckKey(PUBLISHED, "yesterday_is_here")
    assert key in definitions.resolve_asset_graph().asset_check_keys
    job = dg.define_asset_job("by_hand", dg.AssetSelection.checks(key))
    by_hand = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job])).resolve_job_def("by_hand")
    result = by_hand.execute_in_process(instance=plant.instance, run_config=QUIET)
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed


@pytest.mark.parametrize("status", [500, 404, 302])
def test_a_webhook_that_refuses_is_an_error_without_its_address(
    hook: Hook, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    hook.status = status
    with caplog.at_level(logging.DEBUG), pytest.raises(AlertError) as raised:
        to_webhook(hook.url)(Alert("Provbolaget", "title", "text"))
    assert f"HTTP {status}" in str(raised.value)
    assert raised.value.__cause__ is None
    assert "SECRET" not in str(raised.value) + caplog.text


def test_a_webhook_that_does_not_answer_is_an_error_without_its_address() -> None:
    with pytest.raises(AlertError, match="no answer") as raised:
        to_webhook(f"http://127.0.0.1:9{SECRET_PATH}")(Alert("Provbolaget", "title", "text"))
    assert "SECRET" not in str(raised.value)


def test_a_webhook_that_is_no_address_is_an_error_without_it() -> None:
    url = "https://-s3cret-å/"
    with pytest.raises(AlertError, match="no answer") as raised:
        to_webhook(url)(Alert("Provbolaget", "title", "text"))
    assert "s3cret" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_a_webhook_is_reached_through_the_proxy(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(502)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.server_address[1]}")
        for name in ("NO_PROXY", "no_proxy", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        try:
            with pytest.raises(AlertError, match="ProxyError"):
                to_webhook(f"{scheme}://hooks.invalid{SECRET_PATH}")(Alert("Provbolaget", "title", "text"))
        finally:
            server.shutdown()
            thread.join()
    assert asked == ["hooks.invalid:443"]


def test_a_webhook_behind_a_proxy_that_is_none_names_its_variable_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET_PATH}@proxy:3128")
    monkeypatch.delenv("https_proxy", raising=False)
    with pytest.raises(SettingsError, match="HTTPS_PROXY: should look like") as raised:
        to_webhook("https://hooks.invalid/")(Alert("Provbolaget", "title", "text"))
    assert "SECRET" not in "".join(traceback.format_exception(raised.value))


@dataclass
class Mailbox:
    """A mail server's far end: one on this machine, with TLS and a login or without."""

    url: str
    logins: list[str] = field(default_factory=list)
    messages: list[EmailMessage] = field(default_factory=list)
    refuses: bool = False


def _smtp(told: Mailbox, context: ssl.SSLContext | None) -> socketserver.ThreadingTCPServer:
    """As much of SMTP (RFC 5321, AUTH PLAIN of RFC 4954) as a client needs to hand over a message."""

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 mail.example.com")
            while line := self.rfile.readline().decode().strip():
                word = line.split()[0].upper()
                if word == "EHLO":
                    self.say("250-mail.example.com")
                    self.say("250 AUTH PLAIN")
                elif word == "AUTH":
                    told.logins.append(base64.b64decode(line.split()[2]).decode())
                    self.say("235 welcome")
                elif word == "DATA":
                    self.say("354 go on")
                    lines = list(iter(self.rfile.readline, b".\r\n"))
                    parsed = message_from_bytes(b"".join(lines), policy=email_policy)
                    assert isinstance(parsed, EmailMessage)
                    told.messages.append(parsed)
                    self.say("250 taken")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                elif word == "RCPT" and told.refuses:
                    self.say(f"550 no such user, says {SECRET_PATH}")
                else:
                    self.say("250 ok")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


@pytest.fixture(params=["smtp", "smtps"])
def mailbox(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    context = None
    if request.param == "smtps":
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed, which makes the server's certificate")
        certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
                *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
            ],
            capture_output=True,
            check=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    told = Mailbox("")
    with _smtp(told, context) as server:
        login = "larm%40example.com:hemligt%2F5@" if context else ""
        told.url = f"{request.param}://{login}127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield told
        server.shutdown()
        thread.join()


def test_a_failed_run_is_told_by_email(mailbox: Mailbox, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTONE_ALERT_SMTP", mailbox.url)
    monkeypatch.setenv("SOFTONE_ALERT_EMAIL_TO", "ekonomi@example.com, jour@example.com")
    tell_of(fail_a_run(plant), plant)
    (message,) = mailbox.messages
    assert message["Subject"] == f"SoftOne, company Provbolaget: a run failed ({FIRST_DAY} to {LAST_DAY})"
    assert (message["From"], message["To"]) == ("ekonomi@example.com", "ekonomi@example.com, jour@example.com")
    assert "7 of 8 days stand" in message.get_content()
    assert "Re-execute from failure" in message.get_content()
    assert mailbox.logins == (["\0larm@example.com\0hemligt/5"] if "smtps" in mailbox.url else [])


def test_a_mail_server_that_refuses_or_is_not_there_is_an_error_without_its_secrets(mailbox: Mailbox) -> None:
    mailbox.refuses = True
    for url in (mailbox.url, f"smtps://user:{SECRET_PATH[1:6]}SECRET@127.0.0.1:9"):
        with pytest.raises(AlertError, match="no mail was taken") as raised:
            to_email(url, "a@example.com", ["b@example.com"])(Alert("Provbolaget", "title", "text"))
        assert raised.value.__cause__ is None
        assert "SECRET" not in str(raised.value)
        assert "hemligt" not in str(raised.value)


def test_a_mail_password_that_smtp_does_not_carry_is_an_error_without_it(mailbox: Mailbox) -> None:
    url = f"{mailbox.url.partition(':')[0]}://larm:hemligt%C3%A5@{mailbox.url.rpartition('@')[2].rpartition('/')[2]}"
    with pytest.raises(AlertError, match="no mail was taken") as raised:
        to_email(url, "a@example.com", ["b@example.com"])(Alert("Provbolaget", "title", "text"))
    assert "å" not in "".join(traceback.format_exception(raised.value))
    assert "xe5" not in "".join(traceback.format_exception(raised.value))


def test_email_needs_a_server_that_is_never_shown() -> None:
    with pytest.raises(SettingsError, match="SOFTONE_ALERT_SMTP: is missing"):
        PipelineSettings.load(alert_email_to="jour@example.com")
    with pytest.raises(SettingsError, match="should look like smtps://"):
        PipelineSettings.load(alert_email_to="jour@example.com", alert_smtp="mail.example.com")
    settings = PipelineSettings.load(alert_email_to="jour@example.com", alert_smtp="smtps://u:hemligt@mail.example.com")
    assert "hemligt" not in repr(settings)


@pytest.mark.parametrize("url", ["http://example.com/hook", "ftp://x", "hook"])
def test_a_webhook_is_https_and_never_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="SOFTONE_ALERT_WEBHOOK") as raised:
        PipelineSettings.load(alert_webhook=url)
    assert url not in str(raised.value)
    assert SECRET_PATH not in repr(PipelineSettings.load(alert_webhook=f"https://example.com{SECRET_PATH}"))
