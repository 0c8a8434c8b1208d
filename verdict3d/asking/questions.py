"""The questions of an audit: every control pair as the judge sees it, and some again as it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from verdict3d.judge.audit.planted import AuditedJudge
from verdict3d.judge.modes import TEXTURE_MODE
from verdict3d.judge.panel import PairRequest, Pixels, make_requests, read_picture
from verdict3d.judge.rubric import SLOTS
from verdict3d.judge.store import VerdictStore
from verdict3d.judge.verdict import Verdict
from verdict3d.records.pairs import ControlPair
from verdict3d.records.verdicts import ControlVerdict
from verdict3d.render.montage_files import read_montages
from verdict3d.render.rig import Rig

BLANK_PX = 256
ANOTHER_MODE = {"splat": "splat", "colour": TEXTURE_MODE}
"""Controls that are about montages in another mode than the judge's own."""


@dataclass(frozen=True)
class Question:
    """One control pair, and how it is shown.

    Attributes:
        pair: The pair, with paths of its pictures below the project's folder.
        panel: Kind of panel, one of ``SLOTS``.
        mode: Mode of the montages, such as ``normal``.
    """

    pair: ControlPair
    panel: str
    mode: str

    def views(self, most: int) -> int:
        """Return how many view sets are shown, 1 to ``most``: one where the mode is not the judge's own."""
        return 1 if self.pair.control in ANOTHER_MODE else most


def plan_questions(pairs: Sequence[ControlPair], panel: str, mode: str) -> list[Question]:
    """Return every question to a judge with this panel and mode, those shown alike next to each other.

    Pairs that are compared between panels are asked with the other kinds of panel, too.

    Args:
        pairs: All control pairs.
        panel: The judge's kind of panel, one of ``SLOTS``.
        mode: Mode of the judge's montages.
    """
    compared = {pair.pair for pair in pairs if pair.control == "splat"}
    grade = next((pair.grade for pair in pairs if pair.control == "splat"), None)
    own = [pair for pair in pairs if pair.control not in ANOTHER_MODE]
    questions = [Question(pair, panel, mode) for pair in own]
    for control, other in ANOTHER_MODE.items():
        questions += [Question(pair, panel, other) for pair in pairs if pair.control == control]
    again = [
        pair
        for pair in own
        if pair.pair in compared
        and ((pair.control == "ladder" and pair.grade == grade) or pair.control == "clean_but_wrong")
    ]
    for kind in SLOTS:
        if kind != panel:
            questions += [Question(pair, kind, mode) for pair in again]
    return questions


def ask(
    judge: AuditedJudge, store: VerdictStore, questions: Sequence[Question], rig: Rig, root: Path
) -> list[ControlVerdict]:
    """Return the verdict row of each question, in order; what is on record is not asked again.

    Equal montages are asked about too: that a judge says nothing of them is one of the controls.

    Args:
        judge: The judge; each question sets its panel and mode.
        store: Answers on record.
        questions: From :func:`plan_questions`.
        rig: What drew the montages; its first view sets are shown.
        root: The project's folder, which paths of pictures are relative to.

    Raises:
        Verdict3DError: A picture is missing or broken, or the judge's server cannot be used.
    """
    rows: list[ControlVerdict] = []
    with tqdm(total=len(questions), desc="audit", unit="pair", mininterval=1.0) as progress:
        for (panel, mode, count), group in _group(questions, judge.identity.views):
            shown, views = judge.showing(panel, mode), rig.set_digests[:count]
            askable = [question for question in group if not _find_failure(question.pair)]
            verdicts = iter(store.ask(shown, _read_requests(askable, views, root, progress), equal_too=True))
            for question in group:
                failure = _find_failure(question.pair)
                verdict = Verdict.invalid(failure, "a mesh failed") if failure else next(verdicts)
                rows.append(_record_verdict(question, verdict))
    return rows


def _group(
    questions: Sequence[Question], views: int
) -> Iterator[tuple[tuple[str, str, int], list[Question]]]:
    groups: dict[tuple[str, str, int], list[Question]] = {}
    for question in questions:
        groups.setdefault((question.panel, question.mode, question.views(views)), []).append(question)
    yield from groups.items()


def _find_failure(pair: ControlPair) -> str | None:
    return pair.x.failure or pair.y.failure


def _read_requests(
    questions: Sequence[Question], views: Sequence[str], root: Path, progress: tqdm[Any]
) -> Iterator[tuple[PairRequest, ...]]:
    """Read the pictures of each question when it is asked; the same picture follows itself often."""
    read = lru_cache(maxsize=64)(lambda path: read_picture(root / path))
    montages = lru_cache(maxsize=64)(lambda path: read_montages(root / path, len(views)))
    blank: Pixels = np.zeros((BLANK_PX, BLANK_PX, 3), dtype=np.uint8)
    for question in questions:
        pair, mode = question.pair, question.mode
        x, y = pair.x, pair.y
        assert x.montages and y.montages and x.mesh_digest and y.mesh_digest  # neither has failed
        reference = blank if pair.reference is None else read(pair.reference)
        sides = (montages(x.montages[mode]), montages(y.montages[mode]))
        yield make_requests(reference, sides, (x.mesh_digest, y.mesh_digest), views)
        progress.update()


def _record_verdict(question: Question, verdict: Verdict) -> ControlVerdict:
    pair = question.pair
    return ControlVerdict(
        id=pair.id,
        control=pair.control,
        pair=pair.pair,
        object=pair.object,
        category=pair.category,
        defect=pair.defect,
        grade=pair.grade,
        panel=question.panel,
        mode=question.mode,
        truth=(pair.x.truth, pair.y.truth) if pair.x.truth or pair.y.truth else None,
        **verdict.row(),
    )
