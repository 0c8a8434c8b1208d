"""What a judge is asked: a text with picture slots, and its digest.

A panel kind decides which pictures a question has (:data:`SLOTS`); geometry and texture are different
questions, and the mode of the montages says which one is meant. A model directory may carry its own text
for three images in ``verdict3d.json`` (``{"prompt": "..."}``): the embedded judges do, because their
vocabulary is a few dozen words. Other panels follow from it by the slots. Everything else is asked
:func:`choose_rubric`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_bytes
from verdict3d.records.files import read_json

SEPARATE_VIEWS = 3
"""Views of each candidate in the panel ``seven_images``, beside the reference."""

SLOTS: Mapping[str, tuple[str, ...]] = {
    "three_images": ("reference", "first", "second"),
    "two_sheets": ("first", "second"),
    "reference_free": ("first", "second"),
    "seven_images": ("reference", *["first"] * SEPARATE_VIEWS, *["second"] * SEPARATE_VIEWS),
}
"""The pictures of a panel of each kind, in the order in which a prompt shows them."""

PROMPT_FILE = "verdict3d.json"

_FOUR_VIEWS = (
    "Each candidate is shown as a sheet of four views (upper row: front right, back right; lower row: back "
    "left, front left)"
)
_CANDIDATES = {
    "three_images": _FOUR_VIEWS,
    "two_sheets": "Each candidate is shown as a sheet: on the left the reference picture of the object, on "
    "the right four views of the candidate (upper row: front right, back right; lower row: back left, front "
    "left)",
    "reference_free": _FOUR_VIEWS,
    "seven_images": "Each candidate is shown in three pictures (front right, back right, back left)",
}
_NORMALS = (
    " of its surface normals: colour shows which way the surface faces, the texture is not shown.",
    "geometry? Look at the overall shape and proportions, at missing, extra or floating parts, at holes, and "
    "at how clean thin structures and flat surfaces are.",
    "Ignore colour, lighting and the order",
)
_CLAY = (
    " in matte grey: the texture is not shown.",
    _NORMALS[1],
    _NORMALS[2],
)
_RGB = (
    " with its colours.",
    "texture? Look at whether colours and materials are right and stand in the right places, at seams, "
    "smears and noise.",
    "Ignore small differences in shape, lighting and the order",
)
_AXES = {"normal": _NORMALS, "clay": _CLAY, "rgb": _RGB, "splat": _RGB}

_SLOT = re.compile(r"\{(reference|first|second)\}")


def choose_rubric(panel: str = "three_images", mode: str = "normal") -> str:
    """Return the full text of the question for a panel kind and what its montages show."""
    shows, looks, ignores = _AXES[mode]
    slots = SLOTS[panel]
    shown = {name: f"{{{name}}}" * slots.count(name) for name in ("first", "second")}
    reference = "Reference picture of the object: {reference}\n\n" if "reference" in slots else ""
    named = "this object" if panel == "reference_free" else "the object of the reference picture"
    wrong = (
        ""
        if panel == "reference_free" or mode in ("rgb", "splat")
        else " A clean shape of another object is worse than a damaged shape of the right one."
    )
    return (
        "You compare two 3D reconstructions of one real object.\n\n"
        f"{reference}{_CANDIDATES[panel]}{shows}\n\n"
        f"Candidate A: {shown['first']}\n\nCandidate B: {shown['second']}\n\n"
        f"Which candidate reconstructs {named} better in {looks}{wrong} {ignores} in which the candidates "
        "are shown. One of them is better, if only slightly.\n\nAnswer with one letter, A or B."
    )


RUBRIC = choose_rubric()


def split_texts(prompt: str) -> tuple[str, ...]:
    """Split a prompt at its picture slots: the texts before, between and after the pictures."""
    return tuple(_SLOT.split(prompt)[0::2])


def split_prompt(prompt: str, panel: str = "three_images") -> tuple[str, ...]:
    """Split a prompt at its picture slots, which must be those of the panel kind.

    Args:
        prompt: Text with ``{reference}``, ``{first}`` and ``{second}`` where pictures go.
        panel: Panel kind; its pictures must all be there, in their order.

    Returns:
        The texts before, between and after the pictures: one more than there are pictures.

    Raises:
        Verdict3DError: A slot is missing, doubled or out of order.
    """
    slots = tuple(_SLOT.findall(prompt))
    if slots != SLOTS[panel]:
        raise Verdict3DError(
            f"the judge prompt shows the pictures {list(slots)}; for the panel {panel!r} it must show "
            f"{list(SLOTS[panel])}, in this order"
        )
    return split_texts(prompt)


def digest_prompt(prompt: str) -> str:
    """Return the SHA-256 of the prompt's text."""
    return digest_bytes(prompt.encode())


def own_prompt(directory: str | Path) -> str | None:
    """Return the prompt for three images that the model in ``directory`` carries, or None.

    Raises:
        Verdict3DError: ``verdict3d.json`` is not of the form ``{"prompt": "..."}`` or its slots are wrong.
    """
    path = Path(directory) / PROMPT_FILE
    if not path.is_file():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("prompt"), str):
        raise Verdict3DError(f'{path} must be of the form {{"prompt": "..."}}')
    prompt: str = content["prompt"]
    split_prompt(prompt)
    return prompt


def write_prompt(own: str | None, panel: str, mode: str) -> str:
    """Return what is asked: the model's own prompt with the panel's slots, else :func:`choose_rubric`."""
    if own is None:
        return choose_rubric(panel, mode)
    return _SLOT.sub(lambda slot: slot[0] * SLOTS[panel].count(slot[1]), own)


def write_prompt_for(directory: str | Path, panel: str = "three_images", mode: str = "normal") -> str:
    """Return what the model in ``directory`` is asked.

    Raises:
        Verdict3DError: As :func:`own_prompt`.
    """
    return write_prompt(own_prompt(directory), panel, mode)
