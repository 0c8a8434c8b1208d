"""The phases of the recipe, and the rows each one learns from.

A phase starts from what is in the work folder and may be repeated: a finished training is taken over from its
checkpoint, an interrupted one goes on, and both end with the same weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch

from verdict3d.mesh.damage import DEFECTS
from verdict3d.pretrain import generator
from verdict3d.pretrain.architectures import NETWORKS, PICTURE_PX
from verdict3d.pretrain.judge_measures import measure_judge
from verdict3d.pretrain.judge_pool import JudgePool
from verdict3d.pretrain.judged_rows import GENERATED, generated_rows, generator_measures, judged_rows
from verdict3d.pretrain.judges import train_judge
from verdict3d.pretrain.pool import Pool, PoolRecipe
from verdict3d.pretrain.rows import furniture_rows, grid_rows
from verdict3d.pretrain.workshop import Workshop
from verdict3d.records.files import read_json, write_json
from verdict3d.trellis.networks import Networks
from verdict3d.trellis.pipeline import TrellisPipeline

CONDITIONS = 4
"""Pictures of each object from the front half."""
GENERATED_WEIGHT = 4
"""How often a row of generations is drawn, for one of damaged meshes; they are fewer, and harder."""
JUDGE_PX, MONTAGE_VIEW_PX = 144, 112


def train_structure(shop: Workshop) -> None:
    """Structure VAE, then conditioner and structure flow together."""
    pool = shop.device_pool("furniture", "conditions", "structure")
    encoder, decoder = (shop.untrained(f"sparse_structure_{end}") for end in ("encoder", "decoder"))
    training = shop.training("structure_vae")
    generator.train_structure_vae(encoder, decoder, pool, training)
    shop.save("sparse_structure_encoder", encoder)
    shop.save("sparse_structure_decoder", decoder)
    shop.log(training)
    conditioner, flow = shop.untrained("conditioner"), shop.untrained("sparse_structure_flow_model")
    encoder, training = shop.load("sparse_structure_encoder"), shop.training("structure_flow")
    generator.train_structure_flow(conditioner, flow, encoder, pool, training)
    shop.save("sparse_structure_flow_model", flow)
    shop.save("conditioner", conditioner)
    shop.log(training)


def train_decoder(shop: Workshop) -> None:
    """Mesh decoder, from exact grids."""
    pool = shop.device_pool("grids", "structure", "codes", "distance", "color")
    decoder, training = shop.untrained("slat_decoder_mesh"), shop.training("mesh_decoder")
    generator.train_mesh_decoder(decoder, pool, training)
    shop.save("slat_decoder_mesh", decoder)
    shop.log(training)


def train_latents(shop: Workshop) -> None:
    """The encoder that reads latents from picture features, then the latent flow."""
    pool = shop.device_pool("furniture", "conditions", "features", "structure", "codes")
    codes = generator.Codes.over(pool)
    statistics = {"mean": codes.mean.tolist(), "std": codes.std.tolist()}
    write_json(shop.work / "latent_statistics.json", statistics)
    conditioner = shop.load("conditioner")
    encoder, training = shop.untrained("slat_encoder"), shop.training("latent_encoder")
    rows = min(shop.recipe.feature_rows, pool.rows)
    generator.train_latent_encoder(encoder, conditioner, codes, rows, training)
    shop.save("slat_encoder", encoder)
    shop.log(training)
    flow, training = shop.untrained("slat_flow_model"), shop.training("latent_flow")
    generator.train_latent_flow(flow, codes, conditioner, training)
    shop.save("slat_flow_model", flow)
    shop.log(training)


def assemble(shop: Workshop) -> None:
    """Write the trained networks as a generator in the released layout."""
    statistics, cpu = read_json(shop.work / "latent_statistics.json"), torch.device("cpu")
    TrellisPipeline(
        shop.load("conditioner", cpu),
        Networks.from_released({name: shop.load(name, cpu) for name in NETWORKS}),
        shop.params.generator.structure,
        shop.params.generator.latents,
        (torch.tensor(statistics["mean"]), torch.tensor(statistics["std"])),
        device="cpu",
    ).save_pretrained(shop.generator)


def train_one_judge(shop: Workshop, family: str) -> None:
    """Train one judge on damaged and generated meshes; write it and its measures on unseen objects."""
    judge_recipe, training = shop.recipe.judges[family], shop.judge_training(family)
    sources = {kind: shop.pool(f"{family}-{kind}") for kind in ("damaged", "generated")}
    learned, held_out = zip(*(split(pool) for pool in sources.values()), strict=True)
    damaged, generated = learned
    judge = train_judge(family, joined([damaged, *[generated] * GENERATED_WEIGHT]), training, shop.device)
    judge.save(shop.work / judge_recipe.folder)
    shop.log(training)
    measures = {kind: measure_judge(judge, pool) for kind, pool in zip(sources, held_out, strict=True)}
    print(family, json.dumps(measures), flush=True)
    write_json(
        shop.work / f"{family}-measures.json",
        {"measures": measures, "generator": generator_measures(sources["generated"])},
    )


def split(pool: Pool) -> tuple[JudgePool, JudgePool]:
    """Split a pool into what a judge learns from and the last tenth (two rows at least), held out."""
    held_out = max(2, pool.count // 10)
    parts = []
    for rows in (slice(None, -held_out), slice(-held_out, None)):
        names = ("references", "montages", "quality")
        references, montages, quality = (torch.tensor(pool.arrays[name][rows]) for name in names)
        parts.append(JudgePool(references, montages, quality, quality > 0))
    return parts[0], parts[1]


def joined(pools: Sequence[JudgePool]) -> JudgePool:
    """Return several pools as one."""
    names = ("references", "montages", "quality", "valid")
    return JudgePool(*(torch.cat([getattr(pool, name) for pool in pools]) for name in names))


def furniture_pool(shop: Workshop) -> list[PoolRecipe]:
    """Return how the pool of structure and latent networks is made."""
    recipe = shop.recipe
    settings = {
        "seed": recipe.seed,
        "size_px": PICTURE_PX,
        "conditions": CONDITIONS,
        "feature_rows": recipe.feature_rows,
    }
    return [PoolRecipe(shop.pools / "furniture", recipe.furniture, furniture_rows, settings)]


def grid_pool(shop: Workshop) -> list[PoolRecipe]:
    """Return how the pool of the mesh decoder is made."""
    return [PoolRecipe(shop.pools / "grids", shop.recipe.grids, grid_rows, {"seed": shop.recipe.seed})]


def judge_pools(shop: Workshop, family: str) -> list[PoolRecipe]:
    """Return how the two pools of a judge are made, damaged and generated meshes."""
    judge, params = shop.recipe.judges[family], shop.params
    shown: dict[str, Any] = {"seed": judge.seed, "size_px": JUDGE_PX, "montage_view_px": MONTAGE_VIEW_PX}
    candidates = 1 + sum(1 + copies for *_, copies in GENERATED)
    damaged = {**shown, "candidates": candidates, "defects": judge.defects}
    generated = {
        **shown,
        "generator": str(shop.generator),
        "regimes": {name: regime.model_dump() for name, regime in params.degrade.regimes.items()},
        "low_budget_steps": params.generate.low_budget_steps,
        "defects": tuple(DEFECTS),
    }
    return [
        PoolRecipe(shop.pools / f"{family}-damaged", judge.damaged, judged_rows, damaged),
        PoolRecipe(shop.pools / f"{family}-generated", judge.generated, generated_rows, generated),
    ]
