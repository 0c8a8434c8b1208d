"""Typed parameters of generators: ``trellis``, which is ours, and four ways to use one that is not.

``kind`` chooses the model. docs/generators.md has an example of each. A new kind is a class here, named in
``AnyGenerator``, and a module in ``verdict3d.generators`` with the kind's name.
"""

from __future__ import annotations

import string
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from verdict3d.config_values import (
    Choices,
    Count,
    Listed,
    NotNegative,
    Positive,
    Range,
    Section,
    Text,
    Variable,
    fitting,
    within,
)
from verdict3d.errors import Verdict3DError

Determinism = Literal["bitwise", "seeded", "none"]
"""What the same photo and seed give again: the same bytes, a like mesh, or any mesh."""
SurfaceKind = Literal["none", "vertex_colour", "texture", "pbr"]
UpAxis = Literal["auto", "x", "y", "z"]
FrontAxis = Literal["x", "-x", "y", "-y", "z", "-z"]
ADDRESS = r"https?://[^/@?#\s]+(/[^@?#\s]*)?"
"""http(s)://host/path, without name and query."""


class MeshLimits(Section):
    """Bounds on a mesh file from outside, with the files that it refers to.

    ``decoded_mib`` bounds what all its parts decode to, ``seconds`` the processor's time for each 32 MiB.
    ``refuse_untextured`` refuses a mesh of which a texture cannot be read; otherwise it loses that texture.
    """

    file_mib: Positive = 256
    faces: Count = 2_000_000
    texture_px: Count = 8192
    decoded_mib: Positive = 768
    seconds: Positive = 4
    refuse_untextured: bool = False


class SamplerParams(Section):
    """Flow Euler sampler with guidance inside an interval of t (t = 1 is noise), as in TRELLIS."""

    steps: Count
    guidance: NotNegative
    guidance_interval: Annotated[Range, within(0, 1)]
    rescale_t: Positive


class TrellisParams(Section):
    """TRELLIS, run by this project, whose networks the methods of arms can change."""

    REACHED_BY: ClassVar[frozenset[str]] = frozenset()
    """Fields that say how a generator is reached, and nothing of what it makes."""

    kind: Literal["trellis"] = "trellis"
    model: Text
    revision: Text | None = None
    conditioner: Text | None = None
    """Directory or hub id of the DINOv2 weights, where they are not in the model's folder."""
    conditioner_revision: Text | None = None
    device: Literal["auto", "cpu", "cuda"]
    compiled: bool = False
    """Compile the flows' transformer blocks: for large ones on a GPU; other last bits."""
    structure: SamplerParams
    latents: SamplerParams


class FrameParams(Section):
    """How the generator's files lie: which axis points up, and which way the object faces."""

    up: UpAxis = "auto"
    front: FrontAxis = "z"

    @field_validator("front")
    @classmethod
    def _lies_flat(cls, front: str, info: Any) -> str:
        if front.removeprefix("-") == info.data.get("up", "auto").replace("auto", "y"):
            raise ValueError("an object faces neither up nor down; give another axis than the upward one")
        return front


class OutsideParams(Section):
    """What is said of every generator that is not ours; its meshes are untrusted files.

    ``files`` are files and folders that decide what it makes (weights, adapters, scripts) and can be seen
    from here, relative to the project; their digests are a part of its identity.
    """

    REACHED_BY: ClassVar[frozenset[str]] = frozenset()

    name: Text
    version: Text
    post_processing: Text = "none"
    determinism: Determinism
    frame: FrameParams = FrameParams()
    surface: SurfaceKind
    licence: Text
    files: Choices[Text] = ()
    limits: MeshLimits = MeshLimits()


class FolderParams(OutsideParams):
    """Finished meshes: ``meshes/<regime>/<stem>.glb``, further samples ``<stem>-2.glb``, ``<stem>-3.glb``."""

    kind: Literal["folder"]
    meshes: Text


class RunParams(OutsideParams):
    """What is run here for one photo after another."""

    REACHED_BY: ClassVar[frozenset[str]] = frozenset({"timeout_s", "tries", "at_once"})

    timeout_s: Positive = 600.0
    """Longest time for one mesh."""
    tries: Annotated[int, Field(ge=1, le=10)] = 1
    """Tries for one mesh."""
    at_once: Annotated[int, Field(ge=1, le=256)] = 1
    """Meshes that are made side by side."""
    suffix: Literal[".glb", ".gltf", ".obj", ".ply", ".stl"] = ".glb"
    """Format that it writes."""


class CommandParams(RunParams):
    """A program that is run once for each photo; its words may hold {photo}, {seed} and {output}."""

    kind: Literal["command"]
    run: Listed[Annotated[str, Field(min_length=1)]] = Field(min_length=1)

    @field_validator("run")
    @classmethod
    def _names_what_it_needs(cls, run: tuple[str, ...]) -> tuple[str, ...]:
        try:
            fields = [name for word in run for _, name, _, _ in string.Formatter().parse(word)]
        except ValueError as error:
            raise ValueError(f"{error}; braces that stay are written twice") from error
        named = {name for name in fields if name is not None}
        known = {"photo", "seed", "output"}
        if not {"photo", "output"} <= named <= known:
            raise ValueError(
                "its words hold {photo} and {output}, where wanted {seed}, and no other name in braces, and "
                f"braces that stay are written twice (found: {', '.join(sorted(named)) or 'none'})"
            )
        return run


class CallableParams(RunParams):
    """A Python function ``(photo: Path, seed: int, output: Path)`` that writes a mesh file to ``output``."""

    kind: Literal["callable"]
    function: Annotated[
        str,
        fitting(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", "module:function, such as tools.fast:make"),
    ]


class HttpParams(OutsideParams):
    """A server with the batch contract of docs/generators.md."""

    REACHED_BY: ClassVar[frozenset[str]] = frozenset(
        {"url", "key_variable", "warm_up_s", "timeout_s", "tries", "reply_s", "attempts", "pause_s"}
    )

    kind: Literal["http"]
    url: Annotated[str, fitting(ADDRESS, "http(s)://host/path, without name and query")]
    key_variable: Variable | None = None
    """Environment variable that holds the key."""
    warm_up_s: Positive = 600.0
    """Longest time until the server says that it is ready."""
    timeout_s: Positive = 3600.0
    """Longest time for one batch of ``generate.batch_size`` photos."""
    tries: Annotated[int, Field(ge=1, le=10)] = 2
    """Times that a photo without a mesh is asked for."""
    reply_s: Positive = 300.0
    """Longest time for one whole reply."""
    attempts: Count = 6
    """Attempts for one reply of a server that is busy, silent or garbled."""
    pause_s: NotNegative = 1.0
    """Between two looks at the status, and before the second attempt, doubling from there."""


AnyOutside = Annotated[
    FolderParams | CommandParams | CallableParams | HttpParams, Field(discriminator="kind")
]
"""The generators that are not ours."""


def _kind_of(value: Any) -> Any:
    return value.get("kind", "trellis") if isinstance(value, dict) else getattr(value, "kind", None)


AnyGenerator = Annotated[
    Annotated[TrellisParams, Tag("trellis")]
    | Annotated[FolderParams, Tag("folder")]
    | Annotated[CommandParams, Tag("command")]
    | Annotated[CallableParams, Tag("callable")]
    | Annotated[HttpParams, Tag("http")],
    Discriminator(
        _kind_of,
        custom_error_type="unknown_kind",
        custom_error_message="kind is one of trellis, folder, command, callable, http",
    ),
]
"""The section ``generator``; without ``kind`` it is ours."""
KINDS = ("trellis", "folder", "command", "callable", "http")


def require_trellis(generator: AnyGenerator) -> TrellisParams:
    """Return the parameters of our own generator.

    Raises:
        Verdict3DError: It is of another kind, and has no networks that could be used here.
    """
    if not isinstance(generator, TrellisParams):
        raise Verdict3DError(
            f"generator.kind is {generator.kind!r}, and this needs the networks of kind 'trellis'"
        )
    return generator
