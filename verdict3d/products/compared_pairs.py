"""The pairs of a comparison: which are to be judged, and their verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from verdict3d.asking.pairings import Pairing, judge_list
from verdict3d.config import Params
from verdict3d.judge.modes import TEXTURE_MODE, TEXTURE_VIEWS
from verdict3d.judge.store import VerdictStore
from verdict3d.judge.verdict import Verdict
from verdict3d.products.asked_judge import ORDERS, AskedJudge
from verdict3d.products.compared_files import MeshFolder
from verdict3d.products.drawn_meshes import Drawn, DrawnMeshes
from verdict3d.products.judge_trials import Sample, TrialRules, try_judge
from verdict3d.records.comparisons import PairedMesh, PairOfMeshes, Trial, count_lost
from verdict3d.records.pairs import Candidate
from verdict3d.render.rig import Rig
from verdict3d.stats.design import Design, count_rounds, plan_meetings

FIRST_PAIRS = 4
"""Pairs that are judged before the time is estimated, where the trials have not shown it."""


@dataclass(frozen=True)
class PlannedPair:
    """One pair to judge.

    Attributes:
        photo: The photo.
        reference: Picture of its object.
        tag: Its tag.
        sample: Which of the samples of the photo this is.
        sides: Places of X and Y among the sides.
        files: Their mesh files; None where one is missing.
    """

    photo: Path
    reference: Path
    tag: str
    sample: int
    sides: tuple[int, int]
    files: tuple[Path | None, Path | None]


def plan_pairs(
    references: Sequence[tuple[Path, Path]], sides: Sequence[MeshFolder], tags: dict[str, str], design: Design
) -> list[PlannedPair]:
    """Return every pair, photo by photo.

    Args:
        references: Photos with the pictures of their objects.
        sides: The folders.
        tags: Tag of each photo stem.
        design: Who meets whom.
    """
    return [
        PlannedPair(
            photo,
            reference,
            tags.get(photo.stem, ""),
            sample,
            (x, y),
            (sides[x].files.get((photo.stem, mine)), sides[y].files.get((photo.stem, theirs))),
        )
        for (photo, reference), pairs in zip(
            references, plan_meetings(len(sides), len(references), design), strict=True
        )
        for x, y in pairs
        for sample, (mine, theirs) in enumerate(count_rounds(sides[x].samples, sides[y].samples))
    ]


@dataclass(frozen=True)
class Judging:
    """A judge, and what it is shown.

    Attributes:
        judge: Who answers.
        store: Answers on record.
        meshes: Reads and draws mesh files.
        rig: Where the judge looks from.
        project: What relative paths are relative to.
    """

    judge: AskedJudge
    store: VerdictStore
    meshes: DrawnMeshes
    rig: Rig
    project: Path

    def try_out(self, plan: Sequence[PlannedPair], params: Params) -> list[Trial]:
        """Try the judge on some of the meshes, as copies, damaged, and beside those of other photos."""
        samples: dict[Path, dict[int, Sample]] = {}
        for pair in plan:
            for side, file in zip(pair.sides, pair.files, strict=True):
                if file is not None:
                    sample = Sample(pair.photo.stem, pair.reference, file)
                    samples.setdefault(pair.photo, {}).setdefault(side, sample)
        choice = [list(of_side.values()) for of_side in samples.values()]
        rules = TrialRules.of(params, params.seed)
        return try_judge(self.judge, self.store, choice, self.meshes, self.rig, self.project, rules)

    def judge_plan(
        self, plan: Sequence[PlannedPair], sides: Sequence[MeshFolder], say: Callable[[str], None]
    ) -> list[PairOfMeshes]:
        """Draw what is not drawn, ask what is not on record, and return the row of each pair."""
        first = plan[: 0 if self.judge.tally.answers else FIRST_PAIRS]
        verdicts = self._ask("first pairs", first) if first else []
        rest = plan[len(first) :]
        if rest:
            say(self._describe_outlook(rest))
            verdicts += self._ask("pairs", rest)
        return [
            describe_pair(pair, sides, [self.meshes.look(file) for file in pair.files], verdict)
            for pair, verdict in zip(plan, verdicts, strict=True)
        ]

    def judge_colours(self, plan: Sequence[PlannedPair], sides: Sequence[MeshFolder]) -> list[PairOfMeshes]:
        """Return the row of each pair with a surface on both sides, shown in colour; all were looked at."""
        whole = [pair for pair in plan if all(self.meshes.look(file).coloured for file in pair.files)]
        judge = self.judge.showing(self.judge.identity.panel, TEXTURE_MODE)
        pairings = [
            Pairing(
                str(pair.reference), *(self._describe_candidate(file, TEXTURE_MODE) for file in pair.files)
            )
            for pair in whole
        ]
        verdicts = judge_list(
            judge, self.store, "colours", pairings, self.rig, self.project, sets=TEXTURE_VIEWS
        )
        return [
            describe_pair(pair, sides, [self.meshes.look(file) for file in pair.files], verdict)
            for pair, verdict in zip(whole, verdicts, strict=True)
        ]

    def _ask(self, description: str, plan: Sequence[PlannedPair]) -> list[Verdict]:
        files = list(dict.fromkeys(file for pair in plan for file in pair.files if file is not None))
        for file in tqdm(files, desc="draw", unit="mesh", mininterval=1.0):
            self.meshes.look(file)
        pairings = [
            Pairing(str(pair.reference), *(self._describe_candidate(file) for file in pair.files))
            for pair in plan
        ]
        return judge_list(self.judge, self.store, description, pairings, self.rig, self.project)

    def _describe_candidate(self, file: Path | None, mode: str | None = None) -> Candidate:
        drawn = self.meshes.look(file)
        montage = None if drawn.mesh_digest is None else self.meshes.montage(drawn.mesh_digest, mode)
        return Candidate(
            generation=str(file),
            mesh=str(file),
            mesh_digest=drawn.mesh_digest,
            montage=None if montage is None else str(montage),
            failure=drawn.failure,
        )

    def _describe_outlook(self, plan: Sequence[PlannedPair]) -> str:
        """Return what is left to do at most, and how long it takes as far as is known."""
        files = {file for pair in plan for file in pair.files if not self.meshes.has_seen(file)}
        whole = sum(None not in pair.files for pair in plan)
        questions = ORDERS * self.judge.identity.views * whole
        words = f"{len(plan)} pairs: {len(files)} meshes to read and draw, at most {questions} questions"
        tally = self.judge.tally
        if not tally.answers:
            return f"{words}; none was needed so far"
        seconds = questions * tally.seconds / tally.answers
        if self.meshes.drawn:
            seconds += len(files) * self.meshes.seconds / self.meshes.drawn
        return f"{words}, about {_duration(seconds)}"


def describe_pair(
    pair: PlannedPair, sides: Sequence[MeshFolder], drawn: Sequence[Drawn], verdict: Verdict
) -> PairOfMeshes:
    """Return the row of a pair: its verdict, or the loss of the side that has no mesh."""
    mine, theirs = (
        PairedMesh(
            side=sides[side].name,
            file=None if file is None else file.name,
            mesh_digest=one.mesh_digest,
            failure=one.failure,
            message=one.message,
        )
        for side, file, one in zip(pair.sides, pair.files, drawn, strict=True)
    )
    values: dict[str, Any] = verdict.row() | count_lost(mine, theirs)
    return PairOfMeshes(
        object=pair.photo.stem,
        photo=pair.photo.name,
        tag=pair.tag,
        sample=pair.sample,
        mine=mine,
        theirs=theirs,
        **values,
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
