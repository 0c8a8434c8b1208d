"""Recordings of the official networks made again: weights and inputs of tests/goldens, new outputs.

    python -m benchmarks.record_goldens FOLDER          says how far each recording is from it
    python -m benchmarks.record_goldens FOLDER --write  writes what it gives, with commit and versions

FOLDER holds the official ``trellis`` package (microsoft/TRELLIS). The dense networks and their samplers run
on a CPU without the rest of the official environment; tests/goldens/README.md says how the others were made.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmarks.official_trellis import import_official

GOLDENS = Path(__file__).parents[1] / "tests/goldens"
Tensors = dict[str, Tensor]
Official = Mapping[str, Any]


def record_structure_flow(
    network: nn.Module, given: Tensors, notes: Mapping[str, Any], code: Official
) -> Tensors:
    """One forward pass, with what its first block and its time embedding give."""
    tokens: list[Tensor] = []
    network.blocks[0].register_forward_hook(lambda module, inputs, output: tokens.append(output))
    v = network(given["x"], given["t"], given["cond"])
    return {"v": v, "after_block0": tokens[0], "t_emb": network.t_embedder(given["t"])}


def record_structure_decoder(
    network: nn.Module, given: Tensors, notes: Mapping[str, Any], code: Official
) -> Tensors:
    """Logits, and where they are positive."""
    logits = network(given["z"])
    return {"logits": logits, "coords": torch.argwhere(logits > 0)[:, [0, 2, 3, 4]].int()}


def record_structure_encoder(
    network: nn.Module, given: Tensors, notes: Mapping[str, Any], code: Official
) -> Tensors:
    """Mean and logarithm of the variance."""
    _, mean, logvar = network(given["x"], sample_posterior=False, return_raw=True)
    return {"mean": mean, "logvar": logvar}


def record_samplers(network: nn.Module, given: Tensors, notes: Mapping[str, Any], code: Official) -> Tensors:
    """The first step and the sample of every run that the notes describe."""
    found = {}
    for number, run in enumerate(notes["runs"]):
        sampler = getattr(code["samplers"], run["sampler"])(sigma_min=run["sigma_min"])
        guided = {"neg_cond": given["neg_cond"]} if "cfg_strength" in run["params"] else {}
        out = sampler.sample(network, given["noise"], given["cond"], verbose=False, **guided, **run["params"])
        found |= {
            f"run{number}.pred_x_t.first": out.pred_x_t[0],
            f"run{number}.pred_x_0.first": out.pred_x_0[0],
            f"run{number}.samples": out.samples,
        }
    return found


RECORDERS: dict[str, Callable[..., Tensors]] = {
    "ss_flow": record_structure_flow,
    "ss_decoder": record_structure_decoder,
    "ss_encoder": record_structure_encoder,
    "sampler_ss": record_samplers,
}
MODULES = ("trellis.models.sparse_structure_flow", "trellis.models.sparse_structure_vae")


def record(name: str, code: Official) -> tuple[Tensors, Tensors]:
    """Return a recording as it lies in tests/goldens, and the outputs of the official code."""
    kept, notes = load_file(GOLDENS / f"{name}.safetensors"), read_notes(name)
    given = {key.removeprefix("in."): value for key, value in kept.items() if key.startswith("in.")}
    weights = {key.removeprefix("w."): value.float() for key, value in kept.items() if key.startswith("w.")}
    network = code[notes["cls"]](**notes["args"])
    network.load_state_dict(weights)
    with torch.no_grad():
        made = RECORDERS[name](network.eval(), given, notes, code)
    return kept, {f"out.{key}": value.contiguous() for key, value in made.items()}


def read_notes(name: str) -> dict[str, Any]:
    """Return class, arguments and call of a recording."""
    notes: dict[str, Any] = json.loads((GOLDENS / f"{name}.json").read_text())
    return notes


def describe_provenance(folder: Path) -> dict[str, str]:
    """Return commit (of a git checkout), versions and date."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "repository": "microsoft/TRELLIS",
        "commit": commit or "unknown",
        "torch": torch.__version__,
        "recorded": date.today().isoformat(),
    }


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Print and return the largest difference of every recording; write them where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder that holds the official trellis package")
    parser.add_argument("--write", action="store_true", help="write the outputs into tests/goldens")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    official = import_official(options.folder)
    found = [importlib.import_module(name) for name in MODULES]
    code: dict[str, Any] = {key: value for module in found for key, value in vars(module).items()}
    code["samplers"] = importlib.import_module(type(official["sampler"]).__module__)
    apart = {}
    for name in RECORDERS:
        kept, made = record(name, code)
        assert made.keys() == {key for key in kept if key.startswith("out.")}, name
        apart[name] = max(float((kept[key].double() - made[key].double()).abs().max()) for key in made)
        print(json.dumps({"recording": name, "largest_difference": apart[name]}))
        if options.write:
            save_file(kept | made, GOLDENS / f"{name}.safetensors")
            notes = read_notes(name) | {"provenance": describe_provenance(options.folder)}
            (GOLDENS / f"{name}.json").write_text(json.dumps(notes, indent=1) + "\n")
    return apart


if __name__ == "__main__":
    main()
