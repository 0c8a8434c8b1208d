"""The decoder of Gaussian splats has the keys of the released file, and gives what the official one gave."""

from __future__ import annotations

import gzip
import json

import torch

from benchmarks.gaussian_decoder import SLatGaussianDecoder
from support.places import GOLDENS
from support.recordings import recorded


@torch.no_grad()
def test_it_gives_what_the_official_class_gave() -> None:
    r = recorded("slat_gs_decoder")
    model = r.network(SLatGaussianDecoder)
    assert isinstance(model, SLatGaussianDecoder)
    torch.testing.assert_close(model.layout.compute_perturbation(), r.weights["offset_perturbation"])
    raw = model(r.sparse())
    r.close("raw", raw.feats)
    for index, attributes in enumerate(model.make_gaussians(raw)):
        for name, value in attributes.items():
            r.close(f"gs{index}.{name}", value)


def test_it_has_the_keys_and_shapes_of_the_released_file() -> None:
    manifest = json.loads(gzip.decompress((GOLDENS / "manifest.json.gz").read_bytes()))
    (entry,) = (one for one in manifest.values() if one["class"] == SLatGaussianDecoder.__name__)
    with torch.device("meta"):
        model = SLatGaussianDecoder(**entry["config"])
    expected = {key: shape for key, _, shape in (line.split("|") for line in entry["keys"])}
    found = {key: "x".join(map(str, value.shape)) for key, value in model.state_dict().items()}
    assert found == expected
