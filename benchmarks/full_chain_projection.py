"""The chain of the full numbers of objects, projected from stages that were measured with few.

A stage takes what does not depend on objects, and the rest: batches of the generator and requests to the
judges, each at the measured pace with everything around them, or objects. Of calls of one kind the first is
left out, which compiles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from statistics import median
from typing import Any, NamedTuple

from tasks.controls import plan_cells, plan_pairs, plan_specimens
from verdict3d.asking.questions import plan_questions
from verdict3d.config import Params
from verdict3d.judge.served.server import ROOM_GIB
from verdict3d.making.base import choose_full_steps
from verdict3d.records.assets import Asset
from verdict3d.records.pairs import Shown

CARDS_GIB = (24, 48, 80, 140)
USABLE = 0.92
"""Share of a card's memory that is planned with; the rest is fragments of it, and the driver's."""
Calls = Sequence[Mapping[str, Any]]


class Counts:
    """How much of everything a run has.

    Args:
        params: All parameters.
        objects: Objects for training, for validation, and held out.
    """

    def __init__(self, params: Params, objects: Sequence[int]) -> None:
        self.params = params
        train, self.validation, self.heldout = objects
        self.objects = sum(objects)
        made, evaluated = params.generate, params.evaluate
        steps = choose_full_steps(params)
        assert steps is not None
        paired = min(made.pair_assets, train)
        degraded = len(made.pair_regimes) * ("contrastive" in params.pairs.kinds)
        beside = int("same_base" in params.pairs.kinds)
        full = paired * (1 + beside) + self.heldout * (evaluated.seeds * len(made.heldout_regimes) + 1)
        low = min(made.low_budget_steps, steps.structure)
        self.generated: dict[int, int] = defaultdict(int, {steps.structure: full})
        self.generated[low] += paired * degraded
        self.evaluated = {steps.structure: self.heldout * evaluated.seeds * len(evaluated.regimes)}
        self.pairs = paired * (beside + degraded)
        names = ["train"] * train + ["validation"] * self.validation + ["heldout"] * self.heldout
        assets = [
            Asset.model_construct(
                id=f"{number}", category=f"{number % 8}", split=split, mesh="", condition=""
            )
            for number, split in enumerate(names)
        ]
        cells = plan_cells(params, assets)
        specimens = plan_specimens(params, assets, cells)
        shown = {
            one.id: Shown(mesh_digest=one.id, montages={}, failure=None, truth=None) for one in specimens
        }
        self.specimens = len(specimens)
        judge = params.judges.training
        questions = plan_questions(list(plan_pairs(params, assets, cells, shown)), "three_images", judge.mode)
        self.questions = len(questions)


STAGES: dict[str, Callable[[Counts], int]] = {
    "assets": lambda counts: counts.objects,
    "degrade": lambda counts: counts.objects,
    "controls": lambda counts: counts.specimens,
    "audit": lambda counts: counts.questions,
    "generate": lambda counts: sum(counts.generated.values()),
    "pairs": lambda counts: counts.pairs,
    "certify": lambda counts: counts.pairs,
    "label": lambda counts: counts.pairs,
    "evaluate": lambda counts: counts.heldout,
    "challenge": lambda counts: counts.heldout,
}
"""What grows with the objects in a stage; other stages take what was measured."""
_BY_OBJECTS = ("assets", "degrade", "controls")
"""Stages whose whole time does."""


def describe(params: Params, counts: tuple[Counts, Counts], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the projection and what fits which card, as text.

    Args:
        params: The parameters that were measured.
        counts: Of what was measured, and of the full run.
        rows: :meth:`benchmarks.full_chain.Use.row` of each stage that ended well.
    """
    good = [row for row in rows if row["status"] == 0]
    few, full = counts
    lines = [
        "",
        f"projected to {full.objects} objects ({full.heldout} held out), at this machine's speed:",
        f"{'stage':28} {'measured s':>10} {'projected s':>11} {'networks s':>10} {'GiB':>7}",
    ]
    total = networks = written = 0.0
    for row in good:
        seconds, own = project(row, few, full)
        gib = row["out_mib"] / 1024 * _grow(row["stage"], few, full)
        total, networks, written = total + seconds, networks + own, written + gib
        lines.append(f"{row['stage']:28} {row['seconds']:10.1f} {seconds:11.0f} {own:10.0f} {gib:7.2f}")
    lines.append(
        f"{'all of these':28} {sum(row['seconds'] for row in good):10.1f} {total:11.0f} {networks:10.0f} "
        f"{written:7.2f}   {total / 3600:.2f} GPU hours"
    )
    return "\n".join([*lines, "", *_describe_cards(params, good)])


def project(row: Mapping[str, Any], few: Counts, full: Counts) -> tuple[float, float]:
    """Return the seconds of a stage in the full run, and those of its networks."""
    name, grow = row["stage"].split()[0], _grow(row["stage"], few, full)
    if name in _BY_OBJECTS:
        return row["seconds"] * grow, 0.0
    variable = grown = networks = 0.0
    for now, then, wall, own in [*_list_generating(row, name, full), *_list_asking(row, grow)]:
        variable, grown, networks = variable + now * wall, grown + then * wall, networks + then * own
    steps = [call["end"] for call in row["calls"] if call["kind"] == "step"]
    if len(steps) > 2:
        pace = median(later - earlier for earlier, later in pairwise(steps))
        wanted = getattr(full.params.train.sections[row["stage"].split()[1]], "steps", len(steps))
        variable, grown = variable + pace * len(steps), grown + pace * wanted
    return max(row["seconds"] - variable, 0.0) + grown, networks


Work = tuple[float, float, float, float]
"""Items measured, items of the full run, seconds an item with everything around the networks, and without."""


def _list_generating(row: Mapping[str, Any], stage: str, full: Counts) -> list[Work]:
    calls = [call for call in row["calls"] if call["kind"] == "generate"]
    wanted = full.generated if stage == "generate" else full.evaluated
    found = []
    for steps in {call["steps"] for call in calls}:
        mine = [call for call in calls if call["steps"] == steps]
        own = _pace(mine)
        found.append(
            (sum(call["items"] for call in mine), wanted.get(steps, 0), own * max(row["around"] or 1, 1), own)
        )
    return found


def _list_asking(row: Mapping[str, Any], grow: float) -> list[Work]:
    asked = [call for call in row["calls"] if call["kind"] == "judge" and call["items"]]
    if not asked:
        return []
    items, pace = sum(call["items"] for call in asked), _pace(asked)
    return [(items, items * grow, pace, pace)]


def _pace(calls: Calls) -> float:
    """Return the seconds of an item, in the calls after the first where there are some."""
    later = list(calls)[1:] or list(calls)
    return sum(call["end"] - call["begin"] for call in later) / sum(call["items"] for call in later)


def _grow(stage: str, few: Counts, full: Counts) -> float:
    count = STAGES.get(stage.split(maxsplit=1)[0])
    return 1.0 if count is None or not count(few) else count(full) / count(few)


def _describe_cards(params: Params, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what fits cards of each size, as far as it was measured on a GPU."""
    training, evaluation = params.judges.training, params.judges.evaluation
    networks = {
        "generator": _measure(rows, ("generate",), "generate", None),
        "training judge": _measure(rows, ("audit training",), "judge", training.batch_size),
        "evaluation judge": _measure(rows, ("audit evaluation",), "judge", evaluation.batch_size),
    }
    known = {name: found for name, found in networks.items() if found is not None}
    if not known:
        return ["no GPU: nothing is said about memory"]
    lines = ["GiB: weights, an item of a batch at its peak (of the largest panel), and what else was in use:"]
    lines += [f"  {name}: {one.weights:.1f}, {one.item:.3f}, {one.beside:.1f}" for name, one in known.items()]
    lines += [
        "",
        f"{'card':>8} " + " ".join(f"{name + ' batch':>24}" for name in known) + "   kept between stages",
    ]
    for card in CARDS_GIB:
        batches = [int((USABLE * card - one.beside - one.weights) / one.item) for one in known.values()]
        shown = (f"{max(batch, 0) or 'does not fit':>24}" for batch in batches)
        lines.append(f"{card:4} GiB " + " ".join(shown) + f"   {_count_kept(known, card)}")
    return lines


class Memory(NamedTuple):
    """GiB of a network's weights, of an item of a batch at its peak, and of what else is in use beside it."""

    weights: float
    item: float
    beside: float


def _measure(
    rows: Sequence[Mapping[str, Any]], stages: Sequence[str], kind: str, most: int | None
) -> Memory | None:
    """Return what a network takes; None without a measurement."""
    calls, used = [], 0.0
    for row in rows:
        if row["stage"].startswith(tuple(stages)) and row["gpu_gib"] is not None:
            later = [call for call in row["calls"] if call["kind"] == kind][1:]  # the first one loads
            calls += [call for call in later if call.get("peak_gib") and call["items"]]
            used = max(used, row["gpu_gib"])
    if not calls:
        return None
    weights = min(call["before_gib"] for call in calls)
    item = max((call["peak_gib"] - weights) / min(call["items"], most or call["items"]) for call in calls)
    return Memory(weights, max(item, 1e-3), max(used - max(call["peak_gib"] for call in calls), 0.0))


def _count_kept(networks: Mapping[str, Memory], card: int) -> str:
    """Return how many judges the server of a run keeps between stages; the generator is loaded by each."""
    judges = sorted(one.weights for name, one in networks.items() if name.endswith("judge"))
    fit = sum(total <= card - ROOM_GIB for total in accumulate(judges))
    return "both judges" if fit > 1 else "one judge" if fit else "none: in turn"
