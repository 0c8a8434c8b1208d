"""Models by directory or by hub id (``owner/name``), through huggingface_hub.

A pinned revision is fetched as it is; a broken-off download goes on where it stopped; with
``HF_HUB_OFFLINE=1``, or without a network, what is in the local cache is used. Only what a pattern names is
fetched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verdict3d.errors import Verdict3DError

GENERATOR_PATTERNS = ("pipeline.json", "ckpts/*", "image_cond_model/*")
JUDGE_PATTERNS = ("*.safetensors", "*.json", "*.jinja", "*.txt")
TRANSFORMERS_PATTERNS = ("config.json", "model.safetensors")

EXPECTED_BYTES = {
    "microsoft/TRELLIS-image-large": 3_127_783_144,
    "facebook/dinov2-with-registers-large": 4 * 304_372_736,
    "Qwen/Qwen2.5-VL-7B-Instruct": 2 * 8_292_166_656,
    "OpenGVLab/InternVL3-8B-hf": 2 * 7_947_169_280,
}
"""Weights of the models in presets/full.yaml, for when the hub cannot be asked: counted from their
architectures (a radiance field decoder of the first, which is not used, comes on top)."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def is_hub_id(model: str) -> bool:
    """Return whether ``model`` has the form ``owner/name``; where there is a directory, that goes first."""
    return _HUB_ID.fullmatch(model) is not None and not model.startswith("data/")


def local_directory(
    model: str | Path, revision: str | None, patterns: Sequence[str], what: str, root: Path
) -> Path:
    """Return the directory of a model, fetching what is missing of a hub id.

    Args:
        model: Directory or hub id.
        revision: Branch, tag or commit; None: the hub's main branch.
        patterns: Patterns of the files that are wanted.
        what: Kind of the model, for messages.
        root: Folder that relative directories are relative to: the project's.

    Raises:
        Verdict3DError: There is no such directory, and the hub has no such model or cannot be reached.
    """
    if (root / model).is_dir():
        return root / model
    model = str(model)
    if not is_hub_id(model):
        raise _neither(f"{what} {model!r}", root)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(patterns)))
    except (OSError, ValueError) as error:
        raise Verdict3DError(
            f"{what} {model!r} (revision {revision or 'main'}) is neither a directory nor on the model hub "
            f"as far as it can be reached: {str(error).splitlines()[0]}. Fetch it where there is a network "
            f"with `hf download {model}`, or give the path of a directory that holds it"
        ) from error


@dataclass(frozen=True)
class Presence:
    """How much of a model is on this machine.

    Args:
        present_bytes: On disk, here or in the hub's cache.
        missing_bytes: Still to fetch; None where the hub, which knows, cannot be reached.
    """

    present_bytes: int
    missing_bytes: int | None

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self.missing_bytes == 0


def look_up(model: str, revision: str | None, patterns: Sequence[str], root: Path) -> Presence:
    """Return how much of a model is there and how much would be fetched; fetches nothing.

    The arguments are those of :func:`local_directory`.

    Raises:
        Verdict3DError: The model is neither a directory nor a hub id, or the hub has no such model.
    """
    if (root / model).is_dir():
        files = {path for pattern in patterns for path in (root / model).glob(pattern) if path.is_file()}
        return Presence(sum(path.stat().st_size for path in files), 0)
    if not is_hub_id(model):
        raise _neither(f"{model!r}", root)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        planned = snapshot_download(model, revision=revision, allow_patterns=list(patterns), dry_run=True)
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise Verdict3DError(f"{model!r}: {str(error).splitlines()[0]}") from error
    except (OSError, ValueError):
        return Presence(_cached_bytes(model, revision, patterns), None)
    missing = sum(file.file_size or 0 for file in planned if file.will_download)
    return Presence(sum(file.file_size or 0 for file in planned) - missing, missing)


def _cached_bytes(model: str, revision: str | None, patterns: Sequence[str]) -> int:
    """Return the size of what the local cache has of a model."""
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            model, revision=revision, allow_patterns=list(patterns), local_files_only=True
        )
    except (OSError, ValueError):
        return 0
    files = {path for pattern in patterns for path in Path(folder).glob(pattern) if path.is_file()}
    return sum(path.stat().st_size for path in files)


def _neither(named: str, root: Path) -> Verdict3DError:
    return Verdict3DError(
        f"{named} is neither a directory nor a hub id (owner/name); directories are sought "
        f"in {root.resolve()}"
    )
