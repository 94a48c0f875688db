"""Runs in this process: what a range of days leaves in Dagster's history and in the tables, also when it goes wrong."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal

import dagster as dg
import pytest

from softone_pipeline.definitions import build_definitions
from softone_pipeline.orchestration.metadata import money
from softone_pipeline.orchestration.partitions import range_tags
from softone_pipeline.sandbox import Credentials
from softone_pipeline.settings import stockholm_today
from softone_pipeline.tables import TABLES
from softone_pipeline.tables.checks import CHECKS
from softone_pipeline_tests.orchestration.conftest import (
    BEHIND_RAW,
    DERIVED,
    FIRST_DAY,
    LAST_DAY,
    PAYMENTS,
    PUBLISHED,
    RAW,
    Plant,
    adds_up,
    days_between,
    known,
    truth,
)

BAD_DAY = dt.date(2025, 3, 28)
DAYS = days_between(FIRST_DAY, LAST_DAY)
ERROR = dg.AssetCheckSeverity.ERROR
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def refresh_job() -> dg.JobDefinition:
    """The job as the environment has it now, where Dagster can find it again."""
    return build_definitions().resolve_job_def("refresh")


def run_refresh(
    plant: Plant,
    first_day: dt.date = FIRST_DAY,
    last_day: dt.date = LAST_DAY,
    *,
    only: Sequence[dg.AssetKey] | None = None,
    again: str | None = None,
    all_steps: bool = False,
) -> dg.JobExecutionResult:
    """The job over a range in one run, as the schedule and the UI start it.

    `again` is the run that it goes on from, or does all anew with `all_steps`. The tag is what the UI gives it.
    """
    tags = {"dagster/is_resume_retry": "true"} if again and not all_steps else {}
    return dg.execute_job(
        dg.reconstructable(refresh_job),
        instance=plant.instance,
        tags=range_tags(first_day, last_day) | tags,
        run_config=QUIET,
        asset_selection=list(only) if only else None,
        reexecution_options=dg.ReexecutionOptions(parent_run_id=again) if again else None,
        raise_on_error=False,
    )


def failure_of(plant: Plant, run_id: str) -> str:
    """Everything that the events of a failed run say."""
    events = plant.instance.all_logs(run_id)
    return "\n".join(repr(event) for event in events)


def test_a_range_is_recorded_day_by_day_and_everything_behind_it_is_refreshed(plant: Plant) -> None:
    outcome = plant.load()
    assert outcome.succeeded
    assert outcome.days_standing == outcome.days_asked == len(DAYS)
    assert plant.materialized_days() == set(DAYS)
    for key in DERIVED:
        assert plant.instance.get_latest_materialization_event(key) is not None
    assert known(plant.settings.duckdb_path) == truth(plant.company)
    assert adds_up(plant.settings.duckdb_path)
    events = plant.instance.fetch_materializations(RAW, limit=100).records
    counted = {
        str(event.partition_key): event.asset_materialization.metadata["received"].value
        for event in events
        if event.asset_materialization
    }
    sent = [day.isoformat() for day, _, _ in truth(plant.company).values()]
    assert counted == {day.isoformat(): sent.count(day.isoformat()) for day in DAYS}


def test_the_whole_job_in_one_run_as_the_schedule_starts_it(plant: Plant) -> None:
    assert run_refresh(plant).success
    assert plant.materialized_days() == set(DAYS)
    for key in DERIVED:
        assert plant.instance.get_latest_materialization_event(key) is not None
    assert known(plant.settings.duckdb_path) == truth(plant.company)


def test_a_day_that_fails_leaves_the_others_standing_and_is_named(plant: Plant) -> None:
    plant.gate.broken.add(BAD_DAY)
    outcome = plant.load()
    assert not outcome.succeeded
    assert outcome.days_standing == len(DAYS) - 1
    assert plant.materialized_days() == set(DAYS) - {BAD_DAY}
    (failure,) = outcome.failures
    assert f"{len(DAYS) - 1} of {len(DAYS)} days stand" in failure
    assert "company Provbolaget" in failure
    assert BAD_DAY.isoformat() in failure
    assert "page 0" in failure
    assert "2025-03-29" not in failure
    assert known(plant.settings.duckdb_path) == truth(plant.company, without=[BAD_DAY])
    assert adds_up(plant.settings.duckdb_path)


def test_no_day_at_all_leaves_the_tables_as_they_were(plant: Plant) -> None:
    assert plant.load().succeeded
    before = plant.settings.duckdb_path.stat().st_mtime_ns
    plant.gate.broken.update(DAYS)
    outcome = plant.load()
    assert outcome.days_standing == 0
    assert len(outcome.run_ids) == 1
    assert plant.settings.duckdb_path.stat().st_mtime_ns == before


def test_a_day_that_failed_keeps_what_stood_before(plant: Plant) -> None:
    assert plant.load().succeeded
    stood = {invoice_id for invoice_id, (day, _, _) in truth(plant.company).items() if day == BAD_DAY}
    assert stood
    plant.gate.broken.add(BAD_DAY)
    for invoice_id in stood:
        plant.company.remove(invoice_id)
    assert not plant.load().succeeded
    assert stood <= known(plant.settings.duckdb_path).keys()


def test_a_run_that_repeats_a_failed_one_asks_only_for_the_days_that_are_missing(plant: Plant) -> None:
    plant.gate.broken.update({BAD_DAY, LAST_DAY})
    failed = run_refresh(plant)
    assert not failed.success
    assert plant.materialized_days() == set(DAYS) - {BAD_DAY, LAST_DAY}
    assert not plant.instance.get_latest_materialization_event(dg.AssetKey(["core", "invoices"]))

    plant.gate.broken.remove(BAD_DAY)
    plant.gate.asked.clear()
    again = run_refresh(plant, again=failed.run_id)
    assert not again.success
    assert set(plant.gate.asked) == {BAD_DAY, LAST_DAY}
    assert plant.materialized_days() == set(DAYS) - {LAST_DAY}

    # What the failed run's own parent landed stands as well.
    plant.gate.broken.clear()
    plant.gate.asked.clear()
    at_last = run_refresh(plant, again=again.run_id)
    assert at_last.success
    assert set(plant.gate.asked) == {LAST_DAY}
    assert plant.materialized_days() == set(DAYS)
    assert known(plant.settings.duckdb_path) == truth(plant.company)


def test_a_failed_run_that_is_told_to_do_everything_again_asks_for_every_day(plant: Plant) -> None:
    plant.gate.broken.add(BAD_DAY)
    failed = run_refresh(plant)
    invoice_id = min(truth(plant.company))
    plant.company.put(plant.company.invoice(invoice_id) | {"CustomerName": "Nytt Namn AB"})
    plant.gate.asked.clear()
    anew = run_refresh(plant, again=failed.run_id, all_steps=True)
    assert not anew.success
    assert set(plant.gate.asked) == set(DAYS)

    # What goes on from it does not go back beyond it.
    plant.gate.broken = {FIRST_DAY}
    anew = run_refresh(plant, again=anew.run_id, all_steps=True)
    plant.gate.broken.clear()
    plant.gate.asked.clear()
    assert run_refresh(plant, again=anew.run_id).success
    assert set(plant.gate.asked) == {FIRST_DAY}
    assert known(plant.settings.duckdb_path) == truth(plant.company)


def test_a_day_that_had_not_ended_is_asked_for_again_by_the_run_that_goes_on(open_plant: Callable[..., Plant]) -> None:
    today = stockholm_today()
    days = days_between(today - dt.timedelta(days=3), today)
    plant = open_plant(days[0], days[-1])
    plant.gate.broken.add(days[1])
    failed = run_refresh(plant, days[0], days[-1])
    plant.gate.broken.clear()
    plant.gate.asked.clear()
    assert run_refresh(plant, days[0], days[-1], again=failed.run_id).success
    assert set(plant.gate.asked) == {days[1], today}


def test_a_day_that_the_erp_never_gives_is_asked_for_eight_times_in_all(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plant.load().succeeded
    logins = len(plant.sandbox.requests("login"))
    plant.gate.asked.clear()
    monkeypatch.delenv("SOFTONE_MAX_ATTEMPTS")
    plant.gate.broken.add(BAD_DAY)
    assert not run_refresh(plant).success
    # Neither the step nor the run begins again: 8 is SOFTONE_MAX_ATTEMPTS. The others have their page, one
    # after it, and two looks at its end.
    asked = Counter(plant.gate.asked)
    assert asked.pop(BAD_DAY) == 8
    assert max(asked.values()) <= 4
    assert len(plant.sandbox.requests("login")) == logins + 1


def test_a_run_that_repeats_one_that_succeeded_asks_for_every_day(plant: Plant) -> None:
    done = run_refresh(plant)
    plant.gate.asked.clear()
    assert run_refresh(plant, again=done.run_id).success
    assert set(plant.gate.asked) == set(DAYS)


def test_a_refused_login_is_tried_once_and_says_what_the_server_says(open_plant: Callable[..., Plant]) -> None:
    plant = open_plant(shown=Credentials(password="not-the-password"))
    outcome = plant.load()
    assert outcome.days_standing == 0
    assert [record.endpoint for record in plant.sandbox.log] == ["login"]
    (failure,) = outcome.failures
    assert "Felaktigt användarnamn eller lösenord" in failure
    said = failure + failure_of(plant, outcome.run_ids[0])
    assert not [
        secret for secret in ("not-the-password", "sandbox-company-key", "sandbox-connect-key") if secret in said
    ]


def test_missing_settings_are_all_named_by_the_run_that_needs_them(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COMPANY_API_KEY", "CONNECT_API_KEY", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"SOFTONE_{name}")
    outcome = plant.load()
    (failure,) = outcome.failures
    for name in ("COMPANY_API_KEY", "CONNECT_API_KEY", "USERNAME", "PASSWORD"):
        assert f"SOFTONE_{name}" in failure
    assert plant.requests() == 0
    assert outcome.days_standing == 0


def test_invoices_that_cannot_be_typed_fail_their_check_and_nothing_else(plant: Plant) -> None:
    by_day = {day: invoice_id for invoice_id, (day, _, _) in truth(plant.company).items()}
    kinds = ("surplus-decimals", "wrong-type", "no-id")
    spoiled = [
        plant.company.spoil(invoice_id, kind)
        for kind, (_, invoice_id) in zip(kinds, sorted(by_day.items()), strict=False)
    ]
    outcome = plant.load()
    assert outcome.succeeded
    assert plant.materialized_days() == set(DAYS)
    (sentence,) = (said for said in outcome.failed_checks if said.startswith("raw/customer_invoices"))
    assert sentence.startswith("raw/customer_invoices: Invoices in quarantine: 3 (company Provbolaget)\n")
    for bad in spoiled:
        named = "(no readable id)" if bad.kind == "no-id" else bad.invoice_id
        assert re.search(re.escape(f"invoice {named} of {bad.day}: ") + rf"\S*{bad.field} ", sentence)
    # What cannot be typed is not among what is true in the company's own words either.
    assert known(plant.settings.duckdb_path) == truth(plant.company)
    assert not {bad.invoice_id for bad in spoiled} & truth(plant.company).keys()

    plant.company.mend()
    outcome = plant.load()
    assert not [said for said in outcome.failed_checks if "quarantine" in said]
    assert known(plant.settings.duckdb_path) == truth(plant.company)
    assert {bad.invoice_id for bad in spoiled} <= truth(plant.company).keys()


def evaluations(plant: Plant, run_ids: Sequence[str]) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    """The check results of these runs, by table and name."""
    found = {}
    for run_id in run_ids:
        for event in plant.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
            assert event.dagster_event is not None
            data = event.dagster_event.asset_check_evaluation_data
            found[data.asset_key.to_user_string(), data.check_name] = data
    return found


def test_every_check_of_every_table_is_evaluated_and_none_finds_a_wrong_number(plant: Plant) -> None:
    found = evaluations(plant, plant.load().run_ids)
    tables = {key.to_user_string() for key in (BEHIND_RAW | {RAW}) - PUBLISHED}
    assert tables <= {f"{table.schema}/{table.name}" for table in TABLES}
    assert found.keys() == {(table, check) for table in tables for check in ("not_null", "unique")} | {
        (f"{check.table.schema}/{check.table.name}", check.name) for check in CHECKS
    } | {(PAYMENTS.to_user_string(), "search_is_complete")}
    assert [name for name, data in found.items() if not data.passed and data.severity is ERROR] == []


def test_a_check_names_what_it_found_and_gives_the_query_that_shows_it(plant: Plant) -> None:
    invoice_id = min(truth(plant.company))
    plant.company.put(plant.company.invoice(invoice_id) | {"InvoiceNr": "K-7", "OriginStatus": 9})
    outcome = plant.load()
    assert outcome.succeeded
    data = evaluations(plant, outcome.run_ids)["core/invoices", "codes_are_known"]
    assert not data.passed
    assert data.severity is dg.AssetCheckSeverity.WARN
    assert f"invoice K-7 (id {invoice_id}) of {FIRST_DAY}: OriginStatus 9" in (data.description or "")
    rows = plant.published(f"select invoice_id from ({data.metadata['query'].value})")
    assert (invoice_id,) in rows
    assert data.metadata["findings"].value == len(rows)


BALANCES = "select distinct payment_basis, as_of from mart.customer_balance"


def test_payments_are_searched_for_with_every_load_and_the_balances_say_so(plant: Plant) -> None:
    assert plant.load().succeeded
    paid = dict(plant.published("select invoice_id, paid_amount from raw.payment_status where superseded_at is null"))
    assert paid == {number: plant.company.paid_amounts()[number] for number in paid}
    assert paid.keys() == truth(plant.company).keys()
    assert plant.published(BALANCES) == [("known", stockholm_today())]


@pytest.mark.parametrize("fault", ["search-missing", "search-forbidden"])
def test_a_company_without_search_loads_as_well_and_is_told_once(open_plant: Callable[..., Plant], fault: str) -> None:
    plant = open_plant(faults=[fault])
    outcome = plant.load()
    assert outcome.succeeded
    (sentence,) = (said for said in outcome.failed_checks if "ayments" in said)
    assert sentence.startswith("raw/payment_status: Payments cannot be asked for: ")
    assert plant.published(BALANCES) == [("unknown", stockholm_today())]
    assert known(plant.settings.duckdb_path) == truth(plant.company)


def test_a_search_that_fails_keeps_what_was_known_and_the_load_says_that_it_did(plant: Plant) -> None:
    assert plant.load().succeeded
    before = plant.published("select * from raw.payment_status order by invoice_id")
    plant.gate.search_is_broken = True
    invoice_id = min(truth(plant.company))
    plant.company.put(plant.company.invoice(invoice_id) | {"CustomerName": "Nytt Namn AB"})
    outcome = plant.load()
    (failure,) = outcome.failures
    assert failure.startswith("raw/payment_status: The search for payments failed: ")
    assert f"as of {stockholm_today()}" in failure
    assert "companyApiKey=***" in failure
    assert plant.published("select * from raw.payment_status order by invoice_id") == before
    assert plant.published(BALANCES) == [("known", stockholm_today())]
    # What follows from the invoices goes on all the same, and is published.
    assert known(plant.settings.duckdb_path) == truth(plant.company)
    plant.gate.search_is_broken = False
    assert plant.load().succeeded


# Which fetch wrote a row, and when, is what may differ.
CONTENT = {
    "core.invoices": "* exclude (fetched_at)",
    "core.invoice_rows": "*",
    "mart.vat_summary": "*",
    "mart.vat_return_draft": "*",
    "mart.customer_balance": "*",
}


def content(plant: Plant) -> dict[str, list[str]]:
    return {
        table: sorted(map(repr, plant.published(f"select {columns} from {table}")))
        for table, columns in CONTENT.items()
    }


def test_days_loaded_out_of_order_and_in_parts_end_where_one_load_ends(plant: Plant) -> None:
    assert plant.load().succeeded
    at_once = content(plant)
    plant.settings.warehouse_path.unlink()
    loaded: set[dt.date] = set()
    for first, last in [(5, 7), (0, 2), (1, 4)]:
        assert plant.load(DAYS[first], DAYS[last]).succeeded
        loaded |= set(DAYS[first : last + 1])
        assert known(plant.settings.duckdb_path) == truth(plant.company, without=set(DAYS) - loaded)
    assert content(plant) == at_once


def test_an_invoice_that_moved_is_counted_once_whichever_of_its_days_is_loaded(plant: Plant) -> None:
    assert plant.load().succeeded
    invoice_id = min(truth(plant.company))
    new_day = LAST_DAY
    invoice = plant.company.invoice(invoice_id)
    plant.company.put(invoice | {"InvoiceDate": f"{new_day}T00:00:00"})
    assert plant.load(new_day, new_day).succeeded
    assert known(plant.settings.duckdb_path) == truth(plant.company)
    # And back: now the day that it left is asked for first.
    plant.company.put(invoice)
    assert plant.load(new_day, new_day).succeeded
    assert known(plant.settings.duckdb_path) == truth(plant.company)


def test_the_same_range_again_writes_no_version_and_is_recorded_all_the_same(plant: Plant) -> None:
    assert plant.load().succeeded
    versions = "select invoice_id, fetched_at, superseded_at, run_id from raw.customer_invoices order by all"
    before = plant.published(versions)
    outcome = plant.load()
    assert outcome.succeeded
    assert plant.published(versions) == before
    events = plant.instance.fetch_materializations(RAW, limit=100).records
    again = {
        str(event.partition_key): event.asset_materialization.metadata["new"].value
        for event in events
        if event.run_id == outcome.run_ids[0] and event.asset_materialization
    }
    assert again == {day.isoformat(): 0 for day in DAYS}


@pytest.mark.parametrize("sunday", [dt.date(2025, 3, 30), dt.date(2024, 10, 27)], ids=["23 hours", "25 hours"])
def test_days_of_23_and_25_hours_are_days_like_any_other(open_plant: Callable[..., Plant], sunday: dt.date) -> None:
    days = days_between(sunday - dt.timedelta(days=1), sunday + dt.timedelta(days=1))
    plant = open_plant(days[0], days[-1], invoices_per_day=20)
    first = min(truth(plant.company))
    # In the hour that does not exist or comes twice.
    plant.company.put(plant.company.invoice(first) | {"InvoiceDate": f"{sunday}T02:30:00"})
    assert plant.load(days[0], days[-1]).succeeded
    assert plant.materialized_days() == set(days)
    assert set(plant.gate.asked) == set(days)
    assert known(plant.settings.duckdb_path) == truth(plant.company)


def test_what_a_run_cost_and_what_it_made_stand_in_its_metadata(plant: Plant) -> None:
    assert plant.load().succeeded

    def metadata(key: dg.AssetKey) -> dict[str, object]:
        event = plant.instance.get_latest_materialization_event(key)
        assert event is not None
        assert event.asset_materialization is not None
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}

    raw = metadata(RAW)
    assert raw["run_requests"] == len(plant.sandbox.requests("filter")) + 1
    assert raw["run_retries"] == 0
    assert isinstance(raw["run_bytes_received"], int)
    assert raw["run_bytes_received"] > 1000
    shown = str(metadata(dg.AssetKey(["mart", "vat_return_draft"]))["preview"])
    for record in plant.instance.fetch_materializations(RAW, limit=len(DAYS)).records:
        assert record.asset_materialization is not None
        of_day = {name: value.value for name, value in record.asset_materialization.metadata.items()}
        ((count, total),) = plant.published(
            f"""
            select count(*), coalesce(sum(total_amount), 0)::decimal(18, 2)
            from core.invoices where status_class = 'counted' and partition_date = date '{record.partition_key}'
            """
        )
        assert (of_day["counted"], of_day["invoiced"]) == (count, f"{total} SEK")
        assert of_day["invoiced_whole"] == int(total.to_integral_value(ROUND_HALF_UP))
    boxes = plant.published("select period_month, box, amount_kr, coverage from mart.vat_return_draft")
    assert boxes
    for month, box, amount, coverage in boxes:
        assert f"| {month} | {box} | {'' if amount is None else amount} | {coverage} |" in shown
    balance = metadata(dg.AssetKey(["mart", "customer_balance"]))
    assert "preview" not in balance
    ((invoiced, past_due, known_open),) = plant.published(
        "select sum(net_invoiced), sum(past_due_invoiced), sum(open_amount) from mart.customer_balance"
    )
    assert (balance["invoiced"], balance["past_due_invoiced"]) == (f"{invoiced} SEK", f"{past_due} SEK")
    assert balance["open"] == f"{known_open} SEK"
    core = metadata(dg.AssetKey(["core", "invoices"]))
    ((counted, total),) = plant.published(
        "select count(*), sum(total_amount) from core.invoices where status_class = 'counted'"
    )
    assert (core["counted"], core["invoiced"]) == (counted, f"{total} SEK")
    payments = metadata(dg.AssetKey(["raw", "payment_status"]))
    # One login for the search, as for the days.
    assert payments["run_requests"] == len(plant.sandbox.requests("search")) + 1
    assert payments["run_retries"] == 0


def test_an_amount_is_shown_exactly_and_plotted_in_whole_units() -> None:
    assert money("invoiced", Decimal("1234567890123456.50"), "SEK") == {
        "invoiced": "1234567890123456.50 SEK",
        "invoiced_whole": 1234567890123457,
    }
    assert money("credited", Decimal("-0.50"), "EUR") == {"credited": "-0.50 EUR", "credited_whole": -1}
    assert money("open", None, "SEK") == {}


def test_what_to_do_is_said_of_what_ended_the_load_and_not_of_a_day_that_failed_before(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softone_pipeline.tables.raw.loading._BATCH_DAYS", 2)
    monkeypatch.setenv("SOFTONE_MAX_CONNECTIONS", "1")
    plant.gate.broken = {FIRST_DAY}
    plant.gate.unauthorised = {LAST_DAY}
    (failure,) = plant.load().failures
    assert f"company Provbolaget, {FIRST_DAY}" in failure
    assert "To do: Check the keys, user name, password and licence" in failure
