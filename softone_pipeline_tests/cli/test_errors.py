"""What a command says when it cannot do what it was asked for: to a person, and with --json to a machine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click
import pytest

from softone_pipeline.cli import main
from softone_pipeline.errors import SoftOneError
from softone_pipeline_tests.all_errors import all_errors
from softone_pipeline_tests.cli.conftest import Shell

DAYS = ("--from", "2026-03-01", "--to", "2026-03-01")
# command, variables beside good ones, the kind of error, exit status, what the message names
CASES = [
    (("check",), {"SOFTONE_PASSWORD": ""}, "SettingsError", 2, "SOFTONE_PASSWORD"),
    (("check",), {"SOFTONE_PASSWORD": "wrong"}, "AuthenticationError", 1, "company default"),
    (("check",), {"SOFTONE_BASE_URL": "http://127.0.0.1:9"}, "NoConnectionError", 1, "2 attempts"),
    (("backfill", "--from", "2026-03-02", "--to", "2026-03-01"), {}, "UsageError", 2, "is after"),
    (("backfill", "--from", "igår", "--to", "2026-03-01"), {}, "BadParameter", 2, "igår"),
    (("backfill", *DAYS, "--page"), {}, "NoSuchOption", 2, "--page"),
    (("verify", *DAYS), {}, "NothingPublishedError", 1, "no published database"),
    (("reconcile", "--period", "2026-03"), {}, "UsageError", 2, "at least one"),
    (("explain", "vat", "2026-13"), {}, "UsageError", 2, "no month"),
    (("explain", "balance", "11357"), {}, "NothingPublishedError", 1, "no published database"),
    (("explain", "invoice", "99233"), {}, "NothingPublishedError", 1, "no published database"),
    (("report", "--since", "2026-11-31"), {}, "BadParameter", 2, "'2026-11-31' is no date"),
    (("report",), {}, "NothingPublishedError", 1, "no published database"),
    (("export", "mart.vat_summary", "--to", "vat.pdf"), {}, "OutputRefusedError", 2, "vat.pdf"),
    (("demo", "--days", "1"), {}, "BadParameter", 2, "--days"),
]


def _with_json(command: click.Command, name: str = "") -> Iterator[str]:
    if isinstance(command, click.Group):
        for word, below in command.commands.items():
            yield from _with_json(below, f"{name} {word}".strip())
    elif any("--json" in option.opts for option in command.params):
        yield name


def test_every_command_that_speaks_json_is_among_the_cases() -> None:
    tried = {" ".join(arguments[:2]) for arguments, *_ in CASES}
    names = set(_with_json(main))
    assert {"check", "backfill", "demo", "explain vat"} <= names
    assert [name for name in names if not any(case == name or case.startswith(f"{name} ") for case in tried)] == []


@pytest.mark.parametrize(
    ("arguments", "variables", "kind", "status", "names"), CASES, ids=lambda value: str(value)[:40]
)
def test_an_error_is_one_json_object_with_what_to_do(
    shell: Shell, arguments: tuple[str, ...], variables: dict[str, str], kind: str, status: int, names: str
) -> None:
    shell.variables |= {"SOFTONE_MAX_ATTEMPTS": "2"} | variables
    done = shell.run(*arguments, "--json")
    assert done.returncode == status, done.stderr
    told = json.loads(done.stdout)
    assert told.keys() == {"error"}
    assert told["error"].keys() == {"kind", "message", "to_do"}
    assert told["error"]["kind"] == kind
    assert names in told["error"]["message"]
    assert told["error"]["to_do"]
    assert not [line for line in done.stderr.splitlines() if line.startswith("Error:")]


@pytest.mark.parametrize(
    ("arguments", "variables", "status", "words"),
    [
        (("check",), {"SOFTONE_PASSWORD": "wrong"}, 1, ("login of company default", "To do: Check the keys")),
        *(
            (command, {}, 1, ("no published database", "To do: Load some days first (softone backfill --from"))
            for command in (
                ("report",),
                ("explain", "vat", "2026-03"),
                ("export", "mart.vat_summary", "--to", "vat.csv"),
            )
        ),
        (("check",), {"SOFTONE_PASSWORD": ""}, 2, ("SOFTONE_PASSWORD: is missing", "Set them in the environment")),
    ],
)
def test_a_person_is_told_what_happened_and_what_to_do(
    shell: Shell, arguments: tuple[str, ...], variables: dict[str, str], status: int, words: tuple[str, ...]
) -> None:
    shell.variables |= variables
    done = shell.run(*arguments)
    assert done.returncode == status
    for said in words:
        assert said in done.stderr
    assert done.stderr.count("Set them in the environment") <= 1


def test_every_error_says_what_to_do() -> None:
    for error in all_errors():
        assert error.to_do != SoftOneError.to_do, error
        assert error.to_do.endswith(".")
