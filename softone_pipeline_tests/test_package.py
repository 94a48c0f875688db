"""The house as a whole: the corridor, the documents, the declarations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from importlinter.api import read_configuration
from importlinter.cli import lint_imports

from softone_pipeline.settings import ErpSettings, PipelineSettings, variable_name
from softone_pipeline.tables import TABLES
from softone_pipeline.tables.dictionary import DICTIONARY, dictionary

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_imports_point_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert read_configuration("pyproject.toml")["contracts_options"]
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == 0


def test_the_data_dictionary_is_fresh() -> None:
    assert DICTIONARY.read_text(encoding="utf-8") == dictionary(), "run: python -m softone_pipeline.tables.dictionary"


@pytest.mark.parametrize("settings", [ErpSettings, PipelineSettings])
def test_the_readme_tells_every_setting_and_its_default(settings: type[ErpSettings | PipelineSettings]) -> None:
    lines = {
        name: line
        for line in README.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"SOFTONE_\w+", line)
    }
    for name, field in settings.model_fields.items():
        line = lines.get(variable_name(name))
        assert line, f"{variable_name(name)} is not in the README"
        default = field.default
        if field.is_required() or default is None:
            continue
        shown = ",".join(str(part) for part in default) if isinstance(default, tuple) else str(default).lower()
        assert f"`{shown}`" in line.lower(), f"{variable_name(name)}: the README should say {shown}"


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
