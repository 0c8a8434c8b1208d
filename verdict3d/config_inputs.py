"""Sections of ``params.yaml`` about what goes in: assets, their condition pictures, and photos of users."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from verdict3d.config_generators import MeshLimits
from verdict3d.config_values import Choices, Count, CountFromZero, Listed, Range, Section, Share, Text, within

OperatorName = Literal["crop", "occlusion", "downscale", "blur", "noise", "jpeg", "low_light"]
Severity = Annotated[int, Field(ge=0, le=5)]


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
