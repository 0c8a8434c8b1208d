"""The registered model: photos in, GLB files out. MLflow runs this file as the model's code.

It uses only what :mod:`tasks.registry.packaging` puts beside it: generator, adapter, parameters, and copies
of the packages ``tasks`` and ``verdict3d``. Same machine, same photos in the same order: same bytes as the
evaluation's. What is wrong with one row of a request becomes the ``failure`` of that row.
"""

from __future__ import annotations

import base64
import binascii
import tempfile
import traceback
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from verdict3d.adapt.adapter import load_adapter
from verdict3d.adapt.method import Tools
from verdict3d.config import load_params
from verdict3d.config_generators import require_trellis
from verdict3d.device import settle_torch
from verdict3d.errors import ItemFailure
from verdict3d.making.arms import with_adapter
from verdict3d.mesh.files import write_mesh
from verdict3d.mesh.finishing import finish_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.records.adapters import read_card
from verdict3d.trellis.photos import Photo, PhotoReader
from verdict3d.trellis.pipeline import TrellisPipeline


class PhotoToMesh(PythonModel):
    """An adapted generator behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Load the generator with the adapter on; refuse an adapter of another base."""
        settle_torch()
        params = load_params(context.artifacts["parameters"])
        self.generator, self.batch_size = require_trellis(params.generator), params.generate.batch_size
        self.reader, self.finish = PhotoReader(params.photos), params.photos.finish
        base = TrellisPipeline.from_pretrained(
            context.artifacts["generator"], device=self.generator.device, compiled=self.generator.compiled
        )
        folder = Path(context.artifacts["adapter"])
        adapter = load_adapter(folder, arm=read_card(folder).arm, base_digest=base.digest)
        self.pipeline = with_adapter(base, adapter, Tools(seed=params.seed))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Generate a mesh from each photo.

        Args:
            context: Unused.
            model_input: Columns ``photo`` (bytes of a picture; MLflow's forms ``inputs`` and ``instances``
                leave them in base64) and, where wanted, ``seed`` (of the noise, 0 to 2^63 - 1, by default 0).
            params: Unused.

        Returns:
            A row a photo: ``mesh`` (bytes of a GLB, or None) and ``failure`` (why there is none, or None).
        """
        photos = list(model_input["photo"])
        seeds = list(model_input["seed"]) if "seed" in model_input else [0] * len(photos)
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            for start in range(0, len(photos), self.batch_size):
                chosen = slice(start, start + self.batch_size)
                try:
                    rows += self._generate(photos[chosen], seeds[chosen], Path(folder))
                except Exception:  # MLflow would answer the whole request with a stack trace
                    traceback.print_exc()
                    rows += [{"mesh": None, "failure": "unexpected_error"} for _ in photos[chosen]]
        return pd.DataFrame(rows, columns=["mesh", "failure"], dtype=object)

    def _generate(self, photos: list[Any], seeds: list[Any], folder: Path) -> list[dict[str, Any]]:
        """Generate one batch; what went wrong with one photo does not concern the others."""
        read = [self._read(*row, folder / "photo") for row in zip(photos, seeds, strict=True)]
        whole = [found for found in read if not isinstance(found, ItemFailure)]
        made = iter(
            self.pipeline.generate(
                [photo.image for photo, _ in whole],
                [seed for _, seed in whole],
                self.generator.structure,
                self.generator.latents,
            )
            if whole
            else []
        )
        return [
            self._describe(found if isinstance(found, ItemFailure) else next(made), folder) for found in read
        ]

    def _read(self, photo: Any, seed: Any, path: Path) -> tuple[Photo, int] | ItemFailure:
        try:
            number = 0 if pd.isna(seed) else int(seed)
            if not 0 <= number < 2**63:
                raise ItemFailure("invalid_seed", f"a seed is a number from 0 to 2^63 - 1, not {number}")
            path.write_bytes(_read_content(photo))
            return self.reader.read(path), number
        except ItemFailure as failure:
            return failure

    def _describe(self, outcome: Mesh | ItemFailure, folder: Path) -> dict[str, Any]:
        if isinstance(outcome, ItemFailure):
            return {"mesh": None, "failure": outcome.reason}
        write_mesh(finish_mesh(outcome, self.finish), folder / "mesh.glb")
        return {"mesh": (folder / "mesh.glb").read_bytes(), "failure": None}


def _read_content(photo: Any) -> bytes:
    """Return a photo's bytes; no picture file consists of the signs of base64 alone.

    Raises:
        ItemFailure: ``not_an_image``: it is neither bytes nor text.
    """
    if not isinstance(photo, bytes | str):
        raise ItemFailure("not_an_image", f"a photo is the bytes of a picture, not {type(photo).__name__}")
    content = photo.encode(errors="replace") if isinstance(photo, str) else photo
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error:
        return content


set_model(PhotoToMesh())
