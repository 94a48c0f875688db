"""The runbook knows every error and every check, and no page links into nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import softone_pipeline
from softone_pipeline import build_definitions
from softone_pipeline_tests.all_errors import all_errors

DOCS = Path(softone_pipeline.__file__).parent / "docs"
RUNBOOK = (DOCS / "runbook.md").read_text("utf-8")


def test_every_error_has_its_line() -> None:
    names = {error.__name__ for error in all_errors()}
    assert len(names) > 20
    assert {name for name in names if f"`{name}`" not in RUNBOOK} == set()


def test_every_check_has_its_line() -> None:
    checks = {key.name for key in build_definitions().resolve_asset_graph().asset_check_keys}
    assert len(checks) > 15
    assert {name for name in checks if f"`{name}`" not in RUNBOOK} == set()


@pytest.mark.parametrize("page", ["runbook.md", "embedding.md", "deployment.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", (DOCS / page).read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (DOCS / link).exists()] == []
