"""One pair as the list and its page show it, whichever stage it is of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Strict

from verdict3d.provenance import digest_json
from verdict3d.records.generations import Truth
from verdict3d.records.names import Outcome, Side
from verdict3d.records.record import RecordPart
from verdict3d.records.verdicts import Judged
from verdict3d.records.votes import Tag

Place = Literal[
    "evaluate",
    "texture",
    "challenge",
    "challenge_texture",
    "controls",
    "label",
    "audit",
    "certify",
    "compare",
    "compare_texture",
]
"""Which question a pair belongs to."""
Known = Literal["x", "y", "same"]
"""What is known beforehand of a pair: which side is better, or that neither is."""


class Shape(RecordPart):
    """One side of a pair.

    Attributes:
        name: What made it, for people.
        generation: Id of the generation, or name of the file; empty where it has none.
        mesh: Path of the mesh; None where it is not kept.
        mesh_digest: Of its content; None where it failed.
        montages: Paths of its montages, by mode.
        failure: Why there is no mesh, as a short code; None where there is one.
        truth: How near it is to the true mesh, by measure; empty where nothing is known.
    """

    name: str
    generation: str
    mesh: str | None
    mesh_digest: str | None
    montages: dict[str, str]
    failure: str | None
    truth: dict[str, float]


class Word(RecordPart):
    """What one judge says of a pair; fields as in :class:`verdict3d.records.verdicts.Judged`.

    Attributes:
        role: Its place in params.yaml.
        model: Its model.
        panel: How the pair was shown.
        mode: What the montages show.
        question: Digest of the text that was asked; empty where the text is not known any more.
    """

    role: str
    model: str
    panel: str
    mode: str
    question: str
    outcome: Outcome
    m1: float | None
    m2: float | None
    d: float | None
    b: float | None
    se: float | None
    sets: list[Annotated[tuple[float, float], Strict(False)] | None]
    reason: str
    message: str


class People(RecordPart):
    """What people say of a pair, seen from its X: how many answers say what, and which faults they named.

    Attributes:
        x: Answers for X.
        y: Answers for Y.
        tie: Those that both are equally good.
        unsure: Those that cannot tell.
        x_tags: How often each fault was found in X.
        y_tags: How often in Y.
    """

    x: int
    y: int
    tie: int
    unsure: int
    x_tags: dict[Tag, int]
    y_tags: dict[Tag, int]


class Entry(RecordPart):
    """A pair with what a judge said of it.

    Attributes:
        place: Which question it belongs to.
        group: Name of the comparison it belongs to, where there are several of a place; else empty.
        name: What tells it from the other pairs of its place.
        arm: The arm or side that X is of; empty in audits and labels.
        against: What the arm is compared with; likewise.
        object: Id of the asset, or name of the photo.
        category: Its category or tag.
        regime: Regime of the input; empty where the sides differ in it.
        control: Which control asks it; empty outside audits.
        defect: Kind of damage or change of Y; empty where there is none.
        grade: Grade of the damage; None where there is none.
        known: What is known beforehand, by how the pair was made; None where only meshes can tell.
        reference: Path of the picture that the judge saw; None for none.
        condition: Path of the picture that the generators saw, where it is another one.
        x: The side that outcomes are seen from.
        y: The other.
        word: Of the judge that the place is about.
        others: Of other judges that were asked the same.
        people: What people say of the same two meshes; None where nobody was asked.
    """

    place: Place
    group: str
    name: str
    arm: str
    against: str
    object: str
    category: str
    regime: str
    control: str
    defect: str
    grade: int | None
    known: Known | None
    reference: str | None
    condition: str | None
    x: Shape
    y: Shape
    word: Word
    others: list[Word]
    people: People | None = None

    @property
    def id(self) -> str:
        """Return its short name in addresses: the same for the same pair of a later run."""
        parts = [self.place, self.group, self.name, self.arm, self.against, self.word.role]
        return digest_json([*parts, self.word.panel, self.word.mode])[:16]

    @property
    def meshes(self) -> str:
        """Return what names the two meshes, in either order; empty where one is missing."""
        digests = sorted(side.mesh_digest or "" for side in (self.x, self.y))
        return digest_json([self.object, *digests])[:16] if all(digests) else ""


def make_word(row: Judged, role: str, model: str, panel: str, mode: str, question: str) -> Word:
    """Return a verdict on disk as a judge's word."""
    said = {name: getattr(row, name) for name in Word.model_fields if name in Judged.model_fields}
    return Word(role=role, model=model, panel=panel, mode=mode, question=question, **said)


def list_measures(truth: Truth | None) -> dict[str, float]:
    """Return the measures of a mesh that are defined."""
    values = truth.model_dump() if truth else {}
    return {name: float(value) for name, value in values.items() if value is not None and name != "empty"}


def find_better(entry: Entry) -> Side | Literal["same"] | None:
    """Return which side is better in truth, ``same`` where neither is; None where nobody knows.

    What is known by how the pair was made comes first, then the F-scores.
    """
    if entry.known is not None:
        return entry.known
    gap = compute_gap(entry)
    if gap is None:
        return None
    from verdict3d.stats.agreement import TRUTH_CLOSE

    return "same" if abs(gap) < TRUTH_CLOSE else "x" if gap > 0 else "y"


def compute_gap(entry: Entry) -> float | None:
    """Return by how much X is nearer to the true mesh; None where that is not known of both."""
    scores = [side.truth.get("f_score") for side in (entry.x, entry.y)]
    return None if scores[0] is None or scores[1] is None else scores[0] - scores[1]


def find_winner(outcome: Outcome) -> Side | None:
    """Return the side that a verdict names; None for none."""
    return {"win": "x", "loss": "y"}.get(outcome)  # type: ignore[return-value]


def find_named(people: People) -> Side | None:
    """Return the side that more people name; None where neither is."""
    return None if people.x == people.y else "x" if people.x > people.y else "y"


def compute_split(word: Word) -> float | None:
    """Return the share of view sets that prefer another side than most, in [0, 0.5]; None of fewer than 2."""
    signs = [both[0] > both[1] for both in word.sets if both is not None]
    if len(signs) < 2:
        return None
    return min(sum(signs), len(signs) - sum(signs)) / len(signs)
