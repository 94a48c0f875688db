"""What Dagster is given: names, descriptions, and that it loads wherever it is installed."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
from dagster_duckdb import DuckDBResource
from dagster_shared.yaml_utils import safe_load_yaml

import softone_pipeline
from softone_pipeline.definitions import build_definitions
from softone_pipeline.orchestration.instance import WORKSPACE, instance
from softone_pipeline.orchestration.resources import SoftOneResource, WarehouseResource
from softone_pipeline.settings import PipelineSettings
from softone_pipeline.tables import TABLES
from softone_pipeline.tables.lineage import lineage, origin
from softone_pipeline.warehouse import Table
from softone_pipeline_tests.orchestration.conftest import (
    DERIVED,
    FIRST_DAY,
    LAST_DAY,
    PUBLISHED,
    RAW,
    Plant,
    days_between,
    known,
    truth,
)

ROOT = Path(softone_pipeline.__file__).parents[1]
PACKAGED = WORKSPACE.with_name("dagster.yaml")
TABLE_OF = {dg.AssetKey([table.schema, table.name]): table for table in TABLES}


@pytest.fixture(scope="module")
def graph() -> dg.AssetGraph:
    return build_definitions().resolve_asset_graph()


def test_what_there_is() -> None:
    definitions = build_definitions()
    graph = definitions.resolve_asset_graph()
    assert {
        key.to_user_string(): (
            graph.get(key).group_name,
            sorted(graph.get(key).kinds),
            sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            sorted(check.name for check in graph.get_check_keys_for_assets({key})),
            graph.get(key).is_partitioned,
            graph.get(key).pools,
        )
        for key in graph.get_all_asset_keys()
    } == {
        "raw/customer_invoices": (
            "raw",
            ["duckdb", "json"],
            [],
            ["not_null", "quarantine_is_empty", "unique", "verified_against_erp"],
            True,
            {"softone_warehouse"},
        ),
        "raw/payment_status": (
            "raw",
            ["duckdb"],
            ["raw/customer_invoices"],
            ["not_null", "search_is_complete", "unique"],
            False,
            {"softone_warehouse"},
        ),
        "core/invoices": (
            "core",
            ["duckdb", "sql"],
            ["raw/customer_invoices"],
            [
                "codes_are_known",
                "core_ties_to_raw",
                "currency_is_given",
                "header_vat_agrees_with_rows",
                "invoice_numbers_are_unique",
                "invoice_series_are_unbroken",
                "invoices_foot",
                "not_null",
                "posted_invoices_are_still_there",
                "unique",
            ],
            False,
            {"softone_warehouse"},
        ),
        "core/invoice_rows": (
            "core",
            ["duckdb", "sql"],
            ["raw/customer_invoices"],
            ["not_null", "rows_tie_to_invoices", "unique"],
            False,
            {"softone_warehouse"},
        ),
        "mart/vat_summary": (
            "mart",
            ["duckdb", "sql"],
            ["core/invoice_rows", "core/invoices"],
            ["not_null", "summary_ties_to_core", "unique", "vat_classes_are_known"],
            False,
            {"softone_warehouse"},
        ),
        "mart/vat_return_draft": (
            "mart",
            ["duckdb", "sql"],
            ["core/invoice_rows", "core/invoices", "mart/vat_summary"],
            ["not_null", "return_ties_to_summary", "unique"],
            False,
            {"softone_warehouse"},
        ),
        "mart/customer_balance": (
            "mart",
            ["duckdb", "sql"],
            ["core/invoices", "raw/payment_status"],
            ["balance_adds_up", "balance_ties_to_core", "not_null", "unique"],
            False,
            {"softone_warehouse"},
        ),
        "published/database": (
            "published",
            ["duckdb"],
            [
                "core/invoice_rows",
                "core/invoices",
                "mart/customer_balance",
                "mart/vat_return_draft",
                "mart/vat_summary",
                "raw/customer_invoices",
                "raw/payment_status",
            ],
            ["yesterday_is_here"],
            False,
            {"softone_warehouse"},
        ),
        "published/report": ("published", ["html"], ["published/database"], [], False, set()),
    }
    repository = definitions.get_repository_def()
    assert {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")} == {"refresh", "verify"}
    assert {
        schedule.name: (schedule.cron_schedule, schedule.execution_timezone, schedule.job_name)
        for schedule in repository.schedule_defs
    } == {
        "refresh_recent_days": ("30 5 * * *", "Europe/Stockholm", "refresh"),
        "reread_older_days": ("0 2 * * 0", "Europe/Stockholm", "refresh"),
        "verify_recent_days": ("30 7 * * 1", "Europe/Stockholm", "verify"),
    }
    assert {sensor.name: sensor.default_status for sensor in repository.sensor_defs} == {
        "keep_derived_tables_fresh": dg.DefaultSensorStatus.RUNNING,
        "alert_when_a_run_fails": dg.DefaultSensorStatus.RUNNING,
        "alert_when_days_are_not_whole": dg.DefaultSensorStatus.RUNNING,
        "alert_when_data_is_stale": dg.DefaultSensorStatus.RUNNING,
        "fail_lost_runs": dg.DefaultSensorStatus.RUNNING,
    }
    assert set(repository.get_top_level_resources()) == {"softone", "warehouse"}


def test_every_asset_says_what_it_is_whose_it_is_and_what_each_column_means(graph: dg.AssetGraph) -> None:
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert list(node.owners) == ["team:finance"]
        if key not in TABLE_OF:
            assert key in PUBLISHED
            continue
        table: Table = TABLE_OF[key]
        schema = node.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        assert [(column.name, column.type) for column in schema.columns] == [
            (column.name, column.type) for column in table.columns
        ]
        for shown, column in zip(schema.columns, table.columns, strict=True):
            sources = lineage().get(table.qualified_name, {}).get(column.name)
            assert shown.description == column.description + (f" From {origin(sources)}." if sources else "")
        assert node.metadata["dagster/table_name"] == table.qualified_name


def test_every_asset_has_a_command_that_opens_it(graph: dg.AssetGraph) -> None:
    for key in graph.get_all_asset_keys():
        shown = graph.get(key).metadata["open_with"]
        assert isinstance(shown, dg.MarkdownMetadataValue)
        table = TABLE_OF.get(key)
        name = "softone_report.html" if key == dg.AssetKey(["published", "report"]) else "softone.duckdb"
        assert name in str(shown.md_str)
        if table is not None:
            assert f'"from {table.qualified_name} limit 20"' in str(shown.md_str)


@pytest.mark.parametrize("prefix", [(), ("nord",)], ids=["alone", "beside others"])
def test_column_lineage_leads_to_columns_that_the_ui_shows(prefix: tuple[str, ...]) -> None:
    graph = build_definitions(key_prefix=prefix).resolve_asset_graph()
    shown = {
        key: {column.name for column in schema.columns}
        for key in graph.get_all_asset_keys()
        if isinstance(schema := graph.get(key).metadata.get("dagster/column_schema"), dg.TableSchema)
    }
    with_lineage = set()
    for key, columns in shown.items():
        lineage = graph.get(key).metadata.get("dagster/column_lineage")
        if not isinstance(lineage, dg.TableColumnLineage):
            continue
        with_lineage.add(key)
        assert lineage.deps_by_column.keys() == columns
        for deps in lineage.deps_by_column.values():
            for dep in deps:
                assert dep.column_name in shown[dep.asset_key]
    assert with_lineage == {dg.AssetKey([*prefix, *key.path]) for key in DERIVED - PUBLISHED}


def test_every_job_schedule_sensor_and_check_says_what_it_does(graph: dg.AssetGraph) -> None:
    repository = build_definitions().get_repository_def()
    assert repository.get_job("refresh").description
    assert all(schedule.description for schedule in repository.schedule_defs)
    assert all(sensor.description for sensor in repository.sensor_defs)
    assert all(graph.get_check_spec(key).description for key in graph.asset_check_keys)


def test_owners_are_the_callers_to_choose() -> None:
    graph = build_definitions(owners=["team:ekonomi", "eva@example.com"]).resolve_asset_graph()
    assert {tuple(graph.get(key).owners) for key in graph.get_all_asset_keys()} == {("team:ekonomi", "eva@example.com")}


def test_resources_can_be_replaced(plant: Plant, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "other_pipeline.duckdb"
    published = elsewhere.with_name("other.duckdb")
    definitions = build_definitions(
        resource_overrides={
            "softone": SoftOneResource(base_url=plant.sandbox.base_url, page_size=3),
            "warehouse": WarehouseResource(database=str(elsewhere)),
        }
    )
    day = FIRST_DAY.isoformat()
    result = definitions.resolve_job_def("refresh").execute_in_process(
        instance=plant.instance,
        partition_key=day,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    assert result.success
    assert elsewhere.exists()
    # What is published and reported follows, and so does whoever looks at it.
    assert not plant.settings.duckdb_path.parent.exists()
    assert len(list(published.parent.glob("other_report*.html"))) == 1
    sensor = definitions.get_repository_def().get_sensor_def("alert_when_data_is_stale")
    said = sensor(dg.build_sensor_context(instance=plant.instance))
    assert isinstance(said, dg.SkipReason)
    assert "Nothing has been published" not in str(said.skip_message)
    assert plant.gate.asked == []
    assert max(record.items or 0 for record in plant.sandbox.requests("filter")) == 3
    assert known(published) == truth(plant.company, without=set(days_between(FIRST_DAY, LAST_DAY)) - {FIRST_DAY})


def test_a_run_that_is_given_another_warehouse_publishes_beside_that(plant: Plant, tmp_path: Path) -> None:
    definitions = build_definitions()
    elsewhere = PipelineSettings.load(duckdb_path=tmp_path / "elsewhere" / "other.duckdb")
    result = definitions.resolve_job_def("refresh").execute_in_process(
        instance=plant.instance,
        partition_key=FIRST_DAY.isoformat(),
        resources={**(definitions.resources or {}), "warehouse": WarehouseResource.from_settings(elsewhere)},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    assert result.success
    assert known(elsewhere.duckdb_path)
    assert elsewhere.duckdb_path.with_name("other_report_Provbolaget.html").exists()
    assert not plant.settings.duckdb_path.exists()


@pytest.mark.parametrize(
    ("overrides", "error", "told"),
    [
        ({"warehose": None}, ValueError, 'no resource warehose to replace. They are "softone" and "warehouse"'),
        ({"acme_warehouse": None}, ValueError, "by these names whatever the key_prefix"),
        (
            {"warehouse": DuckDBResource(database="x.duckdb")},
            TypeError,
            "is a DuckDBResource, and has to be a Warehouse",
        ),
        ({"warehouse": WarehouseResource(database="data/x.duckdb")}, ValueError, "NAME_pipeline.duckdb, and the copy"),
        (
            {"warehouse": WarehouseResource(database=dg.EnvVar("NOT_SET"))},
            ValueError,
            "where NOT_SET says, which is not set",
        ),
    ],
)
def test_a_resource_that_can_be_no_replacement_is_refused_with_the_reason(
    overrides: dict[str, object], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=re.escape(told)):
        build_definitions(key_prefix="acme", resource_overrides=overrides)


def _environment(**variables: str) -> dict[str, str]:
    """As little as a process can do with."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT") if name in os.environ}
    return kept | {"DAGSTER_DISABLE_TELEMETRY": "yes"} | variables


@pytest.mark.parametrize("home", [None, "", "folder"], ids=["no home", "empty home", "home is an empty folder"])
def test_definitions_load_without_settings_in_an_empty_folder_and_without_a_word(
    tmp_path: Path, home: str | None
) -> None:
    (tmp_path / "work").mkdir()
    if home == "folder":
        (tmp_path / "home").mkdir()
        home = str(tmp_path / "home")
    loaded = subprocess.run(
        [
            sys.executable,
            "-W",
            "default",
            "-c",
            "import dagster as dg; from softone_pipeline.definitions import defs; dg.Definitions.validate_loadable(defs())",
        ],
        cwd=tmp_path / "work",
        env=_environment(**({} if home is None else {"DAGSTER_HOME": home})),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (loaded.returncode, loaded.stdout, loaded.stderr) == (0, "", "")
    assert list((tmp_path / "work").iterdir()) == []


def warnings_of_ours(said: str) -> list[str]:
    """Dagster's commands warn of themselves: `dg` supersedes them."""
    return [line for line in said.splitlines() if "Warning" in line and "SupersessionWarning" not in line]


def test_dagsters_own_command_line_finds_them_through_the_packaged_workspace(tmp_path: Path) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(WORKSPACE)],
        cwd=tmp_path,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = checked.stdout + checked.stderr
    assert checked.returncode == 0, said
    assert "softone_pipeline" in said
    assert not warnings_of_ours(said)


def test_dagsters_own_command_line_loads_a_range(plant: Plant, tmp_path: Path) -> None:
    last_day = FIRST_DAY + dt.timedelta(days=2)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dagster", "asset", "materialize", "-m", "softone_pipeline.definitions"),
            *("--select", "key:raw/customer_invoices", "--partition-range", f"{FIRST_DAY}...{last_day}"),
        ],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name.startswith("SOFTONE_")} | _environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert not warnings_of_ours(said)
    fetched = plant.pipelines_own("select partition_date from raw.fetched_days order by all")
    assert [day for (day,) in fetched] == days_between(FIRST_DAY, last_day)


def test_dagster_settings_here_are_the_packaged_ones_and_where_to_keep_state() -> None:
    here, packaged = ((folder / "dagster.yaml").read_text("utf-8") for folder in (ROOT, PACKAGED.parent))
    _, _, body = packaged.partition("\n\n")
    assert body
    assert here.endswith("\n\n" + body)
    settings = safe_load_yaml(here)
    storage = {name: settings.pop(name) for name in ("storage", "local_artifact_storage", "compute_logs")}
    theirs = safe_load_yaml(packaged)
    storage["storage"]["custom"]["config"]["base_dir"] = {"env": "DAGSTER_HOME"}
    assert theirs.pop("storage") == storage["storage"]
    assert settings == theirs


def test_state_kept_by_dagster_here_is_found_by_the_softone_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(tmp_path)) as theirs:
        theirs.report_runless_asset_event(dg.AssetMaterialization(RAW, partition="2025-01-01"))
    # Set by `instance`, for this process and its children: taken back after the test.
    monkeypatch.setenv("DAGSTER_HOME", "")
    with instance() as ours:
        assert ours.get_materialized_partitions(RAW) == {"2025-01-01"}
        assert ours.run_monitoring_enabled
        assert ours.global_op_concurrency_default_limit == 1
        assert not ours.telemetry_enabled
        assert not ours.nux_enabled
        assert Path(ours.root_directory) == tmp_path / ".dagster"


def test_workspaces_here_and_in_the_package_are_one_and_name_the_location_as_pyproject_does() -> None:
    assert (ROOT / "workspace.yaml").read_text("utf-8") == WORKSPACE.read_text("utf-8")
    (entry,) = safe_load_yaml(WORKSPACE.read_text("utf-8"))["load_from"]
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["dagster"]
    assert entry == {
        "python_module": {
            "module_name": pyproject["module_name"],
            "location_name": pyproject["code_location_name"],
        }
    }


def test_every_derived_table_is_an_asset() -> None:
    derived = {dg.AssetKey([table.schema, table.name]) for table in TABLES if table.select is not None}
    assert derived == DERIVED - PUBLISHED
