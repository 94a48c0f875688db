"""The pipeline as a Dagster component: the same as build_definitions, in YAML. `dg` scaffolds its defs.yaml."""

import dagster as dg
from pydantic import Field

from softone_pipeline.definitions import build_definitions
from softone_pipeline.orchestration.schedules import REFRESH_CRON, REREAD_CRON, VERIFY_CRON
from softone_pipeline.settings import PREFIX, PipelineSettings


class _Scaffolder(dg.Scaffolder):
    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        crons = {"refresh_cron": REFRESH_CRON, "reread_cron": REREAD_CRON, "verify_cron": VERIFY_CRON}
        dg.scaffold_component(request, {"env_prefix": PREFIX, **crons})


@dg.scaffold_with(_Scaffolder)
class SoftOneComponent(dg.Component, dg.Resolvable, dg.Model):
    """Customer invoices from SoftOne GO to DuckDB tables: one company's assets, checks, job, schedules and sensor.

    Keys and passwords are never written here: they are the environment's variables whose names begin with env_prefix.
    """

    env_prefix: str = Field(PREFIX, description="Takes the place of SOFTONE_ in every variable: one for each company.")
    key_prefix: str | list[str] = Field(
        [], description="Before every asset key and every name; needed for a second company."
    )
    group_name: str | None = Field(None, description="One group for all assets instead of raw, core, mart, published.")
    owners: list[str] = Field(["team:finance"], description="Owners of the assets: e-mail addresses or team:name.")
    refresh_cron: str | None = Field(REFRESH_CRON, description="When the last days are read again; null: never.")
    reread_cron: str | None = Field(REREAD_CRON, description="When older days are read again; null: never.")
    verify_cron: str | None = Field(VERIFY_CRON, description="When raw is compared with the ERP; null: never.")
    company: str | None = Field(None, description=PipelineSettings.model_fields["company"].description)
    duckdb_path: str | None = Field(None, description=PipelineSettings.model_fields["duckdb_path"].description)
    start_date: str | None = Field(None, description=PipelineSettings.model_fields["start_date"].description)
    lookback_days: int | None = Field(None, description=PipelineSettings.model_fields["lookback_days"].description)
    days_ahead: int | None = Field(None, description=PipelineSettings.model_fields["days_ahead"].description)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """What is not given here is read from the environment, as everywhere."""
        settings = PipelineSettings.load(
            prefix=self.env_prefix,
            company=self.company,
            duckdb_path=self.duckdb_path,
            start_date=self.start_date,
            lookback_days=self.lookback_days,
            days_ahead=self.days_ahead,
        )
        return build_definitions(
            settings,
            env_prefix=self.env_prefix,
            key_prefix=self.key_prefix,
            group_name=self.group_name,
            owners=self.owners,
            refresh_cron=self.refresh_cron,
            reread_cron=self.reread_cron,
            verify_cron=self.verify_cron,
        )
