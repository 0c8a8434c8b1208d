"""The configured judge, wherever it answers from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verdict3d.config_judges import JudgeParams

if TYPE_CHECKING:
    from verdict3d.judge.local.vlm import TransformersJudge
    from verdict3d.judge.remote.remote import RemoteJudge


def load_judge(params: JudgeParams, root: Path) -> TransformersJudge | RemoteJudge:
    """Load the judge's weights, or connect to the server that has them.

    Args:
        params: The judge.
        root: Folder that a directory named as the model is relative to: the project's.

    Raises:
        Verdict3DError: It cannot be loaded or asked; the message says what to do.
    """
    if params.endpoint is None:
        from verdict3d.judge.local.vlm import TransformersJudge

        return TransformersJudge.from_pretrained(params, root)
    from verdict3d.judge.remote.remote import RemoteJudge

    return RemoteJudge.connect(params)
