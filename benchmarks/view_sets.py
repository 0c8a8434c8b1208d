"""What view sets are worth: `python -m benchmarks.view_sets --project FOLDER`, a folder with a finished run.

Every held-out pair of arm and base is asked from all view sets of the rig, and from all of them turned by 20
degrees, by both judges. Printed by judge, arm, regime and number of sets V: how verdicts are classed, how far
disjoint halves of the sets agree (correlation of their d; for the whole of V by Spearman-Brown), how often a
turn keeps the winner where both decide, half-credit with the objects that 80% power takes, and how often a
decided pair agrees with the F-score; then the same for several multiples of the standard error below which a
pair is close, for sides drawn by a coin, and CPU time a verdict. ``--save`` keeps the margins of every set
(compressed), ``--rows`` reads them instead of asking.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verdict3d.asking.certificates import with_chosen_panels
from verdict3d.config import load_params
from verdict3d.config_judges import JudgeParams
from verdict3d.judge.loading import load_judge
from verdict3d.judge.local.vlm import TransformersJudge
from verdict3d.judge.panel import PairRequest, make_requests, read_picture
from verdict3d.judge.verdict import Verdict
from verdict3d.mesh.files import read_mesh
from verdict3d.records.assets import Asset
from verdict3d.records.generations import Generation
from verdict3d.records.record import read_rows
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Rig
from verdict3d.stats.power import count_objects_for_mean
from verdict3d.view_sets import VIEW_SETS, ViewSet

TURN_DEG = 20.0
MARGIN = 0.1  # by which half-credit on clean inputs may be below 1/2
MULTIPLES = (0.0, 0.5, 1.0, 1.5, 2.0)
SPLITS = 35  # disjoint halves of eight sets

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """Margins (pairs, sets, 2) of one judge on the pairs of an arm in a regime, NaN for pairs of one mesh.

    Attributes:
        name: Judge, arm and regime.
        margins: From the sets as they are.
        turned: From the sets turned.
        gaps: F-score of the arm minus that of the base (pairs,).
    """

    name: str
    margins: Values
    turned: Values
    gaps: Values


def make_turned_sets() -> tuple[ViewSet, ...]:
    """Return the view sets turned about the up axis."""
    return tuple(ViewSet(one.yaw_deg + TURN_DEG, one.elevation_deg) for one in VIEW_SETS)


class Drawn:
    """Draws each mesh once from all sets, as they are and turned."""

    def __init__(self, project: Path, view_px: int, mode: str) -> None:
        self.project, self.mode = project, mode
        self.renderer = Renderer(Rig(view_px=view_px, view_sets=(*VIEW_SETS, *make_turned_sets())))
        self._kept: dict[str, list[NDArray[np.uint8]]] = {}

    def montages(self, made: Generation) -> list[NDArray[np.uint8]]:
        """Return the montages of a generation."""
        if made.id not in self._kept:
            mesh = read_mesh(self.project / (made.mesh or ""))
            self._kept[made.id] = list(self.renderer.montages(mesh, self.mode))
        return self._kept[made.id]


def list_heldout_pairs(project: Path, arm: str, regime: str) -> Iterator[tuple[Generation, Generation]]:
    """Yield the first generation of each object by the arm and by the base, unless one of them failed."""
    base = {
        (row.asset, row.number): row
        for row in read_rows(project / "data/generate/generations.jsonl", Generation)
        if row.role == "heldout" and row.regime == regime
    }
    for row in read_rows(project / f"data/evaluate/{arm}/generations.jsonl", Generation):
        other = base.get((row.asset, row.number))
        if row.regime == regime and row.number == 0 and other and not (row.failure or other.failure):
            yield row, other


def ask_all(project: Path, arms: Sequence[str], regimes: Sequence[str]) -> list[Asked]:
    """Ask both judges about all pairs from all sets."""
    params = with_chosen_panels(load_params(project / "params.yaml"), project)
    conditions = {row.id: row.condition for row in read_rows(project / "data/assets/assets.jsonl", Asset)}
    drawn = Drawn(project, params.judges.view_px, params.judges.evaluation.mode)
    digests = drawn.renderer.rig.set_digests
    found = []
    for role, settings in params.judges.by_role.items():
        judge = load_judge(settings, project)
        for arm in arms:
            for regime in regimes:
                pairs = list(list_heldout_pairs(project, arm, regime))
                margins = np.full((len(pairs), len(digests), 2), np.nan)
                for number, (x, y) in enumerate(pairs):
                    picture = read_picture(project / conditions[x.asset])
                    sides = (drawn.montages(x), drawn.montages(y))
                    meshes = (x.mesh_digest or "", y.mesh_digest or "")
                    requests = make_requests(picture, sides, meshes, digests)
                    if not all(request.same for request in requests):
                        margins[number] = [answer.both for answer in judge.compare(requests)]
                gaps = np.array([x.truth.f_score - y.truth.f_score for x, y in pairs if x.truth and y.truth])
                half = len(VIEW_SETS)
                name = f"{role}/{arm}/{regime}"
                found.append(Asked(name, margins[:, :half], margins[:, half:], gaps))
                print(f"asked {name}: {len(pairs)} pairs", flush=True)
    return found


def make_verdicts(margins: Values) -> list[Verdict]:
    """Return the verdict on each pair; (pairs, sets, 2), NaN where the pair is one mesh."""
    return [Verdict.same() if np.isnan(one).any() else Verdict.of(*map(tuple, one)) for one in margins]


def collect_preferences(margins: Values) -> Values:
    """Return d of each pair and set, (pairs, sets), without pairs of one mesh."""
    known = margins[~np.isnan(margins).any(axis=(1, 2))]
    return (known[..., 0] - known[..., 1]) / 2


def correlate(one: Values, other: Values) -> float:
    """Return Pearson's correlation."""
    return float(np.corrcoef(one, other)[0, 1])


def measure_halves(d: Values) -> tuple[float, float]:
    """Return the mean correlation of disjoint halves of the sets, and that of as many sets as there are."""
    sets = range(d.shape[1])
    halves = [half for half in combinations(sets, d.shape[1] // 2) if 0 in half]
    raw = float(
        np.mean(
            [
                correlate(d[:, list(half)].mean(axis=1), np.delete(d, half, axis=1).mean(axis=1))
                for half in halves
            ]
        )
    )
    # two pairs that differ can disagree wholly: of that no reliability follows
    return raw, 2 * raw / (1 + raw) if raw > -1.0 else float("nan")


def measure_sets(margins: Values) -> float:
    """Return the mean correlation of two sets: the reliability of one."""
    d = collect_preferences(margins)
    return float(np.corrcoef(d.T)[np.triu_indices(d.shape[1], 1)].mean())


def describe(asked: Asked) -> None:
    """Print what more sets change."""
    print(f"\n{asked.name} ({len(asked.gaps)} pairs)")
    print(
        f"{'V':>2} {'win':>4} {'loss':>4} {'same':>4} {'flip':>4} {'close':>5}  {'halves':>6} {'of V':>5}  "
        f"{'turned':>12}  {'credit':>6} {'sd':>5} {'n80 .5':>6} {'n80 .4':>6}  {'r(F)':>5} {'right':>11}"
    )
    for views in (1, 2, 4, 8):
        verdicts = make_verdicts(asked.margins[:, :views])
        outcomes = [verdict.outcome for verdict in verdicts]
        turned = [verdict.outcome for verdict in make_verdicts(asked.turned[:, :views])]
        both = [(a, b) for a, b in zip(outcomes, turned, strict=True) if {a, b} <= {"win", "loss"}]
        kept = sum(a == b for a, b in both)
        d = collect_preferences(asked.margins[:, :views])
        halves = measure_halves(d) if views > 1 else (float("nan"), measure_sets(asked.margins))
        counts = [outcomes.count(name) for name in ("win", "loss", "same", "flip", "close")]
        scores = np.array([{"win": 1.0, "loss": 0.0}.get(name, 0.5) for name in outcomes])
        right, decided = count_right(verdicts, asked.gaps)
        known = ~np.isnan(asked.margins).any(axis=(1, 2))
        print(
            f"{views:2d} {counts[0]:4d} {counts[1]:4d} {counts[2]:4d} {counts[3]:4d} {counts[4]:5d}  "
            f"{halves[0]:6.2f} {halves[1]:5.2f}  {kept:3d}/{len(both):3d} {kept / max(1, len(both)):.2f}  "
            f"{scores.mean():6.3f} {scores.std(ddof=1):5.3f} {list_objects(scores, 0.5):>6} "
            f"{list_objects(scores, 0.5 - MARGIN):>6}  {correlate(d.mean(axis=1), asked.gaps[known]):5.2f} "
            f"{right:3d}/{decided:3d} {right / max(1, decided):.2f}"
        )


def list_objects(scores: Values, bound: float) -> str:
    """Return how many objects tell the mean from a bound with 80% power at one-sided 0.025."""
    found = count_objects_for_mean(float(scores.mean()) - bound, float(scores.std(ddof=1)), 0.025)
    return "-" if found is None else str(found)


def count_right(verdicts: Sequence[Verdict], gaps: Values) -> tuple[int, int]:
    """Return how many decided pairs go to the mesh with the higher F-score, of those that differ in it."""
    said = [
        (verdict.d or 0.0) * gap > 0
        for verdict, gap in zip(verdicts, gaps, strict=True)
        if verdict.decisive and abs(gap) >= 0.01
    ]
    return sum(said), len(said)


def describe_multiples(found: Sequence[Asked]) -> None:
    """Print what the multiple of the error does, from all view sets, for each judge, arm and regime."""
    print(
        "\nclose below so many errors: decided, right by F-score, kept after a turn, half-credit, sd, effect"
    )
    for multiple in MULTIPLES:
        cells = []
        for asked in found:
            decided, scores = [], []
            for margins in (asked.margins, asked.turned):
                verdicts = make_verdicts(margins)
                sure = np.array(
                    [
                        verdict.d is not None
                        and (verdict.r or 0.0) > 0
                        and abs(verdict.d) >= multiple * (verdict.se or 0.0)
                        for verdict in verdicts
                    ]
                )
                decided.append(np.where(sure, np.sign([verdict.d or 0.0 for verdict in verdicts]), 0.0))
            scores = 0.5 + decided[0] / 2
            told = (decided[0] != 0) & (abs(asked.gaps) >= 0.01)
            both = (decided[0] != 0) & (decided[1] != 0)
            cells.append(
                (
                    (decided[0] != 0).mean(),
                    (decided[0] * asked.gaps > 0)[told].mean(),
                    (decided[0] == decided[1])[both].mean() if both.any() else np.nan,
                    scores.mean(),
                    scores.std(ddof=1),
                    abs(scores.mean() - 0.5) / scores.std(ddof=1),
                )
            )
        print(f"{multiple:4.1f}  " + "   ".join(" ".join(f"{value:.2f}" for value in cell) for cell in cells))


def describe_steps(found: Sequence[Asked]) -> None:
    """Print how many sets are asked where only pairs within an error go on after the first half of them."""
    print("\nhalf of the sets first, the others where |d| is below so many errors: mean number of sets asked")
    for asked in found:
        d = collect_preferences(asked.margins)
        first = d[:, : d.shape[1] // 2]
        errors = first.std(axis=1, ddof=1) / first.shape[1] ** 0.5
        sizes = [
            np.where(abs(first.mean(axis=1)) < multiple * errors, d.shape[1], first.shape[1]).mean()
            for multiple in (1.0, 1.5, 2.0, 3.0)
        ]
        print(f"{asked.name:40} " + " ".join(f"{size:.2f}" for size in sizes))


def simulate_null(found: Sequence[Asked], seed: int = 0, draws: int = 4000) -> None:
    """Print half-credit where X and Y are exchangeable: pairs that were asked, with sides drawn by a coin."""
    rng = np.random.default_rng(seed)
    print("\nsides drawn by a coin: mean half-credit and its standard error")
    for asked in found:
        outcomes = [verdict.outcome for verdict in make_verdicts(asked.margins)]
        scores = np.array([{"win": 0.5, "loss": -0.5}.get(name, 0.0) for name in outcomes])
        drawn = 0.5 + (scores * rng.choice([-1, 1], size=(draws, len(scores)))).mean(axis=1)
        print(f"{asked.name:40} {drawn.mean():.4f} {drawn.std() / draws**0.5:.4f}")


def time_judges(project: Path, arm: str, regime: str, pairs: int) -> None:
    """Print CPU time of drawing, and of asking about meshes not seen before, by number of sets."""
    params = with_chosen_panels(load_params(project / "params.yaml"), project)
    renderer = Renderer(Rig(view_px=params.judges.view_px))
    chosen = list(list_heldout_pairs(project, arm, regime))[:pairs]
    meshes = [(read_mesh(project / (x.mesh or "")), read_mesh(project / (y.mesh or ""))) for x, y in chosen]
    conditions = {row.id: row.condition for row in read_rows(project / "data/assets/assets.jsonl", Asset)}
    renderer.montages(meshes[0][0])
    print(f"\nCPU ms, {len(chosen)} pairs")
    drawn: dict[int, list[Any]] = {}
    for views in (1, 2, 4, 8):
        start = time.process_time()
        drawn[views] = [
            tuple(list(renderer.montages(replace(mesh), "normal", views)) for mesh in pair) for pair in meshes
        ]
        print(f"draw V={views}: {1e3 * (time.process_time() - start) / (2 * len(chosen)):.1f} a mesh")
    for role, settings in params.judges.by_role.items():
        for views in (1, 2, 4, 8):
            requests = [
                make_requests(
                    read_picture(project / conditions[x.asset]),
                    sides,
                    (x.mesh_digest or "", y.mesh_digest or ""),
                    renderer.rig.set_digests[:views],
                )
                for (x, y), sides in zip(chosen, drawn[views], strict=True)
            ]
            print(f"{role} V={views}: {measure_cpu_ms(project, settings, requests):.1f} a verdict")


def measure_cpu_ms(project: Path, settings: JudgeParams, pairs: Sequence[Sequence[PairRequest]]) -> float:
    """Return CPU milliseconds a pair of a judge that has seen nothing before."""
    asked = [request for pair in pairs for request in pair]
    load_judge(settings, project).compare(asked[: settings.batch_size])
    judge = TransformersJudge.from_pretrained(settings, project)
    start = time.process_time()
    judge.compare(asked)
    return 1e3 * (time.process_time() - start) / len(pairs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, default=Path(), help="folder of the finished run")
    parser.add_argument("--arms", nargs="+", default=["repair_and_majority", "conditioner_repair"])
    parser.add_argument("--regimes", nargs="+", default=["severe", "clean"])
    parser.add_argument("--rows", type=Path, help="read margins that an earlier call saved")
    parser.add_argument("--save", type=Path, help="keep all margins (.npz)")
    parser.add_argument("--timed", type=int, default=16, help="pairs that are timed; 0: none")
    given = parser.parse_args(arguments)
    found = read_asked(given.rows) if given.rows else ask_all(given.project, given.arms, given.regimes)
    if given.save:
        save_asked(given.save, found)
    for asked in found:
        describe(asked)
    describe_multiples(found)
    describe_steps(found)
    simulate_null(found)
    if given.timed:
        time_judges(given.project, given.arms[0], given.regimes[0], given.timed)


def save_asked(path: Path, found: Sequence[Asked]) -> None:
    """Keep margins as 32-bit numbers."""
    np.savez_compressed(
        path,
        **{
            f"{asked.name}:{part}": getattr(asked, part).astype(np.float32)
            for asked in found
            for part in ("margins", "turned", "gaps")
        },
    )


def read_asked(path: Path) -> list[Asked]:
    """Read what :func:`save_asked` kept."""
    with np.load(path) as kept:
        names = dict.fromkeys(name.rpartition(":")[0] for name in kept.files)
        parts = ("margins", "turned", "gaps")
        return [Asked(name, *(kept[f"{name}:{part}"].astype(np.float64) for part in parts)) for name in names]


if __name__ == "__main__":
    main()
