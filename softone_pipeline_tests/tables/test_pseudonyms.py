"""Private persons under a pseudonym: what is replaced, what is not, and that no amount is another for it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from softone_pipeline.errors import SettingsError
from softone_pipeline.settings import PipelineSettings
from softone_pipeline.softone import InvoiceAnswer, Pseudonymiser, Window
from softone_pipeline.softone.pseudonyms import is_person, is_personal_number, ten_digits
from softone_pipeline.tables.raw.landing import land
from softone_pipeline.tables.raw.pseudonymising import Privacy, hide_answer, hide_window
from softone_pipeline.tables.raw.staging import Staged
from softone_pipeline_tests.invoices import dumps, invoice, row
from softone_pipeline_tests.oracle import random_invoice, to_json
from softone_pipeline_tests.tables.conftest import COMPANY, House, received

KEY = "a key of the tests, long enough"
WORDS = ("rot", "rut", "husarbete", "husavdrag", "skattereduktion", "grön teknik")
PERSONS = Privacy("persons", SecretStr(KEY), WORDS)
HIDE = Pseudonymiser("persons", KEY, WORDS)
DEDUCTIONS: tuple[dict[str, Any], ...] = (
    {"Text": "ROT-avdrag Per Persson"},
    {"Text": "Avdrag (rut)", "ProductNr": None},
    {"Text": "grön", "ProductNr": "teknik"},
    {"Text": "Grön\u00a0teknik"},
    {"Text": "Rotmos"},
    {"Text": "prot"},
    {"Text": None, "ProductNr": "HUSAVDRAG"},
    {"Text": "GRO\u0308N TEKNIK"},
)
MARTS = {
    "mart.vat_summary": "*",
    "mart.vat_return_draft": "*",
    "mart.customer_balance": "* exclude (customer_name)",
    "core.invoices": "* exclude (customer_name, customer_org_nr)",
    "core.invoice_rows": "* exclude (text, accounts)",
}


def load(house: House, privacy: Privacy, *windows: Window) -> None:
    answers: list[InvoiceAnswer] = []
    needed_by: dict[int, Sequence[dt.date]] = {}
    while True:
        with house.warehouse.transaction() as connection:
            hide = privacy.begin(connection, COMPANY)
            landed = land(
                connection,
                company=COMPANY,
                run_id="run",
                staged=Staged(
                    [hide_window(hide, window) for window in windows],
                    [hide_answer(hide, answer) for answer in answers],
                    needed_by,
                ),
            )
        if not landed.ask:
            return
        needed_by |= landed.ask
        answers += [InvoiceAnswer(invoice_id, windows[-1].asked_at, None) for invoice_id in landed.ask]


@pytest.mark.parametrize(
    ("number", "digits", "is_private"),
    [
        ("8001011234", "8001011234", True),
        ("800101-1234", "8001011234", True),
        ("19800101-1234", "8001011234", True),
        ("200101+1234", "2001011234", True),
        ("20 010161-1234", "0101611234", True),
        ("800161-1234", "8001611234", True),
        ("SE800101123401", "8001011234", True),
        ("se 800101-1234 01", "8001011234", True),
        ("556677-8899", "5566778899", False),
        ("165566778899", "5566778899", False),
        ("SE556677889901", "5566778899", False),
        ("556677889901", "5566778899", False),
        ("DE123456789", None, False),
        ("Per Persson", None, True),
        ("", None, True),
        (None, None, True),
    ],
)
def test_a_private_person_is_told_by_the_number(number: str | None, digits: str | None, is_private: bool) -> None:
    assert ten_digits(number or "") == digits
    assert is_person(number) == is_private


def test_a_personal_number_is_told_by_date_and_check_digit() -> None:
    assert is_personal_number("19811218-9876")
    assert is_personal_number("811278-9873")
    assert not is_personal_number("811218-9875")
    assert not is_personal_number("11357")
    assert not is_personal_number("556012-5790")


def test_name_number_and_text_are_replaced_and_amounts_stay_to_the_letter() -> None:
    wire = invoice(
        1,
        CustomerOrgNr="19811218-9876",
        YourReference="Per P",
        rows=[
            row("100.00", "25.00", Text="Per Perssons tak", Accounts=[{"AccountNr": "3001", "Name": "Villa Persson"}])
        ],
    )
    hidden = HIDE.payload(dumps(wire))
    for gone in ("Persson", "Per P", "811218"):
        assert gone not in hidden
    for kept in ('"TotalAmount":125.00', '"CustomerNr":"11357"', '"AccountNr":"3001"', '"ProductNr":"7881005"'):
        assert kept in hidden
    assert HIDE.payload(hidden) == HIDE.payload(HIDE.payload(hidden))
    assert HIDE.payload(dumps(wire | {"CustomerName": "Per Persson."})) != hidden
    assert HIDE.payload(dumps(wire | {"CustomerOrgNr": "556677-8899"})) == dumps(
        wire | {"CustomerOrgNr": "556677-8899"}
    )
    assert "556677" not in Pseudonymiser("all", KEY, WORDS).payload(dumps(wire | {"CustomerOrgNr": "556677-8899"}))
    assert Pseudonymiser("persons", KEY + "!", WORDS).payload(dumps(wire)) != hidden


def test_a_customer_number_that_is_a_personal_number_is_replaced_too() -> None:
    assert "8112189876" not in HIDE.payload(dumps(invoice(1, CustomerNr="8112189876")))
    assert "8001011234" not in HIDE.payload(dumps(invoice(1, CustomerNr="8001011234", CustomerOrgNr="800101-1234")))


@pytest.mark.parametrize(
    "payload",
    [
        '{"InvoiceId": 5, "CustomerName": "Per Persson", "CustomerName": "Persson", "TotalAmount": NaN}',
        '{"InvoiceId": 5, "CustomerName": ["Persson"], "InvoiceRows": "Persson"}',
        '{"InvoiceId": "Persson", "InvoiceDate": "Persson", "TotalAmount": "Persson", "InvoiceRows": ["Persson"]}',
        '{"InvoiceId": 5, "CustomerName": "Persson\\ud800", "InvoiceRows": [{"Accounts": {"Name": "Persson"}}]}',
        '{"InvoiceId": 5, "InvoiceNr": {"of": "Persson"}, "Currency": ["Persson"], "More": {"Deep": ["Persson"]}}',
    ],
)
def test_an_unreadable_object_leaks_no_name_and_stays_unreadable(house: House, payload: str) -> None:
    load(house, PERSONS, house.window(1, [payload]))
    ((field, reason, stored),) = house.rows("select field, reason, payload from raw.quarantine")
    assert "Persson" not in f"{field} {reason} {stored}"


def test_vat_and_balances_are_the_same_with_and_without_pseudonyms(house: House, settings: PipelineSettings) -> None:
    rng = random.Random(4)
    wires = [to_json(random_invoice(rng, invoice_id)) for invoice_id in range(1, 500)]
    wires += [
        dumps(
            invoice(
                2000 + n, total="900.00", vat="250.00", rows=[row("1000.00", "250.00"), row("-350.00", "0.00", **f)]
            )
        )
        for n, f in enumerate(DEDUCTIONS)
    ]
    found: list[dict[str, Any]] = []
    for number, privacy in enumerate((Privacy(), PERSONS, Privacy("all", SecretStr(KEY), WORDS))):
        warehouse = dataclasses.replace(
            house,
            warehouse=type(house.warehouse)(
                house.warehouse.path.with_name(f"w{number}.duckdb"),
                house.warehouse.tables,
                macros=house.warehouse.macros,
            ),
        )
        load(warehouse, privacy, _window(house, wires))
        warehouse.refresh()
        found.append(
            {table: warehouse.rows(f"select {what} from {table} order by all") for table, what in MARTS.items()}
        )
        assert warehouse.rows("select count(*) from raw.quarantine") == [(0,)]
    assert found[0]["core.invoice_rows"]
    assert found[0] == found[1] == found[2]


def _window(house: House, payloads: list[str]) -> Window:
    import json

    taken = [received(json.loads(payload)) for payload in payloads]
    return dataclasses.replace(
        house.window(1, []),
        invoices=tuple(replace(one, body=payload.encode()) for one, payload in zip(taken, payloads, strict=True)),
    )


def test_reading_again_writes_nothing_and_a_change_is_still_seen(house: House) -> None:
    wire = invoice(1, rows=[row("100.00", "25.00", Text="Tak")])
    load(house, PERSONS, house.window(1, [wire]))
    load(house, PERSONS, house.window(2, [wire]))
    assert house.versions(1) == [("new", None, 1, None, wire_day(house))]
    load(house, PERSONS, house.window(3, [invoice(1, rows=[row("100.00", "25.00", Text="Tak 2")])]))
    assert [version[0] for version in house.versions(1)] == ["new", "changed"]


def wire_day(house: House) -> Any:
    return house.rows("select partition_date from raw.customer_invoices limit 1")[0][0]


def test_another_mode_or_key_is_refused_until_it_is_applied_on_purpose(house: House) -> None:
    load(house, Privacy(), house.window(1, [invoice(1)]))
    with pytest.raises(SettingsError, match="softone pseudonymise"):
        load(house, PERSONS, house.window(2, [invoice(1)]))
    with house.warehouse.transaction() as connection:
        assert PERSONS.apply(connection, COMPANY) == (1, 0)
    load(house, PERSONS, house.window(2, [invoice(1)]))
    assert [version[:2] for version in house.versions(1)] == [("new", None)]
    with pytest.raises(SettingsError, match="SOFTONE_HASH_KEY"):
        load(house, Privacy("persons", SecretStr(KEY + "!"), WORDS), house.window(3, [invoice(1)]))


@pytest.mark.parametrize("key", [None, "Hemligt-7x"])
def test_pseudonyms_without_a_good_key_are_a_setting_error(monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    monkeypatch.setenv("SOFTONE_PSEUDONYMISE", "persons")
    if key:
        monkeypatch.setenv("SOFTONE_HASH_KEY", key)
    with pytest.raises(SettingsError, match="SOFTONE_HASH_KEY") as error:
        PipelineSettings.load()
    assert key is None or key not in str(error.value)
