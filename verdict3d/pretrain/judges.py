"""Pretraining of the embedded judges: which of two damaged meshes is nearer to the object of a picture?

Every step encodes a picture and a few candidates of each drawn object once, and reads margins for all pairs
among them in both orders. A fourth kind of pair sets a candidate against one of another object: the right
object wins, so that the picture of the object is used. The loss is the cross-entropy over A and B.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from verdict3d.errors import Verdict3DError
from verdict3d.judge.local.network import Layout, read_margins
from verdict3d.pretrain.embedded import EmbeddedJudge, build_judge
from verdict3d.pretrain.judge_pool import JudgePool, prepare_pixels
from verdict3d.pretrain.training import Training, use_mixed_precision

SMALLEST_GAP = 0.01
"""Candidates whose quality differs by less are not a pair with a winner."""
SOFT_GAP = 0.03
"""The probability to be learned is the sigmoid of the gap in quality over this: 0.58 at the smallest gap."""

WRONG_FLOOR = 0.6
"""A candidate below this quality need not beat a clean mesh of another object, which can look alike."""

_CANDIDATES = 4
_PAIRS_PER_OBJECT = 7
_BIAS_WEIGHT = 0.02
_WEIGHT_DECAY = 0.05


@dataclass(frozen=True, eq=False)
class Reader:
    """A judge with its token layout on the training device."""

    judge: EmbeddedJudge
    layout: Layout
    answers: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, judge: EmbeddedJudge, device: torch.device) -> Reader:
        """Build the reader on ``device``."""
        first, second = judge.find_answers()
        return cls(judge, judge.lay_out().to(device), (first.to(device), second.to(device)))

    def encode(self, pictures: Tensor) -> Tensor:
        """Encode (N, size, size, 3) pictures to (N, tokens, hidden)."""
        judge = self.judge
        return judge.family.compute_features(judge.model, prepare_pixels(judge, pictures), judge.picture_grid)

    def read_margins(self, references: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Return (panels,) margins for (panels, tokens, hidden) features of the three pictures."""
        features = torch.cat([references, first, second], dim=1)
        return read_margins(self.judge.model, self.layout, features, self.answers)

    def read_both_orders(self, references: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return m1 (X shown first) and m2 (Y shown first), each (panels,)."""
        margins = self.read_margins(torch.cat([references, references]), torch.cat([x, y]), torch.cat([y, x]))
        m1, m2 = margins.chunk(2)
        return m1, m2


def train_judge(
    family: str, pool: JudgePool, training: Training, device: str | torch.device
) -> EmbeddedJudge:
    """Train an embedded judge.

    Args:
        family: ``"qwen2_5_vl"`` or ``"internvl"``.
        pool: Objects with candidates of known quality.
        training: Length, seed of the weights and of everything drawn; its ``batch`` counts pairs, of which
            seven share an object. Loss, accuracy by kind of pair, and bias are logged.
        device: Where to train; bfloat16 autocast on CUDA, float32 on CPU.

    Returns:
        The judge, float32, on ``device``, in evaluation mode.

    Raises:
        Verdict3DError: The loss stopped being finite, or the batch is too small.
    """
    batch = training.schedule.batch
    if batch < _PAIRS_PER_OBJECT:
        raise Verdict3DError(f"batch {batch} must be {_PAIRS_PER_OBJECT} or more")
    place = torch.device(device)
    judge = build_judge(family, training.seed)
    judge.model.to(place).train()
    reader = Reader.of(judge, place)
    fitted = pool.fit(judge.pictures, place)

    def losses_at(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        with use_mixed_precision(place):
            return _compute_losses(reader, fitted, max(2, batch // _PAIRS_PER_OBJECT), generator)

    decay = _WEIGHT_DECAY
    networks = {"judge": judge.model}
    training.run(networks, losses_at, averaged=False, weight_decay=decay, vector_decay=decay)
    judge.model.eval()
    return judge


def _compute_losses(
    reader: Reader, pool: JudgePool, objects: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Draw objects and candidates and return the loss with what is worth logging."""
    chosen, candidates, usable = _draw(pool, objects, generator)
    rows = chosen[:, None]
    references = reader.encode(pool.references[chosen])
    montages = reader.encode(pool.montages[rows, candidates].flatten(0, 1)).unflatten(0, candidates.shape)
    quality = pool.quality[rows, candidates]
    x, y, gap, weight, wrong = _make_pairs(montages, quality, usable, generator)
    count = gap.shape[1]
    shown = references[:, None].expand(-1, count, -1, -1).flatten(0, 1)
    m1, m2 = reader.read_both_orders(shown, x.flatten(0, 1), y.flatten(0, 1))
    gap, weight, wrong = gap.flatten(), weight.flatten(), wrong.flatten()
    total, sign, target = weight.sum().clamp_min(1.0), gap.sign(), torch.sigmoid(gap / SOFT_GAP)
    choice = 0.5 * (
        functional.binary_cross_entropy_with_logits(m1, target, reduction="none")
        + functional.binary_cross_entropy_with_logits(-m2, target, reduction="none")
    )
    loss = ((choice + _BIAS_WEIGHT * (m1 + m2).square()) * weight).sum() / total
    with torch.no_grad():
        right = 0.5 * ((sign * m1 > 0).float() + (sign * m2 < 0).float()) * weight
        split = [(right * part).sum() / (weight * part).sum().clamp_min(1.0) for part in (~wrong, wrong)]
        bias = (0.5 * (m1 + m2) * weight).sum() / total
    return {"loss": loss, "accuracy": split[0], "accuracy_wrong": split[1], "bias": bias}


def _draw(pool: JudgePool, objects: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw objects without replacement and valid candidates of each.

    Returns:
        Object indices (O,), candidate indices (O, C) and whether each candidate is valid (O, C).
    """
    device = pool.quality.device
    count, available = pool.quality.shape
    chosen = torch.randperm(count, generator=generator)[: min(objects, count)].to(device)
    noise = torch.rand((len(chosen), available), generator=generator).to(device)
    candidates = (noise + pool.valid[chosen].float()).topk(min(_CANDIDATES, available), dim=1).indices
    return chosen, candidates, pool.valid[chosen[:, None], candidates]


def _make_pairs(
    montages: Tensor, quality: Tensor, usable: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Form all pairs of an object's candidates, and one against another object's best candidate.

    Returns:
        Features of X and of Y (O, P, tokens, hidden); gap (O, P), by how much X is better, 1 between
        different objects; weight (O, P), 0 for pairs without a winner; whether the objects differ (O, P).
    """
    objects, candidates = quality.shape
    left, right = zip(*itertools.combinations(range(candidates), 2), strict=True)
    gap = quality[:, left] - quality[:, right]
    own = torch.randint(candidates, (objects,), generator=generator).to(quality.device)
    row = torch.arange(objects, device=quality.device)
    other = row.roll(1)
    best = torch.where(usable, quality, -1.0).argmax(dim=1)[other]
    allowed = (quality[row, own] >= WRONG_FLOOR) & usable[row, own] & usable[other, best]
    x = torch.cat([montages[:, left], montages[row, own][:, None]], dim=1)
    y = torch.cat([montages[:, right], montages[other, best][:, None]], dim=1)
    gap = torch.cat([gap, torch.ones_like(gap[:, :1])], dim=1)
    wrong = torch.zeros_like(gap, dtype=torch.bool)
    wrong[:, -1] = True
    weight = (gap[:, :-1].abs() >= SMALLEST_GAP) & usable[:, left] & usable[:, right]
    return x, y, gap, torch.cat([weight, allowed[:, None]], dim=1).float(), wrong
