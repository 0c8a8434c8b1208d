"""Ask a configured judge about pairs of generations; nothing is asked twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from verdict3d.config_judges import JudgeParams
from verdict3d.judge.loading import load_judge
from verdict3d.judge.panel import PairRequest, make_requests, read_picture
from verdict3d.judge.store import Judge, VerdictStore
from verdict3d.judge.verdict import Verdict
from verdict3d.records.generations import Generation
from verdict3d.records.pairs import Candidate
from verdict3d.render.montage_files import read_montages
from verdict3d.render.rig import Rig

STORE = Path(".verdict3d/verdicts.db")
READERS = 2
READ_AHEAD = 64
"""Montages that are read ahead for each side at most: decoding takes longer than a small judge does."""


@dataclass(frozen=True)
class Pairing:
    """One question: which of two generations is the better mesh of the reference's object?

    Attributes:
        reference: Path of the clean condition, relative to the project's folder.
        x: The first candidate; a preference d above 0 is for it.
        y: The second candidate.
    """

    reference: str
    x: Generation | Candidate
    y: Generation | Candidate

    @property
    def failure(self) -> str | None:
        """Why there is nothing to judge: the reason of the first failed side."""
        return self.x.failure or self.y.failure


def judge_pairings(
    lists: Sequence[tuple[str, Sequence[Pairing]]],
    params: JudgeParams,
    rig: Rig,
    root: Path,
    enough: Callable[[list[list[Verdict]]], bool] = lambda answers: False,
) -> list[list[Verdict]]:
    """Return the verdicts on each list of pairings, in order; one judge is loaded for all lists.

    The lists are asked one after another and never share a batch, so the verdicts of one do not depend on
    another. Margins are kept in a store outside the stage's outputs, a batch at a time: a killed run goes on
    where it was.

    Args:
        lists: (what the progress bar says, pairings).
        params: The judge.
        rig: What drew the montages.
        root: The project's folder, which paths of pairings and of the judge are relative to.
        enough: Asked with all verdicts so far after each list; True leaves the remaining lists unasked.

    Raises:
        Verdict3DError: The judge cannot be loaded, its server cannot be used, or a picture is broken.
    """
    judge = load_judge(params, root, settled=True)
    store = VerdictStore(root / STORE)
    answers: list[list[Verdict]] = []
    for description, pairings in lists:
        answers.append(judge_list(judge, store, description, pairings, rig, root))
        if enough(answers):
            break
    return answers


def judge_list(
    judge: Judge,
    store: VerdictStore,
    description: str,
    pairings: Sequence[Pairing],
    rig: Rig,
    root: Path,
    sets: int | None = None,
) -> list[Verdict]:
    """Return the verdicts of a loaded judge on one list of pairings; see :func:`judge_pairings`.

    ``sets`` view sets are shown, by default as many as the judge's verdicts rest on.
    """
    whole = [pairing for pairing in pairings if not pairing.failure]
    views = rig.set_digests[: sets or judge.identity.views]
    requests = tqdm(
        _read_requests(whole, views, root), total=len(whole), desc=description, unit="pair", mininterval=1.0
    )
    verdicts = iter(store.ask(judge, requests))
    return [
        Verdict.invalid(pairing.failure, "a generation failed") if pairing.failure else next(verdicts)
        for pairing in pairings
    ]


def _read_requests(
    pairings: Sequence[Pairing], views: Sequence[str], root: Path
) -> Iterator[tuple[PairRequest, ...]]:
    """Read the pictures of the pairings, some pairs ahead of the judge; yield each pair's requests."""

    def requests(pairing: Pairing) -> tuple[PairRequest, ...]:
        x, y = pairing.x, pairing.y
        assert x.montage and y.montage and x.mesh_digest and y.mesh_digest  # neither has failed
        montages = tuple(read_montages(root / path, len(views)) for path in (x.montage, y.montage))
        picture = read_picture(root / pairing.reference)
        return make_requests(picture, (montages[0], montages[1]), (x.mesh_digest, y.mesh_digest), views)

    ahead = max(READERS, READ_AHEAD // len(views))
    with ThreadPoolExecutor(READERS) as threads:
        for start in range(0, len(pairings), ahead):
            yield from threads.map(requests, pairings[start : start + ahead])
