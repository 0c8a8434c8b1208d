"""The configured judge, wherever it answers from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verdict3d.config_judges import JudgeParams

if TYPE_CHECKING:
    from verdict3d.judge.remote.remote import RemoteJudge
    from verdict3d.judge.served.client import LocalJudge


def load_judge(params: JudgeParams, root: Path, *, settled: bool = False) -> LocalJudge | RemoteJudge:
    """Return the judge; weights are loaded, or a server asked, with the first question.

    Args:
        params: The judge.
        root: Folder that a directory named as the model is relative to: the project's.
        settled: When weights are loaded here, torch is first asked for deterministic algorithms.

    Raises:
        Verdict3DError: There is no such judge; the message says what to do.
    """
    if params.endpoint is None:
        from verdict3d.judge.served.client import LocalJudge

        return LocalJudge(params, root, settled=settled)
    from verdict3d.judge.remote.remote import RemoteJudge

    return RemoteJudge.connect(params)
