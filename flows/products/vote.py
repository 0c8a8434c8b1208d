"""``verdict3d vote``: a page on which people say which mesh is better, for this machine or for a key."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from flows.products.run_pairs import READER
from flows.products.voted_pairs import Source, list_asked_pairs, make_known_pairs
from verdict3d.config import load_params
from verdict3d.errors import Verdict3DError
from verdict3d.products.pair_index import KEPT
from verdict3d.products.view import allowed_hosts, listen, open_pairs, serve
from verdict3d.project import VOTE_JOURNAL, Workspace
from verdict3d.votes.ballot import Ballot
from verdict3d.votes.journal import VoteJournal

LOOPBACK = "127.0.0.1"


def serve_votes(
    workspace: Workspace,
    comparisons: Sequence[Path],
    sources: Sequence[Source],
    people: int,
    share: str | None,
    port: int | None,
    say: Callable[[str], None],
    open_page: Callable[[str], object] | None,
) -> None:
    """Serve the voting page until a signal.

    Args:
        workspace: Whose pairs.
        comparisons: Folders that ``verdict3d compare`` wrote.
        sources: Which pairs people are asked about.
        people: How many people each pair needs.
        share: Address of this machine that others reach it by; None: loopback only, without a key.
        port: Port; None: the usual one, or a free one where that is in use.
        say: Prints a line for people.
        open_page: Opens an address in the browser; None: nothing is opened.

    Raises:
        Verdict3DError: There is nothing to ask, or the address cannot be had.
    """
    from verdict3d.view.vote.server import make_vote_app

    host = LOOPBACK if share is None else require_one_address(share)
    ballot = open_ballot(workspace, comparisons, sources, people, say)
    listening = listen(host, port)
    key = None if share is None else secrets.token_urlsafe(16)
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{listening.getsockname()[1]}/" + (f"?key={key}" if key else "")
    app = make_vote_app(ballot, workspace.state / KEPT / "meshes", allowed_hosts(host), key)
    say(f"{len(ballot.pairs)} pairs, {len(ballot.known)} with a known answer among them: {address}")
    if key:
        say("whoever has this address can vote and sees these meshes; it is plain HTTP, readable on its way")
    say(f"answers go to {workspace.root / VOTE_JOURNAL}; Ctrl-C ends it")
    if open_page:
        open_page(address)
    serve(app, listening)


def open_ballot(
    workspace: Workspace,
    comparisons: Sequence[Path],
    sources: Sequence[Source],
    people: int,
    say: Callable[[str], None],
) -> Ballot:
    """Return what people of a workspace are asked, with the answers that are there.

    Raises:
        Verdict3DError: There is nothing to ask, or an answer cannot be read.
    """
    index = open_pairs(workspace, comparisons, READER, say)
    pairs = list_asked_pairs(index, sources)
    if not pairs:
        raise Verdict3DError(
            f"no pair of {', '.join(sources)} has two different meshes that are kept; "
            f"`verdict3d run{workspace.option}` makes those of evaluate, `verdict3d compare` its own"
        )
    seed = load_params(workspace.root / "params.yaml").seed
    known = make_known_pairs(index, pairs, workspace.state / KEPT / "known", seed, say)
    return Ballot(pairs, known, VoteJournal(workspace.root / VOTE_JOURNAL), seed, people)


def require_one_address(share: str) -> str:
    """Return an address to listen at that is one of a machine, not all of them.

    Raises:
        Verdict3DError: It means every address.
    """
    try:
        everywhere = ipaddress.ip_address(share.strip("[]")).is_unspecified
    except ValueError:
        everywhere = not share.strip()
    if everywhere:
        raise Verdict3DError(f"--share {share!r} means every network; give the one address that voters reach")
    return share.strip("[]")
