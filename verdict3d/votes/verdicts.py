"""People's answers about a pair as a verdict: an answer in each order is what one view set is of a judge."""

from __future__ import annotations

from collections.abc import Sequence

from verdict3d.judge.verdict import Verdict
from verdict3d.records.votes import Vote

NOT_ASKED = "no_answers"


def judge_by_people(votes: Sequence[Vote], x: str | None, y: str | None) -> Verdict:
    """Return what people say of a pair.

    An answer is 1 for the mesh on the left, -1 against it, 0 for neither. The first answer with X on the left
    and the first with Y there make one pair of margins, the second ones another, and so on; answers that
    have no partner in the other order, and "cannot tell", are left out.

    Args:
        votes: Answers about the pair that count, in their order.
        x: Digest of X's mesh; None where there is none.
        y: Digest of Y's.

    Returns:
        A verdict as a judge's, invalid where nobody has answered in both orders.
    """
    if x is None or y is None:
        return Verdict.invalid(NOT_ASKED, "a mesh is missing")
    if x == y:
        return Verdict.same()
    seen = [vote for vote in votes if vote.choice != "unsure"]
    straight = [vote.m1 if vote.first == "x" else vote.m2 for vote in seen if _shows_first(vote, x)]
    turned = [vote.m1 if vote.first == "x" else vote.m2 for vote in seen if not _shows_first(vote, x)]
    both = [(m1, m2) for m1, m2 in zip(straight, turned, strict=False) if m1 is not None and m2 is not None]
    return Verdict.of(*both) if both else Verdict.invalid(NOT_ASKED, "people have not seen it in both orders")


def _shows_first(vote: Vote, digest: str) -> bool:
    """Say whether the mesh with a digest stood on the left."""
    return (vote.x if vote.first == "x" else vote.y).mesh_digest == digest
