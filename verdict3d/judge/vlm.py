"""The local judge: a VLM of the transformers library, read at one token, in batches, both orders.

Nothing is generated: one forward pass per order gives the margin between the letters A and B. Pictures are
preprocessed once each, and encoded once for all panels of a batch they stand in. The batches follow from the
list of requests alone, so that the same list gives the same margins.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from verdict3d.config import JudgeParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.judge.families import Family, Grid, Picture, family_of
from verdict3d.judge.identity import JudgeIdentity, dtype_for, identify, resolve_device, resolve_directory
from verdict3d.judge.network import Layout, answer_ids, chat_ids, panel_layout, read_margins
from verdict3d.judge.panel import Arrangement, PairRequest, Pixels, picture
from verdict3d.judge.rubric import own_prompt, prompt_digest, prompt_of
from verdict3d.judge.verdict import Verdict
from verdict3d.records import read_json

_PREPROCESSED_KEPT = 512
_PICTURES_AT_ONCE = {"cpu": 8, "cuda": 64}  # on a CPU, what stays in its caches
_PANELS_AT_ONCE = {"cpu": 8, "cuda": 64}

Shown = tuple[str, ...]
"""Digests of the pictures of one sequence, in the order they are shown."""


class TransformersJudge:
    """A judge that answers with margins.

    Args:
        identity: What the answers depend on.
        model: The transformers model, in evaluation mode.
        tokenizer: Its tokenizer.
        image_processor: Its image processor, Pillow variant.
        own_prompt: The model's own text with three picture slots; None: the rubric.
        chat_template: Template to use instead of the tokenizer's, or None.
        batch_size: Pairs asked together.
        tie_band: Smallest reliability of a decisive verdict.

    Raises:
        Verdict3DError: The tokenizer or its chat template cannot carry the question.
    """

    def __init__(
        self,
        identity: JudgeIdentity,
        model: Any,
        tokenizer: Any,
        image_processor: Any,
        own_prompt: str | None,
        chat_template: str | None,
        batch_size: int,
        tie_band: float,
    ) -> None:
        self.identity = identity
        self.batch_size = batch_size
        self.tie_band = tie_band
        self._model = model
        self._tokenizer = tokenizer
        self._image_processor = image_processor
        self._own_prompt = own_prompt
        self._chat_template = chat_template
        self._family: Family = family_of(model.config.model_type)
        self._device = next(model.parameters()).device
        first, second = answer_ids(tokenizer)
        self._answers = (first.to(self._device), second.to(self._device))
        prompt = prompt_of(own_prompt, identity.panel, identity.mode)
        self._ids = chat_ids(tokenizer, prompt, self._family.image_token_id(model), chat_template)
        self._layouts: dict[tuple[Grid, ...], Layout] = {}
        self._preprocessed: OrderedDict[str, Picture] = OrderedDict()

    @classmethod
    def from_pretrained(cls, params: JudgeParams) -> TransformersJudge:
        """Load the configured judge from its directory or hub id.

        Raises:
            Verdict3DError: The model cannot be found or loaded, or is of an unknown type.
        """
        identity = identify(params)
        directory = resolve_directory(params)
        device = resolve_device(params.device)
        try:
            tokenizer = AutoTokenizer.from_pretrained(directory)
            image_processor = AutoImageProcessor.from_pretrained(directory, backend="pil")
            loaded: Any = AutoModelForImageTextToText.from_pretrained(
                directory,
                dtype=dtype_for(directory, device),
                use_safetensors=True,
                output_loading_info=True,
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise Verdict3DError(f"judge {params.model!r} cannot be loaded: {error}") from error
        model, report = loaded
        absent = [name for name in sorted(report["missing_keys"]) if not name.startswith("lm_head.")]
        if absent or report["mismatched_keys"]:
            raise Verdict3DError(
                f"judge {params.model!r}: weights missing {absent[:5]}, of another shape "
                f"{sorted(map(str, report['mismatched_keys']))[:5]}"
            )
        return cls(
            identity,
            model.to(device).eval(),
            tokenizer,
            image_processor,
            own_prompt(directory),
            _processor_template(directory),
            params.batch_size,
            params.tie_band,
        )

    @property
    def digest(self) -> str:
        """Digest of everything the answers depend on."""
        return self.identity.digest

    def showing(self, panel: str, mode: str) -> TransformersJudge:
        """Return the same weights as a judge of another panel kind or of montages in another mode."""
        prompt = prompt_digest(prompt_of(self._own_prompt, panel, mode))
        other = TransformersJudge(
            replace(self.identity, panel=panel, mode=mode, prompt=prompt),
            self._model,
            self._tokenizer,
            self._image_processor,
            self._own_prompt,
            self._chat_template,
            self.batch_size,
            self.tie_band,
        )
        other._preprocessed = self._preprocessed
        return other

    def compare(self, requests: Sequence[PairRequest]) -> list[Verdict]:
        """Ask about every pair in both orders.

        Identical montages are one question, so their margins are exactly equal and the verdict is a tie. A
        picture that cannot be used or margins that are not finite make that one verdict invalid.

        Returns:
            Verdicts in the order of ``requests``.
        """
        verdicts: list[Verdict] = []
        for start in range(0, len(requests), self.batch_size):
            verdicts.extend(self._compare_batch(requests[start : start + self.batch_size]))
        return verdicts

    def _compare_batch(self, requests: Sequence[PairRequest]) -> list[Verdict]:
        """Ask about up to ``batch_size`` pairs."""
        arranged = [self._arranged(request) for request in requests]
        pictures, failures = self._prepare([part for part in arranged if isinstance(part, Arrangement)])
        answers = [_orders(part, failures) for part in arranged]
        orders = [answer for answer in answers if not isinstance(answer, ItemFailure)]
        margins = self._margins(list(dict.fromkeys(order for pair in orders for order in pair)), pictures)
        return [
            Verdict.invalid(answer.reason, str(answer))
            if isinstance(answer, ItemFailure)
            else self._verdict(margins[answer[0]], margins[answer[1]])
            for answer in answers
        ]

    def _arranged(self, request: PairRequest) -> Arrangement | ItemFailure:
        try:
            return request.panel.arranged(self.identity.panel)
        except ItemFailure as failure:
            return failure

    def _verdict(self, m1: float, m2: float) -> Verdict:
        if not (math.isfinite(m1) and math.isfinite(m2)):
            return Verdict.invalid("non_finite_margin", f"the judge's margins are {m1} and {m2}")
        return Verdict(m1, m2, self.tie_band)

    def _prepare(self, parts: Sequence[Arrangement]) -> tuple[dict[str, Picture], dict[str, ItemFailure]]:
        """Preprocess the pictures of a batch, each once; those used lately are remembered."""
        wanted: dict[str, Pixels] = {}
        for part in parts:
            wanted.update(part.pictures)
        pictures: dict[str, Picture] = {}
        failures: dict[str, ItemFailure] = {}
        for name, pixels in wanted.items():
            try:
                pictures[name] = self._preprocess(name, pixels)
            except ItemFailure as failure:
                failures[name] = failure
        return pictures, failures

    def _preprocess(self, name: str, pixels: Pixels) -> Picture:
        """Run the family's image processor on one picture."""
        if name in self._preprocessed:
            self._preprocessed.move_to_end(name)
            return self._preprocessed[name]
        usable = picture(pixels)
        try:
            processed = self._image_processor(
                images=[usable], input_data_format="channels_last", return_tensors="np"
            )
        except ValueError as error:
            raise ItemFailure(
                "bad_image", f"the judge's image processor refuses a picture: {error}"
            ) from error
        prepared = self._family.pictures(processed)[0]
        self._preprocessed[name] = prepared
        if len(self._preprocessed) > _PREPROCESSED_KEPT:
            self._preprocessed.popitem(last=False)
        return prepared

    @torch.inference_mode()
    def _margins(self, shown: list[Shown], pictures: dict[str, Picture]) -> dict[Shown, float]:
        """Return the margin of every sequence of pictures; sequences of one length go together."""
        features = self._features(pictures)
        margins: dict[Shown, float] = {}
        for grids, group in _grouped(shown, lambda order: tuple(pictures[name].grid for name in order)):
            layout = self._layout(grids)
            for part in _chunks(group, _PANELS_AT_ONCE[self._device.type]):
                stacked = torch.stack([torch.cat([features[name] for name in order]) for order in part])
                values = read_margins(self._model, layout, stacked, self._answers)
                margins.update(zip(part, values.tolist(), strict=True))
        return margins

    def _features(self, pictures: dict[str, Picture]) -> dict[str, Tensor]:
        """Encode every picture once; pictures of one size go together."""
        features: dict[str, Tensor] = {}
        for grid, names in _grouped(list(pictures), lambda name: pictures[name].grid):
            for part in _chunks(names, _PICTURES_AT_ONCE[self._device.type]):
                pixels = torch.stack([pictures[name].pixels for name in part]).to(self._device)
                features.update(zip(part, self._family.features(self._model, pixels, grid), strict=True))
        return features

    def _layout(self, grids: tuple[Grid, ...]) -> Layout:
        if grids not in self._layouts:
            layout = panel_layout(self._family, self._model, self._tokenizer, self._ids, list(grids))
            self._layouts[grids] = layout.to(self._device)
        return self._layouts[grids]


def _orders(
    part: Arrangement | ItemFailure, failures: dict[str, ItemFailure]
) -> tuple[Shown, Shown] | ItemFailure:
    """Return what is shown in both orders, or why nothing can be."""
    if isinstance(part, ItemFailure):
        return part
    broken = [failures[name] for name in part.orders[0] if name in failures]
    return broken[0] if broken else part.orders


def _grouped(items: list[Any], key: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Yield (key, items with that key), keys in ascending order, items in their own order."""
    for value, group in groupby(sorted(items, key=key), key=key):
        yield value, list(group)


def _chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    """Yield ``items`` in lists of up to ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _processor_template(directory: Path) -> str | None:
    """Return the chat template that older releases keep beside the processor, else None."""
    path = directory / "chat_template.json"
    if (directory / "chat_template.jinja").is_file() or not path.is_file():
        return None
    template = read_json(path).get("chat_template")
    return template if isinstance(template, str) else None
