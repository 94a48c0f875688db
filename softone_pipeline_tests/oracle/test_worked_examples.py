"""The worked examples of tables.md as they stand, and the rules they leave out, by hand-made invoices."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from softone_pipeline_tests.oracle import (
    Wire,
    core,
    core_invoice,
    customer_balance,
    parse,
    to_json,
    vat_lines,
    vat_return_draft,
    vat_summary,
)
from softone_pipeline_tests.oracle.facts import names_a_tax_reduction, vat_class
from softone_pipeline_tests.oracle.generate import (
    SAYS_SOMETHING_ELSE,
    SAYS_TAX_REDUCTION,
    invoice_of,
    negate,
    row,
)
from softone_pipeline_tests.oracle.marts import BUCKETS
from softone_pipeline_tests.oracle.readings import READINGS, Reading

D = Decimal
DOCUMENTS = (("310.40", "77.60"), ("76.46", "19.12"), ("115.20", "28.80"))


def lines_of(wire: Wire) -> dict[str, tuple[str, str]]:
    """Net and VAT per class, in accounting currency."""
    return {
        name: (str(line.amounts[0]), str(line.amounts[1])) for (name, _), line in vat_lines(*core_invoice(wire)).items()
    }


def boxes_of(*wires: Wire) -> dict[str, int]:
    return {box["box"]: box["amount_kr"] for box in vat_return_draft(*core(wires))}


def test_the_documents_invoice_is_502_06_at_25_percent_and_a_rounding_of_42_ore() -> None:
    wire = invoice_of(*DOCUMENTS, total="628.00", vat="125.52")
    invoice, rows = core_invoice(wire)
    assert [(r["vat_class"], r["vat_status"], r["row_kind"]) for r in rows] == [("25", "exact", "item")] * 3
    assert lines_of(wire) == {"25": ("502.06", "125.52"), "rounding": ("0.42", "0.00")}
    assert invoice["price_basis"] == "net"
    assert invoice["net_amount"] == D("502.06")
    assert invoice["rounding_amount"] == D("0.42")


def test_a_credit_sent_negative_or_positive_gives_the_same_output() -> None:
    negative = invoice_of(("-76.46", "-19.12"), total="-96.00", vat="-19.12", BillingType=2)
    positive = invoice_of(("76.46", "19.12"), total="96.00", vat="19.12", BillingType=2)
    wanted = {"25": ("-76.46", "-19.12"), "rounding": ("-0.42", "0.00")}
    assert lines_of(negative) == lines_of(positive) == wanted
    assert [core_invoice(w)[0]["sign_normalised"] for w in (negative, positive)] == [False, True]


def test_three_rates_and_a_sale_without_vat_fill_the_boxes() -> None:
    rows = (("1000.00", "250.00"), ("333.33", "40.00"), ("99.99", "6.00"), ("50.00", "0.00"))
    wire = invoice_of(*rows, total="1779.00", vat="296.00")
    assert lines_of(wire)["rounding"] == ("-0.32", "0.00")
    assert boxes_of(wire) == {"05": 1433, "10": 250, "11": 40, "12": 6, "0-base": 50}


def test_an_invoice_without_rows_takes_its_rate_from_the_header() -> None:
    wire = invoice_of(total="158238.00", vat="31647.50")
    assert lines_of(wire) == {"25": ("126590.50", "31647.50")}
    (line,) = vat_summary(*core([wire]))
    assert (line["rate_source"], line["invoice_count"], line["row_count"]) == ("header", 1, 0)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (-1, "not_due"),
        (0, "not_due"),
        (1, "due_1_30"),
        (30, "due_1_30"),
        (31, "due_31_60"),
        (60, "due_31_60"),
        (61, "due_61_90"),
        (90, "due_61_90"),
        (91, "due_over_90"),
    ],
)
def test_an_open_invoice_ages_into_one_bucket(days: int, expected: str) -> None:
    as_of = date(2026, 4, 1)
    wire = invoice_of(*DOCUMENTS, total="628.00", vat="125.52", DueDate=f"{as_of - timedelta(days)}T00:00:00")
    (balance,) = customer_balance(core([wire])[0], as_of=as_of, paid={1: D("28.00")})
    assert {b: balance[b] for b in BUCKETS if balance[b]} == {expected: D("600.00")}
    assert balance["past_due_invoiced"] == (D("628.00") if days > 0 else 0)


# --------------------------------------------------------------------------------------------- beyond those


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: f"reading_{reading.number}")
def test_where_tables_md_can_be_read_twice_the_oracle_follows_its_numbered_choice(reading: Reading) -> None:
    assert lines_of(reading.wire) == reading.chosen != reading.other


@pytest.mark.parametrize(
    ("s", "v", "gross", "expected"),
    [
        (None, 5, False, ("unknown", "missing_amount")),
        (5, None, False, ("unknown", "missing_amount")),
        (0, 0, False, ("none", None)),
        (8, 0, False, ("0", "small")),
        (-9, 0, False, ("0", None)),
        (0, 1, False, ("unknown", "vat_without_base")),
        (-100, 25, False, ("unknown", "sign_conflict")),
        (7646, 1912, False, ("25", "exact")),  # 19.115 goes away from zero
        (-7646, -1912, False, ("25", "exact")),
        (7646, 1911, False, ("25", "near")),
        (7646, 1910, False, ("unknown", "no_rate_match")),
        (10, 1, False, ("unknown", "small_amount")),  # 12 and 6 % are both 0.01
        (4, 1, False, ("25", "exact")),
        (3, 1, False, ("25", "exact")),  # 0.0075; the others are 0.00 and only near
        (2, 1, False, ("25", "exact")),  # 0.005: half goes up
        (1, 1, False, ("unknown", "small_amount")),
        (12500, 2500, True, ("25", "exact")),
        (11200, 1200, True, ("12", "exact")),
        (10600, 601, True, ("6", "near")),
        (12500, 2500, False, ("unknown", "no_rate_match")),
    ],
)
def test_the_first_line_that_holds_decides_the_class(
    s: int | None, v: int | None, gross: bool, expected: tuple[str, str | None]
) -> None:
    assert vat_class(s, v, gross) == expected


@pytest.mark.parametrize(
    ("total", "vat", "rows", "basis", "rounding"),
    [
        ("125.50", "25.00", [("100.00", "25.00")], "net", "0.50"),
        ("125.51", "25.00", [("100.00", "25.00")], "unreconciled", "0.00"),
        ("124.50", "25.00", [("125.00", "25.00")], "gross", "-0.50"),
        ("101.20", "0.80", [("100.80", "0.80")], "net", "-0.40"),  # a tie
        ("101.20", "0.79", [("100.80", "0.79")], "net", "-0.39"),
        ("101.20", "0.81", [("100.80", "0.81")], "gross", "0.40"),
        ("100.00", "0.00", [("100.20", "0.00")], "net", "-0.20"),  # V = 0 is never gross
    ],
)
def test_the_smaller_remainder_decides_the_basis_and_a_tie_is_net(
    total: str, vat: str, rows: list[tuple[str, str]], basis: str, rounding: str
) -> None:
    invoice, _ = core_invoice(invoice_of(*rows, total=total, vat=vat))
    assert (invoice["price_basis"], invoice["rounding_amount"]) == (basis, D(rounding))


def subtotal(amount: str) -> Wire:
    return row(None, "Delsumma", D(amount), D("0.00"))


@pytest.mark.parametrize(("off", "basis"), [("200.00", "net"), ("200.01", "net"), ("200.02", "unreconciled")])
def test_subtotals_are_left_out_when_they_are_right_within_one_ore(off: str, basis: str) -> None:
    work = ("100.00", "25.00")
    wire = invoice_of(work, work, subtotal(off), work, subtotal("100.00"), total="375.00", vat="75.00")
    invoice, rows = core_invoice(wire)
    assert invoice["price_basis"] == basis
    assert invoice["row_count"] == 5
    if basis == "net":
        assert [r["row_kind"] for r in rows] == ["item", "item", "subtotal", "item", "subtotal"]
        assert lines_of(wire) == {"25": ("300.00", "75.00")}
        assert rows[2]["net_amount"] == 0
        assert rows[2]["sum_amount"] == D(off)


def test_an_invoice_that_foots_has_no_subtotals() -> None:
    wire = invoice_of(("100.00", "25.00"), subtotal("100.00"), total="225.00", vat="25.00")
    assert lines_of(wire) == {"25": ("100.00", "25.00"), "0": ("100.00", "0.00")}


@pytest.mark.parametrize(
    ("rows", "total", "vat", "kind"),
    [
        ([("99.68", "24.92"), ("0.40", "0.00")], "125.00", "24.92", "rounding"),
        ([("99.60", "24.90"), ("0.50", "0.00")], "125.00", "24.90", "rounding"),
        ([("99.59", "24.90"), ("0.51", "0.00")], "125.00", "24.90", "item"),
        ([("99.68", "24.92"), ("0.40", "0.00"), ("0.00", "0.00")], "125.00", "24.92", "rounding"),
        ([("99.68", "24.92"), ("0.40", "0.00"), ("0.00", "0.00")], "125.01", "24.92", "item"),  # r ≠ 0
        ([("99.68", "24.92"), ("0.41", "0.00")], "125.01", "24.92", "item"),  # not a whole total
        ([("99.88", "24.97"), ("0.05", "0.00"), ("0.10", "0.00")], "125.00", "24.97", "item"),  # which one?
        ([("0.00", "0.00"), ("0.50", "0.00")], "1.00", "0.50", "item"),  # nothing but itself
    ],
)
def test_a_rounding_sent_as_a_row_is_the_one_small_row_under_a_whole_total(
    rows: list[tuple[str, str]], total: str, vat: str, kind: str
) -> None:
    invoice, facts = core_invoice(invoice_of(*rows, total=total, vat=vat))
    assert facts[1]["row_kind"] == kind
    assert invoice["net_amount"] == sum(r["net_amount"] for r in facts)


def test_a_credit_whose_rows_even_out_is_turned_and_one_with_negative_rows_is_not() -> None:
    for amount, turned in (("0.00", True), ("0.01", True), ("-0.01", False)):
        wire = invoice_of((amount, "0.00"), total="0.40", vat="0.00", BillingType=2)
        assert core_invoice(wire)[0]["sign_normalised"] is turned
    wire = invoice_of(("0.00", "0.00"), total="0.00", vat="0.00", BillingType=2)
    assert not core_invoice(wire)[0]["sign_normalised"]


@pytest.mark.parametrize(
    ("total", "vat", "expected"),
    [
        ("158238.00", "31647.50", "25"),
        ("1250.13", "250.13", "25"),  # 0.13 ≤ 0.135
        ("1250.14", "250.14", "unknown"),
        ("1120.07", "120.07", "12"),
        ("1120.08", "120.08", "unknown"),
        ("1060.04", "60.04", "6"),
        ("1060.05", "60.05", "unknown"),
        ("1000.00", "0.00", "0"),
        ("0.02", "0.01", "unknown"),  # several fit
        ("-1250.13", "-250.13", "25"),
    ],
)
def test_a_header_takes_the_one_rate_within_its_tolerance(total: str, vat: str, expected: str) -> None:
    assert list(lines_of(invoice_of(total=total, vat=vat))) == [expected]


@pytest.mark.parametrize(("rows", "tolerance"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_header_vat_may_differ_by_half_an_ore_a_row_and_a_half(rows: int, tolerance: int) -> None:
    for off in (tolerance, tolerance + 1, -tolerance, -tolerance - 1):
        vat = D("25.00") * rows + D(off).scaleb(-2)
        wire = invoice_of(*[("100.00", "25.00")] * rows, total=str(100 * rows + vat), vat=str(vat))
        assert core_invoice(wire)[0]["_vat_within_tolerance"] is (abs(off) <= tolerance)


def test_equal_totals_need_no_rate_even_when_they_are_zero() -> None:
    wire = invoice_of(("100.00", "0.00"), ("-99.70", "0.00"), total="0.00", vat="0.00", Currency="EUR")
    assert core_invoice(wire)[0]["rounding_amount"] == D("-0.30")


def test_rounding_is_converted_by_the_header_and_the_rest_is_adjustment() -> None:
    wire = invoice_of(
        *DOCUMENTS,
        total="628.00",
        vat="125.52",
        Currency="EUR",
        TotalAmount=D("7055.27"),
        VATAmount=D("1410.15"),
    )
    for r in wire["InvoiceRows"]:
        r["SumAmount"], r["VatAmount"] = r["SumAmount"] * 11, r["VatAmount"] * 11
    invoice, _ = core_invoice(wire)
    assert invoice["rounding_amount_currency"] == D("0.42")
    assert invoice["rounding_amount"] == D("4.72")  # 0.42 · 7055.27 / 628 = 4.7185
    assert lines_of(wire) == {
        "25": ("5522.66", "1380.72"),
        "rounding": ("4.72", "0.00"),
        "header_adjustment": ("117.74", "29.43"),
    }


@pytest.mark.parametrize(("billing", "sign"), [(1, 1), (2, -1)])
def test_rot_is_money_the_buyer_does_not_pay_on_a_debit_and_mirrored_on_its_credit(billing: int, sign: int) -> None:
    wire = invoice_of(
        ("1000.00", "250.00"), row(None, "ROT-avdrag", D("-375.00"), D("0.00")), total="875.00", vat="250.00"
    )
    credit = wire if billing == 1 else negate(wire)
    lines = lines_of(credit | {"BillingType": billing})
    assert lines == {
        "25": (f"{sign * D('1000.00')}", f"{sign * D('250.00')}"),
        "tax_reduction": (f"{sign * D(-375)}.00", "0.00"),
    }


@pytest.mark.parametrize("product_and_text", SAYS_TAX_REDUCTION)
def test_a_tax_reduction_is_known_by_its_words(product_and_text: tuple[str | None, str | None]) -> None:
    assert names_a_tax_reduction(*product_and_text)


@pytest.mark.parametrize("product_and_text", SAYS_SOMETHING_ELSE)
def test_a_word_that_only_holds_rot_is_no_tax_reduction(
    product_and_text: tuple[str | None, str | None],
) -> None:
    assert not names_a_tax_reduction(*product_and_text)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (2, "counted"),
        (3, "counted"),
        (5, "counted"),
        (1, "preliminary"),
        (4, "cancelled"),
        (0, "unknown"),
        (9, "unknown"),
        (None, "unknown"),
    ],
)
def test_status_and_disappearance_decide_the_status_class(sent: int | None, expected: str) -> None:
    wire = invoice_of(total="1.00", vat="0.00", OriginStatus=sent)
    assert core_invoice(wire)[0]["status_class"] == expected
    assert core_invoice(wire, missing=True)[0]["status_class"] == "missing"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2026-02-28T23:30:00", date(2026, 2, 28)),
        ("2026-02-28T23:30:00Z", date(2026, 3, 1)),
        ("2026-03-01T00:30:00.123+02:00", date(2026, 2, 28)),
        ("2026-07-31T22:00:00Z", date(2026, 8, 1)),
        ("2026-02-28", date(2026, 2, 28)),
        (None, None),
    ],
)
def test_days_and_months_are_stockholms(sent: str | None, expected: date | None) -> None:
    wire = invoice_of(total="1.00", vat="0.00", InvoiceDate=sent)
    assert core_invoice(wire)[0]["invoice_date"] == expected
    (line,) = vat_summary(*core([wire]))
    assert line["period_month"] == (expected and expected.replace(day=1))


def test_ore_are_summed_before_a_box_is_cut_towards_zero() -> None:
    wires = [invoice_of(("0.60", "0.15"), total="0.75", vat="0.15", invoice_id=n) for n in range(1, 4)]
    assert boxes_of(*wires) == {"05": 1, "10": 0, "11": 0, "12": 0, "0-base": 0}
    assert boxes_of(*[negate(w) for w in wires])["05"] == -1


def test_only_counted_debit_and_credit_invoices_reach_the_return() -> None:
    def sale(**fields: Any) -> Wire:
        return invoice_of(("1000.00", "250.00"), total="1250.00", vat="250.00", **fields)

    wires = [sale(invoice_id=1), sale(invoice_id=2, BillingType=2), sale(invoice_id=3, BillingType=3)]
    wires += [sale(invoice_id=4, OriginStatus=1), sale(invoice_id=5, BillingType=None), sale(invoice_id=6)]
    assert boxes_of(*wires) == {"05": 1000, "10": 250, "11": 0, "12": 0, "0-base": 0}


def test_without_a_search_nothing_is_said_to_be_open() -> None:
    (balance,) = customer_balance(
        core([invoice_of(*DOCUMENTS, total="628.00", vat="125.52")])[0], as_of=date(2026, 4, 1), paid=None
    )
    assert balance["payment_basis"] == "unknown"
    unknown = ("paid_amount", "open_amount", "unapplied_credit", *BUCKETS)
    assert {balance[name] for name in unknown} == {None}
    assert balance["net_invoiced"] == balance["debit_invoiced"] == balance["past_due_invoiced"] == D("628.00")


def test_a_credit_sent_positive_has_its_paid_amount_turned_with_it() -> None:
    wires = [
        invoice_of(*DOCUMENTS, total="628.00", vat="125.52", invoice_id=1),
        invoice_of(("76.46", "19.12"), total="96.00", vat="19.12", BillingType=2, invoice_id=2),
    ]
    (balance,) = customer_balance(core(wires)[0], as_of=date(2026, 2, 23), paid={1: D("0"), 2: D("26.00")})
    assert (balance["paid_amount"], balance["open_amount"]) == (D("-26.00"), D("558.00"))
    assert (balance["not_due"], balance["unapplied_credit"]) == (D("628.00"), D("-70.00"))


def test_the_discount_is_the_price_list_less_the_row() -> None:
    wire = invoice_of(row("7889746", "Ventil", D("76.46"), D("19.12"), price=D("84.9600")), total="96.00", vat="19.12")
    assert core_invoice(wire)[1][0]["discount_amount_currency"] == D("8.50")
    wire = invoice_of(row("A", "Dyrare", D("2.00"), D("0.50"), price=D("1.0050")), total="2.50", vat="0.50")
    assert core_invoice(wire)[1][0]["discount_amount_currency"] == D("-0.99")  # reading 11


def test_json_is_written_in_the_documents_formats() -> None:
    text = to_json(invoice_of(("76.46", "19.12"), total="96.00", vat="19.12"))
    for part in (
        '"Quantity": 1.000000',
        '"UnitPrice": 76.4600',
        '"SumAmount": 76.46',
        '"TotalAmount": 96.00',
    ):
        assert part in text
    assert parse(text)["InvoiceRows"][0]["Quantity"] == 1


@pytest.mark.parametrize("amount", [D("10.005"), D("1E+16"), 10.0, True])
def test_an_amount_that_does_not_fit_exactly_is_refused(amount: object) -> None:
    wire = invoice_of(("100.00", "25.00"), total="125.00", vat="25.00", TotalAmountCurrency=amount)
    with pytest.raises((ValueError, TypeError)):
        core_invoice(wire)
