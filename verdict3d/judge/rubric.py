"""What a judge is asked: a text with three picture slots, and its digest.

A model directory may carry its own text in ``verdict3d.json`` (``{"prompt": "..."}``): the embedded judges
do, because their vocabulary is a few dozen words. Everything else is asked :data:`RUBRIC`.
"""

from __future__ import annotations

import re
from pathlib import Path

from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_bytes
from verdict3d.records import read_json

SLOTS = ("reference", "first", "second")
"""The pictures of a panel in the order in which a prompt shows them."""

PROMPT_FILE = "verdict3d.json"

RUBRIC = """You compare two 3D reconstructions of one real object.

Reference picture of the object: {reference}

Each candidate is shown as a sheet of four views (upper row: front right, back right; lower row: back left, \
front left) of its surface normals: colour shows which way the surface faces, the texture is not shown.

Candidate A: {first}

Candidate B: {second}

Which candidate reconstructs the object of the reference picture better in geometry? Look at the overall \
shape and proportions, at missing, extra or floating parts, at holes, and at how clean thin structures and \
flat surfaces are. A clean shape of another object is worse than a damaged shape of the right one. Ignore \
colour, lighting and the order in which the candidates are shown. One of them is better, if only slightly.

Answer with one letter, A or B."""

_SLOT = re.compile(r"\{(" + "|".join(SLOTS) + r")\}")


def prompt_parts(prompt: str) -> tuple[str, ...]:
    """Split a prompt at its picture slots.

    Args:
        prompt: Text with ``{reference}``, ``{first}`` and ``{second}``, each once and in this order.

    Returns:
        Four texts: before the reference, between the pictures, and after the second candidate.

    Raises:
        Verdict3DError: A slot is missing, doubled or out of order.
    """
    pieces = _SLOT.split(prompt)
    if tuple(pieces[1::2]) != SLOTS:
        raise Verdict3DError(
            f"the judge prompt shows the pictures {pieces[1::2]}; it must show {list(SLOTS)}, each once, "
            "in this order"
        )
    return tuple(pieces[0::2])


def prompt_digest(prompt: str) -> str:
    """Return the SHA-256 of the prompt's text."""
    return digest_bytes(prompt.encode())


def prompt_for(directory: str | Path) -> str:
    """Return the prompt of the model in ``directory``: its own when it carries one, else :data:`RUBRIC`.

    Raises:
        Verdict3DError: ``verdict3d.json`` is not of the form ``{"prompt": "..."}`` or its slots are wrong.
    """
    path = Path(directory) / PROMPT_FILE
    if not path.is_file():
        return RUBRIC
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("prompt"), str):
        raise Verdict3DError(f'{path} must be of the form {{"prompt": "..."}}')
    prompt: str = content["prompt"]
    prompt_parts(prompt)
    return prompt
