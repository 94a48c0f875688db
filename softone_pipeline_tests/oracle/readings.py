"""Where tables.md can be read in two ways: our choices, numbered, with invoices where numbers differ.

Lives here: the questions and the choices. Not here: the code that follows them (`facts`, `marts`).

Footing and rows
 1. A subtotal of nothing. The first row's running sum is 0, so a first row without product of ±0.01 is a
    subtotal. Taken literally: it is. (Only invoices that do not foot are affected, by 0.01.)
 2. A grand total after subtotals. "Since the previous such row" makes it no subtotal, so the invoice stays
    unreconciled. Taken literally, though an accountant would want it left out.
 3. A subtotal row whose VAT is null: null is not 0, so it is no subtotal.
 4. ProductNr "" is not null: such a row is no subtotal (and no 'text').
 5. "Where r = 0" for a rounding row means the remainder of the basis that decided: H − S on gross.
 6. An unreconciled invoice has no rounding row, though its rounding is written as 0.
 7. "Other rows are not zero": at least one other row that takes part has an amount or VAT ≠ 0 (text rows do
    no harm). Subtotals take no part, neither as the small row nor as the others.
 8. A rounding row stays one even if its text says ROT: footing comes before VAT class.
 9. A null SumAmount gives net_amount 0 (sum_amount stays null), and on gross net = 0 − VatAmount, so that
    rows and header foot as S and V say; a null VatAmount counts as 0 and stays null in vat_amount.
10. Sign: S counts every row as sent, subtotals too.
11. discount_amount_currency = h(|quantity·price|) − |sum|: the product is rounded, not the difference.
12. row_kind 'text': no product, and neither amount nor VAT (0 or null). A zero row with a product is an
    'item'.
13. vat_class is NULL on subtotals and 'rounding' on rounding rows; vat_rate is 0 for '0' and NULL where
    there is no rate; vat_status is NULL for none, subtotal, rounding, tax_reduction and a '0' that is not
    small.

VAT class
14. "Has other VAT" asks the rows (some VatAmountCurrency ≠ 0), not the header.
15. Only debit and credit invoices can hold a tax reduction, so on interest, reminder or an unknown type it
    stays '0'. A negative 0-row is flagged under those same conditions only (debit with other VAT, credit
    mirrored).
16. Words end where letters and digits end, in Unicode after NFC: "ROT-avdrag", "ROT_30", "RUT/städ" hold the
    word; "rotavdrag", "ROT30", "rotå", "skattereduktionen" do not. Any white space may stand inside "grön
    teknik". Text and product are searched one by one.
17. Header-only: HV = 0 is asked first. Else 0.60 without VAT would be 6 % within the tolerance.
18. Header-only: the tolerance alone decides, also where VAT and net have opposite signs.

Accounting currency
19. TotalAmountCurrency = 0 gives no rate: rounding_amount is 0 and header_adjustment takes the rest.
20. Currency null is not "in accounting currency": its rounding is converted when the two totals differ.
21. A row's accounting-currency amounts follow its class whatever they are: a row of 0 in currency and 0.05
    in SEK is 'none' with 0.05, a rounding row's SEK VAT is on the rounding line, a subtotal's SEK VAT ends
    in header_adjustment.

mart.vat_summary
22. rate_source is 'header' for header-only, header rounding and header_adjustment, 'row' for what comes from
    rows, a rounding row too. So one group can have two 'rounding' lines; sums per vat_class are the same
    either way.
23. A rounding or header_adjustment line exists only where one of its amounts is not 0; row_count is 0 on
    header lines. A line's invoice_count counts the invoices that have it.
24. flagged_count: rows of class unknown, negative 0-rows without words, header-only of class unknown, and
    header_adjustment lines of invoices unreconciled or with header VAT beyond the tolerance. n in that
    tolerance is row_count: every row received.

mart.vat_return_draft
25. Every month of vat_summary has its five boxes, also NULL (no date: nothing disappears) and months without
    counted debit or credit invoices. '0-base' is 0 when empty. coverage: '0-base' partial; the others partial
    where something that may be taxable is in no box: a line of unknown or header_adjustment of a counted debit
    or credit invoice that is flagged or not 0, a counted invoice of another type or one of unknown status that
    carries VAT, an invoice in quarantine dated in the month; else derived. Each invoice is asked, not the sum
    over them: what cancels is left out all the same. Days never fetched make nothing partial.

mart.customer_balance
26. Grain: company, customer_nr (NULL is one customer), the invoices' currency; amounts in accounting
    currency.
27. payment_basis is per row of the mart: 'known' only if Search spoke of each of its counted invoices.
28. customer_name: newest invoice date among the row's counted invoices that have a name; no date is oldest;
    of one day, the highest invoice_id.
"""

from dataclasses import dataclass
from decimal import Decimal

from softone_pipeline_tests.oracle.facts import Wire
from softone_pipeline_tests.oracle.generate import invoice_of, row

Line = tuple[str, str]
"""Net and VAT of a line, in accounting currency."""


@dataclass(frozen=True)
class Reading:
    """An invoice that tells two readings apart: lines by vat_class as chosen, and in the other."""

    number: int
    wire: Wire
    chosen: dict[str, Line]
    other: dict[str, Line]


def _row(amount: str | None, vat: str | None, *, product: str | None = None, text: str = "Delsumma") -> Wire:
    return row(product, text, None if amount is None else Decimal(amount), None if vat is None else Decimal(vat))


WORK = ("100.00", "25.00")
ADJUSTMENT = "header_adjustment"

READINGS = (
    Reading(
        1,
        invoice_of(_row("0.01", "0.00"), WORK, total="200.00", vat="25.00"),
        {"25": WORK, ADJUSTMENT: ("75.00", "0.00")},
        {"25": WORK, "0": ("0.01", "0.00"), ADJUSTMENT: ("74.99", "0.00")},
    ),
    Reading(
        2,
        invoice_of(
            WORK,
            _row("100.00", "0.00"),
            ("60.00", "15.00"),
            _row("60.00", "0.00"),
            _row("160.00", "0.00", text="Summa"),
            total="200.00",
            vat="40.00",
        ),
        {"25": ("160.00", "40.00"), "0": ("160.00", "0.00"), ADJUSTMENT: ("-160.00", "0.00")},
        {"25": ("160.00", "40.00")},
    ),
    Reading(
        3,
        invoice_of(WORK, _row("100.00", None), total="125.00", vat="25.00"),
        {"25": WORK, "unknown": ("100.00", "0.00"), ADJUSTMENT: ("-100.00", "0.00")},
        {"25": WORK},
    ),
    Reading(
        4,
        invoice_of(WORK, _row("100.00", "0.00", product=""), total="125.00", vat="25.00"),
        {"25": WORK, "0": ("100.00", "0.00"), ADJUSTMENT: ("-100.00", "0.00")},
        {"25": WORK},
    ),
    Reading(
        5,
        invoice_of(("124.60", "24.92"), _row("0.40", "0.00"), total="125.00", vat="24.92"),
        {"25": ("99.68", "24.92"), "rounding": ("0.40", "0.00")},
        {"25": ("99.68", "24.92"), "0": ("0.40", "0.00")},
    ),
    Reading(
        6,
        invoice_of(WORK, _row("0.40", "0.00"), total="500.00", vat="25.00"),
        {"25": WORK, "0": ("0.40", "0.00"), ADJUSTMENT: ("374.60", "0.00")},
        {"25": WORK, "rounding": ("0.40", "0.00"), ADJUSTMENT: ("374.60", "0.00")},
    ),
    Reading(
        7,
        invoice_of(("99.68", "24.92"), _row("0.40", "0.00"), _row("0.00", "0.00"), total="125.00", vat="24.92"),
        {"25": ("99.68", "24.92"), "rounding": ("0.40", "0.00"), "none": ("0.00", "0.00")},
        {"25": ("99.68", "24.92"), "0": ("0.40", "0.00"), "none": ("0.00", "0.00")},
    ),
    Reading(
        8,
        invoice_of(("100.32", "25.08"), _row("-0.40", "0.00", text="ROT"), total="125.00", vat="25.08"),
        {"25": ("100.32", "25.08"), "rounding": ("-0.40", "0.00")},
        {"25": ("100.32", "25.08"), "tax_reduction": ("-0.40", "0.00")},
    ),
    Reading(
        9,
        invoice_of(("125.00", "25.00"), _row(None, "10.00"), total="125.00", vat="35.00"),
        {"25": WORK, "unknown": ("-10.00", "10.00")},
        {"25": WORK, "unknown": ("0.00", "10.00"), ADJUSTMENT: ("-10.00", "0.00")},
    ),
    Reading(
        10,
        invoice_of(WORK, _row("100.00", "0.00"), ("-150.00", "-37.50"), total="62.50", vat="12.50", BillingType=2),
        {"25": ("50.00", "12.50"), "0": ("-100.00", "0.00"), ADJUSTMENT: ("0.00", "-25.00")},
        {"25": ("-50.00", "-12.50"), "0": ("100.00", "0.00"), ADJUSTMENT: ("0.00", "25.00")},
    ),
    Reading(
        14,
        invoice_of(("1000.00", "0.00"), _row("-300.00", "0.00", text="ROT-avdrag"), total="950.00", vat="250.00"),
        {"0": ("700.00", "0.00"), ADJUSTMENT: ("0.00", "250.00")},
        {"0": ("1000.00", "0.00"), "tax_reduction": ("-300.00", "0.00"), ADJUSTMENT: ("0.00", "250.00")},
    ),
    Reading(
        15,
        invoice_of(
            ("1000.00", "250.00"),
            _row("-375.00", "0.00", text="ROT-avdrag"),
            total="875.00",
            vat="250.00",
            BillingType=None,
        ),
        {"25": ("1000.00", "250.00"), "0": ("-375.00", "0.00")},
        {"25": ("1000.00", "250.00"), "tax_reduction": ("-375.00", "0.00")},
    ),
    Reading(
        16,
        invoice_of(("1000.00", "250.00"), _row("-375.00", "0.00", text="ROT_30"), total="875.00", vat="250.00"),
        {"25": ("1000.00", "250.00"), "tax_reduction": ("-375.00", "0.00")},
        {"25": ("1000.00", "250.00"), "0": ("-375.00", "0.00")},
    ),
    Reading(
        17,
        invoice_of(total="0.60", vat="0.00"),
        {"0": ("0.60", "0.00")},
        {"6": ("0.60", "0.00")},
    ),
    Reading(
        18,
        invoice_of(total="0.00", vat="-0.10"),
        {"25": ("0.10", "-0.10")},
        {"unknown": ("0.10", "-0.10")},
    ),
    Reading(
        19,
        invoice_of(
            _row("100.00", "0.00", product="A"),
            _row("-99.70", "0.00", product="B"),
            total="0.00",
            vat="0.00",
            Currency="EUR",
            TotalAmount=Decimal("3.00"),
        ),
        {"0": ("0.30", "0.00"), "rounding": ("0.00", "0.00"), ADJUSTMENT: ("2.70", "0.00")},
        {"0": ("0.30", "0.00"), "rounding": ("-0.30", "0.00"), ADJUSTMENT: ("3.00", "0.00")},
    ),
    Reading(
        20,
        invoice_of(("502.06", "125.52"), total="628.00", vat="125.52", Currency=None, TotalAmount=Decimal("6280.00")),
        {"25": ("502.06", "125.52"), "rounding": ("4.20", "0.00"), ADJUSTMENT: ("5648.22", "0.00")},
        {"25": ("502.06", "125.52"), "rounding": ("0.42", "0.00"), ADJUSTMENT: ("5652.00", "0.00")},
    ),
)
