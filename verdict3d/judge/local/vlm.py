"""The local judge: a VLM of the transformers library, read at one token, in batches, both orders.

Nothing is generated: one forward pass per order gives the margin between the letters A and B. Pictures are
preprocessed once each, and encoded once for all panels of a batch they stand in. The batches follow from the
list of requests alone, so that the same list gives the same margins.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from verdict3d.config_judges import JudgeParams
from verdict3d.device import pick_device
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.judge.families import FAMILIES, compile_judge, find_family
from verdict3d.judge.family import Family
from verdict3d.judge.identity import SETTINGS, JudgeIdentity, choose_dtype, identify, resolve_directory
from verdict3d.judge.local.encoding import PictureEncoder, cut_chunks, fetch_ahead
from verdict3d.judge.local.generic import ProcessorReader, build_processor
from verdict3d.judge.local.heap import give_back_heap
from verdict3d.judge.local.network import tokenize_chat
from verdict3d.judge.local.reading import PanelReader, Shown
from verdict3d.judge.panel import Arrangement, PairRequest, Pixels
from verdict3d.judge.rubric import SLOTS, own_prompt, write_prompt
from verdict3d.judge.verdict import Margins
from verdict3d.records.files import read_object

_HEAP_REQUESTS = 128
"""Requests after which free memory is given back: a thousandth of the time that they take on a CPU."""

_Question = tuple[Shown, Shown] | ItemFailure
"""What is shown in both orders, or why nothing can be."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model with what its directory says about how to ask it.

    Args:
        model: The transformers model, in evaluation mode.
        tokenizer: Its tokenizer.
        image_processor: Its image processor, Pillow variant.
        own_prompt: The model's own text with three picture slots; None: the rubric.
        chat_template: Template to use instead of the tokenizer's, or None.
        processor: The model's own processor, for a model of no known family.
    """

    model: Any
    tokenizer: Any
    image_processor: Any
    own_prompt: str | None = None
    chat_template: str | None = None
    processor: Any = None


class TransformersJudge:
    """A judge that answers with margins.

    Args:
        identity: What the answers depend on.
        loaded: The model and how it is asked.
        batch_size: Requests asked together.
        encoder: Encoder of a judge of the same weights, to remember pictures together.

    Raises:
        Verdict3DError: The tokenizer or its chat template cannot carry the question.
    """

    def __init__(
        self,
        identity: JudgeIdentity,
        loaded: LoadedModel,
        batch_size: int,
        encoder: PictureEncoder | None = None,
    ) -> None:
        self._encoder: Any
        self._reader: Any
        self.identity = identity
        self.loaded = loaded
        self.batch_size = batch_size
        self._since_given_back = 0
        model, template = loaded.model, loaded.chat_template
        prompt = write_prompt(loaded.own_prompt, identity.panel, identity.mode)
        if loaded.processor is not None:
            self._encoder = self._reader = ProcessorReader(model, loaded.processor, prompt, template)
            return
        family: Family = find_family(model.config.model_type)
        ids = tokenize_chat(loaded.tokenizer, prompt, family.find_image_token(model), template)
        leading = SLOTS[identity.panel].count("reference")
        self._encoder = encoder or PictureEncoder(model, family, loaded.image_processor)
        self._reader = PanelReader(model, family, self._encoder, loaded.tokenizer, ids, leading)

    @classmethod
    def from_pretrained(cls, params: JudgeParams, root: Path) -> TransformersJudge:
        """Load the configured judge from its directory or hub id.

        Args:
            params: The judge.
            root: Folder that a directory named as the model is relative to: the project's.

        Raises:
            Verdict3DError: The model cannot be found or loaded, or is of an unknown type.
        """
        identity, directory = identify(params, root), resolve_directory(params, root)
        device = pick_device(params.device)
        key = (str(directory.resolve()), identity.weights, identity.settings, identity.dtype, str(device))
        if key not in HELD:
            HELD.clear()  # one judge's weights at a time: a GPU may not have room for two
            HELD[key] = _load(params, directory, device)
        loaded = replace(HELD[key], own_prompt=own_prompt(directory))
        return cls(identity, loaded, params.batch_size)

    @property
    def digest(self) -> str:
        """Digest of everything the answers depend on."""
        return self.identity.digest

    def showing(self, panel: str, mode: str) -> TransformersJudge:
        """Return the same weights as a judge of another panel kind or of montages in another mode."""
        identity = self.identity.showing(panel, mode, self.loaded.own_prompt)
        return TransformersJudge(identity, self.loaded, self.batch_size, self._encoder)

    def compare(self, requests: Sequence[PairRequest]) -> list[Margins]:
        """Ask about every request in both orders.

        Identical montages are one question, so their margins are exactly equal. A picture that cannot be used
        or margins that are not finite make that one answer invalid.

        Returns:
            Answers in the order of ``requests``, margins in nats.
        """
        answers: list[Margins] = []
        for questions, pictures in fetch_ahead(self._prepare, cut_chunks(requests, self.batch_size)):
            answers.extend(self._answer(questions, pictures))
        self._since_given_back += len(requests)
        if self._since_given_back >= _HEAP_REQUESTS:
            give_back_heap()
            self._since_given_back = 0
        return answers

    def _prepare(self, requests: Sequence[PairRequest]) -> tuple[list[_Question], dict[str, Any]]:
        """Return what is shown about every request, and the pictures that can be used, by digest."""
        arranged = [self._arrange(request) for request in requests]
        wanted: dict[str, Pixels] = {}
        for part in arranged:
            wanted.update(part.pictures if isinstance(part, Arrangement) else {})
        pictures, failures = self._encoder.prepare(wanted)
        return [_list_orders(part, failures) for part in arranged], pictures

    def _answer(self, questions: Sequence[_Question], pictures: dict[str, Any]) -> list[Margins]:
        """Ask up to ``batch_size`` requests."""
        orders = [question for question in questions if not isinstance(question, ItemFailure)]
        margins = self._reader.read_margins(
            list(dict.fromkeys(order for pair in orders for order in pair)), pictures
        )
        return [
            Margins.invalid(question.reason, str(question))
            if isinstance(question, ItemFailure)
            else _check_finite(margins[question[0]], margins[question[1]])
            for question in questions
        ]

    def _arrange(self, request: PairRequest) -> Arrangement | ItemFailure:
        try:
            return request.panel.arrange(self.identity.panel)
        except ItemFailure as failure:
            return failure


HELD: dict[tuple[str, ...], LoadedModel] = {}
"""The weights that this process loaded last: a stage that asks under several names loads them once."""


def _load(params: JudgeParams, directory: Path, device: torch.device) -> LoadedModel:
    """Load the weights, on a GPU without a copy in host memory.

    Raises:
        Verdict3DError: Something is missing, unreadable or of another shape.
    """
    for name in SETTINGS:
        if name.endswith(".json") and (directory / name).is_file():
            read_object(directory / name)
    with _naming(params, directory, "tokenizer.json, tokenizer_config.json"):
        tokenizer = AutoTokenizer.from_pretrained(directory)
    with _naming(params, directory, "preprocessor_config.json"):
        image_processor = AutoImageProcessor.from_pretrained(directory, backend="pil")
    with _naming(params, directory, "config.json, *.safetensors"):
        read: Any = AutoModelForImageTextToText.from_pretrained(
            directory,
            dtype=choose_dtype(directory, device),
            device_map=None if device.type == "cpu" else {"": device},
            use_safetensors=True,
            output_loading_info=True,
        )
    model, report = read
    absent = [name for name in sorted(report["missing_keys"]) if not name.startswith("lm_head.")]
    if absent or report["mismatched_keys"]:
        raise Verdict3DError(
            f"judge {params.model!r}: weights missing {absent[:5]}, of another shape "
            f"{sorted(map(str, report['mismatched_keys']))[:5]}"
        )
    model = model.to(device).eval()
    if params.compiled:
        compile_judge(model)
    known = model.config.model_type in FAMILIES
    return LoadedModel(
        model,
        tokenizer,
        image_processor,
        chat_template=_read_template(directory),
        processor=(None if known else build_processor(directory, model.config, tokenizer, image_processor)),
    )


@contextmanager
def _naming(params: JudgeParams, directory: Path, files: str) -> Iterator[None]:
    """Turn what transformers raises about damaged files, which can be anything, into one line.

    Raises:
        Verdict3DError: The block failed.
    """
    try:
        yield
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0][:300]
        raise Verdict3DError(
            f"judge {params.model!r} cannot be loaded from {files} in {directory}: "
            f"{type(error).__name__}: {reason}; copy the model's files once more"
        ) from error


def _check_finite(m1: float, m2: float) -> Margins:
    if not (math.isfinite(m1) and math.isfinite(m2)):
        return Margins.invalid("non_finite_margin", f"the judge's margins are {m1} and {m2}")
    return Margins(m1, m2)


def _list_orders(part: Arrangement | ItemFailure, failures: dict[str, ItemFailure]) -> _Question:
    """Return what is shown in both orders, or why nothing can be."""
    if isinstance(part, ItemFailure):
        return part
    broken = [failures[name] for name in part.orders[0] if name in failures]
    return broken[0] if broken else part.orders


def _read_template(directory: Path) -> str | None:
    """Return the chat template that older releases keep beside the processor, else None."""
    path = directory / "chat_template.json"
    if (directory / "chat_template.jinja").is_file() or not path.is_file():
        return None
    template = read_object(path).get("chat_template")
    return template if isinstance(template, str) else None
