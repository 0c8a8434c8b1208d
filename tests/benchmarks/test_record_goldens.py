"""The recorder knows every tensor that it records, with our networks in place of the official ones."""

from __future__ import annotations

import pytest

from benchmarks.record_goldens import RECORDERS, record
from verdict3d.trellis.checkpoint import MODEL_CLASSES


@pytest.mark.parametrize("name", ["ss_flow", "ss_decoder"])
def test_our_networks_record_what_the_official_ones_did(name: str) -> None:
    kept, made = record(name, MODEL_CLASSES)
    assert made.keys() == {key for key in kept if key.startswith("out.")} and name in RECORDERS
    for key, value in made.items():
        assert value.shape == kept[key].shape and value.dtype == kept[key].dtype
        assert float((value.double() - kept[key].double()).abs().max()) < 2e-4
