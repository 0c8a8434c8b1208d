"""Figures of the audit: the failure modes of the paper, and the size from which a judge sees a defect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from verdict3d.records.certificates import Curve
from verdict3d.view.audit import Failure, compute_curve
from verdict3d.view.figures import BAD, GOOD, GRID, INK, LINES, MUTED, as_svg, make_figure
from verdict3d.view.words import say_number, say_title


def draw_failures(role: str, failures: Sequence[Failure]) -> str:
    """Draw the failure modes below each other; the judge's own setup comes first in each.

    Args:
        role: Role of the judge.
        failures: Failure modes with bars in [0, 1].

    Returns:
        An SVG element.
    """
    bars = sum(len(failure.bars) for failure in failures)
    ratios = [len(failure.bars) + 1.3 for failure in failures]
    figure, axes = make_figure(0.9 + 0.34 * bars + 0.5 * len(failures), rows=len(failures), ratios=ratios)
    spoken = []
    for failure, place in zip(failures, axes, strict=True):
        _draw_failure(place, failure)
        values = ", ".join(f"{label} {say_number(value)}" for label, value, _, _ in failure.bars)
        spoken.append(f"{failure.name}, {failure.measure}: {values}")
    return as_svg(figure, f"failures-{role}", f"The {role} judge. {'; '.join(spoken)}")


def _draw_failure(axes: Axes, failure: Failure) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(len(failure.bars) - 0.4, -0.6)
    axes.set_title(failure.name, loc="left", color=INK, fontsize=10.5, weight="bold")
    axes.axvline(0.5, color=GRID, linewidth=1)
    for place, (_, value, low, high) in enumerate(failure.bars):
        color = GOOD if place == 0 else BAD
        if value is None:
            axes.text(0.01, place, "not measured", color=MUTED, va="center")
            continue
        axes.barh(place, value, height=0.55, color=color, alpha=0.55)
        if low is not None and high is not None:
            axes.plot([low, high], [place, place], color=INK, linewidth=1.6)
        end = max(value, high or 0.0)
        inside = end > 0.85
        axes.text(
            0.99 if inside else end + 0.02,
            place - (0.42 if inside else 0.0),
            say_number(value),
            color=INK,
            va="center",
            ha="right" if inside else "left",
        )
    axes.set_yticks(range(len(failure.bars)), [bar[0] for bar in failure.bars])
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_xlabel(f"{failure.measure}; the paper: {failure.paper}", fontsize=9, loc="right")


def draw_curves(role: str, curves: Mapping[str, Curve | None]) -> str:
    """Draw the psychometric curve of each defect in small multiples, with its 75% point if there is one."""
    drawn = {name: curve for name, curve in curves.items() if curve is not None}
    rows = -(-len(drawn) // 3)
    figure, axes = make_figure(0.6 + 1.5 * rows, rows=rows, columns=3)
    figure.supxlabel("grade of the damage", color=MUTED, fontsize=9)
    figure.supylabel("share named right", color=MUTED, fontsize=9)
    spoken = []
    for (name, curve), place in zip(drawn.items(), axes, strict=False):
        _draw_curve(place, "all defects" if name == "all" else say_title(name), curve)
        seen = curve.threshold.value
        spoken.append(f"{name}: {'not seen in three of four' if seen is None else f'from grade {seen:.1f}'}")
    for place in axes[len(drawn) :]:
        place.set_axis_off()
    return as_svg(figure, f"curves-{role}", f"Defects the {role} judge sees. {'; '.join(spoken)}")


def _draw_curve(axes: Axes, name: str, curve: Curve) -> None:
    grades = [point[0] for point in curve.points]
    axes.set_title(name, loc="left", color=INK, fontsize=9)
    axes.set_xlim(0.5, max(grades) + 0.5)
    axes.set_ylim(0.0, 1.05)
    axes.axhline(0.5, color=GRID, linewidth=1)
    x, y = compute_curve(curve, max(grades) + 0.5)
    axes.plot(x[x >= 0.5], y[x >= 0.5], color=LINES[0], linewidth=1.6)
    axes.plot(grades, [point[1] for point in curve.points], "o", color=INK, markersize=3.5)
    seen, low, high = curve.threshold.value, curve.threshold.low, curve.threshold.high
    if seen is not None:
        axes.plot([seen, seen], [0, 0.75], color=GOOD, linewidth=1.2)
        if low is not None and high is not None:
            axes.plot([low, high], [0.05, 0.05], color=GOOD, linewidth=3, alpha=0.5)
    axes.set_xticks(grades, [f"{grade:g}" for grade in grades])
    axes.set_yticks([0.5, 1.0], ["½", "1"])
