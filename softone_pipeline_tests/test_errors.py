"""How errors are told when there are many of them."""

from __future__ import annotations

import datetime as dt

import pytest

import softone_pipeline.errors
from softone_pipeline.errors import AuthenticationError, SoftOneError, UnstableWindowError, WindowError, told_together
from softone_pipeline_tests.all_errors import all_errors

DAY = dt.date(2026, 3, 1)


def window(n: int, reason: str = "No answer.", kind: type[WindowError] = WindowError, page: int = 0) -> WindowError:
    day = DAY + dt.timedelta(days=n)
    return kind(reason, company="acme", first_day=day, last_day=day, page=page)


def test_many_days_in_a_row_that_failed_alike_are_told_as_one() -> None:
    told = told_together([*map(window, range(400)), AuthenticationError("The keys have been revoked.")])
    assert list(map(str, told)) == [
        "Invoices could not be read (company acme, 2026-03-01 to 2027-04-04, page 0): No answer. "
        "Nothing was written for it.",
        "The keys have been revoked.",
    ]


def test_days_told_as_one_keep_what_to_do() -> None:
    days = [(DAY + dt.timedelta(days=n),) * 2 for n in range(20)]
    errors = [
        WindowError("No.", company="acme", first_day=first, last_day=last, to_do="Check the address.")
        for first, last in days
    ]
    assert [error.to_do for error in told_together(errors)] == ["Check the address."]


def test_the_tree_shows_every_error_and_where_it_stands() -> None:
    lines = [line.partition("── ")[2] for line in (softone_pipeline.errors.__doc__ or "").splitlines() if "── " in line]
    tree = {line.split()[0]: line for line in lines}
    assert tree.keys() == {error.__name__ for error in all_errors()}
    for error in all_errors():
        place = error.__module__.removeprefix("softone_pipeline.").replace(".", "/")
        assert place == "errors" or f"({place}.py" in tree[error.__name__]


@pytest.mark.parametrize(
    "errors",
    [
        [window(n) for n in range(7)],
        [window(2 * n) for n in range(20)],
        [window(n, f"Reason {n % 2}.") for n in range(20)],
        [window(n, kind=(WindowError, UnstableWindowError)[n % 2]) for n in range(20)],
        [window(n, page=n) for n in range(20)],
        [],
    ],
    ids=["a week", "days between", "another reason", "another kind", "another page", "nothing"],
)
def test_other_errors_are_told_one_by_one(errors: list[SoftOneError]) -> None:
    assert told_together(errors) == errors
