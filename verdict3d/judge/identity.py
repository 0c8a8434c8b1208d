"""Which judge is this? Found from its files alone, before any weights are loaded."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from verdict3d.config_judges import EndpointParams, JudgeParams, PanelKind
from verdict3d.device import pick_device
from verdict3d.errors import Verdict3DError
from verdict3d.hub import JUDGE_PATTERNS, local_directory
from verdict3d.judge.families import FAMILIES, require_readable
from verdict3d.judge.lineage import match_known_model
from verdict3d.judge.rubric import PROMPT_FILE, digest_prompt, own_prompt, write_prompt, write_prompt_for
from verdict3d.provenance import digest_json
from verdict3d.records.files import read_object
from verdict3d.records.results import JudgeSettings, JudgeUsed
from verdict3d.view_sets import view_sets_digest
from verdict3d.weight_digests import digest_weights

if TYPE_CHECKING:
    import torch

SETTINGS = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.json",
    "chat_template.jinja",
    PROMPT_FILE,
)
_FLOAT32_BELOW_BYTES = 1 << 30
_READERS = 8
ENDPOINT = "endpoint"
"""Class of a model whose weights cannot be seen from here."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


class JudgeIdentity(JudgeSettings):
    """Which judge it is: everything that decides its answers, and digests over it."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything but the name."""
        return self._digest("model")

    @cached_property
    def answers(self) -> str:
        """SHA-256 over what the answers from one view set depend on: the same however many are asked."""
        return self._digest("model", "views", "view_sets")

    def _digest(self, *without: str) -> str:
        return digest_json({name: value for name, value in self.model_dump().items() if name not in without})

    def showing(self, panel: str, mode: str, own_prompt: str | None) -> JudgeIdentity:
        """Return the identity of the same model asked with another kind of panel or another mode.

        Args:
            panel: Kind of panel.
            mode: What the montages show.
            own_prompt: The judge's own question; None for the rubric.
        """
        prompt = digest_prompt(write_prompt(own_prompt, panel, mode))
        return JudgeIdentity(**self.model_dump() | {"panel": panel, "mode": mode, "prompt": prompt})

    def record(self) -> JudgeUsed:
        """Return it as it is written, with its digest."""
        return JudgeUsed(**self.model_dump(), digest=self.digest)


def resolve_directory(params: JudgeParams, root: Path) -> Path:
    """Return the directory of the configured model, fetching a hub id when the hub may be asked.

    Args:
        params: The judge.
        root: Folder that a directory named as the model is relative to: the project's.

    Raises:
        Verdict3DError: There is no such directory and the hub has no such model or cannot be reached, or
            files are missing in it.
    """
    directory = local_directory(params.model, params.revision, JUDGE_PATTERNS, "judge", root)
    for name in ("config.json", "tokenizer_config.json"):
        if not (directory / name).is_file():
            raise Verdict3DError(f"judge {params.model!r}: {directory / name} is missing")
    if not list_weights(directory):
        raise Verdict3DError(f"judge {params.model!r}: no safetensors files in {directory}")
    return directory


def read_own_prompt(params: JudgeParams, root: Path) -> str | None:
    """Return the configured judge's own question; None where it is asked the rubric.

    Args:
        params: The judge.
        root: Folder that a directory named as the model is relative to: the project's.

    Raises:
        Verdict3DError: As :func:`resolve_directory`, or its question cannot be used.
    """
    if params.endpoint is not None:
        return params.endpoint.prompt
    return own_prompt(resolve_directory(params, root))


def list_weights(directory: Path) -> list[Path]:
    """Return the safetensors files of a model directory, sorted."""
    return sorted(directory.glob("*.safetensors"))


def choose_dtype(directory: Path, device: torch.device) -> torch.dtype:
    """Return float32 on CPUs and below 1 GiB, so that small models answer alike everywhere, else bfloat16."""
    import torch

    size = sum(path.stat().st_size for path in list_weights(directory))
    return torch.float32 if device.type == "cpu" or size < _FLOAT32_BELOW_BYTES else torch.bfloat16


def choose_first_panel(params: JudgeParams) -> PanelKind:
    """Return the kind of panel that is shown as long as no audit has chosen one."""
    return "three_images" if params.panel == "audited" else params.panel


def identify(params: JudgeParams, root: Path) -> JudgeIdentity:
    """Return the identity of the configured judge without loading it.

    Args:
        params: The judge.
        root: Folder that a directory named as the model is relative to: the project's.

    Raises:
        Verdict3DError: The model cannot be found, is of an unknown type, or its files are incomplete.
    """
    if params.endpoint is not None:
        return identify_endpoint(params, params.endpoint)
    directory = resolve_directory(params, root)
    config = read_object(directory / "config.json")
    model_type = str(config.get("model_type"))
    require_readable(model_type, directory)
    architectures = config.get("architectures")
    if params.compiled and model_type not in FAMILIES:
        raise Verdict3DError(
            f"judge {params.model!r}: models of type {model_type!r} cannot be compiled; set `compiled` to "
            f"false. Types that can: {', '.join(FAMILIES)}"
        )
    dtype = str(choose_dtype(directory, pick_device(params.device))).removeprefix("torch.")
    with ThreadPoolExecutor(_READERS) as threads:  # digesting needs no lock of Python's
        weights = sorted(threads.map(_digest_file, list_weights(directory)))
    return JudgeIdentity(
        model=params.model,
        weights=digest_json(weights),
        settings=digest_json(
            [
                [name, _digest_file(directory / name)]
                for name in sorted(SETTINGS)
                if (directory / name).is_file()
            ]
        ),
        model_class=str(architectures[0]) if isinstance(architectures, list) and architectures else "unknown",
        prompt=digest_prompt(write_prompt_for(directory, choose_first_panel(params), params.mode)),
        panel=choose_first_panel(params),
        mode=params.mode,
        dtype=f"{dtype} compiled" if params.compiled else dtype,
        views=params.views,
        view_sets=view_sets_digest(params.views),
    )


def identify_endpoint(params: JudgeParams, endpoint: EndpointParams) -> JudgeIdentity:
    """Return the identity of a judge behind a server, whose weights cannot be seen from here.

    The server's address stands for them, beside the model's name and revision: another server is another
    judge.
    """
    return JudgeIdentity(
        model=params.model,
        weights=digest_json([params.model, params.revision, endpoint.url]),
        settings=digest_json([endpoint.answers, endpoint.top_logprobs, endpoint.least_mass]),
        model_class=ENDPOINT,
        prompt=digest_prompt(write_prompt(endpoint.prompt, choose_first_panel(params), params.mode)),
        panel=choose_first_panel(params),
        mode=params.mode,
        dtype="as served",
        views=params.views,
        view_sets=view_sets_digest(params.views),
    )


def _digest_file(path: Path) -> str:
    """Return a file's SHA-256; the hub's cache already names large files by it."""
    blob = path.resolve()
    if blob.parent.name == "blobs" and _SHA256.fullmatch(blob.name):
        return blob.name
    return digest_weights(path)


def require_different(training: JudgeIdentity, evaluation: JudgeIdentity) -> None:
    """Refuse a pair of judges that are one model.

    Raises:
        Verdict3DError: Both have the same weights, or go under the same name, as far as names say anything.
    """
    same = training.weights == evaluation.weights
    if same or training.model == evaluation.model or match_known_model(training.model, evaluation.model):
        why = f"weights {training.weights[:12]}" if same else f"model {training.model!r}"
        raise Verdict3DError(
            f"the training judge ({training.model}) and the evaluation judge ({evaluation.model}) are the "
            f"same model ({why}); a judge may not decide about what it labelled itself. Set "
            "judges.training.model and judges.evaluation.model to different models"
        )
