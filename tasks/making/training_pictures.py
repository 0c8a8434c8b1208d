"""Pictures that arms learn from: views of training assets, clean and degraded, in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from tasks.making.executors import start_helpers
from tasks.paths import LABEL, read_generations
from verdict3d.adapt.method import ConditionPixels, Example, Preference, Sample
from verdict3d.adapt.parallel import shows_progress
from verdict3d.config import Params
from verdict3d.config_inputs import RegimeParams
from verdict3d.degrade.regimes import degrade_by_regime, regime_params
from verdict3d.errors import ItemFailure
from verdict3d.mesh.files import read_mesh
from verdict3d.randomness import numpy_generator
from verdict3d.records import verdicts
from verdict3d.records.assets import Asset
from verdict3d.records.generations import Generation
from verdict3d.records.record import read_rows
from verdict3d.render.renderer import Renderer
from verdict3d.render.views import sample_camera
from verdict3d.trellis.preprocess import preprocess_image

_AHEAD = 64
"""Assets that are worked on before the first of them is waited for."""


def make_examples(
    params: Params,
    root: Path,
    assets: Sequence[Asset],
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
    named = [(name, regime_params(params.degrade, name)) for name in regimes]
    degraded = partial(_degrade_views, params.seed, named, draws, size_px)
    views_of = partial(_collect_views, params, root, views)
    bar = tqdm(total=len(assets), desc="pictures", unit="asset", disable=not shows_progress())
    examples: list[Example] = []
    with start_helpers() as pool, bar as progress:
        for made in _make_in_order(pool, assets, views_of, degraded):
            examples += made
            progress.update()
    return examples


Views = Sequence[tuple[str, int, Image.Image]]
"""Views of an asset: (asset, view, RGBA picture)."""
ViewsOf = Callable[[Asset], Views]
Degraded = Callable[[Views], list[Example]]


def _make_in_order(
    pool: Executor, assets: Sequence[Asset], views_of: ViewsOf, degraded: Degraded
) -> Iterator[list[Example]]:
    """Yield what becomes of each asset while the next ones are worked on.

    A process draws what it degrades; threads leave drawing to this one, which OpenGL's context belongs to.
    """
    draws_alone = not isinstance(pool, ThreadPoolExecutor)
    waiting: deque[Future[list[Example]]] = deque()
    for asset in assets:
        if draws_alone:
            waiting.append(pool.submit(_draw_and_degrade, views_of, degraded, asset))
        else:
            waiting.append(pool.submit(degraded, views_of(asset)))
        if len(waiting) > _AHEAD:
            yield waiting.popleft().result()
    for future in waiting:
        yield future.result()


def _draw_and_degrade(views_of: ViewsOf, degraded: Degraded, asset: Asset) -> list[Example]:
    return degraded(views_of(asset))


def _collect_views(params: Params, root: Path, views: int, asset: Asset) -> Views:
    """Return an asset's condition picture and ``views`` rendered ones."""
    found = [(asset.id, 0, Image.open(root / asset.condition).convert("RGBA"))]
    if not views:
        return found
    mesh, renderer = read_mesh(root / asset.mesh), _open_renderer()
    for view in range(1, views + 1):
        rng = numpy_generator(params.seed, "training_view", asset.id, view)
        camera = sample_camera(mesh, params.assets.view, rng)
        pixels = renderer.condition(mesh, camera, params.assets.condition_size_px)
        found.append((asset.id, view, Image.fromarray(pixels).convert("RGBA")))
    return found


@cache
def _open_renderer() -> Renderer:
    """Return this process's renderer."""
    return Renderer()


def _degrade_views(
    seed: int,
    regimes: Sequence[tuple[str, RegimeParams | None]],
    draws: int,
    size_px: int,
    views: Views,
) -> list[Example]:
    return [made for view in views for made in _degrade(seed, regimes, draws, size_px, *view)]


def _degrade(
    seed: int,
    regimes: Sequence[tuple[str, RegimeParams | None]],
    draws: int,
    size_px: int,
    asset: str,
    view: int,
    picture: Image.Image,
) -> list[Example]:
    clean = as_picture(picture, size_px)
    examples = []
    for draw in range(draws):
        name, regime = regimes[(view * draws + draw) % len(regimes)]
        rng = numpy_generator(seed, "training_picture", asset, view, name, draw)
        try:
            degraded, _ = degrade_by_regime(picture, regime, rng)
            examples.append(Example(asset, view, name, clean, as_picture(degraded, size_px)))
        except ItemFailure:
            continue
    return examples


def as_picture(picture: Image.Image, size_px: int) -> ConditionPixels:
    """Preprocess an RGBA picture as the generator does.

    Raises:
        ItemFailure: There is no object in it.
    """
    return np.asarray(preprocess_image(picture, size_px))


def read_preferences(root: Path, kinds: Sequence[str]) -> list[Preference]:
    """Read the training judge's preferences of some kinds, with what their samples were made from."""
    made = {row.id: row for row in read_generations(root)}
    return [
        Preference(
            row.asset,
            row.kind,
            _sample(made[row.chosen], root),
            _sample(made[row.rejected], root),
        )
        for row in read_rows(root / LABEL / "preferences.jsonl", verdicts.Preference)
        if row.kind in kinds
    ]


def _sample(generation: Generation, root: Path) -> Sample:
    assert generation.steps is not None  # only our own generator is trained
    return Sample(
        Image.open(root / generation.condition).convert("RGBA"),
        generation.seed,
        generation.steps.structure,
        generation.steps.latents,
    )
