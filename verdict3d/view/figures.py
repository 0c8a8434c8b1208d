"""Figures as inline SVG whose colours follow the page (light and dark) and whose text stays text."""

from __future__ import annotations

import html
import io
import re
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from verdict3d.view.content import LossCurve
from verdict3d.view.words import say_interval, say_number

# Drawn in these colours, then replaced by the page's variables; the colour behind one is for use elsewhere.
INK, MUTED, GRID, GOAL = "#010101", "#020202", "#030303", "#040404"
GOOD, EVEN, BAD = "#050505", "#060606", "#070707"
LINES = ("#080808", "#090909", "#0a0a0a", "#0b0b0b")
_COLORS = {
    INK: "var(--ink, #17191c)",
    MUTED: "var(--muted, #5b616b)",
    GRID: "var(--line, #d9dce1)",
    GOAL: "var(--goal, #5b3fd0)",
    GOOD: "var(--good, #0a7a4b)",
    EVEN: "var(--even, #8a5a00)",
    BAD: "var(--bad, #b3261e)",
    LINES[0]: "var(--line-1, #2563c9)",
    LINES[1]: "var(--line-2, #c2410c)",
    LINES[2]: "var(--line-3, #0a7a4b)",
    LINES[3]: "var(--muted, #5b616b)",
}
STYLES = ("-", "--", ":")
"""Of lines, in turn where there are more of them than colours."""
_MOST_POINTS = 300
_LABEL_CHARACTERS = 23
"""Of a line of a label that ends before the middle of a figure."""


@dataclass(frozen=True)
class ForestLine:
    """One row of the win-rate figure: half-credit with its bounds, decisive as a second, hollow mark."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    decisive: float | None
    tone: str


def draw_forest(rows: Sequence[ForestLine], target: float) -> str:
    """Draw win-rates with intervals against the base (1/2) and the target.

    Args:
        rows: Top to bottom, at least one; ``tone`` is "good", "even" or "bad".
        target: The win-rate to reach, in [0, 1].

    Returns:
        An SVG element.
    """
    labels = [textwrap.wrap(row.label, _LABEL_CHARACTERS) or [""] for row in rows]
    lines = max(map(len, labels))
    row_in = 0.62 + 0.17 * (lines - 1)
    above = 0.19 + 0.17 * lines / row_in  # from a row's mark to the top of its label, in rows
    figure, (axes,) = make_figure(height_in=0.66 + row_in * (len(rows) + 0.45))
    axes.set_xlim(0, 1)
    axes.set_ylim(len(rows) - 0.35, -0.1 - above)
    axes.axvspan(target, 1, color=GOAL, alpha=0.08, linewidth=0)
    axes.axvline(0.5, color=MUTED, linewidth=1)
    axes.axvline(target, color=GOAL, linewidth=1.8, dashes=(4, 2.5))
    top = -0.15 - above
    axes.text(0.49, top, "same as base", color=MUTED, ha="right", va="bottom")
    axes.text(target, top, f"target {target:g}", color=GOAL, ha="left", va="bottom", weight="bold")
    for place, row in enumerate(rows):
        color = {"good": GOOD, "even": EVEN, "bad": BAD}[row.tone]
        axes.text(0, place - 0.17, "\n".join(labels[place]), color=INK, va="bottom", weight="bold")
        axes.plot([0, 1], [place, place], color=GRID, linewidth=1, zorder=1)
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [place, place], color=color, linewidth=5, zorder=3, alpha=0.45)
        if row.decisive is not None:
            axes.plot(
                row.decisive,
                place,
                "D",
                color=MUTED,
                markersize=6,
                markerfacecolor="none",
                zorder=4,
                clip_on=False,
            )
        if row.value is not None:
            axes.plot(row.value, place, "o", color=color, markersize=10, zorder=5, clip_on=False)
        axes.text(1, place - 0.17, say_number(row.value), color=color, ha="right", va="bottom", weight="bold")
    axes.set_yticks([])
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("win-rate (half-credit ●, decisive ◇)")
    spoken = "; ".join(
        f"{row.label}: {say_number(row.value)}, interval {say_interval(row.low, row.high)}" for row in rows
    )
    return as_svg(figure, "forest", f"Win-rates against the base, target {target:g}. {spoken}")


def draw_losses(curve: LossCurve) -> str:
    """Draw an arm's losses; long curves are averaged in bins, wide ranges get a logarithmic scale."""
    drawn = sum(bool(np.isfinite(np.asarray(values, dtype=float)).any()) for values in curve.series.values())
    figure, (axes,) = make_figure(height_in=2.2 + 0.2 * -(-drawn // 2))
    lowest, highest = np.inf, 0.0
    spoken = []
    for position, (name, values) in enumerate(curve.series.items()):
        x, y = _average_runs(np.asarray(curve.x), np.asarray(values, dtype=float))
        if not y.size:
            continue
        lowest, highest = min(lowest, float(y.min())), max(highest, float(y.max()))
        style = STYLES[position // len(LINES) % len(STYLES)]
        color = LINES[position % len(LINES)]
        axes.plot(x, y, style, color=color, linewidth=1.8, label=name.replace("_", " "))
        spoken.append(f"{name}: from {y[0]:.3g} to {y[-1]:.3g}")
    if 0 < lowest < highest / 10:
        _mark_decades(axes, lowest, highest)
    axes.set_xlabel(curve.x_name)
    axes.set_ylabel("loss")
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.margins(x=0.01)
    if spoken:
        figure.legend(frameon=False, labelcolor=INK, loc="outside lower center", ncols=2)
    return as_svg(figure, f"loss-{curve.arm}", f"Training losses of {curve.arm}. {'; '.join(spoken)}")


def _mark_decades(axes: Axes, lowest: float, highest: float) -> None:
    """Give the y axis a logarithmic scale with few marks: 1, 2 and 5 of few decades, 1 of many."""
    axes.set_yscale("log")
    steps = (1.0, 2.0, 5.0) if highest < 100 * lowest else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def _average_runs(x: Any, y: Any) -> tuple[Any, Any]:
    """Drop non-finite points and average runs so that at most ``_MOST_POINTS`` remain."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if y.size <= _MOST_POINTS:
        return x, y
    parts = zip(np.array_split(x, _MOST_POINTS), np.array_split(y, _MOST_POINTS), strict=True)
    means = np.array([(a.mean(), b.mean()) for a, b in parts])
    return means[:, 0], means[:, 1]


def _set_style() -> AbstractContextManager[None]:
    return mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "verdict3d", "font.size": 10.5})


def make_figure(
    height_in: float, rows: int = 1, columns: int = 1, ratios: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of the page's width and its axes, row by row.

    Args:
        height_in: Height in inches; the width is 4.4.
        rows: Rows of axes.
        columns: Columns of axes.
        ratios: Heights of the rows, relative to each other.
    """
    with _set_style():
        figure = Figure(figsize=(4.4, height_in), layout="constrained")
        made = figure.subplots(rows, columns, squeeze=False, gridspec_kw={"height_ratios": ratios})
    figure.patch.set_alpha(0)
    for axes in made.flat:
        axes.patch.set_alpha(0)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(GRID)
        axes.tick_params(colors=MUTED, which="both")
        axes.xaxis.label.set_color(MUTED)
        axes.yaxis.label.set_color(MUTED)
    return figure, list(made.flat)


def as_svg(figure: Figure, name: str, label: str) -> str:
    """Return the figure as an SVG element with unique ids, page colours and a spoken label."""
    stream = io.StringIO()
    with _set_style():
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", text, flags=re.DOTALL)
    for drawn, page in _COLORS.items():
        text = text.replace(drawn, page)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", text)
    prefix = re.sub(r"[^a-zA-Z0-9]+", "-", name)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"', 1)
