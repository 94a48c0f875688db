"""The UI and the daemon as a user starts them, with a backfill by mouse, a schedule, a failure and its repetition.

The daemon looks around every thirty seconds, so one story is told once, its waits overlapping, and the tests
judge what it left behind.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from softone_pipeline.sandbox import Changes, Company, Credentials, Sandbox
from softone_pipeline.settings import STOCKHOLM, stockholm_today
from softone_pipeline_tests.orchestration.conftest import adds_up, days_between, known, query, truth
from softone_pipeline_tests.orchestration.gate import Gate
from softone_pipeline_tests.orchestration.server import Run, Server

pytestmark = pytest.mark.timeout(420)

DAYS = 70
RAW = "raw/customer_invoices"
BEHIND_RAW = {
    "raw/payment_status",
    "core/invoices",
    "core/invoice_rows",
    "mart/vat_summary",
    "mart/vat_return_draft",
    "mart/customer_balance",
    "published/database",
    "published/report",
}
CREDENTIALS = Credentials(
    company_api_key="company-key-9f31c2",
    connect_api_key="connect-key-5b77e0",
    license="licence-48213",
    username="api-user-7d02",
    password="pass-word-e4c19a",
)

Facts = dict[int, tuple[dt.date, Decimal, str]]


@dataclass
class Seen:
    """What was published at one moment, and what the ERP had then."""

    published: Facts
    company: Facts
    adds_up: bool


@dataclass
class Story:
    """What happened, step by step."""

    server: Server
    company: Company
    days: list[dt.date]
    database: Path
    secrets: tuple[str, ...]
    seen: dict[str, Seen] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    backfills: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)
    asked_again: set[dt.date] = field(default_factory=set)
    bad_day: dt.date = dt.date.min
    command_lines: list[str] = field(default_factory=list)

    def look(self, step: str, company: Facts | None = None) -> None:
        self.seen[step] = Seen(
            published=known(self.database),
            company=company if company is not None else truth(self.company),
            adds_up=adds_up(self.database),
        )


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("ui")
    today = stockholm_today()
    days = days_between(today - dt.timedelta(days=DAYS - 1), today)
    company = Company(first_day=days[0], last_day=days[-1], invoices_per_day=6)
    with Sandbox(company, credentials=CREDENTIALS, first_use_seconds=3600) as sandbox, Gate(sandbox.base_url) as gate:
        token = sandbox.issue_token()
        variables = CREDENTIALS.environment(gate.url) | {
            "SOFTONE_TOKEN": token,
            "SOFTONE_START_DATE": days[0].isoformat(),
            "SOFTONE_DUCKDB_PATH": str(folder / "softone.duckdb"),
            "SOFTONE_MAX_ATTEMPTS": "2",
            "SOFTONE_RETRY_WAIT_SECONDS": "0",
        }
        with Server(folder, variables) as server:
            secrets = (
                CREDENTIALS.company_api_key,
                CREDENTIALS.connect_api_key,
                str(CREDENTIALS.license),
                CREDENTIALS.username,
                CREDENTIALS.password,
                token,
            )
            told = Story(server, company, days, folder / "softone.duckdb", secrets)
            try:
                _backfill_of_raw(told)
                _evening_and_morning(told, sandbox)
                _bad_day(told, gate)
                _backfills_end(told)
            except BaseException:
                print(server.output[-8000:])
                raise
            yield told


def _backfill_of_raw(story: Story) -> None:
    """Materialize, in the asset's own page, and wait for everything else to follow."""
    server = story.server
    backfill = story.backfills["raw"] = server.backfill([RAW], story.days)

    def followed() -> Run | None:
        return next((run for run in server.runs() if "dagster/sensor_name" in run.tags), None)

    asked_for = server.until("the backfill's run", lambda: server.runs_of(backfill), timeout=90)
    story.command_lines += server.command_lines()
    story.runs["raw"] = server.wait_for(asked_for[0].id)
    story.command_lines += server.command_lines()
    story.runs["follows"] = server.until("the sensor asks for the rest", followed, timeout=120)


def _evening_and_morning(story: Story, sandbox: Sandbox) -> None:
    """The ERP moves on; two overlapping backfills are started at once, and the schedule's run beside them."""
    server = story.server
    before = truth(story.company)
    story.changes = story.company.advance()
    sandbox.revoke_tokens()
    story.backfills["all"] = server.backfill([RAW, *BEHIND_RAW], story.days)
    story.backfills["overlapping"] = server.backfill([RAW], story.days[20:])
    story.runs["follows"] = server.wait_for(story.runs["follows"].id)
    story.look("raw", before)
    moment = dt.datetime.combine(story.days[-1], dt.time(5, 30), STOCKHOLM)
    story.requests = server.requested_by("refresh_recent_days", moment)
    (request,) = story.requests
    story.runs["schedule"] = server.wait_for(server.launch({tag["key"]: tag["value"] for tag in request["tags"]}))
    story.look("schedule")

    def derived() -> Run | None:
        runs = server.runs_of(story.backfills["all"])
        return next((run for run in runs if "published/database" in run.assets and run.has_ended), None)

    story.runs["all"] = server.until("the backfill of everything reaches the copy", derived, timeout=150)
    server.until(
        "the overlapping backfill's run ends",
        lambda: any(run.has_ended for run in server.runs_of(story.backfills["overlapping"])),
        timeout=90,
    )
    story.look("all")


def _bad_day(story: Story, gate: Gate) -> None:
    """A day that the ERP will not give, and the failed run repeated once it will."""
    server = story.server
    story.bad_day = story.days[-2]
    gate.broken.add(story.bad_day)
    story.runs["failed"] = server.wait_for(server.launch_range(story.days[-4], story.days[-1]))
    gate.broken.clear()
    gate.asked.clear()
    story.runs["repeated"] = server.wait_for(server.repeat(story.runs["failed"].id))
    story.asked_again = set(gate.asked)


def _backfills_end(story: Story) -> None:
    server = story.server

    def ended() -> bool:
        statuses = {server.backfill_status(backfill) for backfill in story.backfills.values()}
        return not statuses & {"REQUESTED", "CANCELING", "FAILING"}

    server.until("every backfill ends", ended, timeout=90)


@pytest.fixture(autouse=True)
def _output_of_the_server(story: Story) -> Iterator[None]:
    """Shown by pytest when a test fails."""
    yield
    print(story.server.output[-8000:])


def keys(days: list[dt.date]) -> set[str | None]:
    return {day.isoformat() for day in days}


def test_a_backfill_of_raw_is_one_run_that_records_every_day(story: Story) -> None:
    run = story.runs["raw"]
    assert run.status == "SUCCESS"
    assert run.assets == {RAW}
    assert story.server.runs_of(story.backfills["raw"])[-1].id == run.id
    assert story.server.materialized(run.id) == {RAW: keys(story.days)}
    assert story.server.backfill_status(story.backfills["raw"]) == "COMPLETED_SUCCESS"


def test_the_ui_counts_every_partition_as_materialized(story: Story) -> None:
    assert story.server.partition_statuses(RAW) == {
        "numMaterialized": DAYS,
        "numPartitions": DAYS,
        "numFailed": 0,
        "numMaterializing": 0,
    }


def test_core_marts_and_the_copy_follow_a_backfill_of_raw_by_themselves(story: Story) -> None:
    run = story.runs["follows"]
    assert run.status == "SUCCESS"
    assert run.tags["dagster/sensor_name"] == "keep_derived_tables_fresh"
    assert run.assets == BEHIND_RAW
    assert story.server.materialized(run.id) == {asset: {None} for asset in BEHIND_RAW}
    assert story.seen["raw"].published == story.seen["raw"].company
    assert story.seen["raw"].adds_up


def test_what_follows_by_itself_is_checked_like_what_a_full_run_makes(story: Story) -> None:
    checked = story.server.checked(story.runs["follows"].id)
    assert {name for asset, name in checked if asset == "core/invoices"} >= {"core_ties_to_raw", "invoices_foot"}
    everything = story.server.checked(story.runs["schedule"].id)
    assert checked == {(asset, name) for asset, name in everything if asset in BEHIND_RAW}


def test_the_schedules_run_covers_sixty_days_and_every_table(story: Story) -> None:
    (request,) = story.requests
    tags = {tag["key"]: tag["value"] for tag in request["tags"]}
    assert tags["dagster/asset_partition_range_start"] == story.days[-60].isoformat()
    assert tags["dagster/asset_partition_range_end"] == story.days[-1].isoformat()
    run = story.runs["schedule"]
    assert run.status == "SUCCESS"
    assert story.server.materialized(run.id) == {RAW: keys(story.days[-60:])} | {asset: {None} for asset in BEHIND_RAW}
    looked_back = set(story.days[-60:])
    published, company = (
        {invoice_id: fact for invoice_id, fact in facts.items() if fact[0] in looked_back}
        for facts in (story.seen["schedule"].published, story.seen["schedule"].company)
    )
    assert published == company
    assert story.seen["schedule"].adds_up


def test_an_evening_in_the_erp_leaves_the_history_that_analysts_rely_on(story: Story) -> None:
    changes = story.changes
    rows = query(
        story.database,
        """
        select invoice_id, change, end_reason, partition_date, superseded_at is null, latest
        from raw.customer_invoices
        order by invoice_id, fetched_at
        """,
    )
    history: dict[int, list[tuple[str, str | None, dt.date]]] = {}
    for invoice_id, change, end_reason, day, is_current, latest in rows:
        history.setdefault(invoice_id, []).append((change, end_reason, day))
        assert is_current == (end_reason is None)
        assert latest == (end_reason in {None, "missing"})
    before, after = story.seen["raw"].company, story.seen["all"].company
    assert changes.changed
    assert changes.redated
    assert changes.vanished
    assert changes.new
    for invoice_id in (*changes.changed, *changes.finalised):
        day = after[invoice_id][0]
        assert history[invoice_id] == [("new", "changed", day), ("changed", None, day)]
    for invoice_id, (old, new) in changes.redated.items():
        assert history[invoice_id] == [("new", "redated", old), ("redated", None, new)]
    for invoice_id in changes.vanished:
        assert history[invoice_id] == [("new", "missing", before[invoice_id][0])]
    for invoice_id in changes.new:
        assert history[invoice_id] == [("new", None, after[invoice_id][0])]
    touched = {*changes.changed, *changes.finalised, *changes.redated, *changes.vanished, *changes.new}
    assert {invoice_id: versions for invoice_id, versions in history.items() if invoice_id not in touched} == {
        invoice_id: [("new", None, day)] for invoice_id, (day, _, _) in after.items() if invoice_id not in touched
    }
    missing = query(story.database, "select invoice_id from core.invoices where status_class = 'missing'")
    assert {invoice_id for (invoice_id,) in missing} == set(changes.vanished)


def test_a_backfill_of_everything_at_once_takes_the_tables_without_partitions_along(story: Story) -> None:
    runs = story.server.runs_of(story.backfills["all"])
    assert {run.status for run in runs} == {"SUCCESS"}
    recorded = [story.server.materialized(run.id) for run in runs]
    assert {RAW: keys(story.days)} in recorded
    assert {asset: {None} for asset in BEHIND_RAW} in recorded
    assert len(recorded) == 2
    assert story.server.backfill_status(story.backfills["all"]) == "COMPLETED_SUCCESS"
    assert story.seen["all"].published == story.seen["all"].company
    assert story.seen["all"].adds_up


def test_overlapping_backfills_started_at_once_wait_for_one_another(story: Story) -> None:
    for name in ("all", "overlapping"):
        assert story.server.backfill_status(story.backfills[name]) == "COMPLETED_SUCCESS"
    (overlapping,) = story.server.runs_of(story.backfills["overlapping"])
    assert story.server.materialized(overlapping.id) == {RAW: keys(story.days[20:])}
    spans = sorted((run.started or 0, run.ended or 0) for run in story.server.runs())
    assert all(ended <= started for (_, ended), (started, _) in pairwise(spans))


def test_a_day_that_fails_is_named_in_the_ui_and_the_others_are_recorded(story: Story) -> None:
    run = story.runs["failed"]
    assert run.status == "FAILURE"
    assert story.server.materialized(run.id) == {RAW: keys(story.days[-4:]) - {story.bad_day.isoformat()}}
    (failure,) = (event for event in story.server.log(run.id) if event["__typename"] == "ExecutionStepFailureEvent")
    said = failure["failureMetadata"]["description"] or ""
    assert "3 of 4 days stand" in said
    assert f"company default, {story.bad_day}, page 0" in said


def test_re_execution_from_failure_asks_only_for_the_day_that_failed_and_for_today_which_has_not_ended(
    story: Story,
) -> None:
    run = story.runs["repeated"]
    assert run.status == "SUCCESS"
    assert run.parent == story.runs["failed"].id
    assert story.asked_again == {story.bad_day, story.days[-1]}
    assert story.server.materialized(run.id) == {RAW: keys(story.days[-4:])} | {asset: {None} for asset in BEHIND_RAW}


def test_a_run_that_failed_on_a_day_is_not_started_again_by_itself(story: Story) -> None:
    children = [run for run in story.server.runs() if run.parent == story.runs["failed"].id]
    assert [run.id for run in children] == [story.runs["repeated"].id]


def test_progress_of_loading_stands_in_the_runs_own_log(story: Story) -> None:
    messages = [event.get("message") or "" for event in story.server.log(story.runs["raw"].id)]
    assert any("invoices received" in message for message in messages)


def test_no_secret_is_written_where_dagster_or_duckdb_keep_anything(story: Story) -> None:
    files = [path for path in story.server.home.parent.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    assert any(path.suffix == ".err" for path in files)
    assert any(path.suffix == ".duckdb" for path in files)
    for path in files:
        content = path.read_bytes()
        for secret in (*story.secrets, "sandbox-token-"):
            assert secret.encode() not in content, f"{secret} stands in {path}"


def test_no_secret_is_shown_by_the_ui(story: Story) -> None:
    shown = {f"run {run.id}": json.dumps(story.server.log(run.id)) for run in story.server.runs()}
    shown |= {f"output of {run.id}": story.server.captured(run.id) for run in story.server.runs()}
    shown["resources"] = json.dumps(story.server.resources())
    assert "***" in shown[f"run {story.runs['failed'].id}"]
    for place, text in shown.items():
        for secret in (*story.secrets, "sandbox-token-"):
            assert secret not in text, f"{secret} is shown in {place}"


def test_the_resources_page_names_the_variable_of_each_secret(story: Story) -> None:
    softone = next(resource for resource in story.server.resources() if resource["name"] == "softone")
    secret = {"company_api_key", "connect_api_key", "license", "username", "password", "token"}
    shown = {value["key"]: (value["value"], value["type"]) for value in softone["configuredValues"]}
    assert {key: shown[key] for key in secret} == {key: (f"SOFTONE_{key.upper()}", "ENV_VAR") for key in secret}
    assert shown["env_prefix"] == ('"SOFTONE_"', "VALUE")
    assert shown["company"] == ('"default"', "VALUE")
    others = shown.keys() - secret - {"env_prefix", "company"}
    assert {shown[key] for key in others} == {("null", "VALUE")}


def test_no_secret_is_seen_in_the_list_of_processes(story: Story) -> None:
    assert any("dagster" in line for line in story.command_lines)
    assert any(story.runs["raw"].id in line or "execute_run" in line or "grpc" in line for line in story.command_lines)
    for secret in story.secrets:
        assert not [line for line in story.command_lines if secret in line]
