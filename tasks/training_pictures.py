"""Pictures that arms learn from: views of training assets, clean and degraded, in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from verdict3d.adapt.method import Example, Picture, Preference, Sample
from verdict3d.adapt.parallel import speaks
from verdict3d.assets.mesh import read_mesh
from verdict3d.config import Params
from verdict3d.degrade.regimes import degrade_by_regime, regime_params
from verdict3d.errors import ItemFailure
from verdict3d.randomness import numpy_generator
from verdict3d.records import Row, read_jsonl
from verdict3d.render.renderer import Renderer
from verdict3d.render.views import sample_camera
from verdict3d.trellis.preprocess import preprocess_image

_THREADS = 2
_AHEAD = 64
"""Views that are rendered before their degradations are waited for."""


def make_examples(
    params: Params,
    root: Path,
    assets: Sequence[Row],
    regimes: Sequence[str],
    views: int,
    draws: int,
    size_px: int,
) -> list[Example]:
    """Degrade views of each asset ``draws`` times each, the regimes taking turns.

    View 0 is the asset's condition picture, further ones are rendered from its mesh as the assets stage does,
    from cameras of their own. Pictures in which nothing of the object is left teach nothing and are left out.

    Args:
        params: All parameters; ``seed``, ``assets`` and ``degrade`` are read.
        root: What the assets' paths are relative to.
        assets: Rows of the asset manifest.
        regimes: Degradation regimes.
        views: Views of each asset besides its condition picture.
        draws: Degraded pictures of each view.
        size_px: Side of the pictures.
    """
    examples: list[Example] = []
    jobs = _views(params, root, assets, views)
    total = len(assets) * (1 + views)

    def degrade_view(job: tuple[str, int, Image.Image]) -> list[Example]:
        return list(_degraded(params, *job, regimes, draws, size_px))

    bar = tqdm(total=total, desc="pictures", unit="view", disable=not speaks())
    with ThreadPoolExecutor(_THREADS) as pool, bar as progress:
        while block := [job for _, job in zip(range(_AHEAD), jobs, strict=False)]:
            for made in pool.map(degrade_view, block):
                examples += made
                progress.update()
    return examples


def _views(
    params: Params, root: Path, assets: Sequence[Row], views: int
) -> Iterator[tuple[str, int, Image.Image]]:
    """Yield (asset, view, RGBA picture)."""
    renderer = Renderer() if views else None
    for asset in assets:
        yield asset["id"], 0, Image.open(root / asset["condition"]).convert("RGBA")
        if renderer is None:
            continue
        mesh = read_mesh(root / asset["mesh"])
        for view in range(1, views + 1):
            rng = numpy_generator(params.seed, "training_view", asset["id"], view)
            camera = sample_camera(mesh, params.assets.view, rng)
            pixels = renderer.condition(mesh, camera, params.assets.condition_size_px)
            yield asset["id"], view, Image.fromarray(pixels).convert("RGBA")


def _degraded(
    params: Params,
    asset: str,
    view: int,
    picture: Image.Image,
    regimes: Sequence[str],
    draws: int,
    size_px: int,
) -> Iterator[Example]:
    clean = as_picture(picture, size_px)
    for draw in range(draws):
        regime = regimes[(view * draws + draw) % len(regimes)]
        rng = numpy_generator(params.seed, "training_picture", asset, view, regime, draw)
        try:
            degraded, _ = degrade_by_regime(picture, regime_params(params.degrade, regime), rng)
            yield Example(asset, view, regime, clean, as_picture(degraded, size_px))
        except ItemFailure:
            continue


def as_picture(picture: Image.Image, size_px: int) -> Picture:
    """Preprocess an RGBA picture as the generator does.

    Raises:
        ItemFailure: There is no object in it.
    """
    return np.asarray(preprocess_image(picture, size_px))


def read_preferences(root: Path, kinds: Sequence[str]) -> list[Preference]:
    """Read the training judge's preferences of some kinds, with what their samples were made from."""
    made = {row["id"]: row for row in read_jsonl(root / "data/generate/generations.jsonl")}
    return [
        Preference(
            row["asset"],
            row["kind"],
            _sample(made[row["chosen"]], root),
            _sample(made[row["rejected"]], root),
        )
        for row in read_jsonl(root / "data/label/preferences.jsonl")
        if row["kind"] in kinds
    ]


def _sample(generation: Row, root: Path) -> Sample:
    return Sample(
        Image.open(root / generation["condition"]).convert("RGBA"),
        generation["seed"],
        generation["steps"]["structure"],
        generation["steps"]["latents"],
    )
