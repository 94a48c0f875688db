"""The two resources: the ERP's client, and the warehouse on top of dagster-duckdb's resource.

Secrets are given by EnvVar, so that a run's snapshot holds the variable's name and never its value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource
from pydantic import Field

from softone_pipeline.orchestration.lost_runs import sign_of_life
from softone_pipeline.settings import PREFIX, ErpSettings, PipelineSettings, is_set, published_path, variable_name
from softone_pipeline.softone import SoftOneClient
from softone_pipeline.tables import MACROS, TABLES
from softone_pipeline.warehouse import Warehouse


def _secret(field: str) -> Any:
    return Field(
        default=None,
        description=ErpSettings.model_fields[field].description,
        json_schema_extra={"dagster__is_secret": True},
    )


def _plain(field: str) -> Any:
    return Field(default=None, description=ErpSettings.model_fields[field].description)


class SoftOneResource(dg.ConfigurableResource[SoftOneClient]):
    """The authenticated client of the SoftOne GO API.

    A field that is not given is read from its variable (SOFTONE_…, or another `env_prefix`) when a run needs it;
    `from_environment` names the variables instead, so that the UI shows where each value comes from.
    """

    env_prefix: str = Field(default=PREFIX, description="What the names of the environment's variables begin with.")
    base_url: str | None = _plain("base_url")
    company: str | None = _plain("company")
    company_api_key: str | None = _secret("company_api_key")
    connect_api_key: str | None = _secret("connect_api_key")
    license: str | None = _secret("license")
    username: str | None = _secret("username")
    password: str | None = _secret("password")
    token: str | None = _secret("token")
    page_size: int | None = _plain("page_size")
    include_preliminary: bool | None = _plain("include_preliminary")
    max_connections: int | None = _plain("max_connections")
    requests_per_second: float | None = _plain("requests_per_second")
    timeout_seconds: float | None = _plain("timeout_seconds")
    max_attempts: int | None = _plain("max_attempts")
    retry_wait_seconds: float | None = _plain("retry_wait_seconds")

    @classmethod
    def from_environment(cls, prefix: str = PREFIX, *, company: str | None = None) -> SoftOneResource:
        """A resource whose secrets are the variables with this prefix that are set now, by name."""
        secrets = ("company_api_key", "connect_api_key", "license", "username", "password", "token")
        variables = {field: variable_name(field, prefix) for field in secrets}
        present: dict[str, Any] = {field: dg.EnvVar(name) for field, name in variables.items() if is_set(name)}
        return cls(env_prefix=prefix, company=company, **present)

    def of_company(self, prefix: str, company: str) -> SoftOneResource:
        """The same resource, a copy, whose fields that are not given are this company's. Raises ValueError for another's."""
        if "env_prefix" in self.model_fields_set and self.env_prefix != prefix:
            raise ValueError(
                f'resource_overrides: "softone" reads the variables that begin with {self.env_prefix}, its definitions '
                f"those with {prefix}. Give both the same env_prefix, or leave it out in the resource."
            )
        named = self.company.get_value() if isinstance(self.company, dg.EnvVar) else self.company
        if named is not None and named != company:
            raise ValueError(
                f'resource_overrides: "softone" is of company {named}, its definitions are of company {company}. Leave '
                f"company out in the resource, and set {variable_name('company', prefix)}."
            )
        given = {field: getattr(self, field) for field in self.model_fields_set}
        return type(self)(
            **given | {"env_prefix": prefix, "company": company if self.company is None else self.company}
        )

    def settings(self) -> ErpSettings:
        """The settings in force. Raises SettingsError naming every variable that is missing or malformed."""
        given = {field: getattr(self, field) for field in ErpSettings.model_fields}
        return ErpSettings.load(prefix=self.env_prefix, **given)

    @contextmanager
    def client(self, pace_file: Path | None = None) -> Iterator[SoftOneClient]:
        """A client for the length of one piece of work: one login, one connection pool.

        Processes with the same `pace_file` keep the limit on requests per second together.
        """
        with SoftOneClient(self.settings(), pace_file=pace_file) as client:
            yield client


class WarehouseResource(DuckDBResource):
    """The pipeline's own DuckDB file, built on dagster-duckdb's resource.

    Unlike its parent it waits for a lock as long as a patient colleague would, says so, lets go of the file
    whatever happens, and keeps the tables' declarations in the file. A process that has it holds a sign of life for
    its run. What is published and reported lies beside the file, and follows it.
    """

    mode: int = Field(default=0o600, description="Who may read and write the pipeline's own file.")

    @classmethod
    def from_settings(cls, settings: PipelineSettings) -> WarehouseResource:
        return cls(
            database=str(settings.warehouse_path),
            connection_config=settings.duckdb_config,
            mode=int(settings.duckdb_mode, 8),
        )

    @classmethod
    def _is_dagster_maintained(cls) -> bool:
        return False

    def placed(self, settings: PipelineSettings) -> PipelineSettings:
        """The same settings with all files where this resource has them. Raises ValueError where it names none."""
        database: str | None = self.database
        if isinstance(self.database, dg.EnvVar):
            database = self.database.get_value()
            if not database:
                raise ValueError(f"The warehouse lies where {self.database.env_var_name} says, which is not set.")
        return settings.model_copy(update={"duckdb_path": published_path(Path(database or ""))})

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(Path(self.database), TABLES, macros=MACROS, config=self.connection_config, mode=self.mode)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[WarehouseResource]:
        run = context.run
        with sign_of_life(Path(self.database), run.run_id) if run else nullcontext():
            yield self

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to the pipeline's own file. Hold it briefly: nobody else can open the file meanwhile."""
        with self.warehouse.connect() as connection:
            yield connection


def build_resources(settings: PipelineSettings, overrides: Mapping[str, Any]) -> tuple[Any, WarehouseResource]:
    """The ERP and the warehouse of one company, each its own or what is given instead.

    Raises ValueError for an override of any other name and for a SoftOneResource of another company, and TypeError for
    a warehouse that is none.
    """
    if unknown := sorted(overrides.keys() - {"softone", "warehouse"}):
        raise ValueError(
            f'resource_overrides: there is no resource {", ".join(unknown)} to replace. They are "softone" and "warehouse", '
            "by these names whatever the key_prefix."
        )
    softone = overrides.get("softone", SoftOneResource.from_environment(settings.prefix))
    if isinstance(softone, SoftOneResource):
        softone = softone.of_company(settings.prefix, settings.company)
    warehouse = overrides.get("warehouse", WarehouseResource.from_settings(settings))
    if not isinstance(warehouse, WarehouseResource):
        raise TypeError(
            f'resource_overrides: "warehouse" is a {type(warehouse).__name__}, and has to be a WarehouseResource: it keeps '
            "the tables, the lock and the published copy. WarehouseResource.from_settings(PipelineSettings.load("
            "duckdb_path=…)) makes one."
        )
    return softone, warehouse
