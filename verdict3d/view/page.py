"""The report page: one HTML file without scripts and without requests to anywhere."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from verdict3d.judge.audit.words import describe_sureness
from verdict3d.view import views, words
from verdict3d.view.arms import make_control_rows, make_ways
from verdict3d.view.audit import NAMES, PANELS, collect_failures
from verdict3d.view.audit_figures import draw_curves, draw_failures
from verdict3d.view.content import Audit, Report
from verdict3d.view.environment import make_environment
from verdict3d.view.figures import ForestLine, draw_forest, draw_losses
from verdict3d.view.links import PairLinks, filter_agreed, filter_control


def render_page(report: Report, pairs_page: str | None = None) -> str:
    """Return the report as one HTML document.

    Args:
        report: What it shows.
        pairs_page: Address of the page of pairs that numbers lead to; None: they lead nowhere.

    Everything that comes from outside (names, reasons, parameters) is escaped; the page's own content policy
    forbids scripts and all loading except embedded pictures. The same report gives the same text.
    """
    found = views.collect_results(report)
    lead = views.find_leading(report, found)
    return (
        make_environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            results=found,
            lead=lead,
            headline=views.say_first(report, lead),
            reason=views.say_reason(report),
            tone=views.choose_decided_tone(report, lead),
            side_words=views.say_others(found, lead),
            forest=Markup(_draw_forest(report, found)) if found else None,
            ways=make_ways(report),
            controls=make_control_rows(report),
            queries=_count_questions(report),
            categories=views.make_category_tables(found),
            labels=views.make_label_lines(report),
            promotions=views.collect_promotions(report),
            curves=[(curve, Markup(draw_losses(curve))) for curve in report.curves],
            audits=[(audit, *_draw_audit(audit)) for audit in report.audits],
            control_names=NAMES,
            panel_names=PANELS,
            sureness_words=describe_sureness,
            missing=views.name_missing(report),
            paper_repair=words.PAPER_REPAIR,
            pairs=PairLinks(pairs_page),
            control_pairs=filter_control,
            agreed_pairs=filter_agreed,
        )
    )


def _count_questions(report: Report) -> int:
    """Return how many answers of the evaluation judge about held-out objects the run used; 0: not known."""
    used = report.promotion.holdout if report.promotion else None
    return sum(used.arms.values()) + sum(used.audits.values()) if used else 0


def _draw_audit(audit: Audit) -> tuple[Markup, Markup]:
    """Return the figures of one judge: the paper's failures, and the defects it sees."""
    failures = draw_failures(audit.role, collect_failures(audit.certificate))
    return Markup(failures), Markup(draw_curves(audit.role, audit.certificate.curves))


def collect_metrics(report: Report) -> dict[str, Any]:
    """Return the page's headline numbers: half-credit, decisive, coverage and standing by arm and regime."""
    arms: dict[str, dict[str, Any]] = {}
    for result in views.collect_results(report):
        arms.setdefault(result.arm, {})[result.regime] = {
            "half_credit": result.summary.half_credit.model_dump(),
            "decisive": result.summary.decisive.model_dump(),
            "coverage": result.summary.coverage,
            "flip_rate": result.summary.flip_rate,
            **{name: getattr(result.summary, name) for name in ("same", "flips", "close", "invalid")},
            "standing": result.standing,
        }
    return arms


def collect_rates(report: Report) -> dict[str, dict[str, float]]:
    """Return each arm's win-rates, as few and short numbers as fit a line of a terminal.

    The bounds are those of the hardest inputs; numbers that are undefined are left out.
    """
    arms: dict[str, dict[str, float]] = {}
    for result in views.collect_results(report):  # from the hardest inputs on
        half = result.summary.half_credit
        numbers = {result.regime: half.value}
        if result.arm not in arms:
            numbers |= {"low": half.low, "high": half.high}
        known = {name: round(value, 3) for name, value in numbers.items() if value is not None}
        arms.setdefault(result.arm, {}).update(known)
    return arms


def collect_people(report: Report) -> dict[str, Any] | None:
    """Return what people say in numbers: answers, agreement and its ceiling, half-credit by arm."""
    people = report.people
    if people is None:
        return None
    rates: dict[str, dict[str, Any]] = {}
    for rate in people.rates:
        rates.setdefault(rate.arm, {})[rate.regime] = rate.people.half_credit.model_dump()
    kappas = {"people": people.ceiling, **people.judges}
    return {
        "answers": people.votes,
        "counted": people.counted,
        "careless": sum(bool(rater.careless) for rater in people.raters),
        "agreement": {
            name: {"value": kappa.value, "low": kappa.low, "high": kappa.high}
            for name, kappa in kappas.items()
        },
        "half_credit": rates,
    }


def _draw_forest(report: Report, found: list[views.ArmInRegime]) -> str:
    rows = [
        ForestLine(
            label=f"{words.say_title(result.arm)}, {result.regime}",
            value=result.summary.half_credit.value,
            low=result.summary.half_credit.low,
            high=result.summary.half_credit.high,
            decisive=result.summary.decisive.value,
            tone=result.tone,
        )
        for result in found
    ]
    return draw_forest(rows, report.target)
