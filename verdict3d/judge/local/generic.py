"""Any image-text-to-text model of transformers, asked through its own processor and ``forward``.

Slower than a known family (:mod:`verdict3d.judge.families`): pictures are prepared and encoded anew for
each sequence. The model's class lays out and positions its tokens itself, so nothing of it has to be known
here. Processors that also read videos are made without that part, which would need torchvision.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PROCESSOR_MAPPING

from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.judge.local.encoding import cut_chunks, group_by
from verdict3d.judge.local.network import answer_ids, write_chat
from verdict3d.judge.panel import Pixels, make_picture

_AT_ONCE = {"cpu": 4, "cuda": 16}
_PROBE_PX = 64


def build_processor(directory: Path, config: Any, tokenizer: Any, image_processor: Any) -> Any:
    """Return the model's processor around a tokenizer and a Pillow image processor.

    Raises:
        Verdict3DError: Transformers has no processor for it, or it needs parts that are not there.
    """
    try:
        kind = _without_absent_parts(PROCESSOR_MAPPING[type(config)])
        settings, _ = kind.get_processor_dict(directory)
        known = inspect.signature(kind.__init__).parameters
        parts = {"image_processor": image_processor, "tokenizer": tokenizer}
        options = {
            name: value
            for name, value in settings.items()
            if name in known and name not in kind.get_attributes()
        }
        return kind(**{**options, **parts})
    except (KeyError, TypeError, ValueError, OSError, ImportError, AttributeError) as error:
        raise Verdict3DError(_refuse(config.model_type, error)) from error


def _without_absent_parts(kind: Any) -> Any:
    """Return a processor class that takes None for a part that is never used, such as one for videos."""

    def check(self: Any, name: str, part: Any) -> Any:
        return None if part is None else kind.check_argument_for_proper_class(self, name, part)

    return type(kind.__name__, (kind,), {"check_argument_for_proper_class": check})


class ProcessorReader:
    """Prepares pictures and reads margins, as the encoder and reader of known families do.

    Args:
        model: The transformers model, in evaluation mode, on its device.
        processor: Its processor.
        prompt: The question, with a slot for each picture.
        chat_template: Template to use instead of the processor's, or None.

    Raises:
        Verdict3DError: The processor cannot carry the question.
    """

    def __init__(self, model: Any, processor: Any, prompt: str, chat_template: str | None) -> None:
        self._model = model
        self._processor = processor
        tokenizer = processor.tokenizer
        template = chat_template or processor.chat_template or tokenizer.chat_template
        self._device = next(model.parameters()).device
        first, second = answer_ids(tokenizer)
        self._answers = (first.to(self._device), second.to(self._device))
        try:
            self._text, count = write_chat(tokenizer, prompt, template)
            grey = np.full((_PROBE_PX, _PROBE_PX, 3), 128, np.uint8)
            one, two = (self._prepare([[grey] * number])["input_ids"] for number in (count, count))
        except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
            raise Verdict3DError(_refuse(model.config.model_type, error)) from error
        if one.shape != two.shape or one.shape[0] != 1:
            raise Verdict3DError(_refuse(model.config.model_type, "its processor gave no single sequence"))

    def prepare(self, wanted: Mapping[str, Pixels]) -> tuple[dict[str, Pixels], dict[str, ItemFailure]]:
        """Return the pictures, given by digest, that can be used, and why others cannot."""
        pictures: dict[str, Pixels] = {}
        failures: dict[str, ItemFailure] = {}
        for name, pixels in wanted.items():
            try:
                pictures[name] = make_picture(pixels)
            except ItemFailure as failure:
                failures[name] = failure
        return pictures, failures

    @torch.inference_mode()
    def read_margins(
        self, shown: Sequence[tuple[str, ...]], pictures: Mapping[str, Pixels]
    ) -> dict[tuple[str, ...], float]:
        """Return the margin of every sequence; sequences of pictures of the same sizes go together.

        Args:
            shown: Sequences of digests of pictures, all different.
            pictures: The pictures in them, (height, width, 3) uint8, by digest.

        Returns:
            Margins in nats, positive where the first candidate is preferred.
        """
        margins: dict[tuple[str, ...], float] = {}
        for _, group in group_by(shown, lambda order: tuple(pictures[name].shape for name in order)):
            for part in cut_chunks(group, _AT_ONCE[self._device.type]):
                inputs = self._prepare([[pictures[name] for name in order] for order in part])
                logits = self._model(**inputs.to(self._device)).logits[:, -1].float()
                first, second = (logits[:, ids].logsumexp(dim=-1) for ids in self._answers)
                margins.update(zip(part, (first - second).tolist(), strict=True))
        return margins

    def _prepare(self, pictures: list[list[Pixels]]) -> Any:
        """Return the model's inputs for sequences of pictures of the same sizes, so none is padded."""
        inputs = self._processor(
            images=pictures,
            text=[self._text] * len(pictures),
            add_special_tokens=False,
            input_data_format="channels_last",
            return_tensors="pt",
        )
        ids: Tensor = inputs["input_ids"]
        if ids.ndim != 2:
            raise ValueError(f"its processor gave token ids of shape {tuple(ids.shape)}")
        return inputs


def _refuse(model_type: str, reason: object) -> str:
    return (
        f"a judge of type {model_type!r} cannot be asked through its processor: {reason}. It takes a "
        "tokenizer with a chat template for pictures, an image processor that runs on Pillow, and a class of "
        "AutoModelForImageTextToText; or serve it and set judges.<role>.endpoint"
    )
