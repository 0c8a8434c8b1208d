"""Removing the background of opaque photos with rembg (MIT), an optional extra.

The released models were trained and shown with rembg's ``u2net`` masks. Of rembg's models only those are
taken that run on this machine and whose weights may be used for any purpose; they are fetched on first use
(into the folder that ``U2NET_HOME`` names), or a file is given.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from verdict3d.errors import Verdict3DError, missing_extra
from verdict3d.weight_digests import digest_weights

MODELS = {
    "u2net": "Apache-2.0",
    "isnet-general-use": "Apache-2.0",
    "birefnet-general": "MIT",
    "birefnet-general-lite": "MIT",
}
"""Licence of the weights by rembg's name of a model."""

LONGEST_PX = 1024
OPAQUE_SHARE = 0.999
"""A photo of which this share is opaque has its background: a few clear pixels cut nothing out."""


def has_background(image: Image.Image) -> bool:
    """Return whether a photo is opaque, a few pixels aside: nothing tells its object from what is behind."""
    if image.mode != "RGBA":
        return True
    alpha = np.asarray(image.getchannel("A"))
    return alpha.size > 0 and float((alpha == 255).mean()) >= OPAQUE_SHARE


class BackgroundRemover:
    """Makes the background of a photo transparent.

    Args:
        model: One of :data:`MODELS`, or the path of an ONNX file that takes and gives what u2net does:
            (1, 3, 320, 320) ImageNet-normalised RGB to a first output (1, 1, 320, 320), larger on the object.

    Raises:
        Verdict3DError: rembg is not installed, the model is unknown, or its weights cannot be had.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        file = Path(model) if model.endswith(".onnx") else None
        if file is None and model not in MODELS:
            raise Verdict3DError(
                f"no model {model!r} removes backgrounds; known: {', '.join(MODELS)}, or an .onnx file"
            )
        if file is not None and not file.is_file():
            raise Verdict3DError(f"{file}: there is no such file; photos.background names a model of one")
        try:
            import onnxruntime  # noqa: F401  (rembg ends the process where it is missing)
            import rembg
        except ImportError as error:
            raise missing_extra("photos", f"removing backgrounds needs rembg ({error})") from error
        self._remove: Any = rembg.remove
        try:
            self._session = rembg.new_session(model) if file is None else _open_session(file)
        except Exception as error:  # of the download (requests, pooch) and of ONNX Runtime
            raise Verdict3DError(
                f"the weights of {model!r} cannot be used: {str(error).splitlines()[0]}. Without a network "
                "give photos.background the path of an .onnx file, or remove the background before"
            ) from error

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the photo as RGBA, shrunk to at most 1024 px as the reference does."""
        shrink = min(1.0, LONGEST_PX / max(image.size))
        size = int(image.width * shrink), int(image.height * shrink)
        small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        with np.errstate(invalid="ignore"):  # a mask that is the same everywhere: nothing is found
            removed: Image.Image = self._remove(small, session=self._session)
        return removed.convert("RGBA")


def identify_background(model: str | None) -> list[str | None]:
    """Return what masks depend on: the model and, of a file, its digest."""
    is_file = model is not None and model.endswith(".onnx") and Path(model).is_file()
    return [model, digest_weights(Path(str(model))) if is_file else None]


def _open_session(file: Path) -> Any:
    """Return a session of a u2net-like file; rembg's own kind for that takes files of one folder only."""
    import onnxruntime
    from rembg.sessions.u2net import U2netSession

    class FileSession(U2netSession):  # type: ignore[misc, unused-ignore]
        @classmethod
        def download_models(cls, *args: Any, **kwargs: Any) -> str:
            return str(file)

    return FileSession(file.stem, onnxruntime.SessionOptions())
