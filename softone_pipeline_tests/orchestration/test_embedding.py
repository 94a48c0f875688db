"""In a Dagster project of somebody else's: merged in Python, and as a component in a defs folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster.components.component_scaffolding import scaffold_object

import softone_pipeline
from softone_pipeline import PipelineSettings, SoftOneComponent, SoftOneResource, build_definitions
from softone_pipeline.errors import SettingsError
from softone_pipeline.orchestration.partitions import range_tags
from softone_pipeline.sandbox import Company, Sandbox
from softone_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, Plant, known, query, truth

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dg.asset
def budget() -> None:
    """What was there before."""


@dg.job(name="refresh")
def their_own_refresh() -> None:
    """A job of theirs with the name that ours has when it stands alone."""


THEIRS = dg.Definitions(
    assets=[budget],
    jobs=[their_own_refresh],
    resources={"warehouse": dg.ResourceDefinition.hardcoded_resource("theirs")},
    executor=dg.multiprocess_executor,
)


@pytest.fixture
def two_companies(plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The ERP under two prefixes, a database each; nothing under SOFTONE_."""
    folders = {}
    for prefix, company in (("ACME_", "Acme"), ("BOLAGET_", "Bolaget")):
        for name in ("BASE_URL", "COMPANY_API_KEY", "CONNECT_API_KEY", "LICENSE", "USERNAME", "PASSWORD", "START_DATE"):
            value = os.environ.get(f"SOFTONE_{name}")
            if value is not None:
                monkeypatch.setenv(f"{prefix}{name}", value)
        monkeypatch.setenv(f"{prefix}COMPANY", company)
        folders[company] = tmp_path / company / "softone.duckdb"
        monkeypatch.setenv(f"{prefix}DUCKDB_PATH", str(folders[company]))
    for name in ("BASE_URL", "COMPANY_API_KEY", "CONNECT_API_KEY", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"SOFTONE_{name}")
    return folders


def load(definitions: dg.Definitions, job: str, plant: Plant) -> dg.ExecuteInProcessResult:
    return definitions.resolve_job_def(job).execute_in_process(
        instance=plant.instance, tags=range_tags(FIRST_DAY, LAST_DAY), run_config=QUIET, raise_on_error=False
    )


def test_the_package_alone_does_not_import_dagster() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import softone_pipeline, sys; print('dagster' in sys.modules, 'duckdb' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["False", "False"]


def test_every_public_name_is_there_and_no_other() -> None:
    for name in softone_pipeline.__all__:
        assert getattr(softone_pipeline, name) is not None
        assert name in dir(softone_pipeline)
    with pytest.raises(AttributeError, match="softone_pipeline"):
        _ = softone_pipeline.no_such_name


def test_settings_of_another_prefix_bring_it_along_to_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOLAGET_COMPANY", "Bolaget")
    definitions = build_definitions(PipelineSettings.load(prefix="BOLAGET_"))
    assert definitions.resources is not None
    softone = definitions.resources["softone"]
    assert isinstance(softone, SoftOneResource)
    assert (softone.env_prefix, softone.company) == ("BOLAGET_", "Bolaget")


def test_two_companies_stand_in_a_project_that_has_the_same_names_already(
    plant: Plant, two_companies: dict[str, Path]
) -> None:
    merged = dg.Definitions.merge(
        THEIRS,
        build_definitions(env_prefix="ACME_", key_prefix="acme"),
        build_definitions(
            env_prefix="BOLAGET_",
            key_prefix=["bolag", "two"],
            group_name="ekonomi",
            refresh_cron=None,
            verify_cron=None,
        ),
    )
    dg.Definitions.validate_loadable(merged)
    repository = merged.get_repository_def()
    assert {name for name in repository.job_names if not name.startswith("__")} == {
        "refresh",
        "acme_refresh",
        "acme_verify",
        "bolag_two_refresh",
        "bolag_two_verify",
    }
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "acme_refresh_recent_days",
        "acme_reread_older_days",
        "acme_verify_recent_days",
        "bolag_two_reread_older_days",
    }
    graph = merged.resolve_asset_graph()
    groups = {key.to_user_string(): graph.get(key).group_name for key in graph.get_all_asset_keys()}
    assert groups["acme/core/invoices"] == "acme_core"
    assert {group for key, group in groups.items() if key.startswith("bolag/")} == {"ekonomi"}
    for job, company in (("acme_refresh", "Acme"), ("bolag_two_refresh", "Bolaget")):
        result = load(merged, job, plant)
        assert result.success
        assert dg.AssetKey("budget") not in {event.asset_key for event in result.get_asset_materialization_events()}
        assert known(two_companies[company]) == truth(plant.company)
        assert query(two_companies[company], "select distinct company from core.invoices") == [(company,)]


def test_companies_of_which_only_the_keys_are_set_share_neither_label_nor_database(
    plant: Plant, two_companies: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for prefix in ("ACME_", "BOLAGET_"):
        monkeypatch.delenv(f"{prefix}COMPANY")
        monkeypatch.delenv(f"{prefix}DUCKDB_PATH")
    other = Company(seed=8, first_day=FIRST_DAY, last_day=LAST_DAY, invoices_per_day=5)
    with Sandbox(other) as sandbox:
        monkeypatch.setenv("BOLAGET_BASE_URL", sandbox.base_url)
        merged = dg.Definitions.merge(
            build_definitions(env_prefix="ACME_", key_prefix="acme"),
            build_definitions(env_prefix="BOLAGET_", key_prefix="bolaget"),
        )
        for name in ("acme", "bolaget"):
            assert load(merged, f"{name}_refresh", plant).success
    for name, company in (("acme", plant.company), ("bolaget", other)):
        database = tmp_path / "data" / f"{name}.duckdb"
        assert known(database) == truth(company)
        assert query(database, "select distinct company from core.invoices") == [(name,)]
    assert not (tmp_path / "data" / "softone.duckdb").exists()


def test_what_is_set_wins_over_what_the_prefix_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PipelineSettings.load(prefix="ACME_").company == "acme"
    monkeypatch.setenv("ACME_COMPANY", "Acme AB")
    settings = PipelineSettings.load(prefix="ACME_", duckdb_path=Path("x.duckdb"))
    assert (settings.company, settings.duckdb_path) == ("Acme AB", Path("x.duckdb"))
    assert PipelineSettings.load().company == "default"
    # A schema's name, in which a database could not be queried.
    with pytest.raises(SettingsError, match="CORE_DUCKDB_PATH"):
        PipelineSettings.load(prefix="CORE_")


def test_settings_of_one_company_are_not_used_with_the_keys_of_another() -> None:
    with pytest.raises(ValueError, match="env_prefix is ACME_, and the settings were read with SOFTONE_"):
        build_definitions(PipelineSettings.load(start_date=LAST_DAY), env_prefix="ACME_", key_prefix="acme")


def test_a_company_is_never_asked_for_with_the_keys_of_another(
    two_companies: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTONE_CONNECT_API_KEY", "of another company")
    monkeypatch.delenv("ACME_CONNECT_API_KEY")
    with pytest.raises(SettingsError, match="ACME_CONNECT_API_KEY: is missing"):
        SoftOneResource.from_environment("ACME_").settings()


def test_what_a_resource_of_ones_own_leaves_out_is_the_companys_and_of_no_other(
    plant: Plant, two_companies: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BASE_URL", "COMPANY_API_KEY", "CONNECT_API_KEY", "USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"SOFTONE_{name}", os.environ[f"BOLAGET_{name}"])
    monkeypatch.setenv("VAULT_KEY", os.environ["BOLAGET_COMPANY_API_KEY"])
    monkeypatch.delenv("BOLAGET_CONNECT_API_KEY")
    given = SoftOneResource(company_api_key=dg.EnvVar("VAULT_KEY"), page_size=200)
    definitions = build_definitions(
        env_prefix="BOLAGET_", key_prefix="bolaget", resource_overrides={"softone": given}, alert_sinks=[]
    )
    refused = load(definitions, "bolaget_refresh", plant)
    assert not refused.success
    assert "BOLAGET_CONNECT_API_KEY: is missing" in said_of(refused)
    assert plant.requests() == 0

    monkeypatch.setenv("BOLAGET_CONNECT_API_KEY", os.environ["SOFTONE_CONNECT_API_KEY"])
    assert load(definitions, "bolaget_refresh", plant).success
    assert known(two_companies["Bolaget"]) == truth(plant.company)
    assert given.model_fields_set == {"company_api_key", "page_size"}

    monkeypatch.setenv("BOLAGET_PASSWORD", "wrong")
    assert "company Bolaget" in said_of(load(definitions, "bolaget_refresh", plant))


def said_of(result: dg.ExecuteInProcessResult) -> str:
    return "\n".join(str(event.step_failure_data.error) for event in result.all_node_events if event.is_step_failure)


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        (SoftOneResource(env_prefix="ACME_"), "begin with ACME_, its definitions those with BOLAGET_"),
        (SoftOneResource.from_environment(), "begin with SOFTONE_, its definitions those with BOLAGET_"),
        (SoftOneResource(company="Acme"), "of company Acme, its definitions are of company Bolaget"),
        (SoftOneResource(company=dg.EnvVar("ACME_COMPANY")), "of company Acme, its definitions are of company Bolaget"),
    ],
)
def test_a_resource_of_another_company_is_refused(
    two_companies: dict[str, Path], resource: SoftOneResource, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        build_definitions(env_prefix="BOLAGET_", key_prefix="bolaget", resource_overrides={"softone": resource})


@pytest.mark.parametrize("prefix", ["", "två", "acme-ab", ["acme", "a b"]])
def test_a_prefix_that_can_be_no_name_is_refused_with_the_reason(prefix: str | list[str]) -> None:
    with pytest.raises(ValueError, match="letters a to z"):
        build_definitions(key_prefix=prefix)


def test_their_own_start_schedule_and_resources(plant: Plant, tmp_path: Path) -> None:
    definitions = build_definitions(
        PipelineSettings.load(start_date=LAST_DAY, duckdb_path=tmp_path / "theirs" / "invoices.duckdb"),
        key_prefix="softone",
        owners=["team:data"],
        refresh_cron="15 6 * * 1-5",
        reread_cron=None,
        verify_cron=None,
        resource_overrides={"softone": SoftOneResource(base_url=plant.sandbox.base_url, page_size=2)},
    )
    (schedule,) = definitions.get_repository_def().schedule_defs
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("15 6 * * 1-5", "Europe/Stockholm")
    result = definitions.resolve_job_def("softone_refresh").execute_in_process(
        instance=plant.instance, tags=range_tags(LAST_DAY, LAST_DAY), run_config=QUIET
    )
    assert result.success
    assert max(record.items or 0 for record in plant.sandbox.requests("filter")) == 2
    assert {day for day, _, _ in known(tmp_path / "theirs" / "invoices.duckdb").values()} == {LAST_DAY}


def test_an_asset_of_ones_own_reads_the_erp_as_the_page_says(plant: Plant) -> None:
    @dg.asset
    def invoiced_on_a_day(softone: SoftOneResource) -> int:
        with softone.client() as client:
            return len(client.read_window(LAST_DAY, LAST_DAY).invoices)

    merged = dg.Definitions.merge(dg.Definitions(assets=[invoiced_on_a_day]), build_definitions())
    job = merged.resolve_implicit_global_asset_job_def().get_subset(asset_selection={invoiced_on_a_day.key})
    result = job.execute_in_process(instance=plant.instance, run_config=QUIET)
    assert result.output_for_node("invoiced_on_a_day") == sum(
        day == LAST_DAY for day, _, _ in truth(plant.company).values()
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project as `create-dagster project` lays it out, with nothing in it."""
    root = tmp_path / "project"
    (root / "finance_platform" / "defs").mkdir(parents=True)
    (root / "finance_platform" / "__init__.py").touch()
    (root / "finance_platform" / "defs" / "__init__.py").touch()
    (root / "pyproject.toml").write_text(
        '[project]\nname = "finance-platform"\n\n'
        '[tool.dg]\ndirectory_type = "project"\n\n[tool.dg.project]\nroot_module = "finance_platform"\n',
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(root))
    yield root
    for name in [name for name in sys.modules if name.split(".")[0] == "finance_platform"]:
        del sys.modules[name]


def test_what_dg_scaffolds_loads_as_it_stands(project: Path, plant: Plant) -> None:
    invoices = project / "finance_platform" / "defs" / "invoices"
    scaffold_object(invoices, "softone_pipeline.SoftOneComponent", None, "yaml", project)
    assert "type: softone_pipeline.SoftOneComponent" in (invoices / "defs.yaml").read_text("utf-8")
    loaded = dg.load_from_defs_folder(path_within_project=project)
    assert load(loaded, "refresh", plant).success
    assert known(plant.settings.duckdb_path) == truth(plant.company)


def test_two_components_in_yaml_are_two_companies(project: Path, plant: Plant, two_companies: dict[str, Path]) -> None:
    for name, key_prefix in (("acme", "acme"), ("bolaget", "[bolaget]")):
        folder = project / "finance_platform" / "defs" / name
        folder.mkdir()
        (folder / "defs.yaml").write_text(
            f"""
type: softone_pipeline.SoftOneComponent

attributes:
  env_prefix: {name.upper()}_
  key_prefix: {key_prefix}
  group_name: {name}
  refresh_cron: "0 6 * * *"
  reread_cron: null
  verify_cron: null
  start_date: "{FIRST_DAY}"
""",
            encoding="utf-8",
        )
    loaded = dg.load_from_defs_folder(path_within_project=project)
    assert {schedule.cron_schedule for schedule in loaded.get_repository_def().schedule_defs} == {"0 6 * * *"}
    for name in ("acme", "bolaget"):
        assert load(loaded, f"{name}_refresh", plant).success
        assert known(two_companies[name.capitalize()]) == truth(plant.company)


def test_the_page_names_every_attribute_of_the_component() -> None:
    page = (Path(softone_pipeline.__file__).parent / "docs" / "embedding.md").read_text("utf-8")
    told = page.partition("## As a component, in YAML")[2].partition("```yaml")[0]
    assert [name for name in SoftOneComponent.model_fields if name.endswith("_cron")] == [
        "refresh_cron",
        "reread_cron",
        "verify_cron",
    ]
    assert [name for name in SoftOneComponent.model_fields if f"`{name}`" not in told and "cron" not in name] == []


def test_a_component_says_which_setting_is_wrong() -> None:
    component = SoftOneComponent.from_attributes_dict(attributes={"env_prefix": "ACME_", "start_date": "igår"})
    with pytest.raises(SettingsError, match="ACME_START_DATE"):
        dg.build_defs_for_component(component)


def test_dg_finds_the_component() -> None:
    from dagster.components.core.package_entry import discover_entry_point_package_objects

    assert {key.to_typename() for key in discover_entry_point_package_objects()} >= {
        "softone_pipeline.SoftOneComponent"
    }
