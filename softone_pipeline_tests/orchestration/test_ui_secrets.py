"""No key, password or token is in anything that the UI answers, with every log line on, after runs that end well and badly.

Asked over GraphQL for what the UI's pages ask, and for the debug file of each run, which holds all that is stored of it.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from softone_pipeline.sandbox import Company, Sandbox
from softone_pipeline_tests.orchestration.server import SELECTOR, Server
from softone_pipeline_tests.secret_forms import CREDENTIALS, HASH_KEY, loud_settings, secrets_in

pytestmark = pytest.mark.timeout(280)

DAY = dt.date(2025, 3, 26)
_ENTRIES = """
    metadataEntries {
      __typename label description
      ... on TextMetadataEntry { text }
      ... on JsonMetadataEntry { jsonString }
      ... on MarkdownMetadataEntry { mdStr }
      ... on UrlMetadataEntry { url }
      ... on PathMetadataEntry { path }
    }
"""
_PAGES = {
    "runs": f"""
      {{ runsOrError(limit: 50) {{ ... on Runs {{ results {{
        runId runConfigYaml resolvedOpSelection tags {{ key value }}
        assetMaterializations {{ {_ENTRIES} }}
      }} }} }} }}
    """,
    "instance": """
      { instance {
        info
        daemonHealth { allDaemonStatuses { daemonType lastHeartbeatErrors { message stack } } }
      } }
    """,
    "code locations": """
      { workspaceOrError { ... on Workspace { locationEntries {
        name displayMetadata { key value }
        locationOrLoadError { ... on PythonError { message stack } ... on RepositoryLocation { dagsterLibraryVersions { name version } } }
      } } } }
    """,
    "assets": f"{{ assetNodes {{ description opVersion {_ENTRIES} configField {{ configTypeKey defaultValueAsJson }} }} }}",
}
_OF_THE_REPOSITORY = {
    "launchpad": """
      query ($selector: PipelineSelector!) { runConfigSchemaOrError(selector: $selector) { ... on RunConfigSchema {
        rootDefaultYaml allConfigTypes { key description ... on CompositeConfigType { fields { name description defaultValueAsJson } } }
      } } }
    """,
    "sensors": """
      query ($selector: RepositorySelector!) { sensorsOrError(repositorySelector: $selector) { ... on Sensors { results {
        name description sensorState { ticks(limit: 20) { status skipReason error { message stack } logEvents { events { message } } } }
      } } } }
    """,
    "schedules": """
      query ($selector: RepositorySelector!) { schedulesOrError(repositorySelector: $selector) { ... on Schedules { results {
        name description scheduleState { ticks(limit: 20) { status skipReason error { message stack } } }
      } } } }
    """,
}


def test_no_secret_is_in_any_answer_of_the_ui(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    company = Company(first_day=DAY, last_day=DAY, invoices_per_day=5)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text(loud_settings(), encoding="utf-8")
    with Sandbox(company, credentials=CREDENTIALS) as sandbox:
        variables = CREDENTIALS.environment(sandbox.base_url) | {
            "SOFTONE_START_DATE": str(DAY),
            "SOFTONE_DUCKDB_PATH": str(tmp_path / "softone.duckdb"),
            "SOFTONE_HASH_KEY": HASH_KEY,
            "SOFTONE_PSEUDONYMISE": "persons",
            "SOFTONE_MAX_ATTEMPTS": "2",
            "SOFTONE_RETRY_WAIT_SECONDS": "0",
        }
        with Server(tmp_path, variables) as server:
            ended = []
            for faults in ((), ("server-error:503,rate=1", "echo-url")):
                sandbox.switch(faults)
                ended.append(server.wait_for(server.launch_range(DAY, DAY)))
            assert [run.status for run in ended] == ["SUCCESS", "FAILURE"]
            shown = {page: json.dumps(server.ask(question)) for page, question in _PAGES.items()}
            for page, question in _OF_THE_REPOSITORY.items():
                selector = {**SELECTOR, "pipelineName": "refresh"} if page == "launchpad" else SELECTOR
                shown[page] = json.dumps(server.ask(question, selector=selector))
            shown["resources"] = json.dumps(server.resources())
            logs = {run.id: server.log(run.id) for run in ended}
            for run in ended:
                shown[f"log of {run.id}"] = json.dumps(logs[run.id])
                shown[f"output of {run.id}"] = server.captured(run.id)
                shown[f"debug file of {run.id}"] = gzip.decompress(server.get(f"/download_debug/{run.id}")).decode()
            shown["output of the server"] = server.output
    # The pages are full, every line is on, and what was quoted back has been blanked out: or this would prove little.
    for page in (*_PAGES, *_OF_THE_REPOSITORY, "resources"):
        assert len(shown[page]) > 200, page
    assert "SOFTONE_PASSWORD" in shown["resources"]
    assert "python_log_level: DEBUG" in shown["instance"]
    assert "httpcore" in shown["instance"]
    lines = [event["message"] for log in logs.values() for event in log if event["__typename"] == "LogMessageEvent"]
    assert any("attempt 1 of 2" in line for line in lines)
    assert "***" in shown[f"log of {ended[1].id}"]
    scanned = sum(map(len, shown.values()))
    record_property("bytes_scanned", scanned)
    print("bytes scanned:", scanned, "in", len(shown), "answers")
    assert secrets_in({place: text.encode() for place, text in shown.items()}) == []
