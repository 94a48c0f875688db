"""Customer invoices from SoftOne GO to DuckDB tables that finance people trust, run by Dagster.

For use in a Dagster project of your own (docs/embedding.md):

    from softone_pipeline import build_definitions

Names are imported when they are first used: the package alone costs nothing, Dagster two seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softone_pipeline.component import SoftOneComponent
    from softone_pipeline.definitions import build_definitions
    from softone_pipeline.errors import SoftOneError
    from softone_pipeline.orchestration.resources import SoftOneResource, WarehouseResource
    from softone_pipeline.settings import PipelineSettings

__all__ = [
    "PipelineSettings",
    "SoftOneComponent",
    "SoftOneError",
    "SoftOneResource",
    "WarehouseResource",
    "build_definitions",
]

_HOMES = {
    "PipelineSettings": "settings",
    "SoftOneComponent": "component",
    "SoftOneError": "errors",
    "SoftOneResource": "orchestration.resources",
    "WarehouseResource": "orchestration.resources",
    "build_definitions": "definitions",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    # How `dg` finds the component.
    return sorted({*globals(), *__all__})
