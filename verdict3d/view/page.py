"""The report page: one HTML file without scripts and without requests to anywhere."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from verdict3d.judge.audit.words import describe_sureness
from verdict3d.view import views, words
from verdict3d.view.arms import control_rows, ways
from verdict3d.view.audit import NAMES, PANELS, failures_of
from verdict3d.view.audit_figures import curves_figure, failures_figure
from verdict3d.view.content import Audit, Report
from verdict3d.view.environment import page_environment
from verdict3d.view.figures import ForestRow, forest_figure, loss_figure
from verdict3d.view.links import PairLinks, control_pairs


def render_page(report: Report, pairs_page: str | None = None) -> str:
    """Return the report as one HTML document.

    Args:
        report: What it shows.
        pairs_page: Address of the page of pairs that numbers lead to; None: they lead nowhere.

    Everything that comes from outside (names, reasons, parameters) is escaped; the page's own content policy
    forbids scripts and all loading except embedded pictures. The same report gives the same text.
    """
    found = views.results(report)
    lead = views.leading(found)
    return (
        page_environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            results=found,
            lead=lead,
            headline=views.headline_words(report, lead),
            side_words=views.side_words(found, lead),
            forest=Markup(_forest(report, found)) if found else None,
            ways=ways(report),
            controls=control_rows(report),
            queries=_questions(report),
            categories=views.category_tables(found),
            labels=views.label_rows(report),
            promotions=views.promotions(report),
            curves=[(curve, Markup(loss_figure(curve))) for curve in report.curves],
            audits=[(audit, *_audit_figures(audit)) for audit in report.audits],
            control_names=NAMES,
            panel_names=PANELS,
            sureness_words=describe_sureness,
            missing=views.missing(report),
            paper_repair=words.PAPER_REPAIR,
            pairs=PairLinks(pairs_page),
            control_pairs=control_pairs,
        )
    )


def _questions(report: Report) -> int:
    """Return how many answers of the evaluation judge about held-out objects the run used; 0: not known."""
    used = report.promotion.holdout if report.promotion else None
    return sum(used.arms.values()) + sum(used.audits.values()) if used else 0


def _audit_figures(audit: Audit) -> tuple[Markup, Markup]:
    """Return the figures of one judge: the paper's failures, and the defects it sees."""
    failures = failures_figure(audit.role, failures_of(audit.certificate))
    return Markup(failures), Markup(curves_figure(audit.role, audit.certificate.curves))


def headline_metrics(report: Report) -> dict[str, Any]:
    """Return the page's headline numbers: half-credit, decisive, coverage and standing by arm and regime."""
    arms: dict[str, dict[str, Any]] = {}
    for result in views.results(report):
        arms.setdefault(result.arm, {})[result.regime] = {
            "half_credit": result.summary.half_credit.model_dump(),
            "decisive": result.summary.decisive.model_dump(),
            "coverage": result.summary.coverage,
            "flip_rate": result.summary.flip_rate,
            **{name: getattr(result.summary, name) for name in ("same", "flips", "close", "invalid")},
            "standing": result.standing,
        }
    return arms


def _forest(report: Report, found: list[views.Result]) -> str:
    rows = [
        ForestRow(
            label=f"{words.title(result.arm)}, {result.regime}",
            value=result.summary.half_credit.value,
            low=result.summary.half_credit.low,
            high=result.summary.half_credit.high,
            decisive=result.summary.decisive.value,
            tone=result.tone,
        )
        for result in found
    ]
    return forest_figure(rows, report.target)
