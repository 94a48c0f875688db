"""What the definitions are called in the Dagster project where they stand: keys, groups, names, resources.

Alone they have plain names. Beside others, another company's included, a key prefix tells them apart. Nothing is
computed here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import dagster as dg

from softone_pipeline.warehouse import Table

if TYPE_CHECKING:
    from softone_pipeline.orchestration.resources import SoftOneResource, WarehouseResource


@dataclass(frozen=True, slots=True)
class Placement:
    """`key_prefix` goes before every asset key and, joined by _, before every other name.

    With `group_name` all assets stand in that group, otherwise in raw, core, mart and published.
    """

    key_prefix: tuple[str, ...] = ()
    group_name: str | None = None
    owners: tuple[str, ...] = ("team:finance",)

    @classmethod
    def of(cls, key_prefix: str | Sequence[str], group_name: str | None, owners: Sequence[str]) -> Placement:
        """A prefix may be one word or several, as elsewhere in Dagster. Raises ValueError for one that is no name."""
        words = (key_prefix,) if isinstance(key_prefix, str) else tuple(key_prefix)
        for word in words:
            if not re.fullmatch(r"[A-Za-z0-9_]+", word):
                raise ValueError(f"key_prefix {word!r} can be no part of a name: use letters a to z, digits and _")
        return cls(words, group_name, tuple(owners))

    def key(self, table: Table) -> dg.AssetKey:
        return dg.AssetKey([*self.key_prefix, table.schema, table.name])

    @property
    def published(self) -> dg.AssetKey:
        """The asset that is the analysts' copy."""
        return dg.AssetKey([*self.key_prefix, "published", "database"])

    @property
    def report(self) -> dg.AssetKey:
        """The asset that is the page for finance people."""
        return dg.AssetKey([*self.key_prefix, "published", "report"])

    @property
    def freshness(self) -> dg.AssetCheckKey:
        """The check that the copy holds yesterday."""
        return dg.AssetCheckKey(self.published, "yesterday_is_here")

    def group(self, stage: str) -> str:
        return self.group_name or self.name(stage)

    def name(self, plain: str) -> str:
        """The name of a job, a schedule, a sensor, an op or a resource."""
        return "_".join((*self.key_prefix, plain))

    @property
    def softone_key(self) -> str:
        return self.name("softone")

    @property
    def warehouse_key(self) -> str:
        return self.name("warehouse")

    def softone(self, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> SoftOneResource:
        """The ERP's resource of this run."""
        return cast("SoftOneResource", getattr(context.resources, self.softone_key))

    def warehouse(self, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> WarehouseResource:
        """The warehouse's resource of this run."""
        return cast("WarehouseResource", getattr(context.resources, self.warehouse_key))


# As in a code location of their own.
ALONE = Placement()
