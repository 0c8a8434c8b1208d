"""Typed parameters of the adaptation arms: one model for each method; an arm is a name for one of them.

``train.<arm>.method`` chooses the model. The same method serves several arms with other values.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from verdict3d.config_generators import AnyOutside
from verdict3d.config_values import (
    NAME,
    Choices,
    Count,
    CountFromZero,
    Listed,
    NotNegative,
    Positive,
    Section,
    Share,
)

Regime = Literal["clean", "mild", "medium", "severe"]
FlowName = Literal["structure", "latents"]
FlowLayer = Literal["self_attention", "cross_attention", "feed_forward", "sparse_linear"]
EncoderLayer = Literal["attention", "feed_forward"]


class Trained(Section):
    """How long, on how much at a time and how fast."""

    steps: Count
    batch_size: Count
    learning_rate: Positive
    checkpoint_every: Count


class TrainedOnPictures(Trained):
    """Arms that learn from degraded pictures beside clean ones."""

    clean_share: Share
    """Share of each batch that keeps its clean input."""
    views: CountFromZero = 0
    """Further views that are rendered of each training mesh, besides its condition picture."""
    draws: Count
    """Degraded pictures of each view."""
    regimes: Choices[Regime] = Field(min_length=1)


class ConditionerRepairParams(TrainedOnPictures):
    """The paper's token regression: a residual adapter from degraded to clean tokens."""

    method: Literal["conditioner_repair"]
    hidden: Count


class FlowLayers(Section):
    """What is trained of a flow: LoRA of a rank, or at rank 0 the layers themselves."""

    rank: CountFromZero
    layers: Choices[FlowLayer] = Field(min_length=1)
    checkpointing: bool = False
    """Keep only what goes into each block, for a third more work and the same results."""


class EncoderLayers(Section):
    """What is trained of the conditioner's encoder: LoRA of a rank, or at rank 0 the layers themselves."""

    rank: CountFromZero
    layers: Choices[EncoderLayer] = Field(min_length=1)


class TokenTransformerParams(Section):
    """A transformer over the tokens, behind the conditioner."""

    blocks: Count
    heads: Count


class LossWeights(Section):
    """Weights of the losses of ``degraded_inputs``; 0 leaves one out."""

    velocity: NotNegative = 0.0
    """Distance to the velocity of the frozen flow under the clean tokens."""
    flow_matching: NotNegative = 0.0
    """Distance to the velocity of the training object itself (supervised fine-tuning)."""
    tokens: NotNegative = 0.0
    """Distance to the clean tokens."""


class DegradedInputsParams(TrainedOnPictures):
    """Learn to make of a degraded picture what the base makes of the clean one."""

    method: Literal["degraded_inputs"]
    encoder: EncoderLayers | None = None
    tokens: TokenTransformerParams | None = None
    structure: FlowLayers | None = None
    latents: FlowLayers | None = None
    loss: LossWeights
    guided: bool = False
    """Weigh velocities where the sampler guides as it amplifies them: by (1 + w)^2, divided by the mean."""
    on_policy_share: Share = 0.0
    """Share of the batches that start from states of the student's own sampler, not from noised objects."""
    unconditional_share: Share = 0.1
    """Share of each batch that loses its condition, where a flow is trained."""
    times: Literal["trained", "early"] = "trained"
    """How times are drawn: as the flow was trained (logit-normal), or early: t = 1 - 0.3 u^1.5, u uniform."""
    targets: Literal["assets", "samples"] = "assets"
    """Clean latents: those of the training meshes, or samples of the base from their clean pictures."""
    start: str | None = Field(default=None, pattern=NAME)
    """Folder in ``data/checkpoints`` with trained weights of the same parts, which training goes on from."""
    leave_clean: Share | None = None
    """A picture keeps its tokens unless they change more than in this share of clean pictures.

    Those of the validation assets, which were not trained on; of the training assets where there are none.
    """

    @model_validator(mode="after")
    def _something_to_do(self) -> DegradedInputsParams:
        if not (self.encoder or self.tokens or self.structure or self.latents):
            raise ValueError("train at least one of encoder, tokens, structure, latents")
        if not (self.loss.velocity or self.loss.flow_matching or self.loss.tokens):
            raise ValueError("give at least one loss a weight above 0")
        if not (self.encoder or self.tokens) and not (self.loss.velocity or self.loss.flow_matching):
            raise ValueError("a token loss alone trains no flow")
        if self.leave_clean is not None and (self.structure or self.latents):
            raise ValueError(
                "leave_clean is for repairs of tokens; a trained flow changes clean pictures too"
            )
        return self


class PreferenceParams(Trained):
    """Flow-DPO, ORPO or fine-tuning on the preferred samples, from the pairs that the judge decided."""

    method: Literal["preference"]
    objective: Literal["dpo", "orpo", "sft"]
    structure: FlowLayers | None = None
    latents: FlowLayers | None = None
    kinds: Choices[Literal["contrastive", "same_base"]] = Field(min_length=1)
    condition: Literal["chosen", "rejected"]
    """Whose picture both samples are trained under: the preferred (clean) or the other (degraded) one."""
    reduction: Literal["mean", "sum"] = "mean"
    """How the squared velocity errors of a sample are reduced over its values."""
    beta: Positive = 0.1
    stored_noise: bool = False
    """Noise each sample with the prior noise it was generated from."""
    safeguard: float | None = Field(default=None, ge=0.0, lt=1.0)
    """mu of the winner safeguard (Diffusion-SDPO); None leaves it out. Structure flow only."""
    winner_weight: NotNegative = 0.0
    """Weight of the preferred sample's own flow-matching loss, added to DPO."""
    odds_weight: NotNegative = 0.1
    odds_slope: Positive = 0.5
    odds_temperature: Positive = 1000.0

    @model_validator(mode="after")
    def _fits(self) -> PreferenceParams:
        if not (self.structure or self.latents):
            raise ValueError("train at least one of structure, latents")
        if self.safeguard is not None and self.latents:
            raise ValueError(
                "the safeguard compares gradients value by value, which latents of two samples forbid"
            )
        return self


class TokenFlowParams(TrainedOnPictures):
    """Generative repair: a flow that draws clean tokens given degraded ones."""

    method: Literal["token_flow"]
    width: Count
    blocks: Count
    heads: Count
    sampler_steps: Count = 12

    @model_validator(mode="after")
    def _heads_divide(self) -> TokenFlowParams:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        return self


class SearchParams(Section):
    """One of ``samples``; trains nothing."""

    method: Literal["search"]
    samples: int = Field(ge=2, le=1000)
    pick: Literal["judge", "random", "consensus", "majority"]
    """A tournament of the training judge, chance, the structures' agreement, or a vote on their voxels."""
    agreed: Share = 1.0
    """The first structure is kept where all have at least this mean IoU with each other."""
    unless_clean: bool = False
    """Sample once, as the base does, where the repair before it in a stack leaves the picture alone."""

    @model_validator(mode="after")
    def _structures_are_left(self) -> SearchParams:
        if self.unless_clean and not self.picks_structures:
            raise ValueError("unless_clean is for `consensus` and `majority`")
        return self

    @property
    def picks_structures(self) -> bool:
        """Whether structures decide, before latents and mesh are made."""
        return self.pick in ("consensus", "majority")


class LoraParams(Section):
    """A LoRA set by others, in PEFT's form; trains nothing."""

    method: Literal["lora"]
    folder: str = Field(pattern=NAME)
    """Name of a folder in ``data/loras`` with ``adapter_config.json`` and ``adapter_model.safetensors``."""
    network: Literal["encoder", "structure", "latents"] | None = None
    """Network that the names of its layers are of, where they could be of several."""


class ControlParams(Section):
    """A control, which trains nothing: what each stage sees, and whether the noise is the base's."""

    method: Literal["control"]
    structure_input: Literal["given", "clean"]
    latents_input: Literal["given", "clean"]
    fresh_noise: bool = False

    @property
    def sees_clean(self) -> bool:
        """Whether a stage is given the clean picture, which nobody has of a photo."""
        return "clean" in (self.structure_input, self.latents_input)


Single = (
    ConditionerRepairParams
    | DegradedInputsParams
    | PreferenceParams
    | TokenFlowParams
    | SearchParams
    | LoraParams
    | ControlParams
)
"""The settings of every method but ``stack``; that of a new one is named here."""
StackPart = Annotated[Single, Field(discriminator="method")]


class StackParams(Section):
    """Arms on top of each other; each is trained on the generator with the earlier ones on."""

    method: Literal["stack"]
    parts: Listed[StackPart] = Field(min_length=2)

    @model_validator(mode="after")
    def _parts_fit(self) -> StackParams:
        if any(part.method == "control" for part in self.parts):
            raise ValueError("a control stands alone")
        changing = [number for number, part in enumerate(self.parts) if _changes_tokens(part)]
        for number in changing[:-1]:
            part = self.parts[number]
            if part.method == "degraded_inputs" and part.leave_clean is not None:
                raise ValueError(
                    f"part {number} leaves clean pictures their tokens, and part {changing[-1]} changes them "
                    f"again: give leave_clean to part {changing[-1]} alone, the last that changes tokens"
                )
        for number, part in enumerate(self.parts):
            if part.method == "search" and part.unless_clean:
                before = [other for other in self.parts[:number] if _changes_tokens(other)]
                if not before or getattr(before[-1], "leave_clean", None) is None:
                    raise ValueError(
                        f"part {number} samples once what a repair before it leaves alone, and none leaves "
                        "anything: give that one leave_clean, such as 0.95"
                    )
        return self


def _changes_tokens(part: Single) -> bool:
    """Say whether the flows are given other tokens with this part on."""
    if part.method == "degraded_inputs":
        return bool(part.encoder or part.tokens)
    return part.method in ("conditioner_repair", "token_flow")


class OutsideArmParams(Section):
    """A generator that is not ours, as a candidate; trains nothing here."""

    method: Literal["outside"]
    generator: AnyOutside


AnyArm = Single | StackParams | OutsideArmParams
ArmParams = Annotated[AnyArm, Field(discriminator="method")]
