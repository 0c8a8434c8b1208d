"""Pictures on their way into a VLM: prepared once, encoded once, remembered as long as there is room."""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeVar

import torch
from torch import Tensor

from verdict3d.errors import ItemFailure
from verdict3d.judge.family import EncodedPicture, Family, PreparedPicture
from verdict3d.judge.panel import Pixels, make_picture

T = TypeVar("T")
R = TypeVar("R")

_THREADS = min(8, os.cpu_count() or 1)
_AT_ONCE = {"cpu": 8, "cuda": 32}  # on a CPU, what stays in its caches
_KEPT_BYTES = {"cpu": 64 << 20, "cuda": 2 << 30}

Known = PreparedPicture | EncodedPicture
"""What a judge knows of a picture that it is to look at."""


class PictureEncoder:
    """The vision side of a judge; judges that ask the same weights differently share one.

    Args:
        model: The transformers model, in evaluation mode, on its device.
        family: Its family.
        image_processor: Its image processor, Pillow variant.
    """

    def __init__(self, model: Any, family: Family, image_processor: Any) -> None:
        self._model = model
        self._family = family
        self._image_processor = image_processor
        self._device = next(model.parameters()).device
        self._dtype = next(model.parameters()).dtype
        self._kept: OrderedDict[str, EncodedPicture] = OrderedDict()
        self._kept_bytes = 0

    def prepare(self, wanted: Mapping[str, Pixels]) -> tuple[dict[str, Known], dict[str, ItemFailure]]:
        """Run the image processor on pictures that are not remembered.

        Args:
            wanted: (height, width, 3) uint8 each, by digest.

        Returns:
            Those that can be used, and why others cannot: ``bad_image``.
        """
        pictures: dict[str, Known] = {}
        failures: dict[str, ItemFailure] = {}
        with ThreadPoolExecutor(_THREADS) as threads:
            results = list(threads.map(self._prepare, wanted, wanted.values()))
        for name, result in zip(wanted, results, strict=True):
            if isinstance(result, ItemFailure):
                failures[name] = result
            else:
                pictures[name] = result
        return pictures, failures

    def _prepare(self, name: str, pixels: Pixels) -> Known | ItemFailure:
        if (known := self._kept.get(name)) is not None:
            return known
        try:
            usable = make_picture(pixels)
            processed = self._image_processor(
                images=[usable], input_data_format="channels_last", return_tensors="np"
            )
        except ItemFailure as failure:
            return failure
        except ValueError as error:
            return ItemFailure("bad_image", f"the judge's image processor refuses a picture: {error}")
        (prepared,) = self._family.prepare_pictures(processed)
        return replace(prepared, pixels=prepared.pixels.to(self._dtype))

    @torch.inference_mode()
    def encode(self, pictures: Mapping[str, Known]) -> dict[str, Tensor]:
        """Return the features (tokens, hidden) of every picture; those of one size go together.

        On a GPU the number encoded together is always the same, so that features do not depend on what else
        was asked for: kernels are chosen by shape.
        """
        known = {name: self._kept.get(name, picture) for name, picture in pictures.items()}
        encoded = {name: one for name, one in known.items() if isinstance(one, EncodedPicture)}
        fresh = {name: one for name, one in known.items() if isinstance(one, PreparedPicture)}
        size = _AT_ONCE[self._device.type]
        for grid, names in group_by(list(fresh), lambda name: fresh[name].grid):
            for part in cut_chunks(names, size):
                filled = part + part[-1:] * (size - len(part) if self._device.type == "cuda" else 0)
                pixels = torch.stack([fresh[name].pixels.to(self._device) for name in filled])
                features = self._family.compute_features(self._model, pixels, grid)[: len(part)]
                for name, one in zip(part, features.unbind(), strict=True):
                    encoded[name] = EncodedPicture(one.clone(), grid)  # not a view that keeps its neighbours
        self._remember(encoded)
        return {name: one.features for name, one in encoded.items()}

    def _remember(self, encoded: Mapping[str, EncodedPicture]) -> None:
        for name, picture in encoded.items():
            if name not in self._kept:
                self._kept[name] = picture
                self._kept_bytes += picture.features.nbytes
            self._kept.move_to_end(name)
        while self._kept_bytes > _KEPT_BYTES[self._device.type]:
            self._kept_bytes -= self._kept.popitem(last=False)[1].features.nbytes


def group_by(items: Sequence[T], key: Callable[[T], Any]) -> Iterator[tuple[Any, list[T]]]:
    """Yield (key, items with that key), keys in ascending order, items in their own order."""
    for value, group in groupby(sorted(items, key=key), key=key):
        yield value, list(group)


def cut_chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """Yield ``items`` in lists of up to ``size``, at least 1."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def fetch_ahead(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield ``work(item)`` of every item; while one is used, a thread works on the next."""
    with ThreadPoolExecutor(1) as thread:
        coming: deque[Future[R]] = deque()
        for item in items:
            coming.append(thread.submit(work, item))
            if len(coming) > 1:
                yield coming.popleft().result()
        if coming:
            yield coming.popleft().result()
