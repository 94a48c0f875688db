"""From the published copy to the file: what is asked, laid out by the template, handed over."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from softone_pipeline.readable import amount, moment, rate, whole
from softone_pipeline.report.charts import bars
from softone_pipeline.report.figures import CHANGES_SHOWN, Figures, read_figures
from softone_pipeline.report.words import CHECKS_SV, WORDS
from softone_pipeline.settings import PipelineSettings
from softone_pipeline.warehouse import hand_over, handed_over, open_published

Language = Literal["sv", "en"]

_AGEING = ("not_due", "due_1_30", "due_31_60", "due_61_90", "due_over_90")


@dataclass(frozen=True, slots=True)
class Reported:
    """What was written: the file, the moment its changes are counted from, and how many checks found something."""

    path: Path
    since: dt.datetime
    changes: int
    failed_checks: int
    size_bytes: int


def report_path(settings: PipelineSettings) -> Path:
    """Where the report lies unless told otherwise: beside the published copy, one for each company in it."""
    label = "" if settings.company == "default" else "_" + re.sub(r"[^\w-]+", "_", settings.company)
    return settings.duckdb_path.with_name(f"{settings.duckdb_path.stem}_report{label}.html")


def write_report(
    settings: PipelineSettings,
    target: Path | None = None,
    *,
    since: dt.datetime | None = None,
    language: Language = "sv",
) -> Reported:
    """Write the report of the settings' company; changes count from `since`, or from the report that stood there.

    Raises NothingPublishedError without a published copy, OutputError when the file cannot be written.
    """
    target = target or report_path(settings)
    database = settings.duckdb_path
    with open_published(database) as connection:
        figures = read_figures(connection, settings.company, since or _previous(database, target))
    page = _page(figures, settings.accounting_currency, language)
    with hand_over(
        target,
        database=database,
        command="report",
        source=f"company {settings.company}",
        known_until=figures.known_until,
        replace=True,
        mode=int(settings.published_mode, 8),
    ) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Reported(
        path=target,
        since=figures.since,
        changes=sum(figures.change_counts.values()),
        failed_checks=sum(check.state != "passed" for check in figures.checks),
        size_bytes=len(page.encode()),
    )


def _previous(database: Path, target: Path) -> dt.datetime | None:
    """The newest moment that the report which stands at `target` knew of."""
    return next((entry.known_until for entry in handed_over(database) if entry.path == target.absolute()), None)


def _page(figures: Figures, currency: str, language: Language) -> str:
    # Names and texts come from whoever sent an invoice: everything is escaped but the drawings made here.
    environment = Environment(
        loader=PackageLoader("softone_pipeline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"amount": amount, "whole": whole, "rate": rate, "moment": moment}
    words = WORDS[language]
    return environment.get_template("page.html").render(
        figures=figures,
        language=language,
        words=words,
        changes_shown=CHANGES_SHOWN,
        unit="kr" if currency == "SEK" else currency,
        check_titles=CHECKS_SV if language == "sv" else {},
        made_at=dt.datetime.now(dt.UTC),
        ageing=_AGEING,
        ageing_chart=_ageing_chart(figures, words),
        months_chart=_months_chart(figures, words),
        vat_chart=_vat_chart(figures, words),
    )


def _ageing_chart(figures: Figures, words: dict[str, str]) -> Markup | None:
    if figures.known is None:
        return None
    values = [figures.known[bucket] for bucket in _AGEING]
    labels = [words[bucket] for bucket in _AGEING]
    told = ", ".join(f"{label} {whole(value)}" for label, value in zip(labels, values, strict=True))
    return _drawn(bars(words["ageing"], labels, [(words["open"], values)], description=told))


def _months_chart(figures: Figures, words: dict[str, str]) -> Markup | None:
    if not figures.months:
        return None
    labels = [f"{row['period_month']:%Y-%m}" for row in figures.months]
    series = [(words[name], [row[name] for row in figures.months]) for name in ("debited", "credited")]
    told = ", ".join(
        f"{label} {whole(row['debited'] + row['credited'])}" for label, row in zip(labels, figures.months, strict=True)
    )
    return _drawn(bars(words["invoicing"], labels, series, description=told))


def _vat_chart(figures: Figures, words: dict[str, str]) -> Markup | None:
    by_cell = {
        (row["period_month"], row["vat_class"]): row["vat_amount"] for row in figures.vat if _is_rate(row["vat_class"])
    }
    # Sales without VAT alone leave nothing to draw.
    if not by_cell:
        return None
    months = sorted({row["period_month"] for row in figures.vat})
    rates = sorted({vat_class for _, vat_class in by_cell}, key=Decimal, reverse=True)
    series = [(rate(each), [by_cell.get((month, each), Decimal(0)) for month in months]) for each in rates]
    labels = [f"{month:%Y-%m}" for month in months]
    told = "; ".join(f"{name}: {', '.join(whole(value) for value in values)}" for name, values in series)
    return _drawn(bars(words["vat"], labels, series, description=told))


def _is_rate(vat_class: str) -> bool:
    return vat_class[0].isdigit() and vat_class != "0"


def _drawn(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704  (drawn by charts.py from labels and numbers of our own)
