"""What an audit says of a judge."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Strict

from verdict3d.records.generators import GeneratorRecord
from verdict3d.records.numbers import Interval, Kappa, Summary
from verdict3d.records.record import Record, RecordPart
from verdict3d.records.results import JudgeUsed


class Finding(Summary):
    """What one control says, with the numbers that it rests on.

    Attributes:
        of: The quantity that it is about, in words.
        quantity: That quantity.
        requirement: What must hold, in words.
        required: Whether a judge that fails may not be used; ``colour`` alone is not: without it no texture
            is judged.
        passed: Whether it does.
        shortfall: By how much it does not, in words; empty when it does.
    """

    of: str
    quantity: Interval
    requirement: str
    required: bool
    passed: bool
    shortfall: str


class Sureness(RecordPart):
    """How sure a judge is where it is right and where it is wrong about clear gaps.

    Attributes:
        right: Median |d| of the decided pairs that it is right about; None without any, like the others.
        wrong: The same of those that it is wrong about.
        right_when_large: Share of right ones among the half of the decided pairs with the larger |d|.
    """

    right: float | None
    wrong: float | None
    right_when_large: float | None


class Curve(RecordPart):
    """A psychometric curve; :class:`verdict3d.stats.psychometric.Curve` says how."""

    scale: float
    slope: float
    lapse: float
    threshold: Interval
    points: list[Annotated[tuple[float, float, int], Strict(False)]]


class PanelScores(RecordPart):
    """Two controls with one kind of panel, on the same pairs for every kind."""

    clear_gap: Summary
    clean_but_wrong: Summary


class Overload(RecordPart):
    """The clear gap with the judge's panel and with seven images."""

    own: Summary
    seven_images: Summary


class SplatScores(RecordPart):
    """The clear gap on the judge's montages and on splats."""

    own: Summary
    splat: Summary


class Stratum(Summary):
    """Generations whose F-scores differ by something in ``gap``, X the better one."""

    gap: Annotated[tuple[float, float], Strict(False)]


class Ordering(RecordPart):
    """What a judge orders among generations whose true meshes are known.

    Attributes:
        kappa: Agreement with each measure against the true mesh.
        by_f_score_gap: Right answers by gap of F-score.
        curve: Right answers as a curve over the gap; its threshold is the smallest gap at which three of four
            are right. None with too few answers.
        generations: Pairs that were asked about.
    """

    kappa: dict[str, Kappa]
    by_f_score_gap: list[Stratum]
    curve: Curve | None
    generations: int


class Comparisons(RecordPart):
    """The same pairs shown otherwise."""

    panels: dict[str, PanelScores]
    overload: Overload
    splat: SplatScores


class PanelChoice(RecordPart):
    """The panel of a judge and what it is chosen by.

    Attributes:
        asked: ``audited``, or the kind that the parameters fix.
        chosen: The kind with the highest credit, of equal ones the first; or the fixed one.
        credit: Half-credit summed over both controls, 0 to 2, by kind; None where one is undefined.
    """

    asked: str
    chosen: str
    credit: dict[str, float | None]


class Lineage(RecordPart):
    """What a judge was made from (:class:`verdict3d.config_judges.LineageParams`).

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


class Validity(RecordPart):
    """How long a certificate is valid; nothing for weights that are known by their digest.

    Attributes:
        days: Days from the day of issue.
        issued: Day of issue, such as 2026-06-23.
        until: Last day.
    """

    days: int | None
    issued: str | None
    until: str | None


class Thresholds(RecordPart):
    """What a judge must reach (:class:`verdict3d.config_judges.AuditThresholds`)."""

    right: float
    reference_drop: float
    equal: float


class Admission(Record):
    """That a run may generate: ``data/admission/admission.json``.

    Attributes:
        uncertified: Whether judges that failed their audit were let through.
    """

    SCHEMA: ClassVar[str] = "verdict3d/admission/1"

    uncertified: bool


class Certificate(Record):
    """What a judge has shown on the controls.

    ``data/audit/<role>/certificate.json`` is about the objects alone, before anything is generated;
    ``data/certify/<role>/certificate.json`` is the same with what the judge says of generations. Only this
    one lets a judge label and decide.

    Attributes:
        role: ``training``, ``evaluation`` or ``third``.
        passed: Whether it passed all controls that it was asked about.
        reasons: Why not.
        judge: Who was audited.
        rig: Digest of the rig that drew the controls.
        controls: By name.
        taught: Kinds of damage that the judge was taught, by its card.
        limitations: What the certificate does not show, a sentence each.
        sureness: How sure the judge is about clear gaps.
        ordering: What it orders among generations; None before there are any, or without true meshes.
        generator: Whose generations these were; None before there are any.
        thresholds: What was asked for.
        validity: How long it is valid.
        panel: How the panel was chosen.
        stack: Versions of the packages that computed the answers.
        lineage: What the judge was made from.
        warnings: What a reader must know, a sentence each.
        curves: How large a defect must be to be seen, by defect; None with too few answers.
        comparisons: The same pairs shown otherwise.
        questions: Number of pairs that were asked about.
        objects: Number of objects that these are about.
    """

    SCHEMA: ClassVar[str] = "verdict3d/certificate/5"

    role: str
    passed: bool
    reasons: list[str]
    judge: JudgeUsed
    rig: str
    controls: dict[str, Finding]
    taught: list[str]
    limitations: list[str]
    sureness: Sureness
    ordering: Ordering | None
    generator: GeneratorRecord | None
    thresholds: Thresholds
    validity: Validity
    panel: PanelChoice
    stack: dict[str, str]
    lineage: Lineage
    warnings: list[str]
    curves: dict[str, Curve | None]
    comparisons: Comparisons
    questions: int
    objects: int
