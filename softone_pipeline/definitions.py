"""The front door: everything this package gives Dagster, in one Definitions object.

Loads with no setting present: what a run needs is checked when the run needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from softone_pipeline.orchestration.assets import build_assets
from softone_pipeline.orchestration.metadata import asset_key
from softone_pipeline.orchestration.resources import SoftOneResource, WarehouseResource
from softone_pipeline.orchestration.schedules import build_jobs, build_schedules
from softone_pipeline.settings import PipelineSettings
from softone_pipeline.tables.raw.customer_invoices import CUSTOMER_INVOICES


def build_definitions(
    settings: PipelineSettings | None = None,
    *,
    owners: Sequence[str] = ("team:finance",),
    resource_overrides: Mapping[str, Any] | None = None,
) -> dg.Definitions:
    """The assets, jobs, schedules, sensor and resources for one company.

    `settings` default to the environment (SOFTONE_…, see docs/settings.md); raises SettingsError when one is malformed.
    `resource_overrides` replaces the resources "softone" and "warehouse", for a test or another source of secrets.
    """
    settings = settings or PipelineSettings.load()
    return dg.Definitions(
        assets=build_assets(settings, owners=owners),
        jobs=build_jobs(),
        schedules=build_schedules(settings),
        sensors=[
            dg.AutomationConditionSensorDefinition(
                "keep_derived_tables_fresh",
                target=dg.AssetSelection.all() - dg.AssetSelection.assets(asset_key(CUSTOMER_INVOICES)),
                default_status=dg.DefaultSensorStatus.RUNNING,
                description="Refreshes payments, core, marts and the copy when raw has moved on outside a full run.",
            )
        ],
        # Steps write one file, one at a time: a process for each would only cost its start.
        executor=dg.in_process_executor,
        resources={
            "softone": SoftOneResource.from_environment(),
            "warehouse": WarehouseResource.from_settings(settings),
            **(resource_overrides or {}),
        },
    )


defs = build_definitions()
