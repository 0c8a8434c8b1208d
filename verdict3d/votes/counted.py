"""Which answers of people count: not those that were taken back."""

from __future__ import annotations

from collections.abc import Iterable

from verdict3d.records.votes import Vote


def drop_replaced(votes: Iterable[Vote]) -> list[Vote]:
    """Return the answers that nobody took back, each once, in their order."""
    once = {vote.id: vote for vote in votes}
    replaced = {vote.replaces for vote in once.values()}
    return [vote for vote in once.values() if vote.id not in replaced]
