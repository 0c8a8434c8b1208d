"""What a workspace's stages know of the meshes, pictures and judges that verdicts are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.paths import ASSETS, CHALLENGE, CONTROLS, DEGRADE, EVALUATE, GENERATE, read_assets, read_conditions
from verdict3d.asking.certificates import with_chosen_panels
from verdict3d.config import Params
from verdict3d.config_judges import JudgeParams
from verdict3d.judge.identity import choose_first_panel
from verdict3d.judge.rubric import digest_prompt, write_prompt, write_prompt_for
from verdict3d.records.assets import Asset
from verdict3d.records.generations import Generation
from verdict3d.records.pairs import Shown
from verdict3d.records.record import R, read_rows
from verdict3d.records.verdicts import Contender
from verdict3d.view.pairs.entry import Shape, Word, list_measures, make_word
from verdict3d.view.pairs.meshes import name_remade


@dataclass
class RunRecords:
    """The records of a workspace.

    Args:
        params: Its parameters.
        root: Where ``data`` is.

    Attributes:
        questions: Texts that judges were asked, by digest, as far as they are still configured.
        assets: The assets, by id.
        generations: Everything that was generated, by id.
    """

    params: Params
    root: Path
    questions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._judges = with_chosen_panels(self.params, self.root).judges.by_role
        self.assets = {asset.id: asset for asset in self.rows(ASSETS / "assets.jsonl", Asset)}
        there = (self.root / DEGRADE / "conditions.jsonl").is_file() and self.assets
        self._conditions = read_conditions(self.root, read_assets(self.root)) if there else {}
        self.generations: dict[str, Generation] = {}
        for folder in (GENERATE, *self.folders(EVALUATE), CHALLENGE / "champion"):
            self.generations |= {row.id: row for row in self.rows(folder / "generations.jsonl", Generation)}
        self._of_digest = {row.mesh_digest: row for row in self.generations.values()}
        self._own_meshes = {asset.digest: asset.mesh for asset in self.assets.values()}
        self._asked: dict[tuple[str, str, str], str] = {}

    def about(self, name: str, category: str, regime: str) -> dict[str, Any]:
        """Return what an entry says of its object and its pictures."""
        clean = self._conditions.get((name, "clean"))
        degraded = self._conditions.get((name, regime)) if regime not in ("", "clean") else None
        return {
            "object": name,
            "category": category,
            "regime": regime,
            "reference": self.absolute(clean),
            "condition": self.absolute(degraded),
        }

    def contender(self, side: Contender, name: str) -> Shape:
        """Return a held-out generation as a side of a pair."""
        made = self.generations.get(side.generation)
        measures = ("f_score", "normal_consistency", "floating_share")
        known = {key: value for key in measures if (value := getattr(side, key)) is not None}
        return Shape(
            name=name,
            generation=side.generation,
            mesh=self.absolute(side.mesh),
            mesh_digest=side.mesh_digest,
            montages=self._montages(made.montages if made else None),
            failure=side.failure,
            truth=list_measures(made.truth) if made and made.mesh_digest == side.mesh_digest else known,
        )

    def generated(self, name: str, digest: str | None) -> Shape:
        """Return a generation as a side of a pair; of one that was made anew since, its name only."""
        made = self.generations.get(name)
        there = made is not None and made.mesh_digest == digest
        return Shape(
            name=f"{made.role}, {made.regime} input" if made else name,
            generation=name,
            mesh=self.absolute(made.mesh) if made and there else None,
            mesh_digest=digest,
            montages=self._montages(made.montages if made and there else None),
            failure=made.failure if made else None,
            truth=list_measures(made.truth) if made and there else {},
        )

    def shown(self, side: Shown, name: str) -> Shape:
        """Return a side of a control pair; a mesh of neither an asset nor a generation is made again."""
        made = self._of_digest.get(side.mesh_digest) if side.mesh_digest else None
        mesh = made.mesh if made else self._own_meshes.get(side.mesh_digest or "")
        drawn = [path for path in (side.montages or {}).values() if Path(path).is_relative_to(CONTROLS)]
        if mesh is None and side.mesh_digest and drawn:
            mesh = name_remade(Path(drawn[0]).stem, side.mesh_digest).as_posix()
        return Shape(
            name=made.id if made else name,
            generation=made.id if made else "",
            mesh=self.absolute(mesh),
            mesh_digest=side.mesh_digest,
            montages=self._montages(side.montages),
            failure=side.failure,
            truth=list_measures(side.truth),
        )

    def said(self, row: Any, role: str, mode: str | None = None, panel: str | None = None) -> Word:
        """Return a verdict as a judge's word; mode and panel are the configured ones unless given."""
        judge = self._judges.get(role)  # type: ignore[call-overload]
        if judge is None:
            return make_word(row, role, "", panel or "", mode or "", "")
        panel, mode = panel or choose_first_panel(judge), mode or judge.mode
        if (role, panel, mode) not in self._asked:
            text = question_text(judge, panel, mode, self.root)
            self._asked[role, panel, mode] = digest_prompt(text)
            self.questions[digest_prompt(text)] = text
        return make_word(row, role, judge.model, panel, mode, self._asked[role, panel, mode])

    def _montages(self, montages: Mapping[str, str] | None) -> dict[str, str]:
        return {mode: str(self.root / path) for mode, path in (montages or {}).items()}

    def absolute(self, path: str | None) -> str | None:
        """Return a path of a record as it can be opened."""
        return None if path is None else str(self.root / path)

    def rows(self, path: Path, kind: type[R]) -> list[R]:
        """Return the rows that a stage left; none where it has not run."""
        return read_rows(self.root / path, kind) if (self.root / path).is_file() else []

    def folders(self, stage: Path) -> list[Path]:
        """Return the folders of a stage's arms, relative to the root."""
        found = sorted((self.root / stage).glob("*/verdicts.jsonl"))
        return [path.parent.relative_to(self.root) for path in found]


def question_text(judge: JudgeParams, panel: str, mode: str, root: Path) -> str:
    """Return what a judge is asked about a pair that is shown in one way.

    Raises:
        Verdict3DError: Its own prompt cannot be read.
    """
    if judge.endpoint is not None:
        return write_prompt(judge.endpoint.prompt, panel, mode)
    return write_prompt_for(root / judge.model, panel, mode)
