"""softone verify, explain and reconcile on one loaded database: what they prove, and what they say when it does not hold."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from softone_pipeline.sandbox import DEFAULT, Company, Sandbox
from softone_pipeline.settings import STOCKHOLM, PipelineSettings
from softone_pipeline.tables.proof.explain import explain_balance
from softone_pipeline.tables.proof.ledger import parse_amount
from softone_pipeline.warehouse import open_published
from softone_pipeline_tests.cli.conftest import FIRST_DAY, LAST_DAY, Shell
from softone_pipeline_tests.orchestration.gate import Gate

RANGE = ("--from", str(FIRST_DAY), "--to", str(LAST_DAY))


@dataclass
class Loaded:
    """A sandbox and a folder that was loaded from it. `copy` gives a test a folder of its own to break."""

    company: Company
    sandbox: Sandbox
    shell: Shell

    def copy(self, folder: Path, *statements: str, **variables: str) -> Shell:
        target = folder / "data" / "softone.duckdb"
        target.parent.mkdir()
        shutil.copy(self.shell.folder / "data" / "softone.duckdb", target)
        target.chmod(0o600)
        with duckdb.connect(str(target)) as connection:
            for statement in statements:
                connection.execute(statement)
        return Shell(folder, self.shell.variables | variables)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    company = Company(first_day=FIRST_DAY, last_day=LAST_DAY, invoices_per_day=12)
    with Sandbox(company) as sandbox, pytest.MonkeyPatch.context() as environment:
        # What clean_environment does for a test comes too late for what a module shares.
        for name in [name for name in os.environ if name.startswith("SOFTONE_") or name == "DAGSTER_HOME"]:
            environment.delenv(name)
        quick = {"SOFTONE_RETRY_WAIT_SECONDS": "0.01", "SOFTONE_START_DATE": "2026-01-01"}
        shell = Shell(tmp_path_factory.mktemp("loaded"), DEFAULT.environment(sandbox.base_url) | quick)
        done = shell.run("backfill", *RANGE)
        assert done.returncode == 0, done.stderr
        yield Loaded(company, sandbox, shell)


def _json(shell: Shell, *arguments: str, status: int = 0) -> dict[str, Any]:
    done = shell.run(*arguments, "--json")
    assert done.returncode == status, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_copy_that_an_earlier_version_published_is_named_with_what_to_do(loaded: Loaded, tmp_path: Path) -> None:
    shell = loaded.copy(tmp_path, "drop table raw.forgotten")
    done = shell.run("verify", *RANGE)
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert "was published by an earlier version of softone-pipeline (Table with name forgotten does not exist" in said
    assert "Load any day again (softone backfill)" in said
    assert "Unexpected" not in said


@pytest.mark.parametrize("faults", [(), ("page-base-1", "page-cap:7")])
def test_every_day_is_certified_however_the_server_pages(loaded: Loaded, faults: tuple[str, ...]) -> None:
    file = loaded.shell.folder / "data" / "softone.duckdb"
    before = file.read_bytes()
    with Sandbox(loaded.company, faults=faults) as sandbox:
        shell = Shell(loaded.shell.folder, loaded.shell.variables | {"SOFTONE_BASE_URL": sandbox.base_url})
        found = _json(shell, "verify", *RANGE)
    invoices = [invoice for invoice in loaded.company.invoices() if invoice["InvoiceDate"]]
    assert found["is_whole"]
    assert sum(day["matched"] for day in found["days"]) == len(invoices)
    total = sum(int(Decimal(str(invoice["TotalAmount"])) * 100) for invoice in invoices)
    assert {sum(day[side] for day in found["days"]) for side in ("total_here_oere", "total_there_oere")} == {total}
    assert all(day["digest_here"] == day["digest_there"] for day in found["days"])
    assert file.read_bytes() == before


def test_what_was_deleted_or_altered_here_is_found_by_name(loaded: Loaded, tmp_path: Path) -> None:
    lost, altered = (invoice["InvoiceId"] for invoice in loaded.company.invoices()[5:7])
    shell = loaded.copy(
        tmp_path,
        f"delete from raw.customer_invoices where invoice_id = {lost}",
        f"update raw.customer_invoices set payload_hash = 'altered' where invoice_id = {altered}",
    )
    found = _json(shell, "verify", *RANGE, status=1)
    findings = {f["invoice_id"]: (f["kind"], f["says"]) for day in found["days"] for f in day["findings"]}
    assert findings.keys() == {lost, altered}
    assert findings[lost][0] == "not_here"
    assert findings[altered][0] == "changed"
    assert "altered here" in findings[altered][1]
    said = shell.run("verify", *RANGE)
    assert f"not_here: invoice {lost}" in said.stderr


def test_what_happened_in_the_erp_since_is_told_apart_by_asking_for_it_by_id(loaded: Loaded) -> None:
    company = Company(first_day=FIRST_DAY, last_day=LAST_DAY, invoices_per_day=12)
    gone, moved, changed = company.invoices()[10:13]
    company.remove(gone["InvoiceId"])
    company.put(moved | {"InvoiceDate": f"{LAST_DAY}T00:00:00"})
    company.put(changed | {"CustomerName": "Ett annat namn"})
    with Sandbox(company) as sandbox:
        shell = Shell(loaded.shell.folder, loaded.shell.variables | {"SOFTONE_BASE_URL": sandbox.base_url})
        found = _json(shell, "verify", *RANGE, status=1)
    kinds = {(f["invoice_id"], f["kind"]) for day in found["days"] for f in day["findings"]}
    assert kinds == {
        (gone["InvoiceId"], "not_there"), (moved["InvoiceId"], "moved"), (changed["InvoiceId"], "changed"),
    }  # fmt: skip


def test_an_invoice_that_cannot_be_asked_for_by_id_costs_its_day_and_no_other(loaded: Loaded) -> None:
    company = Company(first_day=FIRST_DAY, last_day=LAST_DAY, invoices_per_day=12)
    gone, changed = company.invoices()[10], company.invoices()[30]
    company.remove(gone["InvoiceId"])
    company.put(changed | {"CustomerName": "Ett annat namn"})
    with Sandbox(company) as sandbox, Gate(sandbox.base_url) as gate:
        gate.ids_are_broken = True
        shell = Shell(
            loaded.shell.folder,
            loaded.shell.variables | {"SOFTONE_BASE_URL": gate.url, "SOFTONE_MAX_ATTEMPTS": "2"},
        )
        found = _json(shell, "verify", *RANGE, status=1)
    findings = {f["invoice_id"]: f for day in found["days"] for f in day["findings"]}
    assert {number: finding["kind"] for number, finding in findings.items()} == {
        gone["InvoiceId"]: "not_there", changed["InvoiceId"]: "changed",
    }  # fmt: skip
    for number, finding in findings.items():
        assert f"Invoice {number} of company default could not be asked for: " in finding["says"]
    assert [day["is_whole"] for day in found["days"]].count(False) == 2
    assert all(day["failed"] is None and day["there"] is not None for day in found["days"])


def test_a_day_that_was_never_fetched_is_whole_only_where_the_erp_has_nothing_and_says_so(loaded: Loaded) -> None:
    before = ("--from", str(FIRST_DAY - dt.timedelta(days=3)), "--to", str(FIRST_DAY))
    done = loaded.shell.run("verify", *before)
    assert done.returncode == 0, done.stderr
    *empty, fetched = (line.split() for line in done.stdout.splitlines() if line.startswith(" 2026-"))
    assert len(empty) == 3
    assert all("never" in line and line[-3:] == ["nothing", "to", "fetch"] for line in empty)
    assert "never" not in fetched
    assert fetched[-1] == "yes"
    assert "4 of 4 days are whole, 3 of them never fetched: the ERP has nothing there that is not here." in done.stdout
    assert "never fetched" not in loaded.shell.run("verify", *RANGE).stdout
    # The same days, when the ERP does have something of one of them.
    company = Company(first_day=FIRST_DAY, last_day=LAST_DAY, invoices_per_day=12)
    company.put(
        company.invoices()[0] | {"InvoiceId": 4711, "InvoiceDate": f"{FIRST_DAY - dt.timedelta(days=2)}T00:00:00"}
    )
    with Sandbox(company) as sandbox:
        shell = Shell(loaded.shell.folder, loaded.shell.variables | {"SOFTONE_BASE_URL": sandbox.base_url})
        done = shell.run("verify", *before)
    assert done.returncode == 1
    assert "3 of 4 days are whole, 2 of them never fetched" in done.stdout
    assert "the day has never been fetched: softone backfill loads it" in " ".join(done.stderr.split())


@pytest.mark.parametrize("zone", ["Europe/Stockholm", "America/New_York", "Asia/Tokyo"])
def test_every_moment_is_told_by_the_clock_in_sweden(loaded: Loaded, tmp_path: Path, zone: str) -> None:
    changed = loaded.company.invoices()[12]["InvoiceId"]
    shell = loaded.copy(
        tmp_path,
        "update raw.fetched_days set fetched_at = timestamptz '2026-03-04 23:30:00+00'",
        "update raw.customer_invoices set fetched_at = timestamptz '2026-03-04 23:30:00+00'",
        "update raw.payment_status set as_of = timestamptz '2026-07-04 22:15:00+00'",
        f"update raw.customer_invoices set payload_hash = 'altered' where invoice_id = {changed}",
        TZ=zone,
    )
    before = dt.datetime.now(STOCKHOLM).replace(second=0, microsecond=0, tzinfo=None)
    verified = shell.run("verify", *RANGE)
    lines = [line for line in verified.stdout.splitlines() if line.startswith(" 2026-")]
    assert len(lines) == 14
    for line in lines:
        fetched, moment = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d", line)
        assert fetched == "2026-03-05 00:30"
        assert before <= dt.datetime.fromisoformat(moment) <= before + dt.timedelta(minutes=5)
    assert "fetched 2026-03-05 00:30" in verified.stderr
    explained = shell.run("explain", "invoice", "99233").stdout
    assert "said 2026-07-05 00:15" in explained
    assert "Version of 2026-03-05 00:30" in explained


def test_pseudonyms_are_compared_with_pseudonyms_and_another_setting_is_refused(loaded: Loaded, tmp_path: Path) -> None:
    hidden = {"SOFTONE_PSEUDONYMISE": "all", "SOFTONE_HASH_KEY": "en nyckel som är lång nog för ett prov"}
    days = ("--from", "2026-02-23", "--to", "2026-02-24")
    shell = Shell(tmp_path, loaded.shell.variables | hidden)
    assert shell.run("backfill", *days).returncode == 0
    assert _json(shell, "verify", *days)["is_whole"]
    done = Shell(tmp_path, loaded.shell.variables).run("verify", *days)
    assert done.returncode == 2
    assert "SOFTONE_PSEUDONYMISE" in done.stderr


def test_a_day_that_cannot_be_read_shows_what_is_here_and_certifies_nothing(loaded: Loaded) -> None:
    with Sandbox(loaded.company, faults=["null:rate=1"], faults_in_a_row=None) as sandbox:
        changed = {"SOFTONE_BASE_URL": sandbox.base_url, "SOFTONE_MAX_ATTEMPTS": "2"}
        shell = Shell(loaded.shell.folder, loaded.shell.variables | changed)
        done = shell.run("verify", *RANGE)
        found = _json(shell, "verify", *RANGE, status=1)
    assert done.returncode == 1
    assert "0 of 14 days are whole" in done.stdout
    assert "could not be verified" in done.stderr
    assert "never" not in done.stdout
    good = _json(loaded.shell, "verify", *RANGE)
    for day, same in zip(found["days"], good["days"], strict=True):
        ours = ("day", "here", "total_here_oere", "digest_here", "fetched_at")
        assert [day[name] for name in ours] == [same[name] for name in ours]
        theirs = day.keys() - {*ours, "is_whole", "failed", "findings"}
        assert {day[name] for name in theirs} == {None}, day
        (line,) = (line.split() for line in done.stdout.splitlines() if line.startswith(f" {day['day']}"))
        assert line[1] == str(day["here"])
        assert line[2:9] == ["—"] * 7


@pytest.mark.parametrize(
    "command",
    [
        ("verify", *RANGE),
        ("explain", "vat", "2026-02", "25"),
        ("explain", "balance", "1"),
        ("explain", "invoice", "1"),
        ("reconcile", "--period", "2026-02", "--vat-25", "1"),
    ],
)
def test_without_a_database_the_next_step_is_said(loaded: Loaded, tmp_path: Path, command: tuple[str, ...]) -> None:
    done = Shell(tmp_path, loaded.shell.variables).run(*command)
    assert done.returncode == 1
    assert "softone backfill --from" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_vat_cell_and_every_balance_is_explained_to_the_oere(loaded: Loaded) -> None:
    for month in ("2026-02", "2026-03"):
        found = _json(loaded.shell, "explain", "vat", month)
        assert found["holds"]
        said = loaded.shell.query(
            "select sum(net_amount)::varchar, sum(vat_amount)::varchar from mart.vat_summary "
            f"where status_class = 'counted' and period_month = '{month}-01'"
        )
        assert said == [(found["facts"]["payload_net"], found["facts"]["payload_vat"])]
    customers = loaded.shell.query("select distinct coalesce(customer_nr, '') from mart.customer_balance")
    assert len(customers) > 50
    with open_published(loaded.shell.folder / "data" / "softone.duckdb") as connection:
        for (customer,) in customers:
            balance = explain_balance(connection, PipelineSettings(), customer_nr=customer)
            assert balance.holds, (customer, balance.residuals)
    assert loaded.shell.run("explain", "balance", "11357").returncode == 0


def test_amounts_of_ten_million_and_sums_past_eighteen_digits_are_reported_and_proved(tmp_path: Path) -> None:
    most = Decimal("9999999999999999.99")
    company = Company(first_day=FIRST_DAY, last_day=LAST_DAY, invoices_per_day=2)
    plain = company.invoices()[0] | {"InvoiceRows": [], "BillingType": 1, "OriginStatus": 3}
    for number, currency, total, vat in (
        (801, "SEK", Decimal("12500000.00"), Decimal("2500000.00")),
        (802, "EUR", most, Decimal("1999999999999999.99")),
        (803, "NOK", most, Decimal("0.00")),
    ):
        sums = dict.fromkeys(("TotalAmount", "TotalAmountCurrency"), total)
        vats = dict.fromkeys(("VATAmount", "VATAmountCurrency"), vat)
        named = {"InvoiceId": number, "InvoiceNr": str(number), "CustomerNr": "11357", "Currency": currency}
        company.put(plain | named | sums | vats, paid=Decimal("5000000.00"))
    month = ("reconcile", "--period", f"{FIRST_DAY:%Y-%m}")
    with Sandbox(company) as sandbox:
        shell = Shell(tmp_path, DEFAULT.environment(sandbox.base_url) | {"SOFTONE_START_DATE": str(FIRST_DAY)})
        done = shell.run("backfill", *RANGE)
        assert done.returncode == 0, done.stderr
        for command in (
            ("explain", "balance", "11357"),
            ("explain", "vat", f"{FIRST_DAY:%Y-%m}"),
            ("explain", "invoice", "802"),
            ("verify", *RANGE),
        ):
            done = shell.run(*command)
            assert done.returncode == 0, done.stderr
        ledger = tmp_path / "ledger.csv"
        ledger.write_text("fakturanr;belopp\n802;1,00\n", encoding="utf-8")
        found = _json(shell, *month, "--receivables", "1", "--invoices", str(ledger), status=1)
    assert {i["invoice_nr"]: i["ours"] for i in found["invoices"]}["802"] == str(most)
    ours = next(position["ours"] for position in found["positions"] if position["name"] == "receivables")
    assert Decimal(ours) > 2 * most


def test_a_large_cell_lists_the_largest_and_sums_the_rest_and_says_how_to_go_on(loaded: Loaded) -> None:
    done = loaded.shell.run("explain", "vat", "2026-02", "25", "--largest", "3")
    assert done.returncode == 0, done.stderr
    assert " others" in done.stdout
    next_step = done.stdout.split("Go on with: softone ")[1].splitlines()[0].split()
    invoice = loaded.shell.run(*next_step)
    assert invoice.returncode == 0, invoice.stderr
    assert '"TotalAmount": ' in invoice.stdout
    assert "Residual 0,00" in invoice.stdout
    everything = loaded.shell.run("explain", "vat", "2026-02", "25", "--all").stdout
    assert " others" not in everything
    assert len(everything.splitlines()) > len(done.stdout.splitlines()) + 50


def test_the_documents_own_invoice_is_explained_down_to_its_payload(loaded: Loaded) -> None:
    found = _json(loaded.shell, "explain", "invoice", "99233")
    lines = {part["vat_class"]: (part["net_amount"], part["vat_amount"]) for part in found["parts"]}
    assert lines == {"25": ("502.06", "125.52"), "rounding": ("0.42", "0.00")}
    assert found["facts"]["payload"] == loaded.company.payload(loaded.company.example_invoice(), accounts=True)
    assert found["holds"]


def test_a_payment_without_an_amount_is_one_that_the_erp_has_not_said(loaded: Loaded, tmp_path: Path) -> None:
    shell = loaded.copy(tmp_path, "update raw.payment_status set paid_amount = null, total_amount = null")
    assert "Payment: the ERP has not said." in shell.run("explain", "invoice", "99233").stdout
    assert " paid of " in loaded.shell.run("explain", "invoice", "99233").stdout


@pytest.mark.parametrize(
    "broken",
    [
        "update mart.vat_summary set vat_amount = vat_amount + 0.01 where vat_class = '25' and status_class = 'counted'",
        "update core.invoice_rows set net_amount = net_amount - 1 where invoice_id = 12677557 and row_nr = 1",
        "delete from mart.vat_summary where vat_class = '25'",
    ],
)
def test_a_vat_figure_that_was_changed_by_hand_is_not_explained(loaded: Loaded, tmp_path: Path, broken: str) -> None:
    done = loaded.copy(tmp_path, broken).run("explain", "vat", "2026-02", "25")
    assert done.returncode == 1
    assert "NOT EXPLAINED" in done.stderr


@pytest.mark.parametrize(
    "broken",
    [
        "update core.invoices set total_amount = total_amount + 1 where invoice_id = 12677557",
        "update core.invoices set rounding_amount = 0 where invoice_id = 12677557; "
        "update core.invoice_rows set vat_amount = vat_amount + 0.42 where invoice_id = 12677557 and row_nr = 2",
        "delete from core.invoice_rows where invoice_id = 12677557 and row_nr = 3",
        "update raw.customer_invoices set payload = replace(payload::varchar, '628.00', '629.00') where invoice_id = 12677557",
    ],
)
def test_an_invoice_that_was_changed_by_hand_is_not_explained(loaded: Loaded, tmp_path: Path, broken: str) -> None:
    done = loaded.copy(tmp_path, broken).run("explain", "invoice", "12677557")
    assert done.returncode == 1
    assert "NOT EXPLAINED" in done.stderr


def test_a_balance_that_was_changed_by_hand_is_not_explained(loaded: Loaded, tmp_path: Path) -> None:
    shell = loaded.copy(
        tmp_path, "update mart.customer_balance set net_invoiced = net_invoiced + 1 where customer_nr = '11357'"
    )
    done = shell.run("explain", "balance", "11357")
    assert done.returncode == 1
    assert "net_invoiced: 1,00" in done.stderr


def test_a_number_that_several_invoices_have_is_asked_back_with_their_ids(loaded: Loaded, tmp_path: Path) -> None:
    twins = [invoice["InvoiceId"] for invoice in loaded.company.invoices()[:2]]
    shell = loaded.copy(
        tmp_path, f"update core.invoices set invoice_nr = '777' where invoice_id in ({twins[0]}, {twins[1]})"
    )
    done = shell.run("explain", "invoice", "777")
    assert done.returncode == 2
    assert all(str(twin) in done.stderr for twin in twins)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("invoice", "no-such"), 2, "No invoice"),
        (("balance", "no-such"), 2, "No number is like it; mart.customer_balance lists the numbers: softone export"),
        (("balance", "11375"), 2, "Numbers like it: 11357."),
        (("balance", "x11357"), 2, "Numbers like it: 11357."),
        (("vat", "2026-02", "24"), 2, "no VAT class"),
        (("vat", "february"), 2, "no month"),
        (("vat", "2026-01"), 1, "softone backfill --from 2026-01-01 --to 2026-01-31"),
    ],
)
def test_what_cannot_be_explained_is_said_with_what_to_do(
    loaded: Loaded, arguments: tuple[str, ...], status: int, said: str
) -> None:
    done = loaded.shell.run("explain", *arguments)
    assert done.returncode == status
    assert said in done.stderr


def _ours(shell: Shell) -> dict[str, Decimal]:
    found = shell.query(
        "select 'vat-' || vat_class, sum(vat_amount) from mart.vat_summary where status_class = 'counted' "
        "and period_month = '2026-02-01' and vat_class in ('25', '12', '6') group by all "
        "union all select 'receivables', sum(total_amount) from core.invoices "
        "where status_class = 'counted' and date_trunc('month', invoice_date) = '2026-02-01'"
    )
    return dict(found)


def _swedish(amount: Decimal) -> str:
    return f"{amount:,.2f}".replace(",", "\u00a0").replace(".", ",").replace("-", "\u2212")


def test_figures_that_tie_are_said_to_tie(loaded: Loaded) -> None:
    ours = _ours(loaded.shell)
    options = [part for name, amount in ours.items() for part in (f"--{name}", _swedish(amount))]
    ((still_open,),) = loaded.shell.query(
        "select sum(open_amount) from mart.receivables_as_known(null) where invoice_date <= '2026-02-28'"
    )
    options += ["--receivables-open", _swedish(still_open)]
    ours |= {"receivables-open": still_open}
    found = _json(loaded.shell, "reconcile", "--period", "2026-02", *options)
    assert found["ties"]
    assert {p["name"]: p["ours"] for p in found["positions"] if p["theirs"]} == {k: str(v) for k, v in ours.items()}


def test_a_difference_is_explained_by_the_invoice_and_the_kind_that_make_it(loaded: Loaded) -> None:
    ours = _ours(loaded.shell)
    ((preliminary,),) = loaded.shell.query(
        "select sum(total_amount) from core.invoices where status_class = 'preliminary' "
        "and date_trunc('month', invoice_date) = '2026-02-01'"
    )
    options = ("reconcile", "--period", "2026-02", "--receivables")
    found = _json(loaded.shell, *options, str(ours["receivables"] + preliminary), status=1)
    (position,) = (p for p in found["positions"] if p["name"] == "receivables")
    assert position["difference"] == str(preliminary)
    assert "preliminary" in position["together"]
    # The document's invoice left out of the ledger.
    found = _json(loaded.shell, *options, str(ours["receivables"] - 628), status=1)
    (position,) = (p for p in found["positions"] if p["name"] == "receivables")
    assert [(i["invoice_id"], i["how"]) for i in position["same_amount"] if i["invoice_id"] == 12677557] == [
        (12677557, "counted here, not in the ledger")
    ]
    said = loaded.shell.run(*options, str(ours["receivables"] - 628))
    assert said.returncode == 1
    assert "\u2212628,00" in said.stdout


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252"])
def test_a_ledgers_csv_is_read_as_ledgers_write_it(loaded: Loaded, tmp_path: Path, encoding: str) -> None:
    ours = _ours(loaded.shell)
    lines = [
        "konto;saldo",
        f"2611 Utgående moms 25 %;{_swedish(-ours['vat-25'])}",
        f"moms 12 %;{_swedish(ours['vat-12'])}",
        "3001 Försäljning;\u221299,00",
    ]
    file = tmp_path / "huvudbok.csv"
    file.write_text("\n".join(lines).replace("\u2212", "-"), encoding=encoding)
    found = _json(loaded.shell, "reconcile", "--period", "2026-02", "--totals", str(file))
    assert {p["name"]: p["difference"] for p in found["positions"] if p["theirs"]} == {
        "vat-25": "0.00",
        "vat-12": "0.00",
    }


def test_a_file_of_invoices_names_the_very_ones_that_differ(loaded: Loaded, tmp_path: Path) -> None:
    theirs = loaded.shell.query(
        "select invoice_nr, sum(total_amount) from core.invoices where status_class = 'counted' "
        "and date_trunc('month', invoice_date) = '2026-02-01' group by all order by all"
    )
    ledger = dict(theirs)
    del ledger["99233"]
    other = next(iter(ledger))
    ledger[other] += 5
    ledger["777777"] = Decimal("10.00")
    file = tmp_path / "fakturor.csv"
    file.write_text("fakturanr;belopp\n" + "".join(f"{n};{_swedish(a)}\n" for n, a in ledger.items()), encoding="utf-8")
    found = _json(loaded.shell, "reconcile", "--period", "2026-02", "--invoices", str(file), status=1)
    assert {(i["invoice_nr"], i["what"]) for i in found["invoices"]} == {
        ("99233", "not in the ledger's file"),
        (other, "another amount"),
        ("777777", "no invoice with this number here"),
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--period", "2026-02"), "at least one"),
        (("--period", "2026-02", "--receivables", "1,234"), "is no amount"),
        (("--period", "feb", "--receivables", "1"), "no month"),
        (("--period", "2026-02", "--receivables", "1", "--taken", "2026-02-30T10:00"), "is no date"),
        (("--period", "2026-02", "--totals", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_figures_that_cannot_be_read_are_refused(loaded: Loaded, arguments: tuple[str, ...], said: str) -> None:
    done = loaded.shell.run("reconcile", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1 234 567,89", "1234567.89"),
        ("1\u00a0234\u202f567,8 kr", "1234567.80"),
        ("\u22121.234,50", "-1234.50"),
        ("1,234.50", "1234.50"),
        ("12,00-", "-12.00"),
        ("-0", "0.00"),
    ],
)
def test_amounts_are_read_exactly_as_they_are_written(text: str, amount: str) -> None:
    assert parse_amount(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["1,234", "1.234.5", "12,345", "--1", "-1-", "", "tolv", "1 2,3,4", "NaN", "1e3"])
def test_amounts_that_could_mean_two_things_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no amount"):
        parse_amount(text)
