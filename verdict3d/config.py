"""Typed parameters: one frozen model per section of ``params.yaml``; unknown keys are refused by name."""

from __future__ import annotations

import reprlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
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
from verdict3d.config_generators import AnyGenerator, TrellisParams
from verdict3d.config_inputs import AssetsParams, DegradeParams, PhotosParams
from verdict3d.config_judges import AuditParams, JudgesParams
from verdict3d.config_promotion import PromotionParams
from verdict3d.config_values import (
    Choices,
    Count,
    CountFromZero,
    Name,
    Section,
    Share,
    Text,
    Variable,
    fitting,
)
from verdict3d.errors import Verdict3DError
from verdict3d.records.yaml_files import read_yaml

LONGEST_MESSAGE = 500
"""Characters that are shown of what is wrong with one value."""
_CRON = "minute, hour, day of month, month and day of week that come due, such as 0 3 * * *"


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


def load_params(path: str | Path) -> Params:
    """Read and check a ``params.yaml``.

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
