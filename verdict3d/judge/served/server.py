"""The process that keeps judges loaded: ``python -m verdict3d.judge.served.server SOCKET``.

It answers one connection after another: which judge, what is asked, the answers. It starts in a moment and
loads a judge when one is first asked. On a GPU it keeps what leaves room for the stages.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verdict3d.config_judges import JudgeParams
from verdict3d.errors import Verdict3DError
from verdict3d.judge.served.wire import Document, pack_answers, receive, send, unpack_requests

if TYPE_CHECKING:
    from verdict3d.judge.local.vlm import TransformersJudge

ROOM_GIB = 60.0
"""Memory of a GPU that is left to the stages: an arm of the full size trained in 49 GiB."""
_QUIET_S = 2.0
"""Without a question for so long, memory that no weights need goes back."""
_SPEAKING_S = 60.0
"""A client that says nothing for so long is not waited for."""


class Judges:
    """The judges that are loaded; the one that was asked last stands at the end."""

    def __init__(self) -> None:
        self._held: dict[str, TransformersJudge] = {}

    def answer(self, asked: Document, pictures: list[Any]) -> Document:
        """Answer a client; where ``refused`` says why not, it loads the judge itself."""
        try:
            judge = self._take(JudgeParams(**asked["judge"]), Path(asked["root"]), asked["identity"])
            return {"answers": pack_answers(judge.compare(unpack_requests(asked["requests"], pictures)))}
        except Exception as error:  # also whatever CUDA raises; the client meets it again, or does not
            self._held.clear()
            self.rest()
            return {"refused": f"{type(error).__name__}: {error}"}

    def rest(self) -> None:
        """Give memory back, and judges that leave the stages no room."""
        gc.collect()
        import torch

        if not torch.cuda.is_initialized():
            return
        torch.cuda.empty_cache()
        while self._held and not _has_room(0):
            self._drop_oldest()

    def _take(self, params: JudgeParams, root: Path, identity: Document) -> TransformersJudge:
        """Return the judge that a client has found in its files.

        Raises:
            Verdict3DError: It is another one here, or there is no room for it.
        """
        from verdict3d.device import settle_torch
        from verdict3d.judge.identity import JudgeIdentity, list_weights, resolve_directory
        from verdict3d.judge.local.vlm import TransformersJudge

        settle_torch()
        wanted = JudgeIdentity(**identity)
        name = " ".join((wanted.weights, wanted.settings, wanted.dtype, params.device))
        judge = self._held.pop(name, None)
        if judge is None:
            size = sum(path.stat().st_size for path in list_weights(resolve_directory(params, root)))
            while self._held and not _has_room(size):
                self._drop_oldest()
            if not _has_room(size):
                raise Verdict3DError(f"no room for it beside the {ROOM_GIB:.0f} GiB that stages may need")
            judge = TransformersJudge.from_pretrained(params, root)
        if (judge.identity.panel, judge.identity.mode) != (wanted.panel, wanted.mode):
            judge = judge.showing(wanted.panel, wanted.mode)
        if judge.identity.answers != wanted.answers:
            raise Verdict3DError("its files are others here than there")
        judge.batch_size = params.batch_size
        self._held[name] = judge
        return judge

    def _drop_oldest(self) -> None:
        import torch

        from verdict3d.judge.local.vlm import HELD

        self._held.pop(next(iter(self._held)))
        HELD.clear()
        gc.collect()
        torch.cuda.empty_cache()


def _has_room(size: int) -> bool:
    """Say whether so many bytes more would leave the stages their room; without a GPU there is enough."""
    import torch

    if not torch.cuda.is_available():
        return True
    total = torch.cuda.get_device_properties(0).total_memory
    return bool(total - torch.cuda.memory_reserved() - size >= ROOM_GIB * 2**30)


def serve(listener: socket.socket) -> None:
    """Answer connections until this process is ended."""
    judges, resting = Judges(), True
    while True:
        listener.settimeout(None if resting else _QUIET_S)
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            judges.rest()
            resting = True
            continue
        resting = False
        with closing(connection), suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            connection.settimeout(_SPEAKING_S)
            asked, pictures = receive(connection)
            send(connection, judges.answer(asked, pictures))


def main() -> None:
    """Listen on the socket, which only this user can reach."""
    place = Path(sys.argv[1])
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    os.chdir(place.parent)  # a socket's path has 108 bytes at most
    os.umask(0o177)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place.name)
        os.umask(0o022)
        listener.listen()
        serve(listener)


if __name__ == "__main__":
    main()
