"""What an audit says of a judge."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Strict

from verdict3d.records.numbers import Interval, Kappa, Summary
from verdict3d.records.record import Part, Record
from verdict3d.records.results import JudgeUsed


class Finding(Summary):
    """What one control says, with the numbers that it rests on.

    Attributes:
        requirement: What must hold, in words.
        passed: Whether it does.
        shortfall: By how much it does not, in words; empty when it does.
        drop: By how much half-credit falls without the reference; None for other controls.
    """

    requirement: str
    passed: bool
    shortfall: str
    drop: Interval | None


class Curve(Part):
    """A psychometric curve; :class:`verdict3d.stats.psychometric.Curve` says how."""

    scale: float
    slope: float
    lapse: float
    threshold: Interval
    points: list[Annotated[tuple[float, float, int], Strict(False)]]


class PanelResults(Part):
    """Two controls with one kind of panel, on the same pairs for every kind."""

    clear_gap: Summary
    clean_but_wrong: Summary


class Overload(Part):
    """The clear gap with the judge's panel and with seven images."""

    own: Summary
    seven_images: Summary


class SplatResults(Part):
    """The clear gap on the judge's montages and on splats."""

    own: Summary
    splat: Summary


class Stratum(Summary):
    """Generations whose F-scores differ by something in ``gap``, X the better one."""

    gap: Annotated[tuple[float, float], Strict(False)]


class TruthComparison(Part):
    """Agreement with measures against the true mesh: by measure, and by gap of F-score."""

    kappa: dict[str, Kappa]
    by_f_score_gap: list[Stratum]


class Comparisons(Part):
    """The same pairs shown otherwise; ``truth`` is None without true meshes."""

    panels: dict[str, PanelResults]
    overload: Overload
    splat: SplatResults
    texture: Summary
    truth: TruthComparison | None


class PanelChoice(Part):
    """The panel of a judge and what it is chosen by.

    Attributes:
        asked: ``audited``, or the kind that the parameters fix.
        chosen: The kind with the highest credit, of equal ones the first; or the fixed one.
        credit: Half-credit summed over both controls, 0 to 2, by kind; None where one is undefined.
    """

    asked: str
    chosen: str
    credit: dict[str, float | None]


class Lineage(Part):
    """What a judge was made from (:class:`verdict3d.config.LineageParams`).

    Attributes:
        shared: What it has in common with the other judges, by role.
    """

    vision_tower: str
    language_model: str
    language_family: str
    vendor: str
    licence: str
    source: str
    shared: dict[str, list[str]]


class Validity(Part):
    """How long a certificate is valid; nothing for weights that are known by their digest.

    Attributes:
        days: Days from the day of issue.
        issued: Day of issue, such as 2026-06-23.
        until: Last day.
    """

    days: int | None
    issued: str | None
    until: str | None


class Thresholds(Part):
    """What a judge must reach (:class:`verdict3d.config.AuditThresholds`)."""

    clear_gap_decisive: float
    clear_gap_coverage: float
    clean_but_wrong: float
    reference_drop: float
    first_slot: float


class Certificate(Record):
    """What a judge has shown on the controls: ``data/audit/<role>/certificate.json``.

    Attributes:
        role: ``training``, ``evaluation`` or ``third``.
        passed: Whether it may be used.
        reasons: Why not.
        judge: Who was audited.
        rig: Digest of the rig that drew the controls.
        controls: By name.
        thresholds: What was asked for.
        validity: How long it is valid.
        panel: How the panel was chosen.
        stack: Versions of the packages that computed the answers.
        lineage: What the judge was made from.
        warnings: What a reader must know, a sentence each.
        curves: How large a defect must be to be seen, by defect; None with too few answers.
        comparisons: The same pairs shown otherwise.
        questions: Number of pairs that were asked about.
        holdout_objects: Number of objects that these are about.
    """

    SCHEMA: ClassVar[str] = "verdict3d/certificate/2"

    role: str
    passed: bool
    reasons: list[str]
    judge: JudgeUsed
    rig: str
    controls: dict[str, Finding]
    thresholds: Thresholds
    validity: Validity
    panel: PanelChoice
    stack: dict[str, str]
    lineage: Lineage
    warnings: list[str]
    curves: dict[str, Curve | None]
    comparisons: Comparisons
    questions: int
    holdout_objects: int
