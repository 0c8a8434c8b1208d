"""What a generator is, as far as it can be known: the record that runs, versions and certificates keep."""

from __future__ import annotations

from typing import ClassVar

from verdict3d.config_generators import Determinism, FrontAxis, SurfaceKind, UpAxis
from verdict3d.provenance import digest_json
from verdict3d.records.record import Record, RecordPart

GENERATOR = "generator.json"
"""File of the record, beside what the generator made."""


class Frame(RecordPart):
    """How its files lie: the axis that points up, and the one that the object faces."""

    up: UpAxis
    front: FrontAxis


class GeneratorRecord(Record):
    """One generator.

    Attributes:
        kind: How it is reached: ``trellis``, ``folder``, ``command``, ``callable`` or ``http``.
        name: What people call it.
        version: Its version or revision.
        digests: Of what decides its meshes and can be seen from here, by name.
        post_processing: What is done to its meshes before they come here.
        determinism: What the same photo and seed give again.
        frame: How its files lie.
        surface: What its meshes have on them.
        licence: Terms of its use.
        settings: Digest of the parameters that decide its meshes.
    """

    SCHEMA: ClassVar[str] = "verdict3d/generator/1"

    kind: str
    name: str
    version: str
    digests: dict[str, str]
    post_processing: str
    determinism: Determinism
    frame: Frame
    surface: SurfaceKind
    licence: str
    settings: str

    @property
    def digest(self) -> str:
        """One SHA-256 over all of it."""
        return digest_json(self.model_dump())

    @property
    def title(self) -> str:
        """Its name with its version, for people."""
        return f"{self.name} {self.version}"
