"""What must hold for every invoice that can be drawn, and that the generator meets every case."""

import random
import time
from collections import Counter
from datetime import date
from decimal import Decimal

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from softone_pipeline_tests.oracle import (
    Fact,
    Wire,
    core,
    core_invoice,
    customer_balance,
    invoice_batches,
    invoices,
    parse,
    random_invoice,
    to_json,
    vat_lines,
    vat_return_draft,
    vat_summary,
)
from softone_pipeline_tests.oracle.generate import SCENARIOS, negate
from softone_pipeline_tests.oracle.marts import AMOUNTS, BUCKETS

AS_OF = date(2026, 4, 1)
ZERO = Decimal("0.00")
tried_often = settings(
    deadline=None,
    max_examples=80,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def amounts_by_line(wire: Wire) -> dict[tuple[str, str], list[Decimal]]:
    return {key: line.amounts for key, line in vat_lines(*core_invoice(wire)).items()}


def without(fact: Fact, *names: str) -> Fact:
    return {name: value for name, value in fact.items() if name not in names}


@tried_often
@given(invoices())
def test_every_invoices_lines_sum_to_its_total_in_both_currencies(wire: Wire) -> None:
    invoice, rows = core_invoice(wire)
    lines = vat_summary([invoice], rows)
    for suffix in ("", "_currency"):
        summed = sum((line[f"net_amount{suffix}"] + line[f"vat_amount{suffix}"] for line in lines), ZERO)
        assert summed == invoice[f"total_amount{suffix}"]
        assert abs(invoice[f"total_amount{suffix}"]) == abs(wire[f"TotalAmount{suffix.removeprefix('_').title()}"])


@tried_often
@given(invoices())
def test_a_credit_reads_the_same_sent_positive_or_negative(wire: Wire) -> None:
    wire = wire | {"BillingType": 2}
    assume(core_invoice(wire)[0]["sign_normalised"])
    one, its_rows = core_invoice(wire)
    other, other_rows = core_invoice(negate(wire))
    assert without(one, "sign_normalised") == without(other, "sign_normalised")
    assert its_rows == other_rows


@tried_often
@given(invoices())
def test_a_debits_exact_negative_is_its_credits_mirror(wire: Wire) -> None:
    debit, credit = wire | {"BillingType": 1}, negate(wire) | {"BillingType": 2}
    assume(not core_invoice(credit)[0]["sign_normalised"])
    mirrored = {key: [-amount for amount in line] for key, line in amounts_by_line(credit).items()}
    assert amounts_by_line(debit) == mirrored


@tried_often
@given(invoices(), st.randoms(use_true_random=False))
def test_row_order_matters_only_to_subtotals(wire: Wire, rng: random.Random) -> None:
    invoice, _ = core_invoice(wire)
    for r in wire["InvoiceRows"] if invoice["price_basis"] == "unreconciled" else ():
        r["ProductNr"] = r["ProductNr"] or "A11"
    before = core_invoice(wire)
    assume(all(row["row_kind"] != "subtotal" for row in before[1]))
    shuffled = list(wire["InvoiceRows"])
    rng.shuffle(shuffled)
    assert amounts_by_line(wire) == amounts_by_line(wire | {"InvoiceRows": shuffled})


@tried_often
@given(invoices())
def test_what_stands_in_core_is_what_was_sent_but_for_the_sign(wire: Wire) -> None:
    invoice, rows = core_invoice(wire)
    sign = -1 if invoice["sign_normalised"] else 1
    assert invoice["row_count"] == len(rows) == len(wire["InvoiceRows"])
    for row, sent in zip(rows, wire["InvoiceRows"], strict=True):
        for column, field in (("sum_amount", "SumAmount"), ("vat_amount_currency", "VatAmountCurrency")):
            assert row[column] == (None if sent[field] is None else sign * sent[field])
        assert (row["quantity"], row["unit_price_currency"]) == (sent["Quantity"], sent["UnitPriceCurrency"])
    if rows:
        assert invoice["net_amount_currency"] == sum(row["net_amount_currency"] for row in rows)
    assert abs(invoice["rounding_amount_currency"]) <= Decimal("0.50")


@tried_often
@given(invoices())
def test_the_json_text_holds_the_invoice_exactly(wire: Wire) -> None:
    assert parse(to_json(wire)) == wire


@settings(tried_often, max_examples=30)
@given(invoice_batches())
def test_the_marts_sum_to_the_invoices_whatever_their_order(batch: list[Wire]) -> None:
    invoices_, rows = core(batch)
    lines = vat_summary(invoices_, rows)
    again = vat_summary(*core(reversed(batch)))
    assert sorted(map(repr, lines)) == sorted(map(repr, again))
    for total, net, vat in (("total_amount", *AMOUNTS[:2]), ("total_amount_currency", *AMOUNTS[2:])):
        summed = sum((line[net] + line[vat] for line in lines), ZERO)
        assert summed == sum((invoice[total] for invoice in invoices_), ZERO)
    assert sum(line["row_count"] for line in lines) == sum(row["row_kind"] != "subtotal" for row in rows)
    for box in vat_return_draft(invoices_, rows):
        assert abs(box["amount_kr"]) <= abs(box["_exact"]) < abs(box["amount_kr"]) + 1


@settings(tried_often, max_examples=30)
@given(invoice_batches(), st.data())
def test_buckets_and_unapplied_credit_are_the_open_amount(batch: list[Wire], data: st.DataObject) -> None:
    facts, _ = core(batch)
    shares = data.draw(
        st.lists(st.sampled_from((0, 0, 1, Decimal("0.5"), 2)), min_size=len(batch), max_size=len(batch))
    )
    paid = {w["InvoiceId"]: (w["TotalAmount"] * share).quantize(ZERO) for w, share in zip(batch, shares, strict=True)}
    known, unknown = (customer_balance(facts, as_of=AS_OF, paid=said) for said in (paid, None))
    for row in known:
        assert row["open_amount"] == row["unapplied_credit"] + sum(row[b] for b in BUCKETS)
        assert row["open_amount"] == row["net_invoiced"] - row["paid_amount"]
        assert row["unapplied_credit"] <= 0 <= min(row[b] for b in BUCKETS)
    counted = [invoice for invoice in facts if invoice["status_class"] == "counted"]
    for balances in (known, unknown):
        assert sum((row["net_invoiced"] for row in balances), ZERO) == sum((i["total_amount"] for i in counted), ZERO)
    assert all(row["open_amount"] is None for row in unknown)


def test_ten_thousand_invoices_take_seconds_and_meet_every_case() -> None:
    began = time.process_time()
    rng = random.Random(20260401)
    texts = [to_json(random_invoice(rng, invoice_id)) for invoice_id in range(1, 10_001)]
    assert time.process_time() - began < 10
    facts, rows = core(map(parse, texts))
    lines = vat_summary(facts, rows)
    met = {
        name: Counter(fact[name] for fact in table)
        for table, names in (
            (facts, ("price_basis", "status_class", "billing_type_name", "sign_normalised", "currency")),
            (rows, ("row_kind", "vat_status", "vat_class")),
            (lines, ("vat_class", "rate_source")),
        )
        for name in names
    }
    assert set(met["price_basis"]) == {"net", "gross", "header", "unreconciled"}
    assert set(met["status_class"]) == {"counted", "preliminary", "cancelled", "unknown"}
    assert set(met["billing_type_name"]) == {"debit", "credit", "interest", "reminder", "unknown"}
    assert set(met["row_kind"]) == {"item", "text", "subtotal", "rounding", "tax_reduction"}
    assert set(met["vat_status"]) >= {
        "exact",
        "near",
        "small",
        "small_amount",
        "sign_conflict",
        "no_rate_match",
    }
    assert set(met["vat_status"]) >= {"missing_amount", "vat_without_base"}
    assert set(met["vat_class"]) == {"25", "12", "6", "0", "unknown", "none"} | {
        "tax_reduction",
        "rounding",
        "header_adjustment",
    }
    assert min(count for counter in met.values() for count in counter.values()) >= 20
    assert any(f["total_amount_currency"] == 0 != f["total_amount"] for f in facts)
    assert any(f["rounding_amount"] != f["rounding_amount_currency"] for f in facts)
    header_classes = {line["vat_class"] for line in lines if line["rate_source"] == "header"}
    assert header_classes >= {"25", "12", "6", "0", "unknown"}


def test_the_same_seed_gives_the_same_invoice_in_every_scenario() -> None:
    for scenario in SCENARIOS:
        one, two = (to_json(random_invoice(random.Random(7), 1, scenario=scenario)) for _ in range(2))
        assert one == two
