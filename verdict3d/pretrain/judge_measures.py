"""How good an embedded judge is on objects it has not seen: by quality gap, and against other objects."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from verdict3d.pretrain.embedded import EmbeddedJudge
from verdict3d.pretrain.judge_pool import JudgePool
from verdict3d.pretrain.judges import WRONG_FLOOR, Reader

GAPS = (0.0, 0.03, 0.1, 0.2, 0.4, 1.0)
"""Edges of the bins of quality gaps."""

CLEAR_GAP = 0.2
_OBJECTS_AT_ONCE = 16


@torch.no_grad()
def measure_judge(judge: EmbeddedJudge, pool: JudgePool) -> dict[str, Any]:
    """Ask a judge for all pairs of candidates of every object, in both orders.

    Args:
        judge: Its model may be on any device; it is asked in float32.
        pool: Held-out objects.

    Returns:
        ``gaps``: one summary for each bin of quality gaps; ``clear_gap``: all pairs with a gap of 0.2 or
        more; ``wrong_object``: each candidate of quality 0.6 or more against the best candidate of the next
        object; ``wrong_object_other_reference``: the same, shown the picture of a third object;
        ``parameters``. A summary has ``pairs``, ``half_credit``, ``decisive`` (None without decisive
        verdicts), ``coverage``, ``flip_rate`` and ``bias``.
    """
    device = next(judge.model.parameters()).device
    reader = Reader.of(judge, device)
    fitted = pool.fit(judge.pictures, device)
    gaps: list[Tensor] = []
    own: list[tuple[Tensor, Tensor]] = []
    wrong: list[tuple[Tensor, Tensor]] = []
    shuffled: list[tuple[Tensor, Tensor]] = []
    parts = math.ceil(len(fitted.references) / _OBJECTS_AT_ONCE)
    for rows in torch.arange(len(fitted.references)).tensor_split(parts):
        part = JudgePool(
            fitted.references[rows], fitted.montages[rows], fitted.quality[rows], fitted.valid[rows]
        )
        references = reader.encode(part.references)
        shape = part.quality.shape
        montages = reader.encode(part.montages.flatten(0, 1)).unflatten(0, shape)
        gap, answers = _own_pairs(reader, references, montages, part)
        gaps.append(gap)
        own.append(answers)
        if len(references) > 2:
            wrong.append(_list_wrong_pairs(reader, references, montages, part))
            shuffled.append(_list_wrong_pairs(reader, references.roll(1, 0), montages, part))
    gap = torch.cat(gaps)
    m1, m2 = (torch.cat(side) for side in zip(*own, strict=True))
    bins = [
        {"gap": [low, high], **_summarise(m1[inside], m2[inside])}
        for low, high in itertools.pairwise(GAPS)
        for inside in [(gap >= low) & ((gap < high) | (high == GAPS[-1]))]
    ]
    clear = gap >= CLEAR_GAP
    return {
        "gaps": bins,
        "clear_gap": _summarise(m1[clear], m2[clear]),
        "wrong_object": _join(wrong),
        "wrong_object_other_reference": _join(shuffled),
        "parameters": judge.parameter_count,
    }


def _own_pairs(
    reader: Reader, references: Tensor, montages: Tensor, part: JudgePool
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return gaps and margins of all valid pairs of one object's candidates, the better one as X."""
    count = part.quality.shape[1]
    left, right = zip(*itertools.combinations(range(count), 2), strict=True)
    row, column = (part.valid[:, left] & part.valid[:, right]).nonzero(as_tuple=True)
    x = torch.tensor(left, device=row.device)[column]
    y = torch.tensor(right, device=row.device)[column]
    gap = part.quality[row, x] - part.quality[row, y]
    x, y = torch.where(gap >= 0, x, y), torch.where(gap >= 0, y, x)
    return gap.abs().cpu(), _ask(reader, references[row], montages[row, x], montages[row, y])


def _list_wrong_pairs(
    reader: Reader, references: Tensor, montages: Tensor, part: JudgePool
) -> tuple[Tensor, Tensor]:
    """Return margins of right candidates (X) against the best candidate of the next object (Y)."""
    best = torch.where(part.valid, part.quality, -1.0).argmax(dim=1)
    other = torch.arange(len(best), device=best.device).roll(-1)
    allowed = part.valid & (part.quality >= WRONG_FLOOR) & part.valid[other, best[other]][:, None]
    row, x = allowed.nonzero(as_tuple=True)
    return _ask(reader, references[row], montages[row, x], montages[other[row], best[other[row]]])


def _ask(reader: Reader, references: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return margins of both orders, a few hundred panels at a time, on the CPU."""
    answers = [
        reader.read_both_orders(*parts)
        for parts in zip(references.split(256), x.split(256), y.split(256), strict=True)
        if len(parts[0])
    ]
    empty = references.new_zeros(0)
    m1, m2 = zip(*answers, strict=True) if answers else ((empty,), (empty,))
    return torch.cat(m1).cpu(), torch.cat(m2).cpu()


def _join(answers: list[tuple[Tensor, Tensor]]) -> dict[str, float | int | None]:
    empty = torch.zeros(0)
    m1, m2 = zip(*answers, strict=True) if answers else ((empty,), (empty,))
    return _summarise(torch.cat(m1), torch.cat(m2))


def _summarise(m1: Tensor, m2: Tensor) -> dict[str, float | int | None]:
    """Summarise verdicts in which X is the better one."""
    pairs = len(m1)
    if not pairs:
        return {
            "pairs": 0,
            "half_credit": None,
            "decisive": None,
            "coverage": None,
            "flip_rate": None,
            "bias": None,
        }
    preference, bias = (m1 - m2) / 2, (m1 + m2) / 2
    decided = preference.abs() > bias.abs()
    wins, losses = int((decided & (preference > 0)).sum()), int((decided & (preference < 0)).sum())
    return {
        "pairs": pairs,
        "half_credit": (wins + 0.5 * (pairs - wins - losses)) / pairs,
        "decisive": wins / (wins + losses) if wins + losses else None,
        "coverage": (wins + losses) / pairs,
        "flip_rate": 1.0 - (wins + losses) / pairs,
        "bias": float(bias.mean()),
    }
