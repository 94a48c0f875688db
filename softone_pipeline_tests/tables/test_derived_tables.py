"""core and mart: the worked examples of tables.md, and thousands of generated invoices against the oracle."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from softone_pipeline.errors import SumTooLargeError
from softone_pipeline.softone import ReceivedInvoice, Traffic, Window
from softone_pipeline.softone.dates import read_day
from softone_pipeline.tables import TABLES
from softone_pipeline.tables.core.refresh import refresh_core
from softone_pipeline.tables.raw.landing import land
from softone_pipeline.tables.raw.staging import Staged
from softone_pipeline.tables.raw.standing import DayStanding, standing
from softone_pipeline.tables.rebuild import rebuild_derived
from softone_pipeline.warehouse import Column, Table
from softone_pipeline_tests import oracle
from softone_pipeline_tests.invoices import EXAMPLE_DAY, EXAMPLE_ID, Number, example_invoice, invoice, row
from softone_pipeline_tests.oracle.comparing import VAT_KEY, differences, one_rounding_line
from softone_pipeline_tests.tables.conftest import House, at

D = Decimal


def _vat(house: House) -> dict[str, tuple[Decimal, Decimal]]:
    return {
        vat_class: (net, vat)
        for vat_class, net, vat in house.rows(
            "select vat_class, sum(net_amount), sum(vat_amount) from mart.vat_summary group by vat_class"
        )
    }


def _boxes(house: House) -> dict[str, int]:
    return dict(house.rows("select box, amount_kr from mart.vat_return_draft"))


def test_the_documents_example_invoice(house: House) -> None:
    house.land(house.window(1, [example_invoice()]))
    house.refresh()
    header = house.records("from core.invoices")[0]
    assert (header["invoice_id"], header["invoice_nr"], header["customer_name"]) == (
        EXAMPLE_ID,
        "99233",
        "Per Persson",
    )
    assert (header["price_basis"], header["rounding_amount"], header["net_amount"]) == (
        "net",
        D("0.42"),
        D("502.06"),
    )
    assert (header["billing_type_name"], header["status_class"], header["row_count"]) == (
        "debit",
        "counted",
        3,
    )
    rows = house.rows(
        "select row_nr, net_amount, vat_amount, vat_class, vat_status, discount_amount_currency "
        "from core.invoice_rows order by row_nr"
    )
    assert rows == [
        (1, D("310.40"), D("77.60"), "25", "exact", D("0.00")),
        (2, D("76.46"), D("19.12"), "25", "exact", D("8.50")),
        (3, D("115.20"), D("28.80"), "25", "exact", D("0.00")),
    ]
    assert _vat(house) == {"25": (D("502.06"), D("125.52")), "rounding": (D("0.42"), D("0.00"))}


@pytest.mark.parametrize("sent", ["negative", "positive"])
def test_a_credit_is_negative_however_it_was_sent(house: House, sent: str) -> None:
    sign = "-" if sent == "negative" else ""
    credit = invoice(
        1, total=f"{sign}96.00", vat=f"{sign}19.12", rows=[row(f"{sign}76.46", f"{sign}19.12")], BillingType=2
    )
    house.land(house.window(1, [credit]))
    house.refresh()
    assert house.rows("select total_amount, sign_normalised from core.invoices") == [(D("-96.00"), sent == "positive")]
    assert _vat(house) == {"25": (D("-76.46"), D("-19.12")), "rounding": (D("-0.42"), D("0.00"))}


def test_four_rates_on_one_invoice_and_its_boxes(house: House) -> None:
    rows = [row("1000.00", "250.00"), row("333.33", "40.00"), row("99.99", "6.00"), row("50.00", "0.00")]
    house.land(house.window(1, [invoice(1, total="1779.00", vat="296.00", rows=rows)]))
    house.refresh()
    assert house.rows("select rounding_amount from core.invoices") == [(D("-0.32"),)]
    assert _boxes(house) == {"05": 1433, "10": 250, "11": 40, "12": 6, "0-base": 50}


def test_an_invoice_without_rows_is_read_from_its_header(house: House) -> None:
    house.land(house.window(1, [invoice(1, total="158238.00", vat="31647.50", rows=[])]))
    house.refresh()
    assert house.rows("select vat_class, rate_source, net_amount, vat_amount from mart.vat_summary") == [
        ("25", "header", D("126590.50"), D("31647.50"))
    ]


def test_every_select_gives_the_declared_columns_and_types(house: House) -> None:
    with house.warehouse.connect() as connection:
        for table in TABLES:
            if table.select is None:
                continue
            found = {name: type_ for name, type_, *_ in connection.execute(f"describe {table.select}").fetchall()}
            declared = {column.name: column.type for column in table.columns}
            assert {
                name: type_.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ") for name, type_ in found.items()
            } == declared


def test_a_refresh_after_nothing_happened_derives_nothing(house: House) -> None:
    house.land(house.window(1, [invoice(1), invoice(2)]))
    with house.warehouse.transaction() as connection:
        assert refresh_core(connection, house.settings).invoices_refreshed == 2
    with house.warehouse.transaction() as connection:
        assert refresh_core(connection, house.settings).invoices_refreshed == 0
    house.land(house.window(2, [invoice(1), invoice(2, CustomerName="Å")]))
    with house.warehouse.transaction() as connection:
        assert refresh_core(connection, house.settings).invoices_refreshed == 1


def test_a_missing_invoice_stays_in_core_and_is_not_counted(house: House) -> None:
    house.land(house.window(1, [invoice(1), invoice(2)]))
    house.refresh()
    house.land(house.window(2, [invoice(2)]))
    house.refresh()
    assert house.rows("select invoice_id, status_class from core.invoices order by 1") == [
        (1, "missing"),
        (2, "counted"),
    ]
    assert house.rows("select distinct status_class from core.invoice_rows order by 1") == [
        ("counted",),
        ("missing",),
    ]
    assert house.rows("select sum(net_invoiced) from mart.customer_balance") == [(D("125.00"),)]


def test_two_companies_share_a_database_without_mixing(house: House) -> None:
    house.land(house.window(1, [invoice(1)]))
    other = house.settings.model_copy(update={"company": "other"})
    _land_for(house, "other", [invoice(1, CustomerName="B"), invoice(2)])
    for settings in (house.settings, other, house.settings):
        with house.warehouse.transaction() as connection:
            refresh_core(connection, settings)
    found = house.rows("select company, invoice_id, customer_name from core.invoices order by all")
    assert found == [("default", 1, "Per Persson"), ("other", 1, "B"), ("other", 2, "Per Persson")]


def test_companies_in_one_database_keep_each_their_own_vat_rates(house: House) -> None:
    # 1,240.00 without rows: 24 % of 1,000.00 is a rate in Finland, and in Sweden none
    finnish: dict[str, Any] = {
        "TotalAmount": 1240,
        "TotalAmountCurrency": 1240,
        "VATAmount": 240,
        "VATAmountCurrency": 240,
    }
    swedish: dict[str, Any] = {
        "TotalAmount": 1250,
        "TotalAmountCurrency": 1250,
        "VATAmount": 250,
        "VATAmountCurrency": 250,
    }
    house.land(house.window(1, [invoice(1, **swedish, InvoiceRows=[])]))
    _land_for(house, "oy", [invoice(1, **finnish, InvoiceRows=[])])
    oy = house.settings.model_copy(update={"company": "oy", "vat_rates": (D(24), D("13.5"), D(10))})
    for settings in (house.settings, oy, house.settings):
        with house.warehouse.transaction() as connection:
            rebuild_derived(connection, settings)
    assert house.rows("select company, vat_class, net_amount, vat_amount from mart.vat_summary order by company") == [
        ("default", "25", D(1000), D(250)),
        ("oy", "24", D(1000), D(240)),
    ]


def test_after_an_upgrade_every_company_in_the_database_is_derived_again_with_its_own_settings(house: House) -> None:
    house.land(house.window(1, [invoice(1)]))
    _land_for(house, "oy", [invoice(1), invoice(2)])
    oy = house.settings.model_copy(update={"company": "oy", "accounting_currency": "EUR", "vat_rates": (D(24), D(25))})
    for settings in (oy, house.settings):
        with house.warehouse.transaction() as connection:
            refresh_core(connection, settings)
    built = house.rows("select * exclude (built_at) from core.build_state order by company")
    before = house.rows("from core.invoices order by all"), house.rows("from core.invoice_rows order by all")
    with house.warehouse.connect() as connection:
        connection.execute("alter table core.invoices drop column net_amount")
        connection.execute("update core.build_state set sql_digest = 'of the version before'")
        connection.execute("update raw.warehouse_version set declarations = 'of the version before'")
    with house.warehouse.transaction() as connection:
        assert connection.execute("select count(*) from core.invoices").fetchone() == (0,)
        assert refresh_core(connection, house.settings).invoices_refreshed == 3
    assert (house.rows("from core.invoices order by all"), house.rows("from core.invoice_rows order by all")) == before
    assert house.rows("select * exclude (built_at) from core.build_state order by company") == built
    for settings in (oy, house.settings):
        with house.warehouse.transaction() as connection:
            assert refresh_core(connection, settings).invoices_refreshed == 0


def _land_for(house: House, company: str, wires: list[dict[str, Any]]) -> None:
    with house.warehouse.transaction() as connection:
        land(connection, company=company, run_id="r", staged=Staged([house.window(1, wires)]))


def _land_all(house: House, texts: Iterable[str]) -> None:
    by_day: dict[dt.date | None, list[ReceivedInvoice]] = defaultdict(list)
    for text in texts:
        wire = json.loads(text)
        date = wire.get("InvoiceDate")
        read = None if date is None else read_day(date)
        day = None if read is None else read.stockholm
        by_day[day].append(ReceivedInvoice(text.encode(), wire["InvoiceId"], day))
    windows = []
    for number, (day, found) in enumerate(by_day.items()):
        window_day = day or EXAMPLE_DAY
        windows.append(Window(window_day, window_day, at(number / 100), True, tuple(found), Traffic()))
    house.land(*windows)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_thousands_of_generated_invoices_agree_with_the_oracle(house: House, seed: int) -> None:
    rng = random.Random(seed)
    wires = [oracle.random_invoice(rng, number) for number in range(1, 1501)]
    _land_all(house, [oracle.to_json(wire) for wire in wires])
    house.refresh()
    assert house.rows("select count(*) from raw.quarantine") == [(0,)]
    invoices, rows = oracle.core(wires)
    found_rows = house.records("from core.invoice_rows")
    for found in found_rows:
        found["accounts"] = None if found["accounts"] is None else json.loads(found["accounts"], parse_float=Decimal)
        # The oracle leaves the status of an ordinary row without VAT open.
        if found["vat_status"] == "zero":
            found["vat_status"] = None
    assert differences(invoices, house.records("from core.invoices"), ("invoice_id",)) == []
    assert differences(rows, found_rows, ("invoice_id", "row_nr")) == []
    summary = oracle.vat_summary(invoices, rows)
    assert differences(one_rounding_line(summary), house.records("from mart.vat_summary"), VAT_KEY) == []
    boxes = [line for line in oracle.vat_return_draft(invoices, rows) if line["period_month"] is not None]
    assert differences(boxes, house.records("from mart.vat_return_draft"), ("period_month", "box")) == []
    balance = oracle.customer_balance(invoices, as_of=dt.date(2026, 3, 1), paid=None)
    found_balance = house.records("from mart.customer_balance")
    as_of = {line["as_of"] for line in found_balance}
    assert len(as_of) == 1
    balance = oracle.customer_balance(invoices, as_of=as_of.pop(), paid=None)
    assert differences(balance, found_balance, ("customer_nr", "currency")) == []
    # What raw says of each day before core is derived.
    counted: dict[dt.date, list[Decimal]] = defaultdict(list)
    for found in invoices:
        if found["status_class"] == "counted" and found["partition_date"] is not None:
            counted[found["partition_date"]].append(found["total_amount"])
    with house.warehouse.connect() as connection:
        stands = standing(connection, house.settings.company, [*counted, dt.date(1999, 1, 1)])
    assert stands.pop(dt.date(1999, 1, 1)) == DayStanding(0, Decimal("0.00"))
    assert stands == {day: DayStanding(len(totals), sum(totals, Decimal())) for day, totals in counted.items()}


@pytest.mark.parametrize("seed", [4, 5])
def test_every_invoice_adds_up_to_its_total_exactly_in_both_currencies(house: House, seed: int) -> None:
    rng = random.Random(seed)
    wires = [oracle.random_invoice(rng, number) for number in range(1, 801)]
    # one currency each, so that every line of the summary is one invoice's
    for wire in wires:
        wire["Currency"] = f"X{wire['InvoiceId']}"
    _land_all(house, [oracle.to_json(wire) for wire in wires])
    house.refresh()
    off = house.rows(
        """
        select invoices.invoice_id
        from core.invoices as invoices
        left join (
            select
                currency,
                sum(net_amount + vat_amount) as total,
                sum(net_amount_currency + vat_amount_currency) as total_currency
            from mart.vat_summary group by currency
        ) as summary using (currency)
        where coalesce(summary.total, 0) <> invoices.total_amount
            or coalesce(summary.total_currency, 0) <> invoices.total_amount_currency
        """
    )
    assert off == []
    assert house.rows("select count(*) from core.invoices") == [(800,)]


# --- settings, and cases at the edge of tables.md


def _with(house: House, **settings: Any) -> House:
    return House(house.warehouse, house.settings.model_copy(update=settings))


def _kinds(house: House) -> list[str]:
    return [kind for (kind,) in house.rows("select row_kind from core.invoice_rows order by row_nr")]


def _with_deduction(text: str | None, product: str | None = None) -> dict[str, Any]:
    rows = [row("1000.00", "250.00"), row("-300.00", "0.00", Text=text, ProductNr=product)]
    return invoice(1, total="950.00", vat="250.00", rows=rows)


@pytest.mark.parametrize(
    ("words", "text", "kind"),
    [
        (("c++ (avdrag)",), "Enligt C++ (Avdrag), 30 %", "tax_reduction"),
        (("a.c",), "abc", "item"),
        (("rot|rut",), "rot", "item"),
        (("[",), "30 %", "item"),
        ((), "Rotavdrag rot", "item"),
        (("go\u0308r det",), "GÖR  det", "tax_reduction"),
        (("grön teknik",), "gro\u0308n\u00a0teknik", "tax_reduction"),
    ],
)
def test_words_of_the_users_own_are_words_and_no_patterns(
    house: House, words: tuple[str, ...], text: str, kind: str
) -> None:
    house = _with(house, tax_reduction_words=words)
    house.land(house.window(1, [_with_deduction(text)]))
    house.refresh()
    assert _kinds(house) == ["item", kind]


def test_a_word_of_two_parts_is_not_found_across_text_and_article(house: House) -> None:
    house.land(house.window(1, [_with_deduction("Avdrag grön", "teknik")]))
    house.refresh()
    assert _kinds(house) == ["item", "item"]


def test_rows_whose_vat_cancels_have_vat_all_the_same(house: House) -> None:
    rows = [row("100.00", "25.00"), row("-100.00", "-25.00"), row("-30.00", "0.00", Text="ROT-avdrag")]
    house.land(house.window(1, [invoice(1, total="-30.00", vat="0.00", rows=rows)]))
    house.refresh()
    assert _kinds(house) == ["item", "item", "tax_reduction"]


def test_a_rate_that_the_return_has_no_box_for_is_in_the_summary_and_makes_the_return_partial(house: House) -> None:
    house = _with(house, vat_rates=(D("25.5"), D("25"), D("10")))
    rows = [row("100.00", "25.50"), row("100.00", "25.00"), row("100.00", "10.00")]
    house.land(house.window(1, [invoice(1, total="360.50", vat="60.50", rows=rows)]))
    house.refresh()
    assert _vat(house) == {
        "25.5": (D("100.00"), D("25.50")),
        "25": (D("100.00"), D("25.00")),
        "10": (D("100.00"), D("10.00")),
    }
    assert _boxes(house) == {"05": 100, "10": 25, "11": 0, "12": 0, "0-base": 0}
    assert house.rows("select distinct coverage from mart.vat_return_draft") == [("partial",)]
    assert "net 200.00 and VAT 35.50" in house.rows("select note from mart.vat_return_draft limit 1")[0][0]


def _at_18_percent(number: int, sign: str = "", **fields: Any) -> dict[str, Any]:
    rows = [row(f"{sign}1000.00", f"{sign}180.00")]
    return invoice(number, total=f"{sign}1180.00", vat=f"{sign}180.00", rows=rows, **fields)


_TWICE_AT_18_PERCENT = (
    "net 2000.00 and VAT 360.00, signs left aside, of 2 invoices whose rate is not known or has no box."
)
_LEFT_OUT = {
    "an unknown type": (
        [invoice(2, BillingType=None)],
        "VAT 25.00, signs left aside, of 1 invoice of billing type unknown.",
    ),
    "interest with VAT": (
        [invoice(2, BillingType=3)],
        "VAT 25.00, signs left aside, of 1 invoice of billing type interest.",
    ),
    "a reminder with VAT in its rows alone": (
        [invoice(2, BillingType=4, total="100.00", vat="0.00")],
        "VAT 25.00, signs left aside, of 1 invoice of billing type reminder.",
    ),
    "an unknown status": (
        [invoice(2, OriginStatus=9), invoice(3, OriginStatus=None, BillingType=None)],
        "VAT 50.00, signs left aside, of 2 invoices of unknown status.",
    ),
    "quarantine": (
        [invoice(2, TotalAmount="many"), "[]"],
        "2 invoices in quarantine, but for an earlier version where there is one.",
    ),
    "unreconciled ones that cancel": (
        [invoice(2, total="225.00"), invoice(3, total="25.00")],
        "net 200.00 and VAT 0.00, signs left aside, of 2 invoices whose header says more or less than the rows.",
    ),
    "rows of unknown class that cancel": ([_at_18_percent(2), _at_18_percent(3, "-")], _TWICE_AT_18_PERCENT),
    "a credit that cancels them": ([_at_18_percent(2), _at_18_percent(3, "-", BillingType=2)], _TWICE_AT_18_PERCENT),
    "headers without rows that cancel": (
        [_at_18_percent(2, InvoiceRows=[]), _at_18_percent(3, "-", InvoiceRows=[])],
        _TWICE_AT_18_PERCENT,
    ),
    "a row without amounts": (
        [invoice(2, rows=[row("100.00", "25.00"), row(None, None)])],
        "net 0.00 and VAT 0.00, signs left aside, of 1 invoice whose rate is not known or has no box.",
    ),
    "several kinds": (
        [invoice(2, BillingType=3), invoice(3, OriginStatus=9), "[]"],
        "1 invoice in quarantine, but for an earlier version where there is one."
        " Not in any box: VAT 25.00, signs left aside, of 1 invoice of billing type interest."
        " Not in any box: VAT 25.00, signs left aside, of 1 invoice of unknown status.",
    ),
}


@pytest.mark.parametrize(("wires", "said"), _LEFT_OUT.values(), ids=_LEFT_OUT)
def test_what_no_box_takes_makes_its_month_partial_and_is_told(
    house: House, wires: list[dict[str, Any] | str], said: str
) -> None:
    march = dt.date(2026, 3, 2)
    house.land(house.window(1, [invoice(1), *wires]), house.window(1, [invoice(9, day=march)], day=march))
    _land_for(house, "other", [invoice(1)])
    house.refresh()
    with house.warehouse.transaction() as connection:
        rebuild_derived(connection, house.settings.model_copy(update={"company": "other"}))
    always = "Draft by invoice date (faktureringsmetoden), from customer invoices only."
    assert house.rows(
        "select distinct company, period_month, coverage, note from mart.vat_return_draft "
        "where box <> '0-base' order by all"
    ) == [
        ("default", EXAMPLE_DAY.replace(day=1), "partial", f"{always} Not in any box: {said}"),
        ("default", march.replace(day=1), "derived", always),
        ("other", EXAMPLE_DAY.replace(day=1), "derived", always),
    ]


def test_what_belongs_in_no_box_leaves_the_month_derived(house: House) -> None:
    free: dict[str, Any] = {"total": "100.00", "vat": "0.00", "rows": [row("100.00", "0.00")]}
    undated = _at_18_percent(7, InvoiceDate=None, BillingType=None)
    house.land(house.window(1, [undated, invoice(8)]))
    wires = [
        invoice(1),
        invoice(2, BillingType=3, **free),
        invoice(3, BillingType=4, **free),
        invoice(4, OriginStatus=1),
        invoice(5, OriginStatus=4),
        invoice(6, OriginStatus=9, **free),
    ]
    house.land(house.window(2, wires))
    house.refresh()
    assert house.rows("select status_class from core.invoices where invoice_id = 8") == [("missing",)]
    assert house.rows("select distinct coverage from mart.vat_return_draft where box <> '0-base'") == [("derived",)]


def test_a_return_in_another_currency_than_kronor_is_partial_and_says_so(house: House) -> None:
    euros = house.settings.model_copy(update={"company": "oy", "accounting_currency": "EUR"})
    house.land(house.window(1, [invoice(1)]))
    _land_for(house, "oy", [invoice(1, Currency="EUR")])
    for settings in (house.settings, euros, house.settings):
        with house.warehouse.transaction() as connection:
            rebuild_derived(connection, settings)
    said = "Amounts are in EUR, the return is filed in SEK."
    found = house.rows("select company, coverage, contains(note, ?) from mart.vat_return_draft where box = '05'", said)
    assert sorted(found) == [("default", "derived", False), ("oy", "partial", True)]


def test_amounts_of_eighteen_digits_are_added_exactly(house: House) -> None:
    unpriced = {"UnitPrice": None, "UnitPriceCurrency": None}
    rows = [row("7999999999999999.99", "1999999999999999.99", **unpriced)]
    house.land(house.window(1, [invoice(1, total="9999999999999999.98", vat="1999999999999999.99", rows=rows)]))
    house.refresh()
    assert house.rows("select price_basis, rounding_amount, net_amount from core.invoices") == [
        ("net", D("0.00"), D("7999999999999999.99"))
    ]


_MOST = "9999999999999999.99"
_UNPRICED = {"UnitPrice": None, "UnitPriceCurrency": None}
_TOO_MUCH = {
    "rows": invoice(1, rows=[row(_MOST, "0.00", **_UNPRICED)] * 2),
    "a row's amount and VAT": invoice(1, rows=[row(_MOST, f"-{_MOST}", **_UNPRICED)]),
    "a row of digits only": invoice(1, rows=[row("-9999999999999999", "9999999999999999", **_UNPRICED)]),
    "header": invoice(1, total=_MOST, vat=f"-{_MOST}", rows=[]),
    "header beyond its rows": invoice(1, total=_MOST, vat="0.00", rows=[row(f"-{_MOST}", "0.00", **_UNPRICED)]),
    "header VAT beyond its rows": invoice(1, total="0.00", vat=_MOST, rows=[row("0.00", f"-{_MOST}", **_UNPRICED)]),
    "rounding in accounting currency": invoice(
        1,
        total=_MOST,
        vat="0.00",
        rows=[row("0.41", "0.00", **_UNPRICED)],
        Currency="EUR",
        TotalAmountCurrency=Number("0.01"),
    ),
}


@pytest.mark.parametrize("wire", _TOO_MUCH.values(), ids=_TOO_MUCH)
def test_an_invoice_whose_sums_do_not_fit_is_quarantined_and_stops_no_other(house: House, wire: dict[str, Any]) -> None:
    house.land(house.window(1, [wire, invoice(3)]))
    house.refresh()
    assert house.rows("select invoice_id from core.invoices") == [(3,)]
    assert house.rows("select invoice_id, field from raw.quarantine") == [(1, "InvoiceRows")]


def test_as_much_as_fits_is_kept_exactly(house: House) -> None:
    foreign: dict[str, Any] = {"Currency": "EUR", "TotalAmountCurrency": Number("999999999999999.99")}
    wires = [
        invoice(1, total=_MOST, vat="0.00", rows=[row(_MOST, "0.00", **_UNPRICED)], CustomerNr="1"),
        invoice(2, total=f"-{_MOST}", vat="0.00", rows=[], BillingType=2, CustomerNr="2"),
        invoice(3, total=_MOST, vat="0.00", rows=[], CustomerNr="3", BillingType=4, **foreign),
    ]
    house.land(house.window(1, wires))
    house.refresh()
    assert house.rows("select * from raw.quarantine") == []
    assert house.rows("select invoice_id, total_amount from core.invoices order by 1") == [
        (1, D(_MOST)),
        (2, D(f"-{_MOST}")),
        (3, D(_MOST)),
    ]
    assert house.rows("select customer_nr, net_invoiced from mart.customer_balance order by 1") == [
        ("1", D(_MOST)),
        ("2", D(f"-{_MOST}")),
        ("3", D(_MOST)),
    ]


def test_invoices_that_fit_but_whose_sum_does_not_are_told_by_the_table(house: House) -> None:
    house.land(house.window(1, [invoice(1)]))
    house.refresh()
    house.land(house.window(2, [invoice(number, total=_MOST, vat="0.00", rows=[]) for number in (1, 2)]))
    with pytest.raises(SumTooLargeError, match=r"mart\.vat_summary was left as it was"):
        house.refresh()
    assert house.rows("select sum(net_amount) from mart.vat_summary") == [(D("100.00"),)]


@pytest.mark.parametrize("whole", [True, False])
def test_a_date_that_landing_would_quarantine_now_is_read_as_none_and_stops_no_other(house: House, whole: bool) -> None:
    house.land(house.window(1, [invoice(1), invoice(2), invoice(3)]))
    if not whole:
        house.refresh()
    with house.warehouse.transaction() as connection:
        for number, name in ((1, "InvoiceDate"), (2, "DueDate")):
            connection.execute(
                """
                update raw.customer_invoices
                set payload = regexp_replace(payload, '"' || $name || '":"[^"]*"', '"' || $name || '":"2026-02-30"'),
                    partition_date = if($name = 'InvoiceDate', null, partition_date),
                    fetched_at = fetched_at + interval 1 minute
                where invoice_id = $number
                """,
                {"name": name, "number": number},
            )
    house.refresh()
    as_read = [(1, None, EXAMPLE_DAY), (2, EXAMPLE_DAY, None), (3, EXAMPLE_DAY, EXAMPLE_DAY)]
    as_known = "mart.receivables_as_known(timestamptz '2026-03-01 12:00:00+00')"
    for table in ("core.invoices", "mart.receivables_as_known(null)", as_known):
        assert house.rows(f"select invoice_id, invoice_date, due_date from {table} order by 1") == as_read
    assert house.rows("select invoice_id, invoice_date from core.invoice_rows order by 1") == [
        (number, day) for number, day, _ in as_read
    ]
    assert house.rows("select count(*) from core.invoices where invoice_date is distinct from partition_date") == [(0,)]


def test_only_what_is_too_large_is_told_to_be_too_large(house: House) -> None:
    def rebuilt(select: str) -> None:
        table = Table("core", "made_up", "One row.", (Column("value", "DECIMAL(18,2)", "A sum."),), ("value",), select)
        with house.warehouse.transaction() as connection:
            table.rebuild(connection)

    for too_large in (
        f"select sum(value) as value from (select {_MOST}::decimal(18, 2) as value from range(2))",
        f"select core.in_oere({'9' * 36}::decimal(38, 2)) * 1000::hugeint as value",
        f"select {'9' * 38}::hugeint as value",
    ):
        with pytest.raises(SumTooLargeError, match=r"core\.made_up was left as it was"):
            rebuilt(too_large)
    for other in ("'2026-02-30'::date", "'DECIMAL(18,2)'::date", "'much'::decimal(18, 2)"):
        with pytest.raises(duckdb.ConversionException):
            rebuilt(f"select ({other})::varchar as value")


def test_what_is_derived_in_parts_is_what_is_derived_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def core() -> list[list[tuple[Any, ...]]]:
        return [house.rows(f"from core.{table} order by all") for table in ("invoices", "invoice_rows")]

    days = [EXAMPLE_DAY + dt.timedelta(days=n) for n in range(2)]
    first = [invoice(number, day=days[number % 2]) for number in range(1, 12)]
    house.land(*(house.window(1 + n, first[1 - n :: 2], day=days[n]) for n in range(2)))
    later = [invoice(number, day=days[0], CustomerName="Åsa Öberg") for number in range(2, 12, 2)]
    monkeypatch.setattr("softone_pipeline.tables.core.refresh._AT_ONCE", 3)
    house.refresh()
    house.land(house.window(5, later, day=days[0]))
    house.refresh()
    in_parts = core()
    assert len(in_parts[0]) == 11
    monkeypatch.undo()
    with house.warehouse.transaction() as connection:
        connection.execute("delete from core.build_state")
    house.refresh()
    assert core() == in_parts
