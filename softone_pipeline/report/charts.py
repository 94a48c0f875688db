"""The charts, as SVG for the page: drawn by pygal, coloured by the page's own style, without a script.

A chart repeats what the table beside it says; a float near an amount is a bar's length here, never a figure.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from decimal import Decimal
from html import escape
from xml.etree import ElementTree

import pygal
from pygal.style import Style

from softone_pipeline.readable import short

# Importing pygal puts a finder for its map plugins into the whole process, of a kind that Python 3.11 warns of at
# every later import. No map is drawn here.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "PluginImportFixer"]

# Labels side by side on a phone. The page's style leaves out every other one of more.
_FIT_A_PHONE = 7

_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="var(--muted)",
    foreground_strong="var(--ink)",
    foreground_subtle="var(--rule)",
    colors=tuple(f"var(--c{n})" for n in range(1, 7)),
    font_family="inherit",
    label_font_size=12,
    major_label_font_size=12,
    legend_font_size=13,
    opacity="1",
    opacity_hover=".85",
    transition="0s",
)


def bars(
    title: str,
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[Decimal]]],
    *,
    description: str,
) -> str:
    """Upright bars, one per label, the series stacked. `title` and `description` are what a screen reader says."""
    chart = pygal.StackedBar(
        style=_STYLE,
        js=(),
        width=760,
        height=300,
        margin=6,
        spacing=14,
        rounded_bars=3,
        show_legend=len(series) > 1,
        legend_at_bottom=True,
        legend_box_size=11,
        value_formatter=short,
        legend_at_bottom_columns=len(series),
        print_values=False,
        x_label_rotation=0,
        explicit_size=False,
    )
    chart.x_labels = list(labels)
    chart.y_labels = _steps(series)
    for name, values in series:
        chart.add(name, [float(value) for value in values])
    return _for_the_page(chart.render(is_unicode=True), title, description, many=len(labels) > _FIT_A_PHONE)


def _steps(series: Sequence[tuple[str, Sequence[Decimal]]]) -> list[int]:
    """Round numbers from below the lowest bar to above the highest, about five of them, 0 among them."""
    columns = list(zip(*(values for _, values in series), strict=True))
    ups = [sum(value for value in column if value > 0) for column in columns]
    downs = [sum(value for value in column if value < 0) for column in columns]
    highest, lowest = max([Decimal(1), *ups]), min([Decimal(0), *downs])
    rough = (highest - lowest) / 4
    magnitude = 10 ** (len(str(int(rough))) - 1)
    step = next(size * magnitude for size in (1, 2, 5, 10) if size * magnitude >= rough)
    return list(range(int(lowest // step - (lowest % step != 0)) * step, int(highest // step + 2) * step, step))


def _for_the_page(drawn: str, title: str, description: str, *, many: bool) -> str:
    """Only the drawing: no script, no tooltips that need one, no notes; with a title and a description."""
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    svg = ElementTree.fromstring(drawn)  # noqa: S314  (pygal's own output)
    for parent in list(svg.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in {"script", "title", "desc"}:
                parent.remove(child)
    if many:
        svg.set("class", f"{svg.get('class')} many")
    svg.set("role", "img")
    svg.set("aria-label", f"{title}. {description}")
    text = ElementTree.tostring(svg, encoding="unicode")
    opening, close, rest = text.partition(">")
    return f"{opening}{close}<title>{escape(title)}</title><desc>{escape(description)}</desc>{rest}"
