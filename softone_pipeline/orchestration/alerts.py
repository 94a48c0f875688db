"""Alerts: a run of ours that failed, days that are not whole, and data that has gone stale; and the sinks they go to.

A sink is any function that takes an Alert: the log, a webhook, e-mail, or one of the project's own. Dagster's own
e-mail sensor knows of failed runs only, and not what to do about them.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import smtplib
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

import dagster as dg
import httpx

from softone_pipeline.errors import AlertError
from softone_pipeline.orchestration.backfill import failure_sentence
from softone_pipeline.orchestration.checks import TO_DO
from softone_pipeline.orchestration.placement import Placement
from softone_pipeline.orchestration.verification import verified
from softone_pipeline.readable import counted
from softone_pipeline.settings import PipelineSettings, is_loopback
from softone_pipeline.softone.transport import open_transport, silence_urls
from softone_pipeline.tables.freshness import Freshness, freshness

log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 10
_TOLD = 3500
_STALE_TO_DO = (
    "look under Runs for one that failed or waits, and under Automation whether refresh_recent_days is turned on and the "
    "daemon runs; then materialize raw/customer_invoices for the days that are missing."
)


@dataclass(frozen=True, slots=True)
class Alert:
    """What somebody should know: a title of one line, and what to do about it. Holds no secret."""

    company: str
    title: str
    text: str


Sink = Callable[[Alert], None]


def to_log(alert: Alert) -> None:
    log.error("%s\n%s", alert.title, alert.text)


def to_webhook(url: str) -> Sink:
    """Posts {"text", "title", "company"}: what Slack, Mattermost and most others take. The URL is a secret."""

    def send(alert: Alert) -> None:
        body = {"text": f"{alert.title}\n{alert.text}", "title": alert.title, "company": alert.company}
        silence_urls()
        try:
            with httpx.Client(transport=open_transport(url, connections=1), timeout=_TIMEOUT_SECONDS) as client:
                answer = client.post(url, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AlertError(f"no answer ({type(error).__name__})", title=alert.title) from None
        if not answer.is_success:
            raise AlertError(f"HTTP {answer.status_code}", title=alert.title)

    return send


def to_email(server: str, sender: str, recipients: Sequence[str]) -> Sink:
    """Sends a plain message: over TLS with `smtps://`, with STARTTLS for `smtp://` unless the server is on this machine.

    `server` is smtps://user:password@host:port, user and port left out where they are not needed. It is a secret.
    """
    parts = urlsplit(server)
    host, is_tls = parts.hostname or "", parts.scheme == "smtps"

    def send(alert: Alert) -> None:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = alert.title, sender, ", ".join(recipients)
        message["Date"] = format_datetime(dt.datetime.now(dt.UTC))
        message.set_content(alert.text)
        context = ssl.create_default_context()
        try:
            with (
                smtplib.SMTP_SSL(host, parts.port or 465, timeout=_TIMEOUT_SECONDS, context=context)
                if is_tls
                else smtplib.SMTP(host, parts.port or 587, timeout=_TIMEOUT_SECONDS)
            ) as connection:
                if not is_tls and not is_loopback(host):
                    connection.starttls(context=context)
                if parts.username:
                    connection.login(unquote(parts.username), unquote(parts.password or ""))
                connection.send_message(message)
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            # Their texts repeat what was sent, so only the kind is told.
            raise AlertError(f"no mail was taken ({type(error).__name__})", title=alert.title) from None

    return send


def sinks(settings: PipelineSettings) -> tuple[Sink, ...]:
    """The log always, the webhook when SOFTONE_ALERT_WEBHOOK is set, e-mail when SOFTONE_ALERT_EMAIL_TO is."""
    webhook, smtp, recipients = settings.alert_webhook, settings.alert_smtp, settings.alert_email_to
    tell: list[Sink] = [to_log]
    if webhook:
        tell.append(to_webhook(webhook.get_secret_value()))
    if smtp and recipients:
        tell.append(to_email(smtp.get_secret_value(), settings.alert_email_from or recipients[0], recipients))
    return tuple(tell)


def build_alerts(
    settings: PipelineSettings, place: Placement, assets: Sequence[dg.AssetsDefinition], tell: Sequence[Sink]
) -> list[dg.SensorDefinition]:
    return [
        _run_failed(settings, place, assets, tell),
        _days_are_not_whole(settings, place, tell),
        _data_is_stale(settings, place, tell),
    ]


def freshness_check(settings: PipelineSettings, place: Placement) -> dg.AssetChecksDefinition:
    """Standing apart from the assets' own checks: a backfill of last year says nothing about yesterday."""

    @dg.asset_check(
        asset=place.published,
        name=place.freshness.name,
        description=(
            f"Yesterday is in the copy, and something was fetched within {counted(settings.stale_after_hours, 'hour')}. "
            "Looked at every hour."
        ),
    )
    def yesterday_is_here() -> dg.AssetCheckResult:
        found = freshness(settings, dt.datetime.now(dt.UTC))
        return dg.AssetCheckResult(
            passed=found.is_fresh, severity=dg.AssetCheckSeverity.WARN, description=_with_to_do(found)
        )

    return yesterday_is_here


def _failure_alert(
    settings: PipelineSettings, run: dg.DagsterRun, told: str, *, verifies: bool, is_tried_again: bool
) -> Alert:
    first, last = (run.tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end"))
    days = f"{first} to {last}" if first and last else run.tags.get("dagster/partition", "no particular days")
    what = ("verifying against the ERP" if verifies else "a run") + " failed"
    if is_tried_again:
        what += " and is tried again"
    whole = "Verifying changes nothing." if verifies else "What was written is whole."
    if is_tried_again:
        to_do = (
            f"nothing yet. Dagster starts {run.run_id} again by itself; if that fails for good, another alert follows. "
            'If no new run comes under Runs, "Re-execute from failure" there.'
        )
    elif verifies:
        to_do = f"see {run.run_id} under Runs, mend the cause, then launch the job {run.job_name} again."
    else:
        to_do = (
            f'see {run.run_id} under Runs, mend the cause, then "Re-execute from failure": only the days that are '
            "missing are asked for again."
        )
    return _alert(settings, what if verifies else f"{what} ({days})", f"{_cut(told)}\n{whole} {TO_DO}{to_do}")


def _alert(settings: PipelineSettings, what: str, text: str) -> Alert:
    return Alert(settings.company, f"SoftOne, company {settings.company}: {what}", text)


def _cut(text: str) -> str:
    return text if len(text) <= _TOLD else f"{text[:_TOLD]} … (all of it is in the run's log)"


def _with_to_do(found: Freshness) -> str:
    return found.sentence if found.is_fresh else f"{found.sentence}\n{TO_DO}{_STALE_TO_DO}"


def _run_failed(
    settings: PipelineSettings, place: Placement, assets: Sequence[dg.AssetsDefinition], tell: Sequence[Sink]
) -> dg.SensorDefinition:
    ours = {key for asset in assets for key in asset.keys}

    @dg.run_failure_sensor(
        name=place.name("alert_when_a_run_fails"),
        description="Tells the log, and the webhook and e-mail where they are set, which run failed, why, and what to do.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alert_when_a_run_fails(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        verifies = _verifies(run, place)
        if not verifies and run.job_name != place.name("refresh") and not (run.asset_selection or frozenset()) & ours:
            return
        told = "\n".join(map(failure_sentence, context.get_step_failure_events()))
        told = told or context.failure_event.message or "The run failed."
        is_tried_again = _is_tried_again(context.instance, run)
        alert = _failure_alert(settings, run, told, verifies=verifies, is_tried_again=is_tried_again)
        _raise_first(_tell(alert, tell))

    return alert_when_a_run_fails


def _verifies(run: dg.DagsterRun, place: Placement) -> bool:
    return run.job_name == place.name("verify") or (
        not run.asset_selection and verified(place) in (run.asset_check_selection or frozenset())
    )


def _is_tried_again(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether Dagster starts a run that was killed again. One that no server knows of, like a backfill's, it cannot."""
    now = instance.get_run_by_id(run.run_id) or run
    return now.tags.get("dagster/will_retry") == "true" and now.remote_job_origin is not None


def _days_are_not_whole(settings: PipelineSettings, place: Placement, tell: Sequence[Sink]) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        name=place.name("alert_when_days_are_not_whole"),
        description="Tells what a run of the job verify found wanting, or could not read. Its check is yellow then, no more.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alert_when_days_are_not_whole(context: dg.RunStatusSensorContext) -> None:
        run = context.dagster_run
        if not _verifies(run, place):
            return
        found = context.instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        for record in found.records:
            event = record.event_log_entry.dagster_event
            if event and not event.asset_check_evaluation_data.passed:
                says = event.asset_check_evaluation_data.description or "The check did not pass."
                _raise_first(_tell(_alert(settings, "verified days are not whole", _cut(says)), tell))

    return alert_when_days_are_not_whole


def _data_is_stale(settings: PipelineSettings, place: Placement, tell: Sequence[Sink]) -> dg.SensorDefinition:
    name = place.name("alert_when_data_is_stale")

    @dg.sensor(
        name=name,
        description="Every hour: the check yesterday_is_here; tells of stale data once a day while it lasts.",
        minimum_interval_seconds=3600,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alert_when_data_is_stale(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        now = dt.datetime.now(dt.UTC)
        if not settings.duckdb_path.exists():
            return dg.SkipReason("Nothing has been published yet.")
        found = freshness(settings, now)
        context.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=place.published,
                check_name=place.freshness.name,
                passed=found.is_fresh,
                severity=dg.AssetCheckSeverity.WARN,
                description=_with_to_do(found),
                metadata={},
            )
        )
        told = _Told(context.instance, f"softone_pipeline/{name}/{settings.duckdb_path.absolute()}", str(now.date()))
        if found.is_fresh:
            told.write(())
            return dg.SkipReason(found.sentence)
        already = told.read()
        left = [number for number in range(len(tell)) if number not in already]
        alert = _alert(settings, "the published data is stale", _with_to_do(found))
        outcomes = _tell(alert, [tell[number] for number in left])
        told.write({*already, *(number for number, error in zip(left, outcomes, strict=True) if error is None)})
        _raise_first(outcomes)
        return dg.SkipReason(found.sentence)

    return alert_when_data_is_stale


@dataclass(frozen=True, slots=True)
class _Told:
    """Which sinks, by their place, were told today. No sensor's cursor: Dagster drops that when the tick fails."""

    instance: dg.DagsterInstance
    key: str
    today: str

    def read(self) -> set[int]:
        written = self.instance.daemon_cursor_storage.get_cursor_values({self.key}).get(self.key)
        last = json.loads(written) if written else {}
        return set(last["sinks"]) if last.get("day") == self.today else set()

    def write(self, sinks: Iterable[int]) -> None:
        last = {"day": self.today, "sinks": sorted(sinks)}
        self.instance.daemon_cursor_storage.set_cursor_values({self.key: json.dumps(last)})


def _tell(alert: Alert, tell: Iterable[Sink]) -> list[Exception | None]:
    """All sinks are tried, a project's own too, whatever they raise; returns what each raised."""
    outcomes: list[Exception | None] = []
    for sink in tell:
        try:
            sink(alert)
        except Exception as error:
            outcomes.append(error)
        else:
            outcomes.append(None)
    return outcomes


def _raise_first(outcomes: Iterable[Exception | None]) -> None:
    """So that the tick shows it."""
    for error in outcomes:
        if error is not None:
            raise error
