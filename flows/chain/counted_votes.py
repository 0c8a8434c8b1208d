"""Gives a run the answers that people have given so far: those that come in meanwhile wait for the next run.

DVC takes the digest of what a stage depends on when the stage has ended, so a file that grows would be
recorded with answers that were not counted.
"""

from __future__ import annotations

from contextlib import suppress

from tasks.paths import COUNTED_VOTES
from verdict3d.errors import Verdict3DError
from verdict3d.project import VOTE_JOURNAL, Workspace
from verdict3d.records.record import write_rows
from verdict3d.votes.journal import VoteJournal


def count_votes(workspace: Workspace) -> None:
    """Copy the answers to where stages depend on them; needs the run lock.

    Raises:
        Verdict3DError: A line is no answer.
    """
    votes = VoteJournal(workspace.root / VOTE_JOURNAL).read()
    if votes and count_new_votes(workspace):
        write_rows(workspace.root / COUNTED_VOTES, votes)


def count_new_votes(workspace: Workspace) -> int:
    """Return how many answers the last run has not counted."""
    journal = VoteJournal(workspace.root / VOTE_JOURNAL).read()
    counted = set[str]()
    with suppress(Verdict3DError):  # a damaged copy is made again
        counted = {vote.id for vote in VoteJournal(workspace.root / COUNTED_VOTES).read()}
    return sum(vote.id not in counted for vote in journal)
