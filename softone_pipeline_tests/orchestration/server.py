"""Dagster as a user starts it: `softone up` in a process of its own, asked and told over GraphQL like the browser does."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from softone_pipeline.orchestration.instance import WORKSPACE
from softone_pipeline.orchestration.partitions import range_tags

T = TypeVar("T")

_ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
SELECTOR = {"repositoryLocationName": "softone_pipeline", "repositoryName": "__repository__"}

# A test runner in the background of a shell has SIGINT ignored, and so would have everything that it starts.
_WITH_DEFAULT_SIGNALS = (
    "import os, signal, sys;"
    "signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "signal.signal(signal.SIGTERM, signal.SIG_DFL);"
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)

_RUN = """
    runId jobName status startTime endTime creationTime parentRunId
    tags { key value }
    assetSelection { path }
"""


class Run:
    """A run as GraphQL tells of it."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.id: str = told["runId"]
        self.status: str = told["status"]
        self.created: float = told["creationTime"]
        self.started: float | None = told["startTime"]
        self.ended: float | None = told["endTime"]
        self.parent: str | None = told["parentRunId"]
        self.tags: dict[str, str] = {tag["key"]: tag["value"] for tag in told["tags"]}
        self.assets = {"/".join(key["path"]) for key in told["assetSelection"] or []}

    @property
    def has_ended(self) -> bool:
        return self.status in _ENDED

    def __repr__(self) -> str:
        return f"Run({self.id[:8]} {self.status} {sorted(self.assets)} {self.tags})"


class Server:
    """`softone up` on a free port of this machine. A context manager; its output is kept.

    With `module`, `dagster dev` on the definitions of that module instead.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str], *, module: str | None = None) -> None:
        self.home = folder / "home"
        self._folder = folder
        self._variables = {**variables, "DAGSTER_HOME": str(self.home), "DAGSTER_DISABLE_TELEMETRY": "yes"}
        self._output = folder / "output.txt"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._command = ["softone_pipeline", "up", "--port", str(self.port)]
        if module is not None:
            self.home.mkdir(exist_ok=True)
            shutil.copy(WORKSPACE.with_name("dagster.yaml"), self.home)
            workspace = folder / "workspace.yaml"
            workspace.write_text(WORKSPACE.read_text("utf-8").replace("softone_pipeline.definitions", module), "utf-8")
            self._command = ["dagster", "dev", "-w", str(workspace), "-p", str(self.port)]
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _WITH_DEFAULT_SIGNALS, "-m", *self._command],
                cwd=self._folder,
                env=os.environ | self._variables,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.until("the UI answers and has the definitions", self._is_loaded, timeout=120)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        process = self._process
        if process is None:
            return
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            # All of it: the command, the UI, the daemon, the code server and runs that are under way.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=30)
                break
        # What outlives its parent is in the same group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """As when the power fails: all of it at once, and the runs that are under way with it."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    @property
    def output(self) -> str:
        """What the server and the daemon have printed."""
        return self._output.read_text("utf-8", errors="replace")

    def command_lines(self) -> list[str]:
        """What anybody on the machine sees of the server's processes."""
        assert self._process is not None
        listed = subprocess.run(
            ["ps", "-A", "-o", "pgid=,args="],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        rows = (line.strip().partition(" ") for line in listed.splitlines())
        return [arguments for group, _, arguments in rows if group == str(self._process.pid)]

    # Asking

    def ask(self, question: str, **variables: Any) -> dict[str, Any]:
        """The data of a GraphQL answer. Every field has to be there: an error fails the test."""
        answer = self._client.post("/graphql", json={"query": question, "variables": variables})
        told: dict[str, Any] = answer.json()
        assert answer.status_code == 200, told
        assert "errors" not in told, told
        data: dict[str, Any] = told["data"]
        return data

    def get(self, path: str) -> bytes:
        """A file that the UI lets one download."""
        answer = self._client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.content

    def until(self, what: str, find: Callable[[], T | None], *, timeout: float) -> T:
        """The first thing found. Fails with the end of the output when there is none in time."""
        ends = time.monotonic() + timeout
        while time.monotonic() < ends:
            assert self._process is None or self._process.poll() is None, f"the server has stopped:\n{self.output}"
            found = find()
            if found:
                return found
            time.sleep(0.5)
        raise AssertionError(f"Waited {timeout:.0f} s in vain: {what}. The server says:\n{self.output[-8000:]}")

    def _is_loaded(self) -> bool:
        try:
            told = self.ask("{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }")
        except httpx.TransportError:
            return False
        entries = told["workspaceOrError"].get("locationEntries") or []
        return [(entry["name"], entry["loadStatus"]) for entry in entries] == [("softone_pipeline", "LOADED")]

    def runs(self) -> list[Run]:
        told = self.ask(f"{{ runsOrError(limit: 100) {{ ... on Runs {{ results {{ {_RUN} }} }} }} }}")
        return [Run(run) for run in told["runsOrError"]["results"]]

    def run(self, run_id: str) -> Run:
        told = self.ask(f"query ($id: ID!) {{ runOrError(runId: $id) {{ ... on Run {{ {_RUN} }} }} }}", id=run_id)
        return Run(told["runOrError"])

    def runs_of(self, backfill: str) -> list[Run]:
        return [run for run in self.runs() if run.tags.get("dagster/backfill") == backfill]

    def backfill_status(self, backfill: str) -> str:
        told = self.ask(
            "query ($id: String!) { partitionBackfillOrError(backfillId: $id)"
            " { ... on PartitionBackfill { status error { message } } } }",
            id=backfill,
        )
        status: str = told["partitionBackfillOrError"]["status"]
        return status

    def materialized(self, run_id: str) -> dict[str, set[str | None]]:
        """What a run has recorded: partitions by asset."""
        told = self.ask(
            "query ($id: ID!) { runOrError(runId: $id)"
            " { ... on Run { assetMaterializations { partition assetKey { path } } } } }",
            id=run_id,
        )
        found: dict[str, set[str | None]] = {}
        for event in told["runOrError"]["assetMaterializations"]:
            found.setdefault("/".join(event["assetKey"]["path"]), set()).add(event["partition"])
        return found

    def partition_statuses(self, asset: str) -> dict[str, int]:
        """Counts as the UI shows them beside an asset."""
        told = self.ask(
            "query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode"
            " { partitionStats { numMaterialized numPartitions numFailed numMaterializing } } } }",
            key={"path": asset.split("/")},
        )
        counts: dict[str, int] = told["assetNodeOrError"]["partitionStats"]
        return counts

    def log(self, run_id: str) -> list[dict[str, Any]]:
        """Everything that the page of a run shows, errors with their stacks included."""
        events: list[dict[str, Any]] = []
        cursor = None
        while True:
            told = self.ask(
                """
                query ($id: ID!, $cursor: String) {
                  logsForRun(runId: $id, afterCursor: $cursor) {
                    ... on EventConnection {
                      cursor
                      hasMore
                      events {
                        __typename
                        ... on MessageEvent { message level stepKey }
                        ... on LogsCapturedEvent { fileKey }
                        ... on AssetCheckEvaluationEvent { evaluation { checkName assetKey { path } } }
                        ... on ExecutionStepFailureEvent {
                          error { message stack errorChain { error { message stack } } }
                          failureMetadata { label description }
                        }
                      }
                    }
                  }
                }
                """,
                id=run_id,
                cursor=cursor,
            )["logsForRun"]
            events += told["events"]
            if not told["hasMore"]:
                return events
            cursor = told["cursor"]

    def checked(self, run_id: str) -> set[tuple[str, str]]:
        """The checks that a run has evaluated: asset and name."""
        told = [event["evaluation"] for event in self.log(run_id) if "evaluation" in event]
        return {("/".join(each["assetKey"]["path"]), each["checkName"]) for each in told}

    def captured(self, run_id: str) -> str:
        """What a run has printed, as its page shows it."""
        keys = [event["fileKey"] for event in self.log(run_id) if event["__typename"] == "LogsCapturedEvent"]
        told = [
            self.ask(
                "query ($key: [String!]!) { capturedLogs(logKey: $key) { stdout stderr } }",
                key=[run_id, "compute_logs", key],
            )["capturedLogs"]
            for key in keys
        ]
        return "\n".join(f"{part['stdout']}\n{part['stderr']}" for part in told)

    def resources(self) -> list[dict[str, Any]]:
        """The page of the resources: each field's value, and where it comes from."""
        told = self.ask(
            """
            query ($selector: RepositorySelector!) {
              allTopLevelResourceDetailsOrError(repositorySelector: $selector) {
                ... on ResourceDetailsList {
                  results {
                    name
                    description
                    configFields { name description isRequired defaultValueAsJson }
                    configuredValues { key value type }
                  }
                }
              }
            }
            """,
            selector=SELECTOR,
        )
        results: list[dict[str, Any]] = told["allTopLevelResourceDetailsOrError"]["results"]
        return results

    # Telling

    def backfill(self, assets: Iterable[str], days: Sequence[dt.date]) -> str:
        """Materialize these assets for these days, as the dialog does; returns the backfill's id."""
        told = self.ask(
            """
            mutation LaunchPartitionBackfill($params: LaunchBackfillParams!) {
              launchPartitionBackfill(backfillParams: $params) {
                __typename
                ... on LaunchBackfillSuccess { backfillId }
                ... on PythonError { message }
              }
            }
            """,
            params={
                "assetSelection": [{"path": asset.split("/")} for asset in assets],
                "partitionNames": [day.isoformat() for day in days],
                "tags": [],
            },
        )["launchPartitionBackfill"]
        assert told["__typename"] == "LaunchBackfillSuccess", told
        backfill: str = told["backfillId"]
        return backfill

    def requested_by(self, schedule: str, moment: dt.datetime) -> list[dict[str, Any]]:
        """The runs that a schedule asks for at a moment: the UI's "test schedule"."""
        told = self.ask(
            """
            mutation ($selector: ScheduleSelector!, $timestamp: Float) {
              scheduleDryRun(selectorData: $selector, timestamp: $timestamp) {
                __typename
                ... on DryRunInstigationTick {
                  evaluationResult {
                    error { message }
                    runRequests { runKey jobName tags { key value } }
                  }
                }
              }
            }
            """,
            selector={**SELECTOR, "scheduleName": schedule},
            timestamp=moment.timestamp(),
        )["scheduleDryRun"]
        assert told["__typename"] == "DryRunInstigationTick", told
        assert told["evaluationResult"]["error"] is None, told
        requests: list[dict[str, Any]] = told["evaluationResult"]["runRequests"]
        return requests

    def launch(self, tags: Mapping[str, str]) -> str:
        """A run of the job refresh with these tags; returns its id."""
        told = self.ask(
            """
            mutation ($params: ExecutionParams!) {
              launchRun(executionParams: $params) {
                __typename
                ... on LaunchRunSuccess { run { runId } }
                ... on PythonError { message }
              }
            }
            """,
            params={
                "selector": {**SELECTOR, "jobName": "refresh"},
                "runConfigData": {},
                "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
            },
        )["launchRun"]
        assert told["__typename"] == "LaunchRunSuccess", told
        run_id: str = told["run"]["runId"]
        return run_id

    def launch_range(self, first_day: dt.date, last_day: dt.date) -> str:
        return self.launch(range_tags(first_day, last_day))

    def terminate(self, run_id: str) -> None:
        told = self.ask(
            "mutation ($run: String!) { terminateRun(runId: $run) { __typename } }",
            run=run_id,
        )["terminateRun"]
        assert told["__typename"] == "TerminateRunSuccess", told

    def repeat(self, run_id: str, *, all_steps: bool = False) -> str:
        """The UI's "re-execute from failure", or "all steps"; returns the new run's id."""
        told = self.ask(
            """
            mutation ($params: ReexecutionParams!) {
              launchRunReexecution(reexecutionParams: $params) {
                __typename
                ... on LaunchRunSuccess { run { runId } }
                ... on PythonError { message }
              }
            }
            """,
            params={"parentRunId": run_id, "strategy": "ALL_STEPS" if all_steps else "FROM_FAILURE"},
        )["launchRunReexecution"]
        assert told["__typename"] == "LaunchRunSuccess", told
        again: str = told["run"]["runId"]
        return again

    def wait_for(self, run_id: str, *, timeout: float = 120) -> Run:
        """The run, once it has ended."""

        def ended() -> Run | None:
            run = self.run(run_id)
            return run if run.has_ended else None

        return self.until(f"run {run_id} ends", ended, timeout=timeout)
