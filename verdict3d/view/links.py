"""Links from numbers of a page to the pairs that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from markupsafe import Markup, escape

from verdict3d.judge.audit.controls import ON_GENERATIONS
from verdict3d.judge.audit.ordering import LARGE_GAP
from verdict3d.records.certificates import Certificate
from verdict3d.records.pairs import CLEAR_GRADES
from verdict3d.view.audit import AGREED
from verdict3d.view.content import Report
from verdict3d.view.words import NONE

LINES = {"clear_gap": "ladder", "untaught_gap": "ladder", "camera": "ladder", "position": "base_vs_base"}
"""Control that lines of an audit's table are about, where it is called otherwise."""


@dataclass(frozen=True)
class PairLinks:
    """Makes links to lists of pairs; without a page of pairs, numbers stay as they are.

    Args:
        page: Address of the page of pairs, from where the links stand; None where there is none.
    """

    page: str | None = None

    def __call__(self, text: object, /, **filters: str | Sequence[str]) -> Markup:
        """Return a text as a link to the pairs that filters leave.

        Args:
            text: What is shown; it is escaped unless it is markup. The dash of what is undefined is no link.
            **filters: As in :mod:`verdict3d.view.pairs.query`; several values of one are allowed.
        """
        if self.page is None or text == NONE:
            return escape(text)
        address = f"{self.page}#/?{urlencode(filters, doseq=True)}"
        return Markup('<a class="pairs" href="{}">{}</a>').format(address, text)


def filter_agreed(role: str, report: Report) -> dict[str, str | list[str]]:
    """Return the filters that leave the pairs on which the agreement of two judges was measured.

    Args:
        role: Role of the first of them.
        report: With the certificates of both.
    """
    panels = {audit.role: audit.certificate.judge.panel for audit in report.audits}
    return {"place": ["audit", "certify"], "judge": role, "panel": panels[role], "control": list(AGREED)}


def filter_control(role: str, control: str, certificate: Certificate) -> dict[str, str | list[str]]:
    """Return the filters that leave the pairs of a line of an audit's table.

    Args:
        role: Role of the audited judge.
        control: Name of the line.
        certificate: Its certificate.
    """
    asked, panel = LINES.get(control, control), certificate.judge.panel
    found: dict[str, str | list[str]] = {"judge": role}
    if control == "generated":
        return {"place": "certify", **found, "panel": panel, "gap": f"{LARGE_GAP}.."}
    found |= {"place": "certify" if control in ON_GENERATIONS else "audit", "control": asked}
    if not asked.startswith("reference_"):
        found["panel"] = panel
    if asked == "ladder":
        found["grade"] = f"{min(CLEAR_GRADES)}.."
    if control == "untaught_gap":
        found["defect"] = sorted(set(certificate.curves) - {"all", *certificate.taught})
    return found
