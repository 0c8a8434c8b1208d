"""Pairs that people are asked about: names that stay, and the order in which they come up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import cycle, zip_longest
from pathlib import Path
from typing import Any, Literal

from verdict3d.provenance import digest_json
from verdict3d.randomness import seed_for
from verdict3d.records.names import Outcome, Side
from verdict3d.records.votes import PairAbout, Vote

PURPOSE = "votes"
Contest = Literal["contradicted", "undecided", "clear"]
"""What judges make of a pair: they name two sides, at least one names none, or all name one."""
_CONTESTS: tuple[Contest, ...] = ("contradicted", "undecided", "clear")


class AskedPair(PairAbout):
    """A pair as people can be asked about it.

    Attributes:
        photo: Picture of the object; None for none.
        x_mesh: File of X's mesh.
        y_mesh: File of Y's mesh.
        contest: What judges make of it.
        size: Size of the judge's preference; None where there is none.
        known: The better side where it is known beforehand.
    """

    photo: Path | None
    x_mesh: Path
    y_mesh: Path
    contest: Contest = "clear"
    size: float | None = None
    known: Side | None = None

    @property
    def about(self) -> dict[str, Any]:
        """Return the fields that an answer about it takes over."""
        return {name: getattr(self, name) for name in PairAbout.model_fields}

    @property
    def key(self) -> str:
        """Return what names the object and both meshes, in either order."""
        return name_pair(self.object, self.x.mesh_digest, self.y.mesh_digest)

    @property
    def stratum(self) -> tuple[str, str, str, str, str]:
        """Return what pairs are balanced over."""
        return self.place, self.group, self.arm, self.against, self.regime


def name_pair(name: str, x: str | None, y: str | None) -> str:
    """Return what names an object and two meshes of it, in either order; empty where a mesh is missing.

    Args:
        name: The object.
        x: Digest of one mesh.
        y: Digest of the other.
    """
    return digest_json([name, *sorted((x, y))])[:16] if x and y else ""


def name_voted(vote: Vote) -> str:
    """Return the name of the pair that an answer is about, as :func:`name_pair`."""
    return name_pair(vote.object, vote.x.mesh_digest, vote.y.mesh_digest)


def class_contest(outcomes: Iterable[Outcome]) -> Contest:
    """Return what judges make of a pair.

    Args:
        outcomes: Of every judge that was asked; those without a verdict do not count.
    """
    named = {outcome for outcome in outcomes if outcome != "invalid"}
    return (
        "contradicted"
        if {"win", "loss"} <= named
        else "clear"
        if len(named) == 1
        and named
        & {
            "win",
            "loss",
        }
        else "undecided"
    )


def draw_rank(seed: int, arm: str, regime: str, name: str) -> int:
    """Return the place of an object in an order that is drawn beforehand, for each arm and regime anew.

    What is counted of people (a win-rate, the gate's condition) is counted along this order, so that the
    pairs they were asked about first because judges disagree weigh no more than others.
    """
    return seed_for(seed, PURPOSE, arm, regime, name)


def order_pairs(pairs: Sequence[AskedPair], seed: int) -> list[AskedPair]:
    """Return the pairs in the order in which people are asked about them, each once.

    Comparisons, arms and regimes take turns. Within each, the next pair of an order drawn beforehand and the
    next of the most informative ones take turns: first where judges contradict each other, then where one is
    undecided, then the others; small preferences before large ones.

    Args:
        pairs: The pairs; of those about the same meshes of an object the first is kept.
        seed: Of the drawn order.
    """
    strata: dict[tuple[str, ...], list[AskedPair]] = {}
    once = {pair.key: pair for pair in reversed(pairs)}
    for pair in pairs:
        if once.get(pair.key) is pair:
            strata.setdefault(pair.stratum, []).append(pair)
    columns = [_alternate(members, seed) for _, members in sorted(strata.items())]
    return [pair for row in zip_longest(*columns) for pair in row if pair is not None]


def _alternate(members: Sequence[AskedPair], seed: int) -> list[AskedPair]:
    drawn = sorted(members, key=lambda pair: (draw_rank(seed, pair.arm, pair.regime, pair.object), pair.key))
    telling = sorted(drawn, key=lambda pair: (_CONTESTS.index(pair.contest), pair.size or 0.0))
    orders, taken, made = (iter(drawn), iter(telling)), set[str](), list[AskedPair]()
    for order in cycle(orders):
        pair = next((pair for pair in order if pair.key not in taken), None)
        if pair is None:
            return made
        taken.add(pair.key)
        made.append(pair)
    return made
