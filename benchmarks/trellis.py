"""The generator's speed.

    OMP_NUM_THREADS=2 python -m benchmarks.trellis      the embedded generator on a CPU, tricks on and off
    python -m benchmarks.trellis --full --device cuda   the released size with random weights, beside floors
    python -m benchmarks.trellis --full --tiny          the same code on small networks, to see that it runs
    python -m benchmarks.trellis --full --official FOLDER    the official classes too, from that folder

Every line is a JSON object. A floor is the larger of operations over the matrix rate and weights over the
copy rate, both measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from benchmarks.full_size_trellis import (
    FULL,
    RELEASED,
    TINY,
    Size,
    count_weight_bytes,
    counted,
    draw_latents,
    draw_structure_state,
    draw_tokens,
    make_random_conditioner,
    make_random_network,
    make_sphere_cubes,
    unreplayed,
)
from benchmarks.official_trellis import Official
from benchmarks.timing import measure, measure_once, measure_seconds
from verdict3d.config_generators import SamplerParams
from verdict3d.library import procedural_asset
from verdict3d.records.files import Row
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera
from verdict3d.trellis.attention import prefer_flash_attention_3
from verdict3d.trellis.mesh_decoding import decode_meshes
from verdict3d.trellis.mesh_extraction import extract_meshes
from verdict3d.trellis.pipeline import TrellisPipeline
from verdict3d.trellis.replay import Replayed
from verdict3d.trellis.sampler import count_items, get_values, sample_flow, time_grid, with_values
from verdict3d.trellis.sequences import group_sequences
from verdict3d.trellis.sparse import SparseConv3d, SparseTensor
from verdict3d.trellis.structure import Structure
from verdict3d.trellis.transformer import ModulatedCrossBlock

ROOT = Path(__file__).parents[1]
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


# The embedded generator: what each trick is worth on a CPU.


@torch.no_grad()
def sample_plainly(
    model: Any, noise: Any, cond: Tensor, params: SamplerParams, one_batch: bool, skip: bool
) -> Any:
    """Sample like ``sample_flow``, with the guidance branches in one batch or not, skipped outside or not."""
    state, negative = noise, torch.zeros_like(cond)
    low, high = params.guidance_interval

    def velocity(point: Any, t: float, tokens: Tensor) -> Tensor:
        return get_values(model(point, torch.full((count_items(point),), 1000 * t), tokens))

    for t, t_next in pairwise(time_grid(params.steps, params.rescale_t)):
        guided = params.guidance > 0 and low <= t <= high
        if not guided and (skip or params.guidance == 0):
            v = velocity(state, t, cond)
        else:
            if one_batch:
                twice = state.repeat(2) if isinstance(state, SparseTensor) else torch.cat([state, state])
                with_cond, without = velocity(twice, t, torch.cat([cond, negative])).chunk(2)
            else:
                with_cond, without = velocity(state, t, cond), velocity(state, t, negative)
            v = (1 + params.guidance) * with_cond - params.guidance * without if guided else with_cond
        state = with_values(state, get_values(state) - (t - t_next) * v)
    return state


def forget_maps(model: Any) -> list[Any]:
    """Make every layer compute its neighbours or item ranges anew; return the hooks to remove."""

    def forget(module: Any, arguments: Any) -> None:
        structure: Structure = arguments[0].structure
        for name in ("neighbours", "pairs", "_keys"):
            structure.__dict__.pop(name, None)

    def group(module: Any, arguments: Any) -> None:
        items = arguments[3]
        group_sequences(items.sequence_of_row, int(items.sequence_of_row[-1]) + 1)

    hooks = []
    for module in model.modules():
        if isinstance(module, SparseConv3d):
            hooks.append(module.register_forward_pre_hook(forget))
        elif isinstance(module, ModulatedCrossBlock):
            hooks.append(module.register_forward_pre_hook(group))
    return hooks


def make_pictures(count: int) -> list[Image.Image]:
    """Return RGBA pictures of procedural furniture."""
    renderer, camera = Renderer(), Camera(30.0, 20.0, 40.0, 2.0)
    meshes = [procedural_asset("heldout", index, 0).mesh for index in range(count)]
    return [Image.fromarray(renderer.condition(mesh, camera, 256)) for mesh in meshes]


def time_embedded(generator: Path, items: int, times: int) -> Iterator[Row]:
    """Yield seconds a sample of both flows with all tricks, and how many times slower it is without each."""
    pipeline = TrellisPipeline.from_pretrained(generator, device="cpu")
    tokens = pipeline.encode([pipeline.preprocess(picture) for picture in make_pictures(items)])
    sources = [torch.Generator().manual_seed(item) for item in range(items)]
    noise = pipeline.draw_structure_noise(sources)
    occupied = [v for v in pipeline.sample_structure(tokens, sources) if isinstance(v, Tensor)]
    latents = pipeline.draw_latents_noise(occupied, sources[: len(occupied)])
    flows = {
        "structure": (pipeline.networks.structure_flow, noise, pipeline.structure),
        "latents": (pipeline.networks.latent_flow, latents, pipeline.latents),
        "latents_guided": (
            pipeline.networks.latent_flow,
            latents,
            pipeline.latents.model_copy(update=RELEASED),
        ),
    }
    for name, (model, start, params) in flows.items():
        cond = tokens[: count_items(start)]
        sample = partial(sample_plainly, model, start, cond, params)
        ways: dict[str, Callable[[], Any]] = {
            "ours": lambda m=model, s=start, c=cond, p=params: sample_flow(m, s, c, p),  # type: ignore[misc]
            "branches_apart": lambda s=sample: s(one_batch=False, skip=True),  # type: ignore[misc]
            "both_branches_everywhere": lambda s=sample: s(one_batch=True, skip=False),  # type: ignore[misc]
            "neither": lambda s=sample: s(one_batch=False, skip=False),  # type: ignore[misc]
        }
        if name == "structure" or params.guidance > 0:
            yield _compare(name, ways, times, count_items(start))
        if isinstance(start, SparseTensor):
            ours = ways["ours"]

            def without_maps(model: Any = model, ours: Callable[[], Any] = ours) -> Any:
                hooks = forget_maps(model)
                try:
                    return ours()
                finally:
                    for hook in hooks:
                        hook.remove()

            yield _compare(
                f"{name}_maps", {"ours": ours, "maps_per_layer": without_maps}, times, count_items(start)
            )


def _compare(name: str, ways: dict[str, Callable[[], Any]], times: int, items: int) -> Row:
    """Measure ways in turns; they must give the same sample."""
    found: dict[str, list[float]] = {way: [] for way in ways}
    samples = {way: get_values(call()) for way, call in ways.items()}
    for _ in range(times):
        for way, call in ways.items():
            start = time.perf_counter()
            call()
            found[way].append(time.perf_counter() - start)
    least = {way: min(values) for way, values in found.items()}  # other programs only add
    row: Row = {"sample": name, "items": items, "seconds": round(least["ours"], 3)}
    for way in list(ways)[1:]:
        row[f"{way}_times_slower"] = round(least[way] / least["ours"], 2)
        row[f"{way}_difference"] = float((samples[way] - samples["ours"]).abs().max())
    return row


# The released size: tables for a GPU.


class Bench:
    """Full-size measurements on one device.

    Args:
        size: Full or tiny.
        device: "cuda" or "cpu".
        dtype: Type of the torsos.
        times: Repetitions of a measurement.
        compile_backend: Of ``torch.compile`` for the flows' blocks; None: as they are.
    """

    def __init__(
        self, size: Size, device: str, dtype: torch.dtype, times: int = 5, compile_backend: str | None = None
    ) -> None:
        self.size, self.device, self.dtype, self.times = size, device, dtype, times
        self.official: Official | None = None
        self.compile_backend = compile_backend
        self.flash_attention = 3 if prefer_flash_attention_3() else 2
        self.rates = {kind: self._matrix_rate(kind) for kind in {dtype, torch.float32}}
        self.bytes_per_s = self._copy_rate()

    def _matrix_rate(self, dtype: torch.dtype) -> float:
        """Operations a second of one large product."""
        side = self.size.matrix
        a, b = (torch.randn(side, side, device=self.device, dtype=dtype) for _ in range(2))
        out = torch.empty_like(a)
        multiply = partial(torch.mm, a, b, out=out)
        measure_once(multiply, self.device)
        return 2 * side**3 / measure_seconds(multiply, self.device, 4 * self.times)

    def _copy_rate(self) -> float:
        """Bytes read and written a second by a large copy."""
        source = torch.zeros(4 * self.size.matrix**2, device=self.device)
        target = torch.empty_like(source)
        measure_once(lambda: target.copy_(source), self.device)
        took = measure_seconds(lambda: target.copy_(source), self.device, 4 * self.times)
        return 2 * source.numel() * source.element_size() / took

    def ceilings(self) -> Iterator[Row]:
        """The device and its measured rates."""
        name = torch.cuda.get_device_name() if self.device.startswith("cuda") else "CPU"
        yield {
            "table": "ceilings",
            "device": name,
            "torch": torch.__version__,
            "dtype": str(self.dtype),
            "flash_attention": self.flash_attention,
            "tflop_per_s": {str(kind): round(rate / 1e12, 4) for kind, rate in self.rates.items()},
            "copied_gb_per_s": round(self.bytes_per_s / 1e9, 2),
        }

    def row(
        self,
        table: str,
        network: Any,
        call: Callable[[], Any],
        items: int,
        dtype: torch.dtype | None = None,
        flops: int | None = None,
        times: int | None = None,
        **more: Any,
    ) -> Row:
        """Measure one call beside its floor.

        Args:
            table: Name of the row.
            network: Whose operations are counted.
            call: What is measured.
            items: In the batch.
            dtype: Type of the products, by default the torsos'.
            flops: Operations of the call; counted where left out.
            times: Repetitions, by default the bench's.
            **more: Further entries.
        """
        rate = self.rates[dtype or self.dtype]
        if flops is None:
            with counted(network) as operations, torch.no_grad():
                call()
            flops = sum(operations.values())
        read = count_weight_bytes(network)
        with torch.no_grad():
            first = measure_once(call, self.device)
            took, peak = measure(call, self.device, times or self.times, read)
            if isinstance(network.forward, Replayed):  # the allocator does not see what a graph uses
                with unreplayed(network):
                    peak = measure(call, self.device, 1, read)[1]
        floor = max(flops / rate, read / self.bytes_per_s)
        return {
            "table": table,
            "items": items,
            **more,
            "ms": round(1000 * took, 3),
            "ms_per_item": round(1000 * took / items, 3),
            "first_s": round(first, 2),
            "gflop": round(flops / 1e9, 3),
            "weights_gb": round(read / 1e9, 3),
            "floor_ms": round(1000 * floor, 3),
            "tflop_per_s": round(flops / took / 1e12, 4),
            "share_of_rate": round(flops / took / rate, 3),
            "peak_gib": peak,
        }

    def _flow(self, name: str, network: Any, state: Any, cond: Tensor, **more: Any) -> Iterator[Row]:
        """A forward pass, a guided step and a full sample of a flow."""
        items, steps = count_items(state), self.size.steps
        times = torch.full((items,), 700.0, device=self.device)

        def sample(steps: int, start: Any) -> Any:
            return sample_flow(network, start, cond, SamplerParams(steps=steps, **RELEASED))

        forward, step = partial(network, state, times, cond), partial(sample, 1, state)
        with torch.no_grad(), counted(network) as plain:
            forward()
        with counted(network) as both:
            step()
        once_over, twice = sum(plain.values()), sum(both.values())
        low, high = RELEASED["guidance_interval"]
        guided = sum(low <= t <= high for t in time_grid(steps, RELEASED["rescale_t"])[:-1])
        rows = []
        for label, call, flops, repeats in (
            ("forward", forward, once_over, self.times),
            ("guided_step", step, twice, self.times),
            (
                f"sample_{steps}_steps",
                lambda: sample(steps, _clear_maps(state)),
                guided * twice + (steps - guided) * once_over,
                1,
            ),
        ):
            row = self.row(f"{name}_{label}", network, call, items, flops=flops, times=repeats, **more)
            rows.append((row, call))
            yield row
        if self.official is not None:
            yield from self.official.beside(name, network, (state, cond), rows)

    def _compiled(self, network: Any) -> Any:
        """Return the network, its blocks compiled where that is asked for (at the first call)."""
        if self.compile_backend is not None:
            network.compile_blocks(self.compile_backend)
        return network

    def structure_flow(self) -> Iterator[Row]:
        """The structure flow at every batch size."""
        network = self._compiled(make_random_network("structure_flow", self.size, self.device, self.dtype))
        for items in self.size.batches:
            noise, cond = draw_structure_state(self.size, items, self.device)
            yield from self._flow("structure_flow", network, noise, cond)

    def latent_flow(self) -> Iterator[Row]:
        """The latent flow at every number of voxels and batch size."""
        network = self._compiled(make_random_network("latent_flow", self.size, self.device, self.dtype))
        for voxels in self.size.voxels:
            for items in self.size.batches:
                noise = draw_latents(self.size, [voxels] * items, self.device)
                cond = draw_tokens(self.size, items, self.device)
                yield from self._flow("latent_flow", network, noise, cond, voxels=voxels)

    def decoding(self) -> Iterator[Row]:
        """Structure decoder, mesh decoder, and extraction at four times the grid's resolution."""
        decoder = make_random_network("structure_decoder", self.size, self.device, self.dtype)
        latent, _ = draw_structure_state(self.size, 1, self.device)
        decode = partial(decoder, latent)
        row = self.row("structure_decoder", decoder, decode, 1)
        yield row
        if self.official is not None:
            yield from self.official.beside("structure_decoder", decoder, (latent,), [(row, decode)])
        for part in ("mesh_decoder", "gaussian_decoder"):
            network = make_random_network(part, self.size, self.device, self.dtype)
            for voxels in self.size.voxels:
                latents = draw_latents(self.size, [voxels], self.device)
                yield self.row(part, network, partial(network, latents), 1, voxels=voxels)
        for voxels in self.size.voxels:
            cubes, features = make_sphere_cubes(voxels, self.size.grid)
            coords, features = cubes.coords.to(self.device), features.to(self.device)
            extract = partial(extract_meshes, coords, features, 4 * self.size.grid, 1)
            measure_once(extract, self.device)
            took, peak = measure(extract, self.device, self.times)
            yield {
                "table": "mesh_extraction",
                "voxels": voxels,
                "cubes": len(coords),
                "faces": len(extract()[0].faces),
                "ms": round(1000 * took, 3),
                "peak_gib": peak,
            }
        network = make_random_network("mesh_decoder", self.size, self.device, self.dtype)
        latents = draw_latents(self.size, [self.size.voxels[0]] * 2, self.device)
        outcomes = decode_meshes(network, latents)
        yield {"table": "decode_meshes", "outcomes": [type(outcome).__name__ for outcome in outcomes]}

    def conditioner(self) -> Iterator[Row]:
        """The image conditioner in float32, as it is used."""
        network = make_random_conditioner(self.size, self.device)
        for items in self.size.batches:
            pictures = torch.rand(items, 3, network.image_size, network.image_size, device=self.device)
            yield self.row("conditioner", network, partial(network, pictures), items, torch.float32)

    def _cases(self) -> Iterator[tuple[str, Callable[[Any], Tensor]]]:
        """Every network with a call that gives its numbers."""
        device, size = self.device, self.size
        noise, cond = draw_structure_state(size, 2, device)
        times = torch.full((2,), 700.0, device=device)
        counts = [size.voxels[0], size.voxels[0] // 2]
        latents = draw_latents(size, counts, device)
        yield "structure_flow", lambda network: network(noise, times, cond)
        yield "structure_decoder", lambda network: network(noise)
        yield "latent_flow", lambda network: network(latents, times, cond).feats
        yield "mesh_decoder", lambda network: network(latents).feats
        yield "gaussian_decoder", lambda network: network(latents).feats

    @torch.no_grad()
    def precision(self) -> Iterator[Row]:
        """Difference of half precisions from float32, relative to the root mean square of the outputs."""
        for part, call in self._cases():
            network = make_random_network(part, self.size, self.device, torch.float32)
            exact = call(network).float()
            for dtype in (torch.bfloat16, torch.float16):
                network.set_torso_dtype(dtype)
                rough = call(network).float()
                network = make_random_network(
                    part, self.size, self.device, torch.float32
                )  # weights got rounded
                power = exact.square().mean().sqrt()
                apart = rough - exact
                yield {
                    "table": "precision",
                    "network": part,
                    "dtype": str(dtype),
                    "rms": float(apart.square().mean().sqrt() / power),
                    "most": float(apart.abs().max() / power),
                    "finite": bool(rough.isfinite().all()),
                }

    @torch.no_grad()
    def batch_invariance(self) -> Iterator[Row]:
        """How far an item's numbers move with what is beside it; the same shape of batch, and uneven ones."""
        items = max(self.size.batches)
        noise, cond = draw_structure_state(self.size, items, self.device)
        times = torch.full((items,), 700.0, device=self.device)
        flow = make_random_network("structure_flow", self.size, self.device, self.dtype)
        whole = flow(noise, times, cond)
        others = noise.flip(0).clone()
        others[0] = noise[0]
        beside = flow(others, times, torch.cat([cond[:1], cond[1:].flip(0)]))
        alone = flow(noise[:1], times[:1], cond[:1])
        yield _measure_apart("structure_flow", "same shape, other neighbours", whole[0], beside[0])
        yield _measure_apart("structure_flow", f"alone and among {items}", whole[0], alone[0])
        counts = [self.size.voxels[0] - 3 * item for item in range(items)]
        latents = draw_latents(self.size, counts, self.device)
        flow = make_random_network("latent_flow", self.size, self.device, self.dtype)
        together = flow(latents, times, cond).split()[0][0]
        feats, xyz = latents.split()[0]
        single = flow(SparseTensor.stack([feats], [xyz]), times[:1], cond[:1]).feats
        yield _measure_apart("latent_flow", f"alone and among {items} uneven", together, single)

    def tables(self) -> dict[str, Callable[[], Iterator[Row]]]:
        """Every table by name, in the order they are printed."""
        return {
            "ceilings": self.ceilings,
            "structure_flow": self.structure_flow,
            "latent_flow": self.latent_flow,
            "decoding": self.decoding,
            "conditioner": self.conditioner,
            "precision": self.precision,
            "batch_invariance": self.batch_invariance,
        }


def _clear_maps(state: Any) -> Any:
    """Return the state on voxels that nothing is known of yet, as it is with those of every sample."""
    if not isinstance(state, SparseTensor):
        return state
    return SparseTensor(state.feats, structure=Structure(state.coords, state.batch_size))


def _measure_apart(network: str, what: str, one: Tensor, other: Tensor) -> Row:
    one, other = one.float(), other.float()
    power = one.square().mean().sqrt()
    return {
        "table": "batch_invariance",
        "network": network,
        "compared": what,
        "same_bits": bool(torch.equal(one, other)),
        "most": float((one - other).abs().max() / power),
    }


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """Print the rows, and return them."""
    parser = argparse.ArgumentParser(description="Speed of the generator; a JSON object a line.")
    parser.add_argument("--full", action="store_true", help="the released size instead of the embedded one")
    parser.add_argument("--tiny", action="store_true", help="with --full: small networks")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="float16")
    parser.add_argument("--compile", nargs="?", const="inductor", help="the flows' blocks; a backend")
    parser.add_argument("--tables", nargs="+", help="only these tables of --full")
    parser.add_argument("--official", type=Path, help="with --full: folder of the official trellis/")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--items", type=int, default=4, help="of the embedded generator")
    parser.add_argument("--generator", type=Path, default=ROOT / "data/checkpoints/generator")
    given = parser.parse_args(arguments)
    if given.official is not None and (not given.full or given.dtype == "bfloat16"):
        parser.error("--official goes with --full, in float16 or float32")
    rows = []

    def show(found: Iterator[Row]) -> None:
        for row in found:
            print(json.dumps(row), flush=True)
            rows.append(row)

    if not given.full:
        show(time_embedded(given.generator, given.items, given.times))
        return rows
    size = TINY if given.tiny else FULL
    bench = Bench(size, given.device, DTYPES[given.dtype], given.times, given.compile)
    if given.official is not None:
        bench.official = Official(given.official, size, given.device, bench.dtype, given.times)
    for name, table in bench.tables().items():
        if given.tables is None or name in given.tables:
            show(table())
            if given.device.startswith("cuda"):
                torch.cuda.empty_cache()
    return rows


if __name__ == "__main__":
    main()
