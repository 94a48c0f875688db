"""Every error that the package raises on purpose, wherever in it the class stands."""

from __future__ import annotations

import importlib
import pkgutil

import softone_pipeline
from softone_pipeline.errors import SoftOneError


def all_errors() -> set[type[SoftOneError]]:
    for module in pkgutil.walk_packages(softone_pipeline.__path__, f"{softone_pipeline.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return set(_below(SoftOneError))


def _below(error: type[SoftOneError]) -> list[type[SoftOneError]]:
    own = [kind for kind in error.__subclasses__() if kind.__module__.startswith(f"{softone_pipeline.__name__}.")]
    return [*own, *(kind for each in own for kind in _below(each))]
