"""What people say of the pairs of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from verdict3d.judge.modes import TEXTURE_MODE
from verdict3d.records.votes import Vote
from verdict3d.view.pairs.entry import Entry, People
from verdict3d.votes.counted import drop_replaced
from verdict3d.votes.pairs import name_pair
from verdict3d.votes.people import group_votes, view_from
from verdict3d.votes.raters import rate_people


def with_people(entries: Iterable[Entry], votes: Sequence[Vote]) -> Iterator[Entry]:
    """Yield entries with what people said of the same two meshes.

    Answers count as in :func:`verdict3d.votes.people.report_people`: neither of careless people nor about
    pairs with a known answer. People are not asked about colours, so such pairs stay without their word.

    Args:
        entries: The pairs.
        votes: All answers.
    """
    current = drop_replaced(votes)
    answers = group_votes(current, {rater.person for rater in rate_people(current) if rater.careless})
    for entry in entries:
        asked = entry.word.mode != TEXTURE_MODE
        key = name_pair(entry.object, entry.x.mesh_digest, entry.y.mesh_digest) if asked else ""
        yield entry.model_copy(update={"people": _count(answers[key], entry)}) if key in answers else entry


def _count(votes: Sequence[Vote], entry: Entry) -> People:
    """Return answers about a pair by what they say, seen from its X."""
    digest = entry.x.mesh_digest
    said = Counter(view_from(vote, digest) for vote in votes)
    turned = [(vote, vote.x.mesh_digest != digest) for vote in votes]
    x_tags = Counter(tag for vote, other in turned for tag in (vote.y_tags if other else vote.x_tags))
    y_tags = Counter(tag for vote, other in turned for tag in (vote.x_tags if other else vote.y_tags))
    return People(
        x=said["win"],
        y=said["loss"],
        tie=said["close"],
        unsure=said["invalid"],
        x_tags=dict(sorted(x_tags.items())),
        y_tags=dict(sorted(y_tags.items())),
    )
