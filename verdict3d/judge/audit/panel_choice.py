"""Which panel is a judge shown? The one that it answers best with, or the one that its parameters fix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verdict3d.judge.rubric import SLOTS


def choose_panel(asked: str, panels: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the panel of a judge and what it is chosen by.

    Args:
        asked: ``audited``, or the kind that is fixed.
        panels: ``clear_gap`` and ``clean_but_wrong`` summaries on the same pairs with each kind of
            :data:`SLOTS`.

    Returns:
        ``asked``, ``chosen`` (the kind with the highest credit, of equal ones the first; or the fixed one)
        and ``credit`` by kind: half-credit summed over both controls, 0 to 2, None where one is undefined.
    """
    credit = {kind: _credit(panels[kind]) for kind in SLOTS}
    return {"asked": asked, "chosen": _best(credit) if asked == "audited" else asked, "credit": credit}


def better_panel(panel: Mapping[str, Any]) -> str | None:
    """Return the kind with a higher credit than the fixed one; None where there is none."""
    best = _best(panel["credit"])
    return best if _rank(panel["credit"][best]) > _rank(panel["credit"][panel["chosen"]]) else None


def describe_panel(panel: Mapping[str, Any]) -> str:
    """Return which panel it is and the credit of all, in a line for people."""
    how = "chosen by this audit" if panel["asked"] == "audited" else "fixed in params.yaml"
    better = better_panel(panel)
    beside = f", though {better} does better" if better else ""
    credit = ", ".join(f"{kind} {_shown(panel['credit'][kind])}" for kind in SLOTS)
    return f"panel {panel['chosen']}, {how}{beside}; credit of 2: {credit}"


def panel_warnings(role: str, panel: Mapping[str, Any]) -> list[str]:
    """Say that the fixed panel is not the best one, where it is not."""
    better, chosen = better_panel(panel), panel["chosen"]
    if better is None:
        return []
    return [
        f"judges.{role}.panel fixes {chosen} (credit {_shown(panel['credit'][chosen])} of 2), and this judge "
        f"does better with {better} ({_shown(panel['credit'][better])}); `audited` leaves the choice to the "
        "audit."
    ]


def _credit(found: Mapping[str, Any]) -> float | None:
    clear, wrong = (found[name]["half_credit"]["value"] for name in ("clear_gap", "clean_but_wrong"))
    return None if clear is None or wrong is None else round(float(clear + wrong), 9)  # equal ones are equal


def _best(credit: Mapping[str, float | None]) -> str:
    return max(SLOTS, key=lambda kind: _rank(credit[kind]))


def _rank(credit: float | None) -> float:
    return -1.0 if credit is None else credit


def _shown(credit: float | None) -> str:
    return "none" if credit is None else f"{credit:.2f}"
