"""What an evaluation, the labelling and preflight found."""

from __future__ import annotations

from typing import ClassVar, Literal

from verdict3d.records.names import PairKind, Regime
from verdict3d.records.numbers import Interval, Kappa, Standing, Summary
from verdict3d.records.record import Record, RecordPart


class JudgeSettings(RecordPart):
    """Everything that decides a judge's answers.

    Attributes:
        model: Directory or hub id, as configured; where the files lie does not enter the digest.
        weights: Digest of the contents of all safetensors files.
        settings: Digest of configuration, tokenizer, image processor, chat template and own prompt.
        model_class: Class named in ``config.json``.
        prompt: Digest of the prompt.
        panel: Kind of panel.
        mode: What the montages show.
        dtype: Type of the weights while judging, ``"float32"`` or ``"bfloat16"``; ``"bfloat16 compiled"``
            where torch.compile made the layers.
        views: Number of view sets that a verdict rests on.
        view_sets: Digest of these sets.
    """

    model: str
    weights: str
    settings: str
    model_class: str
    prompt: str
    panel: str
    mode: str
    dtype: str
    views: int
    view_sets: str


class JudgeUsed(JudgeSettings):
    """The settings of a judge with the digest of its identity."""

    digest: str


class CertificateUse(RecordPart):
    """Whether a judge was used with a certificate.

    Attributes:
        certified: Whether it had a valid one.
        objections: Why not.
        certificate: Digest of the certificate; None without one.
    """

    certified: bool
    objections: list[str]
    certificate: str | None


class TruthResults(RecordPart):
    """The same pairs by distance to the true shape: who is nearer, and the means of both sides."""

    f_score: Summary
    normal_consistency: Summary
    arm_f_score_mean: float | None
    base_f_score_mean: float | None
    arm_normal_consistency_mean: float | None
    base_normal_consistency_mean: float | None
    arm_floating_share_mean: float | None
    base_floating_share_mean: float | None


class RegimeResults(RecordPart):
    """An arm in one regime.

    Attributes:
        summary: The evaluation judge's word.
        standing: Which claim the win-rate supports.
        by_category: The same by category.
        truth: The truth's word.
        kappa_judge_truth: Agreement of both.
        training_judge: The training judge's word on the same pairs.
        third_judge: The third judge's, where there is one.
        over_optimisation_gap: Half-credit by the training judge minus that by the evaluation judge.
        judge_agreement: Agreement of each two judges, by ``<role>_<role>``.
    """

    summary: Summary
    standing: Standing
    by_category: dict[str, Summary]
    truth: TruthResults
    kappa_judge_truth: Kappa
    training_judge: Summary
    third_judge: Summary | None
    over_optimisation_gap: Interval
    judge_agreement: dict[str, Kappa]


class Weights(RecordPart):
    """Number of weight tensors of an adapter and their norm."""

    count: int
    norm: float


class Washout(RecordPart):
    """Where an arm's change gets lost, as :mod:`tasks.scoring.washout` measures it.

    Attributes:
        weights: Of the adapter.
        tokens: Gap closed in the condition tokens; None where there is none.
        velocities: Gap closed in the structure flow's velocities, by time.
        structure_iou: Voxels of the arm and of the base.
        mesh_distance: Mean Chamfer distance of both meshes, in object units.
        montage_distance: Mean difference of both montages, in shares of the range.
        diagnosis: What became of the arm.
    """

    weights: Weights
    tokens: float | None
    velocities: dict[str, float | None] | None
    structure_iou: float | None
    mesh_distance: float | None
    montage_distance: float | None
    diagnosis: str


class Shares(RecordPart):
    """Share of meshes that were made."""

    arm: float | None
    base: float | None


class ControlResults(RecordPart):
    """Pairs of the evaluation with nothing to choose: two samples of the base."""

    base_vs_base: Summary


class Results(Record):
    """An arm against the base on held-out assets: ``data/evaluate/<arm>/results.json``.

    Attributes:
        arm: The arm.
        target: Decisive win-rate aimed at.
        judge: The evaluation judge.
        certificate: Whether it was certified.
        failures: Number of pairs without a verdict, by reason.
        regimes: By regime.
        texture: The evaluation judge's word on montages in colour, by regime; empty without them.
        washout: By regime.
        validity: Share of meshes that were made.
        controls: Pairs with nothing to choose.
    """

    SCHEMA: ClassVar[str] = "verdict3d/results/2"

    arm: str
    target: float
    judge: JudgeUsed
    certificate: CertificateUse
    failures: dict[str, int]
    regimes: dict[Regime, RegimeResults]
    texture: dict[Regime, Summary]
    washout: dict[Regime, Washout]
    validity: Shares
    controls: ControlResults


class Labels(Record):
    """What the training judge, or people, made of all pairs: ``data/label/metrics.json``.

    Attributes:
        by: Whose verdicts these are.
        pairs: Number of pairs.
        preferences: Decided ones.
        invalid: Pairs without a verdict, by reason.
        kinds: By kind of pair, X the expected side; where nothing is expected, the first of the two.
        judge: The training judge.
        certificate: Whether it was certified.
    """

    SCHEMA: ClassVar[str] = "verdict3d/labels/2"

    by: Literal["judge", "people"]
    pairs: int
    preferences: int
    invalid: dict[str, int]
    kinds: dict[PairKind, Summary]
    judge: JudgeUsed
    certificate: CertificateUse


class PairSignal(RecordPart):
    """What preflight repeats of one kind of pair; fields as in :class:`Summary`."""

    half_credit: Interval
    coverage: float | None
    flip_rate: float | None
    pairs: int


class Headroom(RecordPart):
    """How often the clean side wins against a regime: by the judge, by the truth, and of how many pairs."""

    judge: float | None
    truth: float | None
    pairs: int


class Preflight(Record):
    """Whether training can teach anything: ``data/preflight/preflight.json``.

    Attributes:
        signal: Whether there is something to learn from.
        reasons: Why not.
        overridden: Whether training goes on all the same.
        pairs: By kind of pair.
        headroom: By regime.
        regime: The one with most headroom; None where no regime has enough.
        objects_needed: Held-out objects that would show the target; None where no number would.
        objects_heldout: Held-out objects there are.
    """

    SCHEMA: ClassVar[str] = "verdict3d/preflight/2"

    signal: bool
    reasons: list[str]
    overridden: bool
    pairs: dict[PairKind, PairSignal]
    headroom: dict[Regime, Headroom]
    regime: Regime | None
    objects_needed: int | None
    objects_heldout: int
