"""The front door: everything this package gives Dagster, in one Definitions object.

Loads with no setting present: what a run needs is checked when the run needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from softone_pipeline.orchestration.alerts import Sink, build_alerts, freshness_check, sinks
from softone_pipeline.orchestration.assets import build_assets
from softone_pipeline.orchestration.lost_runs import build_lost_runs_sensor
from softone_pipeline.orchestration.placement import Placement
from softone_pipeline.orchestration.resources import build_resources
from softone_pipeline.orchestration.schedules import (
    REFRESH_CRON,
    REREAD_CRON,
    VERIFY_CRON,
    build_jobs,
    build_schedules,
    build_sensor,
)
from softone_pipeline.orchestration.verification import build_verification
from softone_pipeline.settings import PREFIX, PipelineSettings


def build_definitions(
    settings: PipelineSettings | None = None,
    *,
    env_prefix: str | None = None,
    key_prefix: str | Sequence[str] = (),
    group_name: str | None = None,
    owners: Sequence[str] = ("team:finance",),
    refresh_cron: str | None = REFRESH_CRON,
    reread_cron: str | None = REREAD_CRON,
    verify_cron: str | None = VERIFY_CRON,
    resource_overrides: Mapping[str, Any] | None = None,
    alert_sinks: Sequence[Sink] | None = None,
    executor: dg.ExecutorDefinition | None = None,
) -> dg.Definitions:
    """The assets, the job, schedules, sensor and resources for one company, to be used alone or merged with others.

    `settings` default to the environment (docs/settings.md); `env_prefix` takes the place of SOFTONE_ in the names of
    all its variables, so that each of several companies has its own; it is that of `settings` where these are given,
    and ValueError is raised for another. Raises SettingsError when one is malformed.
    `key_prefix` goes before every asset key and, joined by _, before the name of every job, schedule, sensor and
    resource: nothing then clashes with what is there already. `group_name` gathers all assets in one group.
    `refresh_cron`, `reread_cron` and `verify_cron` are when the schedules run, in Stockholm's time; None leaves one out.
    `resource_overrides` replaces the resources "softone" and "warehouse" (named without prefix), for a test or another
    source of secrets; what a SoftOneResource leaves out is read with `env_prefix`, and one of another prefix or company
    raises ValueError. What is published and reported lies beside the file of a WarehouseResource. `alert_sinks` take
    each alert instead of the log, the webhook and e-mail. `executor` is the project's: the job has its own, and only
    one of all that are merged may set it.
    """
    settings = settings or PipelineSettings.load(prefix=env_prefix or PREFIX)
    if env_prefix not in {None, settings.prefix}:
        raise ValueError(
            f"env_prefix is {env_prefix}, and the settings were read with {settings.prefix}, which is another company's. "
            f'Read them with PipelineSettings.load(prefix="{env_prefix}", …).'
        )
    place = Placement.of(key_prefix, group_name, owners)
    softone, warehouse = build_resources(settings, resource_overrides or {})
    settings = warehouse.placed(settings)
    assets = build_assets(settings, place)
    return dg.Definitions(
        assets=assets,
        asset_checks=[build_verification(settings, place), freshness_check(settings, place)],
        jobs=build_jobs(assets, place),
        schedules=build_schedules(
            settings, place, refresh_cron=refresh_cron, reread_cron=reread_cron, verify_cron=verify_cron
        ),
        sensors=[
            build_sensor(assets, place),
            build_lost_runs_sensor(settings, place),
            *build_alerts(settings, place, assets, sinks(settings) if alert_sinks is None else alert_sinks),
        ],
        resources={place.softone_key: softone, place.warehouse_key: warehouse},
        executor=executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `softone up` and `dagster dev` load: one company, alone in its code location."""
    return build_definitions(executor=dg.in_process_executor)
