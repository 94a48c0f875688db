"""Our sums of a month held against the ledger's, and what may explain a difference. Reads, and derives no table.

A candidate's effect is what the ledger's figure would differ by if that were the reason: nothing here knows which it is.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations

import duckdb

from softone_pipeline.readable import counted, moment
from softone_pipeline.settings import STOCKHOLM, PipelineSettings
from softone_pipeline.tables.proof.ledger import RECEIVABLES, RECEIVABLES_OPEN
from softone_pipeline.tables.proof.lines import Row, choose, days_fetched, last_day_of, records, sql

_MEASURES, _CANDIDATES = sql("reconcile_lines"), sql("reconcile_candidates")
# Invoices that far outside the period may be the one that the ledger has in it.
_AROUND = dt.timedelta(days=62)
_MOST_TOGETHER = 3


@dataclass(slots=True)
class Position:
    """One figure on both sides. `ours` is None where it cannot be known from here; `note` says why, or what it is."""

    name: str
    ours: Decimal | None
    theirs: Decimal | None
    note: str = ""
    candidates: list[Row] = field(default_factory=list)
    same_amount: list[Row] = field(default_factory=list)
    together: list[str] = field(default_factory=list)

    @property
    def difference(self) -> Decimal | None:
        return None if self.ours is None or self.theirs is None else self.theirs - self.ours

    @property
    def ties(self) -> bool:
        return self.theirs is None or self.difference == 0


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Positions, days of the period never fetched, and the ledger's invoices that are not alike here."""

    positions: list[Position]
    days_not_fetched: int
    invoices: list[Row]

    @property
    def ties(self) -> bool:
        return all(position.ties for position in self.positions) and not self.invoices


def reconcile(
    connection: duckdb.DuckDBPyConnection,
    settings: PipelineSettings,
    *,
    month: dt.date,
    theirs: dict[str, Decimal],
    invoices: dict[str, Decimal] | None = None,
    taken_at: dt.datetime | None = None,
) -> Reconciliation:
    """`theirs` by position: receivables (invoiced in the month), receivables-open, vat-<rate>. `invoices` by number."""
    last_day = last_day_of(month)
    classes = [f"{rate.normalize():f}" for rate in settings.vat_rates]
    names: Row = {"company": settings.company, "first_day": month, "last_day": last_day}
    choose(
        connection,
        settings,
        "select company, invoice_id from core.invoices where company = $company "
        "and (invoice_date is null or invoice_date between $first_around and $last_around)",
        {"company": settings.company, "first_around": month - _AROUND, "last_around": last_day + _AROUND},
    )
    connection.execute(
        f"create or replace temp table measure as {_MEASURES}",
        {"first_day": month, "last_day": last_day, "classes": classes},
    )
    ours = _ours(connection, settings.company, month)
    if invoices is not None:
        theirs = {RECEIVABLES: sum(invoices.values(), Decimal("0.00")), **theirs}
    asked = [RECEIVABLES, *(f"vat-{name}" for name in classes)]
    positions = [Position(name, ours.get(name, Decimal("0.00")), theirs.get(name)) for name in asked]
    found = records(connection, _CANDIDATES, {**names, "taken_at": taken_at})
    for position in positions:
        if not position.ties:
            position.candidates = [row for row in found if row["position"] == position.name]
            position.same_amount = _same_amount(connection, position)
            position.together = _together(position)
    positions.append(_open(connection, settings.company, last_day, theirs.get(RECEIVABLES_OPEN)))
    positions += [
        Position(name, None, amount, "no such position here: SOFTONE_VAT_RATES has not that rate")
        for name, amount in theirs.items()
        if name not in {position.name for position in positions}
    ]
    return Reconciliation(
        positions=positions,
        days_not_fetched=(last_day - month).days + 1 - days_fetched(connection, settings.company, month),
        invoices=[] if invoices is None else _unlike(connection, names, invoices),
    )


def _ours(connection: duckdb.DuckDBPyConnection, company: str, month: dt.date) -> dict[str, Decimal]:
    """What mart.vat_summary says of the counted invoices."""
    rows = connection.execute(
        """
        select 'receivables', coalesce(sum(net_amount + vat_amount), 0)::decimal(38, 2)
        from mart.vat_summary where company = $company and period_month = $month and status_class = 'counted'
        union all
        select 'vat-' || vat_class, sum(vat_amount)::decimal(38, 2)
        from mart.vat_summary where company = $company and period_month = $month and status_class = 'counted'
        group by vat_class
        """,
        {"company": company, "month": month},
    ).fetchall()
    return dict(rows)


def _open(connection: duckdb.DuckDBPyConnection, company: str, last_day: dt.date, theirs: Decimal | None) -> Position:
    """Open at the period's end, as the complete Search nearest to it knew: payments come without dates."""
    end = dt.datetime.combine(last_day + dt.timedelta(days=1), dt.time(), tzinfo=STOCKHOLM)
    search = connection.execute(
        """
        select greatest(asked_at, coalesce((
            select max(as_of) from raw.payment_status as status
            where status.company = search.company and status.run_id = search.run_id
        ), asked_at)) as known_at
        from raw.payment_search as search where company = $company
        order by abs(epoch_us(asked_at) - epoch_us($end::timestamptz)) limit 1
        """,
        {"company": company, "end": end},
    ).fetchone()
    if search is None:
        return Position(RECEIVABLES_OPEN, None, theirs, "not known: the ERP has not said what is paid")
    known_at: dt.datetime = search[0]
    amount, unknown, count = connection.execute(
        f"""
        select sum(open_amount)::decimal(38, 2), count(*) filter (where open_amount is null), count(*)
        from mart.receivables_as_known(timestamptz '{known_at.isoformat()}')
        where company = $company and invoice_date <= $last_day
        """,
        {"company": company, "last_day": last_day},
    ).fetchall()[0]
    days = (known_at.astimezone(STOCKHOLM).date() - last_day).days
    note = (
        f"as the complete Search of {moment(known_at)} knew, {counted(abs(days), 'day')} "
        f"{'after' if days >= 0 else 'before'} the period's end; payments of the days between make a difference"
    )
    if unknown:
        return Position(
            RECEIVABLES_OPEN,
            None,
            theirs,
            f"not known: of {unknown} of {counted(count, 'invoice')} the payment is unknown",
        )
    return Position(RECEIVABLES_OPEN, amount if amount is not None else Decimal("0.00"), theirs, note)


def _same_amount(connection: duckdb.DuckDBPyConnection, position: Position) -> list[Row]:
    """Single invoices that alone would make the difference, within two months of the period."""
    return records(
        connection,
        """
        select invoice_id, invoice_nr, invoice_date, status_class, amount,
            case
                when not (is_in_period and status_class = 'counted') then 'in the ledger, not counted here'
                when -amount = $difference then 'counted here, not in the ledger'
                else 'in the ledger with the other sign'
            end as how
        from measure
        where position = $position and amount <> 0 and case
            when is_in_period and status_class = 'counted' then $difference in (-amount, -2 * amount)
            else $difference = amount
        end
        order by invoice_date, invoice_id limit 20
        """,
        {"position": position.name, "difference": position.difference},
    )


def _together(position: Position) -> list[str]:
    """The smallest sets of candidates whose effects are the difference exactly."""
    known = [row for row in position.candidates if row["effect"] is not None]
    for size in range(1, _MOST_TOGETHER + 1):
        found = [
            " + ".join(row["reason"] for row in rows)
            for rows in combinations(known, size)
            if sum(row["effect"] for row in rows) == position.difference
        ]
        if found:
            return found
    return []


def _unlike(connection: duckdb.DuckDBPyConnection, names: Row, invoices: dict[str, Decimal]) -> list[Row]:
    """Invoice numbers that only one side has, or with another amount; by number, as the ledger knows no ids."""
    return records(
        connection,
        """
        with theirs as (
            select unnest($numbers::varchar[]) as invoice_nr, unnest($amounts::decimal(18, 2)[]) as theirs
        ),

        ours as (
            select
                coalesce(invoice_nr, '') as invoice_nr,
                sum(total_amount) filter (where is_ours) as ours,
                string_agg(distinct status_class || ' ' || coalesce(invoice_date::varchar, 'no date'), ', ') as stands_as
            from (
                select *, status_class = 'counted' and coalesce(invoice_date between $first_day and $last_day, false) as is_ours
                from core.invoices where company = $company
            )
            group by all
        )

        select
            invoice_nr, ours, theirs, coalesce(theirs, 0) - coalesce(ours, 0) as difference,
            case
                when theirs is null then 'not in the ledger''s file'
                when ours.invoice_nr is null then 'no invoice with this number here'
                when ours is null then 'not counted here in this period'
                else 'another amount'
            end as what,
            stands_as
        from theirs full join ours using (invoice_nr)
        where (theirs is not null or ours is not null) and theirs is distinct from ours
        order by abs(coalesce(theirs, 0) - coalesce(ours, 0)) desc, invoice_nr
        """,
        {**names, "numbers": list(invoices), "amounts": list(invoices.values())},
    )
