"""Sections of ``params.yaml`` about judges: which models, what they are shown, and how they are audited."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from verdict3d.config_generators import ADDRESS
from verdict3d.config_values import (
    Choices,
    Count,
    NotNegative,
    Positive,
    Section,
    Share,
    Text,
    Variable,
    fitting,
)
from verdict3d.view_sets import VIEW_SETS

Mode = Literal["normal", "clay", "rgb"]
PanelKind = Literal["three_images", "two_sheets", "reference_free", "seven_images"]
PanelChoice = Literal["audited", PanelKind]
JudgeRole = Literal["training", "evaluation", "third"]
PlantedFault = Literal["always-first", "reference-blind", "coin-flip", "follows-the-camera"]
"""Bad judges on purpose, for a drill of the audit."""


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
