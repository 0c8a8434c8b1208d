"""Typed parameters: one frozen model per section of ``params.yaml``; unknown keys are refused by name."""

from __future__ import annotations

import reprlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from verdict3d.config_arms import (
    AnyArm,
    ArmParams,
    ControlParams,
    OutsideArmParams,
    Regime,
    SearchParams,
)
from verdict3d.config_generators import ADDRESS, AnyGenerator, MeshLimits, TrellisParams
from verdict3d.config_values import (
    Choices,
    Count,
    CountFromZero,
    Listed,
    Name,
    NotNegative,
    Positive,
    Range,
    Section,
    Share,
    Text,
    Variable,
    fitting,
    within,
)
from verdict3d.errors import Verdict3DError
from verdict3d.records.yaml_files import read_yaml
from verdict3d.view_sets import VIEW_SETS

Mode = Literal["normal", "clay", "rgb"]
PanelKind = Literal["three_images", "two_sheets", "reference_free", "seven_images"]
PanelChoice = Literal["audited", PanelKind]
JudgeRole = Literal["training", "evaluation", "third"]
OperatorName = Literal["crop", "occlusion", "downscale", "blur", "noise", "jpeg", "low_light"]
Severity = Annotated[int, Field(ge=0, le=5)]
Margin = Annotated[float, Field(gt=0.0, lt=0.5)]
PlantedFault = Literal["always-first", "reference-blind", "coin-flip", "follows-the-camera"]
"""Bad judges on purpose, for a drill of the audit."""

LONGEST_MESSAGE = 500
"""Characters that are shown of what is wrong with one value."""
_CRON = "minute, hour, day of month, month and day of week that come due, such as 0 3 * * *"


class ViewParams(Section):
    """Where the condition picture is taken from: ranges are sampled uniformly for each asset."""

    yaw_deg: Annotated[Range, within(-360, 360)]
    elevation_deg: Annotated[Range, within(-89, 89)]
    fov_deg: float = Field(gt=1.0, lt=120.0)
    distance: float = Field(gt=0.9, le=100.0)


class AssetsParams(Section):
    """Stage ``assets``."""

    source: Text
    train: CountFromZero
    validation: CountFromZero
    heldout: CountFromZero
    split_shares: dict[Literal["train", "validation", "heldout"], Share]
    up_axis: Literal["auto", "x", "y", "z"]
    base_may_have_seen: bool
    condition_size_px: int = Field(ge=32, le=4096)
    view: ViewParams
    limits: MeshLimits


class RegimeParams(Section):
    """A mixture: ``count`` different operators, each with a severity drawn from ``severities``."""

    operators: Choices[OperatorName] = Field(min_length=1)
    count: Count
    severities: Listed[Severity] = Field(min_length=1)

    @model_validator(mode="after")
    def _enough_operators(self) -> RegimeParams:
        if self.count > len(self.operators):
            raise ValueError(f"count {self.count} needs that many operators, got {', '.join(self.operators)}")
        return self


class DegradeParams(Section):
    """Stage ``degrade``."""

    regimes: dict[Literal["mild", "medium", "severe"], RegimeParams]


class FinishParams(Section):
    """What is done to meshes from photos before they are written (``verdict3d.mesh.finishing``)."""

    floater_share: Share | None = None
    """Parts with less than this share of the largest part's area are removed."""
    fill_holes: bool = False
    """Close holes by fans: right for convex ones."""
    faces: Count | None = None
    """Simplify to about so many faces."""


class PhotosParams(Section):
    """Photos in ``verdict3d generate`` and the registered model; concerns no stage."""

    background: Text | None = None
    """Model that removes it from opaque photos (``verdict3d.trellis.background``); None: they are refused."""
    objects: Literal["all", "largest"] = "all"
    """Which objects of a photo are kept, where it shows several."""
    finish: FinishParams = FinishParams()


class GenerateParams(Section):
    """Stage ``generate``."""

    batch_size: Count
    pair_assets: Count
    """Training assets that pairs are made of, the first of the manifest; arms may learn from all of them."""
    pair_regimes: Choices[Regime]
    low_budget_steps: Count
    heldout_regimes: Choices[Regime]


class PairsParams(Section):
    """Stage ``pairs``."""

    kinds: Choices[Literal["contrastive", "same_base"]]


class LabelParams(Section):
    """Stage ``label``."""

    by: Literal["judge", "people"]
    """Whose verdicts become preferences."""


class EndpointParams(Section):
    """An OpenAI-compatible server that answers for a judge; docs/judges.md says how to use one."""

    url: Annotated[str, fitting(ADDRESS, "http(s)://host/path, without name and query")]
    """Address up to the version, such as ``http://127.0.0.1:8000/v1``; without name, password or query."""
    key_variable: Variable | None = None
    """Environment variable that holds the key."""
    answers: Literal["logprobs", "text"] = "logprobs"
    top_logprobs: Count = 20
    """Tokens whose log-probabilities are asked for; 20 is the most that many servers give."""
    least_mass: Share = 0.5
    """Smallest probability of A and B together; an answer below it is invalid."""
    text_tokens: Count = 64
    """Most tokens of a text answer; models that reason before they answer need thousands."""
    concurrency: Count = 8
    timeout_s: Positive = 120.0
    """Longest time for one whole reply."""
    attempts: Count = 6
    pause_s: NotNegative = 0.5
    """Before the second attempt; doubles from one to the next."""
    prompt: Annotated[str, Field(min_length=1)] | None = None
    """Question with picture slots for three images; by default the rubric."""


class LineageParams(Section):
    """What a model was made from: two judges are only as independent as these differ.

    Attributes:
        vision_tower: The image encoder.
        language_model: The language model it was built on.
        language_family: Models of one family share their pretraining; the language model itself when empty.
        vendor: Who trained the model.
        licence: Under which terms the weights may be used.
        source: Paper, card or file that says so.
    """

    vision_tower: Text
    language_model: Text
    language_family: str = ""
    vendor: Text
    licence: Text
    source: Text


class JudgeParams(Section):
    """One judge: which model, what it is shown, from how many view sets.

    ``panel`` is a kind, or ``audited``: the audit chooses (:mod:`verdict3d.asking.certificates`).
    ``compiled`` is for large models on a GPU: torch.compile takes a minute and other last bits.
    """

    model: Text
    revision: Text | None
    panel: PanelChoice
    mode: Mode
    device: Literal["auto", "cpu", "cuda"]
    batch_size: Count
    views: Annotated[int, Field(ge=1, le=len(VIEW_SETS))]
    compiled: bool = False
    endpoint: EndpointParams | None = None
    lineage: LineageParams | None = None


class JudgesParams(Section):
    """The training judge labels pairs; the evaluation judge, another model, decides win-rates.

    A third judge decides nothing: its agreement with the others is shown. All see the same montages, of views
    with ``view_px`` pixels a side.
    """

    view_px: Annotated[int, Field(ge=8, le=2048)]
    training: JudgeParams
    evaluation: JudgeParams
    third: JudgeParams | None = None

    @property
    def by_role(self) -> dict[JudgeRole, JudgeParams]:
        """Every configured judge by its role, in the order of :data:`JudgeRole`."""
        found = {role: getattr(self, role) for role in get_args(JudgeRole)}
        return {role: judge for role, judge in found.items() if judge is not None}


class AuditThresholds(Section):
    """What a judge must reach on the controls; params.yaml says why."""

    right: Share
    reference_drop: Share
    equal: Share


class AuditParams(Section):
    """Stages ``controls``, ``audit`` and ``certify``, and what the certificates are for."""

    roles: Choices[JudgeRole]
    rows_per_defect: Count
    compared: Count
    copies: Count
    coloured: Count
    valid_days: Count
    allow_uncertified: bool
    thresholds: AuditThresholds


class TrainParams(Section):
    """Stage ``train``: the arms to train, and sections of arms by name; those not in ``arms`` may stay."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Name, ArmParams] = Field(init=False)

    arms: Choices[Name]

    @property
    def sections(self) -> dict[str, AnyArm]:
        """Every arm that has a section, by name."""
        return dict(self.__pydantic_extra__)

    @model_validator(mode="after")
    def _arms_have_sections(self) -> TrainParams:
        known = set(self.sections)
        unknown = set(self.arms) - known
        if unknown:
            raise ValueError(f"unknown arms {sorted(unknown)}; known: {sorted(known)}")
        return self


class PreflightParams(Section):
    """Stage ``preflight``: what the training judge must show before anything is trained."""

    least_win_rate: Share
    least_coverage: Share
    least_headroom: Share
    power: float = Field(gt=0.0, lt=1.0)
    override: bool


class EvaluateParams(Section):
    """Stage ``evaluate``."""

    regimes: Choices[Regime]
    seeds: Count
    target: Share
    bootstrap: Count
    confidence: float = Field(gt=0.5, lt=1.0)


class MarginParams(Section):
    """How much half-credit against the champion may be below 1/2, by what is compared.

    ``f_score`` is how much the mean F-score on clean inputs may be below the champion's.
    """

    clean: Margin
    category: Margin
    texture: Margin
    validity: Margin
    f_score: Margin
    people: Margin


class PromotionLimits(Section):
    """What no candidate may exceed."""

    over_optimisation_gap: Share
    holdout_candidates: Count
    holdout_queries: Count


class PromotionParams(Section):
    """Stages ``challenge`` and ``gate``: what is fixed before a candidate is seen."""

    arms: Choices[Name] = Field(min_length=1, max_length=3)
    regime: Regime
    bar: Literal["beats", "reaches", "clears"]
    test: Literal["fixed", "sequential"]
    batch_objects: Count
    alpha: float = Field(gt=0.0, le=0.1)
    looks: Count
    objects: Count
    category_objects: Annotated[int, Field(ge=2, le=1_000_000_000)]
    margins: MarginParams
    f_score_gain: Share
    limits: PromotionLimits


class ReportParams(Section):
    """Stage ``report``."""

    gallery: CountFromZero


class ScheduleParams(Section):
    """When the scheduled flow runs, and who hears of it; concerns no result."""

    cron: Annotated[str, fitting(r"\S+( \S+){4}", _CRON)]
    timezone: Text
    stage_retries: int = Field(ge=0, le=10)
    use_remote: bool
    webhook_env: Variable

    @field_validator("cron")
    @classmethod
    def _comes_due(cls, cron: str) -> str:
        from cronsim import CronSim, CronSimError

        try:
            next(CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC)))
        except (CronSimError, StopIteration) as error:
            raise ValueError(f"give {_CRON}") from error
        return cron

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("unknown time zone; give one such as Europe/Berlin or UTC") from error
        return timezone


class Params(Section):
    """All of ``params.yaml``."""

    seed: int = Field(ge=0, lt=2**63)
    assets: AssetsParams
    degrade: DegradeParams
    generator: AnyGenerator
    photos: PhotosParams = PhotosParams()
    generate: GenerateParams
    pairs: PairsParams
    label: LabelParams
    judges: JudgesParams
    audit: AuditParams
    preflight: PreflightParams
    train: TrainParams
    evaluate: EvaluateParams
    promotion: PromotionParams
    report: ReportParams
    schedule: ScheduleParams

    @model_validator(mode="after")
    def _candidates_are_evaluated(self) -> Params:
        unknown = sorted(set(self.promotion.arms) - set(self.train.arms))
        if unknown:
            raise ValueError(f"promotion.arms names {unknown}, which train.arms does not train")
        sections = {arm: self.train.sections[arm] for arm in self.promotion.arms}
        oracles = [
            arm for arm, section in sections.items() if section.method == "control" and section.sees_clean
        ]
        if oracles:
            raise ValueError(
                f"promotion.arms names {oracles}, which is given the clean picture; of a photo there is none"
            )
        missing = sorted({self.promotion.regime, "clean"} - set(self.evaluate.regimes))
        if missing:
            raise ValueError(f"promotion needs {missing} among evaluate.regimes")
        return self

    @model_validator(mode="after")
    def _methods_suit_the_generator(self) -> Params:
        if isinstance(self.generator, TrellisParams):
            return self
        unfit = [arm for arm in self.train.arms if _changes_networks(self.train.sections[arm])]
        if unfit:
            raise ValueError(
                f"train.arms names {', '.join(unfit)}, made of networks that generator.kind "
                f"{self.generator.kind!r} does not show; name arms of the methods search (pick: judge or "
                "random), control (both inputs alike) or outside, or set generator.kind to trellis"
            )
        return self

    @model_validator(mode="after")
    def _regimes_exist(self) -> Params:
        generated = set(self.generate.heldout_regimes)
        missing = sorted(set(self.evaluate.regimes) - generated)
        if missing:
            raise ValueError(f"evaluate.regimes names {missing}, which generate.heldout_regimes does not")
        used = {*self.generate.pair_regimes, *generated}
        for section in self.train.sections.values():
            for part in getattr(section, "parts", (section,)):
                used |= set(getattr(part, "regimes", ()))
        undefined = sorted(used - {"clean", *self.degrade.regimes})
        if undefined:
            raise ValueError(f"degrade.regimes lacks {undefined}, which generate or an arm uses")
        return self

    def experiment(self) -> dict[str, Any]:
        """Return everything that results depend on, as JSON values: all but schedule and photos."""
        return self.model_dump(mode="json", exclude={"schedule", "photos"})

    @model_validator(mode="after")
    def _audited_judges_exist(self) -> Params:
        if ("third" in self.audit.roles) != (self.judges.third is not None):
            raise ValueError("audit.roles names `third` exactly when judges.third is a judge")
        return self


def _changes_networks(arm: AnyArm) -> bool:
    """Say whether an arm is made of networks, so that there is none of it on a generator without them."""
    if isinstance(arm, ControlParams):
        return arm.structure_input != arm.latents_input
    if isinstance(arm, SearchParams):
        return arm.picks_structures
    return not isinstance(arm, OutsideArmParams)


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read and check ``params.yaml``.

    Raises:
        Verdict3DError: The file is missing, not YAML, or a value or key is not allowed; every problem is
            named with its place.
    """
    if not Path(path).is_file():
        raise Verdict3DError(f"{path} is missing; run from the project's top folder")
    return check_params(read_yaml(path), path)


def check_params(values: Any, path: str | Path) -> Params:
    """Return values that were read from ``path`` as parameters.

    Raises:
        Verdict3DError: A value or key is not allowed; every problem is named with its place.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise Verdict3DError(f"{path} does not fit:\n{_problems(error, values)}") from error


def _problems(error: ValidationError, values: Any) -> str:
    """Return a line for each problem: where it is, what is allowed, and the value that was given."""
    lines = []
    for problem in error.errors(include_url=False):
        given = problem["input"]
        if problem["type"] == "too_short" and problem["ctx"]["actual_length"] != len(given):
            continue  # only for its wrong items, which are named
        shown = "" if isinstance(given, dict) else f" (given: {reprlib.repr(given)})"
        message = problem["msg"].removeprefix("Value error, ")
        if len(message) > LONGEST_MESSAGE:  # it quotes the value
            message = f"{message[:LONGEST_MESSAGE]}..."
        lines.append(f"  {_place(problem['loc'], values)}: {message}{shown}")
    return "\n".join(lines)


def _place(steps: tuple[int | str, ...], values: Any) -> str:
    """Return a dotted place in ``values``; the methods of arms, which pydantic puts between, are left out."""
    kept = []
    for number, step in enumerate(steps):
        known = values if isinstance(values, dict) else range(len(values) if isinstance(values, list) else 0)
        inside = step in known
        if inside or number == len(steps) - 1:
            kept.append(str(step))
            values = values[step] if inside else None
    return ".".join(kept) or "top level"
