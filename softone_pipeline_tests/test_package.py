"""The house as a whole: the corridor, the documents, the declarations."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.api import read_configuration

from softone_pipeline.cli import main
from softone_pipeline.settings import ErpSettings, PipelineSettings, variable_name
from softone_pipeline.tables import TABLES
from softone_pipeline.tables.dictionary import DICTIONARY, dictionary

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = ROOT / "softone_pipeline" / "docs"
PAGES = [ROOT / "README.md", ROOT / ".github" / "CONTRIBUTING.md", *sorted(DOCS.glob("**/*.md"))]


def test_imports_point_one_way() -> None:
    assert read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    # In a process of its own: the linter switches off every logger that it finds, ours and so later tests' too.
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
        "--no-cache",
    ]
    linted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_the_data_dictionary_is_fresh() -> None:
    assert DICTIONARY.read_text(encoding="utf-8") == dictionary(), "run: python -m softone_pipeline.tables.dictionary"


@pytest.mark.parametrize("settings", [ErpSettings, PipelineSettings])
def test_every_setting_is_documented_with_its_default(settings: type[ErpSettings | PipelineSettings]) -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    lines = {
        name: line for line in page.splitlines() if line.startswith("| `") for name in re.findall(r"SOFTONE_\w+", line)
    }
    for name, field in settings.model_fields.items():
        line = lines.get(variable_name(name))
        assert line, f"{variable_name(name)} is not in docs/settings.md"
        default = field.default
        if field.is_required() or default in {None, ()}:
            continue
        shown = ",".join(str(part) for part in default) if isinstance(default, tuple) else str(default).lower()
        assert f"`{shown}`" in line.lower(), f"{variable_name(name)}: docs/settings.md should say {shown}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_links_to_nothing_that_is_not_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_the_readme_leads_to_every_page_and_lists_every_command() -> None:
    for page in (ROOT / ".github" / "CONTRIBUTING.md", *DOCS.glob("*.md")):
        assert f"({page.relative_to(ROOT)})" in README, page
    for command in main.commands:
        assert f"| `softone {command}" in README, command


def test_every_table_opens_with_its_grain_and_every_column_has_a_meaning() -> None:
    for table in TABLES:
        assert table.description.startswith("One row per "), table.qualified_name
        assert set(table.key) <= set(table.column_names)
        for column in table.columns:
            assert column.description.endswith((".", ")")), f"{table.qualified_name}.{column.name}"


def test_no_money_is_a_floating_point_number() -> None:
    for table in TABLES:
        for column in table.columns:
            assert column.type not in {"DOUBLE", "FLOAT", "REAL"}, f"{table.qualified_name}.{column.name}"
