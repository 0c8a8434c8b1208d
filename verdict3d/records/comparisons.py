"""What a comparison of folders of meshes found: one document, and one line for each pair."""

from __future__ import annotations

from typing import ClassVar, Literal

from verdict3d.records.numbers import Interval, Summary
from verdict3d.records.record import Record, RecordPart
from verdict3d.records.results import JudgeUsed
from verdict3d.records.verdicts import Judged


class SideFiles(RecordPart):
    """One compared folder.

    Attributes:
        name: How it is called: its folder's name, with as many folders above it as tell it from the others.
        folder: Its path as it was given.
        meshes: Meshes that could be read and drawn.
        failures: How many meshes are missing or unusable, by reason.
        unmatched: Mesh files that belong to no photo.
        notes: In how many meshes each kind of note stands: what was changed while their files were read.
    """

    name: str
    folder: str
    meshes: int
    failures: dict[str, int]
    unmatched: list[str]
    notes: dict[str, int]


class RefusedPhoto(RecordPart):
    """A photo that nothing was judged by.

    Attributes:
        photo: Its file name.
        reason: As a short code; ``no_meshes`` where no side has one of it.
        message: The same for people.
    """

    photo: str
    reason: str
    message: str


class PairedMesh(RecordPart):
    """One side of a compared pair.

    Attributes:
        side: Name of the side.
        file: Name of the mesh file; None where it is missing.
        mesh_digest: Of the mesh; None where there is none.
        failure: Why there is none, as a short code; None where there is one.
        message: The same for people.
    """

    side: str
    file: str | None
    mesh_digest: str | None
    failure: str | None
    message: str


class PairOfMeshes(Judged):
    """A verdict on two meshes of a photo: ``pairs.jsonl``.

    A side without a mesh has lost: then there are no margins, and ``reason`` is that side's. Where both have
    none, the verdict is invalid.

    Attributes:
        object: Name of the photo without its suffix: what the pair is about.
        photo: File name of the photo.
        tag: From the table of tags; empty where there is none.
        sample: Which of several samples of the photo this is, from 0.
        mine: X, which the outcome is seen from.
        theirs: Y.
    """

    SCHEMA: ClassVar[str] = "verdict3d/pair-of-meshes/1"

    object: str
    photo: str
    tag: str
    sample: int
    mine: PairedMesh
    theirs: PairedMesh

    @property
    def x(self) -> str:
        """Name of side X."""
        return self.mine.side

    @property
    def y(self) -> str:
        """Name of side Y."""
        return self.theirs.side


def count_lost(mine: PairedMesh, theirs: PairedMesh) -> dict[str, str]:
    """Return the fields of a pair's row where exactly one side has no mesh: it has lost; else none."""
    if mine.failure is None and theirs.failure is not None:
        return {"outcome": "win", "reason": theirs.failure, "message": theirs.message}
    if mine.failure is not None and theirs.failure is None:
        return {"outcome": "loss", "reason": mine.failure, "message": mine.message}
    return {}


class Duel(RecordPart):
    """Two sides against each other.

    Attributes:
        x: Name of the side that is counted for.
        y: Name of the other.
        summary: Over all their pairs.
        by_tag: Over the pairs with each tag.
        failed_x: Pairs that X lost because it has no mesh.
        failed_y: Pairs that Y lost because it has no mesh.
    """

    x: str
    y: str
    summary: Summary
    by_tag: dict[str, Summary]
    failed_x: int
    failed_y: int


class Ranked(RecordPart):
    """A side on the board.

    Attributes:
        side: Its name.
        rank: 1 for the strongest; None without a verdict.
        rank_low: Best rank that the answers leave open.
        rank_high: Worst rank that they leave open.
        strength: In the model, with its interval over objects; the first side has 0.
        win_rate: Against the first side, by the model.
    """

    side: str
    rank: int | None
    rank_low: int
    rank_high: int
    strength: Interval
    win_rate: float | None


class Apart(RecordPart):
    """Whether two sides are told apart.

    Attributes:
        better: The one that is better as far as can be seen.
        worse: The other.
        p_value: Of "neither is better", adjusted over all pairs of sides; None where they share nothing.
        told: Whether that is small enough.
    """

    better: str
    worse: str
    p_value: float | None
    told: bool


class Board(RecordPart):
    """Three or more sides in one model.

    Attributes:
        first_slot: What whatever is shown first gains.
        ranked: All sides, strongest first.
        apart: Every two sides.
    """

    first_slot: Interval
    ranked: list[Ranked]
    apart: list[Apart]


class Trial(RecordPart):
    """One thing that a judge was tried on with the meshes at hand.

    Attributes:
        name: ``damage_<grade>``, ``other_object``, ``colour``, ``camera``, ``copy`` or ``turned``.
        pairs: Pairs asked about, invalid ones left out.
        objects: Photos that they are about.
        share: Of the right answers, half for an undecided one; of ``camera``, of the pairs of which two
            halves of the view sets say the same; of the last two, of the decided pairs.
        tells: Whether the judge does what it should: the interval lies above one half, of ``colour`` above
            what a certificate asks; of equal meshes, at most a tenth is decided.
    """

    name: str
    pairs: int
    objects: int
    share: Interval
    tells: bool


class Colours(RecordPart):
    """Colours, an axis of their own: what the judge says of montages in colour.

    Attributes:
        reason: Why nothing was asked; empty where something was.
        surfaces: Pairs whose meshes both have vertex colours or a texture.
        duels: Every two sides that met, over these pairs.
    """

    reason: str
    surfaces: int
    duels: list[Duel]


class Comparison(Record):
    """What ``verdict3d compare`` found: ``comparison.json``.

    Attributes:
        sides: The folders, in the order in which they were given.
        photos: Photos that pairs are about.
        refused: Photos that none is about, and why.
        design: Who met whom.
        questions: Single answers that the verdicts on pairs rest on: two orders from each view set.
        texts: What was asked, with a slot for each picture, by what the montages show.
        judge: Who answered.
        role: Its place in params.yaml.
        certified: Whether it holds a certificate of this project.
        trials: What the judge could do on these meshes; None where it was not tried.
        duels: Every two sides that met.
        colours: What was found of colours.
        board: All sides in one model; None for two.
        seed: Of the intervals and the trials.
        confidence: Level of the intervals.
    """

    SCHEMA: ClassVar[str] = "verdict3d/comparison/3"

    sides: list[SideFiles]
    photos: int
    refused: list[RefusedPhoto]
    design: Literal["all", "against-first", "balanced"]
    questions: int
    texts: dict[str, str]
    judge: JudgeUsed
    role: str
    certified: bool
    trials: list[Trial] | None
    duels: list[Duel]
    colours: Colours
    board: Board | None
    seed: int
    confidence: float
