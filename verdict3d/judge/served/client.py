"""A judge of this machine: its weights are loaded when it is first asked, or wait in the run's server."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from verdict3d.config_judges import JudgeParams
from verdict3d.device import settle_torch
from verdict3d.errors import Verdict3DError
from verdict3d.judge.identity import JudgeIdentity, identify, read_own_prompt
from verdict3d.judge.panel import PairRequest
from verdict3d.judge.served.wire import ADDRESS, pack_requests, receive, send, unpack_answers
from verdict3d.judge.verdict import Margins

if TYPE_CHECKING:
    from verdict3d.judge.local.vlm import TransformersJudge


class LocalJudge:
    """The configured judge of this machine; where every answer is on record, nothing is loaded.

    Args:
        params: The judge.
        root: Folder that a directory named as the model is relative to: the project's.
        settled: torch is asked for deterministic algorithms before weights are loaded. Not earlier: that
            imports torch's compiler and begins a context on the GPU, which the server's clients do without.

    Raises:
        Verdict3DError: The model cannot be found, is of an unknown type, or its files are incomplete.
    """

    def __init__(self, params: JudgeParams, root: Path, *, settled: bool = False) -> None:
        self.identity: JudgeIdentity = identify(params, root)
        self.batch_size = params.batch_size
        self._params, self._root, self._settled = params, root, settled
        self._loaded: TransformersJudge | None = None

    @property
    def digest(self) -> str:
        """Digest of everything the answers depend on."""
        return self.identity.digest

    def showing(self, panel: str, mode: str) -> LocalJudge:
        """Return the same weights as a judge of another panel kind or of montages in another mode."""
        shown = LocalJudge.__new__(LocalJudge)
        shown.__dict__.update(self.__dict__)
        shown.identity = self.identity.showing(panel, mode, read_own_prompt(self._params, self._root))
        shown._loaded = self._loaded and self._loaded.showing(panel, mode)
        return shown

    def compare(self, requests: Sequence[PairRequest]) -> list[Margins]:
        """Ask about every request in both orders, as ``TransformersJudge.compare`` does.

        Raises:
            Verdict3DError: The weights cannot be loaded, or are no longer those that were found.
        """
        address = os.environ.get(ADDRESS)
        if address and self._loaded is None:
            try:
                return self._ask_server(address, requests)
            except (OSError, ValueError, KeyError, TypeError) as error:
                print(f"the run's judge server does not answer ({error}); loading a judge", file=sys.stderr)
        return self.load().compare(requests)

    def load(self) -> TransformersJudge:
        """Return the judge with its weights in this process."""
        if self._loaded is None:
            from verdict3d.judge.local.vlm import TransformersJudge

            if self._settled:
                settle_torch()
            judge = TransformersJudge.from_pretrained(self._params, self._root)
            asked = self.identity.panel, self.identity.mode
            if asked != (judge.identity.panel, judge.identity.mode):
                judge = judge.showing(*asked)
            if judge.identity != self.identity:
                raise Verdict3DError(f"judge {self._params.model!r} changed while it was used; run again")
            self._loaded = judge
        return self._loaded

    def _ask_server(self, address: str, requests: Sequence[PairRequest]) -> list[Margins]:
        packed, pictures = pack_requests(requests)
        asked = {
            "judge": self._params.model_dump(mode="json"),
            "root": str(self._root.absolute()),
            "identity": self.identity.model_dump(mode="json"),
            "requests": packed,
        }
        with closing(connect(address)) as connection:
            send(connection, asked, pictures)
            answer, _ = receive(connection)
        if "refused" in answer:
            raise ValueError(answer["refused"])
        return unpack_answers(answer["answers"])


def connect(address: str) -> socket.socket:
    """Return a connection to the socket with this path, however long that is.

    Raises:
        OSError: Nobody listens there.
    """
    place, connection = Path(address), socket.socket(socket.AF_UNIX)
    try:
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            connection.connect(f"/proc/self/fd/{folder}/{place.name}")  # a path has 108 bytes at most
        finally:
            os.close(folder)
    except OSError:
        connection.close()
        raise
    return connection
