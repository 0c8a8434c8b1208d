"""Which panel is a judge shown? The one that it answers best with, or the one that its parameters fix."""

from __future__ import annotations

from collections.abc import Mapping

from verdict3d.judge.rubric import SLOTS
from verdict3d.records.certificates import PanelChoice, PanelScores


def choose_panel(asked: str, panels: Mapping[str, PanelScores]) -> PanelChoice:
    """Return the panel of a judge and what it is chosen by.

    Args:
        asked: ``audited``, or the kind that is fixed.
        panels: What the judge answers with each kind of :data:`SLOTS`.
    """
    credit = {kind: _measure_credit(panels[kind]) for kind in SLOTS}
    return PanelChoice(
        asked=asked, chosen=_choose_best(credit) if asked == "audited" else asked, credit=credit
    )


def find_better_panel(panel: PanelChoice) -> str | None:
    """Return the kind with a higher credit than the fixed one; None where there is none."""
    best = _choose_best(panel.credit)
    return best if _rank(panel.credit[best]) > _rank(panel.credit[panel.chosen]) else None


def describe_panel(panel: PanelChoice) -> str:
    """Return which panel it is and the credit of all, in a line for people."""
    how = "chosen by this audit" if panel.asked == "audited" else "fixed in params.yaml"
    better = find_better_panel(panel)
    beside = f", though {better} does better" if better else ""
    credit = ", ".join(f"{kind} {_format_credit(panel.credit[kind])}" for kind in SLOTS)
    return f"panel {panel.chosen}, {how}{beside}; credit of 2: {credit}"


def list_panel_warnings(role: str, panel: PanelChoice) -> list[str]:
    """Say that the fixed panel is not the best one, where it is not."""
    better, chosen = find_better_panel(panel), panel.chosen
    if better is None:
        return []
    return [
        f"judges.{role}.panel fixes {chosen} (credit {_format_credit(panel.credit[chosen])} of 2), and this "
        f"judge does better with {better} ({_format_credit(panel.credit[better])}); `audited` leaves the "
        "choice to the audit."
    ]


def _measure_credit(found: PanelScores) -> float | None:
    clear, wrong = found.clear_gap.half_credit.value, found.clean_but_wrong.half_credit.value
    return None if clear is None or wrong is None else round(float(clear + wrong), 9)  # equal ones are equal


def _choose_best(credit: Mapping[str, float | None]) -> str:
    return max(SLOTS, key=lambda kind: _rank(credit[kind]))


def _rank(credit: float | None) -> float:
    return -1.0 if credit is None else credit


def _format_credit(credit: float | None) -> str:
    return "none" if credit is None else f"{credit:.2f}"
