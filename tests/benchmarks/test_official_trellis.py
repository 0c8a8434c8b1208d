"""What stands in for the flash_attn that the official code calls; none of that code is needed here."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from benchmarks import trellis
from benchmarks.official_trellis import STAND_INS, attend, attend_kv, attend_qkv, import_official, stand_ins

LENGTHS_Q, LENGTHS_K = [3, 1, 5], [4, 2, 1]


def starts(lengths: list[int]) -> torch.Tensor:
    return torch.tensor([0, *lengths]).cumsum(0).int()


def test_uneven_sequences_attend_to_themselves_alone() -> None:
    q, kv = torch.randn(9, 2, 8), torch.randn(7, 2, 2, 8)
    k, v = kv.unbind(1)
    found = attend_kv(q, kv, starts(LENGTHS_Q), starts(LENGTHS_K), 5, 4)
    row = first = 0
    for length_q, length_k in zip(LENGTHS_Q, LENGTHS_K, strict=True):
        for query in range(row, row + length_q):
            for head in range(2):
                keys, values = k[first : first + length_k, head], v[first : first + length_k, head]
                weights = torch.softmax(keys @ q[query, head] / 8**0.5, dim=0)
                torch.testing.assert_close(found[query, head], weights @ values)
        row, first = row + length_q, first + length_k


def test_packed_queries_keys_and_values_are_told_apart() -> None:
    qkv, at = torch.randn(9, 3, 2, 8), starts(LENGTHS_Q)
    q, k, v = qkv.unbind(1)
    assert torch.equal(attend_qkv(qkv, at, 5), attend(q, k, v, at, at, 5, 5))


def test_nobody_else_sees_the_stand_ins() -> None:
    before = {name: find_spec(name) is not None for name in STAND_INS}
    with stand_ins():
        assert all(find_spec(name) is not None for name in STAND_INS)
    assert {name: find_spec(name) is not None for name in STAND_INS} == before


def test_a_folder_without_the_official_code_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="takes the folder of trellis/"):
        import_official(tmp_path)
    assert "trellis" not in sys.modules


def test_the_official_code_has_no_bfloat16(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        trellis.main(["--full", "--official", ".", "--dtype", "bfloat16"])
    assert "--official goes with --full, in float16 or float32" in capsys.readouterr().err
