"""A generator as Python code uses it: loaded once, with or without an adapter, asked about photos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verdict3d.errors import ItemFailure, Verdict3DError

if TYPE_CHECKING:
    from verdict3d.config_inputs import PhotosParams
    from verdict3d.generators.generator import Generator
    from verdict3d.mesh.mesh import Mesh


class Pipeline:
    """From a photo to a mesh. :func:`load_pipeline` makes one.

    Attributes:
        generator: What makes the meshes (:class:`verdict3d.generators.generator.Generator`).
    """

    def __init__(self, generator: Generator, photos: PhotosParams) -> None:
        from verdict3d.trellis.photos import PhotoReader

        self.generator = generator
        self._reader = PhotoReader(photos)

    def generate(self, photo: str | Path, *, seed: int = 0, steps: int | None = None) -> Mesh:
        """Make a mesh of the object in a photo.

        Args:
            photo: Picture file with a transparent background; an opaque one where ``background`` was given.
            seed: Of the noise, 0 to 2^63 - 1; the same seed and photo give the same mesh.
            steps: Steps of both samplers, at least 1. None: as configured.

        Returns:
            The mesh: z up, front towards -y. :func:`verdict3d.write_mesh` writes it.

        Raises:
            ItemFailure: No mesh can be made of this photo; ``reason`` is a short code.
            Verdict3DError: There is no such file, or the generator cannot be asked.
        """
        from verdict3d.generators.generator import Request
        from verdict3d.records.generations import Steps

        path = Path(photo)
        if not path.is_file():
            raise Verdict3DError(f"{path}: there is no such file")
        if steps is not None and steps < 1:
            raise Verdict3DError(f"steps is {steps}; give 1 or more")
        read = self._reader.read(path)
        budget = None if steps is None else Steps(structure=steps, latents=steps)
        made = self.generator.generate([Request(read.image, seed, path.stem, steps=budget)])[0]
        if isinstance(made, ItemFailure):
            raise made
        return made


def load_pipeline(
    model: str | Path | None = None,
    adapter: str | Path | None = None,
    *,
    device: str | None = None,
    background: str | None = None,
) -> Pipeline:
    """Load a generator.

    Args:
        model: Folder in TRELLIS's released layout, or hub id such as ``microsoft/TRELLIS-image-large``.
            None: the generator that came with this package, of 18 MB and trained on procedural furniture.
        adapter: Folder of a trained adapter (``card.json`` beside its weights), such as ``data/train/ARM``.
            It must belong to the model. None: none.
        device: ``auto``, ``cpu`` or ``cuda``. None: as ``params.yaml`` has it.
        background: Model that removes the background of opaque photos, such as ``u2net``; needs the extra
            ``photos``. None: such photos are refused.

    Raises:
        Verdict3DError: The model or the adapter is not there, damaged, or they do not belong together.
    """
    from verdict3d.asking.preferences import make_search_tools
    from verdict3d.config import load_params
    from verdict3d.config_generators import require_trellis
    from verdict3d.generators.trellis import TrellisGenerator
    from verdict3d.interface.settings import change
    from verdict3d.making.arms import load_adapted
    from verdict3d.making.base import load_base
    from verdict3d.project import PARAMETERS, find_models
    from verdict3d.records.adapters import read_card

    place = find_models()
    params = load_params(place / PARAMETERS)
    changes: dict[str, Any] = {} if device is None else {"device": device}
    if model is not None:
        folder = Path(model).expanduser()
        changes["model"] = str(folder.resolve()) if folder.is_dir() else str(model)
        changes |= {"conditioner": None, "revision": None}
    if changes:
        generator = change(require_trellis(params.generator), changes, "load_pipeline")
        params = params.model_copy(update={"generator": generator})
    photos = params.photos.model_copy(update={"background": background})
    if adapter is None:
        loaded = load_base(params, place)
    else:
        folder = Path(adapter).expanduser().resolve()
        arm = read_card(folder).arm
        loaded = load_adapted(params, place, folder, arm, make_search_tools(params, place))
    if model is not None and isinstance(loaded, TrellisGenerator):
        samplers = {"structure": loaded.pipeline.structure, "latents": loaded.pipeline.latents}
        loaded = replace(loaded, settings=loaded.settings.model_copy(update=samplers))
    return Pipeline(loaded, photos)
