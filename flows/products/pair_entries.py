"""Every pair that the stages below a workspace have asked a judge about, as entries of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from flows.products.pair_records import RunRecords
from tasks.certify import plan_pairs
from tasks.paths import CHALLENGE, CONTROLS, EVALUATE, GENERATE, LABEL, PAIRS
from tasks.scoring.champion import BASE as BASE_CHAMPION
from verdict3d.config_judges import JudgeRole
from verdict3d.judge.modes import TEXTURE_MODE
from verdict3d.project import AUDIT, CERTIFY
from verdict3d.records.decisions import Challenge
from verdict3d.records.generations import Generation
from verdict3d.records.pairs import ControlPair, Pair
from verdict3d.records.record import read_record
from verdict3d.records.verdicts import ControlVerdict, HeldoutVerdict, PairVerdict
from verdict3d.view.pairs.controls import find_known, name_side
from verdict3d.view.pairs.entry import Entry, Place, Word

BASE = BASE_CHAMPION.name
"""What the base is called, whether it is the champion or not."""


@dataclass(frozen=True)
class PairReader:
    """Makes entries of the verdicts of a workspace.

    Args:
        records: What verdicts are about.
    """

    records: RunRecords

    def entries(self) -> Iterator[Entry]:
        """Yield every pair: arms and their controls, challenges, labels, audits."""
        for folder in self.records.folders(EVALUATE):
            yield from self._evaluated(folder)
        for folder in self.records.folders(CHALLENGE):
            yield from self._challenged(folder)
        yield from self._labelled()
        yield from self._audited("audit", AUDIT, self.records.rows(CONTROLS / "pairs.jsonl", ControlPair))
        generated = self.records.rows(GENERATE / "generations.jsonl", Generation)
        yield from self._audited(
            "certify", CERTIFY, list(plan_pairs(list(self.records.assets.values()), generated))
        )

    def _evaluated(self, folder: Path) -> Iterator[Entry]:
        arm = folder.name
        other = {role: self._by_meeting(folder / f"{role}_judge.jsonl") for role in get_args(JudgeRole)}
        for row in self.records.rows(folder / "verdicts.jsonl", HeldoutVerdict):
            others = [
                self.records.said(found[_meeting(row)], role)
                for role, found in other.items()
                if _meeting(row) in found
            ]
            yield self._heldout("evaluate", row, arm, BASE, arm, others=others)
        for row in self.records.rows(folder / "texture.jsonl", HeldoutVerdict):
            yield self._heldout("texture", row, arm, BASE, arm, mode=TEXTURE_MODE)
        for row in self.records.rows(folder / "controls.jsonl", HeldoutVerdict):
            yield self._heldout("controls", row, "", "", "second sample of the base")

    def _challenged(self, folder: Path) -> Iterator[Entry]:
        record = self.records.root / CHALLENGE / "challenge.json"
        champion = read_record(record, Challenge).champion.name if record.is_file() else "champion"
        arm = folder.name
        for row in self.records.rows(folder / "verdicts.jsonl", HeldoutVerdict):
            yield self._heldout("challenge", row, arm, champion, arm)
        for row in self.records.rows(folder / "texture.jsonl", HeldoutVerdict):
            yield self._heldout("challenge_texture", row, arm, champion, arm, mode=TEXTURE_MODE)

    def _heldout(
        self,
        place: Place,
        row: HeldoutVerdict,
        arm: str,
        against: str,
        name: str,
        mode: str | None = None,
        others: Sequence[Word] = (),
    ) -> Entry:
        return Entry(
            place=place,
            name=f"{row.object}-{row.regime}-{row.seed}",
            arm=arm,
            against=against,
            **self.records.about(row.object, row.category, row.regime),
            x=self.records.contender(row.arm, name),
            y=self.records.contender(row.base, against or BASE),
            word=self.records.said(row, "evaluation", mode),
            others=list(others),
            **NOTHING,
        )

    def _labelled(self) -> Iterator[Entry]:
        pairs = {pair.id: pair for pair in self.records.rows(PAIRS / "pairs.jsonl", Pair)}
        for row in self.records.rows(LABEL / "verdicts.jsonl", PairVerdict):
            made = [self.records.generations.get(one.generation) for one in (row.x, row.y)]
            regimes = {one.regime for one in made if one}
            about = self.records.about(row.asset, row.category, regimes.pop() if len(regimes) == 1 else "")
            reference = pairs[row.id].reference if row.id in pairs else None
            yield Entry(
                place="label",
                name=row.id,
                arm="",
                against="",
                **about | {"reference": self.records.absolute(reference) or about["reference"]},
                x=self.records.generated(row.x.generation, row.x.mesh_digest),
                y=self.records.generated(row.y.generation, row.y.mesh_digest),
                word=self.records.said(row, "training"),
                others=[],
                **NOTHING | {"known": row.expected, "control": row.kind},
            )

    def _audited(self, place: Place, folder: Path, pairs: Sequence[ControlPair]) -> Iterator[Entry]:
        asked = {pair.id: pair for pair in pairs}
        rows = {
            role: self.records.rows(folder / role / "verdicts.jsonl", ControlVerdict)
            for role in get_args(JudgeRole)
        }
        said = {role: {(row.id, row.panel, row.mode): row for row in found} for role, found in rows.items()}
        for role, found in rows.items():
            for row in found:
                pair = asked.get(row.id)
                if pair is None:
                    continue  # the controls were made anew, and this one is not among them
                key = (row.id, row.panel, row.mode)
                yield Entry(
                    place=place,
                    name=row.id,
                    arm="",
                    against="",
                    **self.records.about(row.object, row.category, "")
                    | {"reference": self.records.absolute(pair.reference), "condition": None},
                    x=self.records.shown(pair.x, name_side(pair, "x")),
                    y=self.records.shown(pair.y, name_side(pair, "y")),
                    word=self.records.said(row, role, row.mode, row.panel),
                    others=[
                        self.records.said(answers[key], other, row.mode, row.panel)
                        for other, answers in said.items()
                        if other != role and key in answers
                    ],
                    group="",
                    control=row.control,
                    defect=row.defect or "",
                    grade=row.grade,
                    known=find_known(pair),
                )

    def _by_meeting(self, path: Path) -> dict[tuple[str, str, int], HeldoutVerdict]:
        return {_meeting(row): row for row in self.records.rows(path, HeldoutVerdict)}


NOTHING: dict[str, Any] = {"group": "", "control": "", "defect": "", "grade": None, "known": None}


def _meeting(row: HeldoutVerdict) -> tuple[str, str, int]:
    return row.object, row.regime, row.seed
