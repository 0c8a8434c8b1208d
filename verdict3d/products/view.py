"""``verdict3d view``: every pair of a workspace in pages, served on loopback or written into a folder."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from verdict3d.errors import Verdict3DError
from verdict3d.mesh.files import read_mesh
from verdict3d.processes.signals import ending_at_signals
from verdict3d.products.pair_index import KEPT, RunReader, list_pages, open_index, read_shown
from verdict3d.project import Workspace
from verdict3d.view.pairs.bundle import Bundled, write_bundle
from verdict3d.view.pairs.index import PairIndex

if TYPE_CHECKING:
    from fastapi import FastAPI

USUAL_PORT = 7373


def serve_pairs(
    workspace: Workspace,
    comparisons: Sequence[Path],
    reader: RunReader | None,
    host: str,
    port: int | None,
    say: Callable[[str], None],
    open_page: Callable[[str], object] | None,
) -> None:
    """Serve the pages of a workspace until a signal.

    Args:
        workspace: Whose pairs.
        comparisons: Folders that ``verdict3d compare`` wrote.
        reader: Reads the pairs of its runs; None: only comparisons are shown.
        host: Address to listen at.
        port: Port; None: the usual one, or a free one where that is in use.
        say: Prints a line for people.
        open_page: Opens an address in the browser; None: nothing is opened.

    Raises:
        Verdict3DError: There are no pairs, or the address cannot be had.
    """
    from verdict3d.view.pairs.server import make_app

    index = open_pairs(workspace, comparisons, reader, say)
    listening = listen(host, port)
    port = int(listening.getsockname()[1])
    address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/"
    app = make_app(
        index,
        workspace.state / KEPT / "meshes",
        allowed_hosts(host),
        list_pages(workspace, index, reader),
        partial(read_shown, root=workspace.root, remake=reader.remake) if reader else read_mesh,
    )
    say(f"{len(index)} pairs: {address}")
    say("Ctrl-C ends it")
    if open_page:
        open_page(address)
    serve(app, listening)


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Answer on a socket until a signal ends it; the socket is closed."""
    import uvicorn

    config = uvicorn.Config(app, log_level="warning", lifespan="off", server_header=False)
    with listening, ending_at_signals():
        uvicorn.Server(config).run(sockets=[listening])


def bundle_pairs(
    workspace: Workspace,
    comparisons: Sequence[Path],
    reader: RunReader | None,
    output: Path,
    megabytes: float,
    say: Callable[[str], None],
) -> Bundled:
    """Write the pages of a workspace into a folder.

    Args:
        workspace: Whose pairs.
        comparisons: Folders that ``verdict3d compare`` wrote.
        reader: Reads the pairs of its runs; None: only comparisons are shown.
        output: The folder.
        megabytes: What all meshes together may take, though each keeps some faces.
        say: Prints a line for people.

    Raises:
        Verdict3DError: There are no pairs, or the folder holds something else.
    """
    index = open_pairs(workspace, comparisons, reader, say)
    pages = {name: make() for name, make in list_pages(workspace, index, reader).items()}
    there = {name: page for name, page in pages.items() if page is not None}
    return write_bundle(index, output, int(megabytes * 1e6), there, say)


def open_pairs(
    workspace: Workspace, comparisons: Sequence[Path], reader: RunReader | None, say: Callable[[str], None]
) -> PairIndex:
    """Return the index of a workspace that has pairs.

    Raises:
        Verdict3DError: As :func:`open_index`, or there are none.
    """
    index = open_index(workspace, comparisons, reader, say)
    if not len(index):
        makes = "name a folder that `verdict3d compare` wrote"
        if reader:
            makes = f"`verdict3d run{workspace.option}` asks about some"
        raise Verdict3DError(f"no pair was judged in {workspace.root}; {makes}")
    return index


def allowed_hosts(host: str) -> Sequence[str]:
    """Return the names under which the pages answer: of loopback only those of loopback."""
    own = ["127.0.0.1", "localhost", "[::1]", "::1"]
    return [*own, host] if host != "0.0.0.0" else [*own, socket.gethostname(), socket.getfqdn()]


def listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens; without a port, at the usual one or a free one.

    Raises:
        Verdict3DError: The address is not this machine's, or the port is in use.
    """
    problem: OSError | None = None
    for wanted in (USUAL_PORT, 0) if port is None else (port,):
        try:
            return socket.create_server(
                (host, wanted), family=socket.AF_INET6 if ":" in host else socket.AF_INET
            )
        except OSError as error:
            problem = error
    raise Verdict3DError(f"cannot listen at {host}, port {port}: {problem}; choose another --port or --host")
