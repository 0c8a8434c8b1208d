"""What is to be made of photos: which photos are meant, and one planned mesh for each of their samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verdict3d.config import Params
from verdict3d.config_generators import AnyGenerator, require_trellis
from verdict3d.errors import Verdict3DError

TRANSPARENT_PHOTOS = (".png", ".webp", ".tif", ".tiff", ".gif", ".avif")
"""Photo formats that can be transparent."""

PHOTOS = (*TRANSPARENT_PHOTOS, ".jpg", ".jpeg", ".bmp", ".heic", ".heif")
"""What is taken from a folder."""

OUTPUT_FORMATS = (".glb", ".ply", ".obj")


@dataclass(frozen=True)
class PlannedMesh:
    """One mesh to make.

    Args:
        photo: Where it is made from.
        seed: Noise seed.
        target: Mesh file.
        sample: Which of the meshes of the photo it is, from 0.
    """

    photo: Path
    seed: int
    target: Path
    sample: int = 0


@dataclass(frozen=True)
class MeshOptions:
    """How meshes are to be made.

    Args:
        arm: Arm whose trained adapter is used, None for the base generator.
        seed: Noise seed of the first sample of every photo; the next ones count up.
        samples: Meshes of each photo.
        steps: Steps of both samplers; None: as configured.
        guidance: Strength of both samplers; None: as configured.
        suffix: Suffix of mesh files in a folder, such as ``.glb``.
    """

    arm: str | None = None
    seed: int = 0
    samples: int = 1
    steps: int | None = None
    guidance: float | None = None
    suffix: str = ".glb"

    def generator(self, params: Params) -> AnyGenerator:
        """Return the configured generator with these steps and this guidance.

        Raises:
            Verdict3DError: Some were given, and the generator is not ours.
        """
        given = {"steps": self.steps, "guidance": self.guidance}
        changes = {name: value for name, value in given.items() if value is not None}
        if not changes:
            return params.generator
        ours = require_trellis(params.generator)
        samplers = {name: getattr(ours, name).model_copy(update=changes) for name in ("structure", "latents")}
        return ours.model_copy(update=samplers)


def find_photos(named: Sequence[str], suffixes: Sequence[str] = PHOTOS) -> list[Path]:
    """Return the photos of files, folders and patterns, each once, in their order; of folders by suffix.

    Raises:
        Verdict3DError: A name stands for nothing, or a photo is no file.
    """
    found: list[Path] = []
    for name in named:
        path = Path(name)
        if path.is_dir():
            some = sorted(one for one in path.iterdir() if one.suffix.lower() in suffixes)
            if not some:
                raise Verdict3DError(f"no photo in {path}; looked for are {', '.join(suffixes)}")
        elif path.exists():
            some = [path]
        else:
            fixed = Path(path.anchor or ".")
            parts = path.relative_to(path.anchor) if path.anchor else path
            some = sorted(one for one in fixed.glob(str(parts)) if one.is_file())
            if not some:
                raise Verdict3DError(f"{name}: no such file or folder, and as a pattern it fits nothing")
        for one in some:
            if one.exists() and not one.is_file():
                raise Verdict3DError(
                    f"{one} is no file but a folder, pipe or device: no photo can be read there"
                )
        found.extend(some)
    return list(dict.fromkeys(found))


def without_originals(photos: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Part photos from those in an opaque format beside which one of the same name can be transparent.

    They are the originals of cut-out photos, and their meshes would have the same name.
    """
    cut_out = {photo.with_suffix("") for photo in photos if photo.suffix.lower() in TRANSPARENT_PHOTOS}
    kept: list[Path] = []
    originals: list[Path] = []
    for photo in photos:
        opaque = photo.suffix.lower() not in TRANSPARENT_PHOTOS
        (originals if opaque and photo.with_suffix("") in cut_out else kept).append(photo)
    return kept, originals


def plan_meshes(photos: Sequence[Path], output: Path, options: MeshOptions) -> list[PlannedMesh]:
    """Return what is to be made: photos in their order, of each the samples.

    Raises:
        Verdict3DError: Several meshes for one file, a format that is not written, or equal names.
    """
    if output.suffix and not output.is_dir():
        if output.suffix.lower() not in OUTPUT_FORMATS:
            raise Verdict3DError(f"{output}: meshes are written as {', '.join(OUTPUT_FORMATS)}")
        count = len(photos) * options.samples
        if count > 1:
            raise Verdict3DError(f"{output} names a file; for {count} meshes give a folder")
        return [PlannedMesh(photos[0], options.seed, output)]
    twice = [name for name, count in Counter(photo.stem for photo in photos).items() if count > 1]
    if twice:
        names = ", ".join(sorted(twice)[:5])
        raise Verdict3DError(f"several photos are named {names}; their meshes would be too")
    numbers = [f"-{number}" for number in range(options.samples)] if options.samples > 1 else [""]
    return [
        PlannedMesh(photo, options.seed + count, output / f"{photo.stem}{number}{options.suffix}", count)
        for photo in photos
        for count, number in enumerate(numbers)
    ]
