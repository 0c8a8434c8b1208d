"""A trained arm as a folder for the hub: a LoRA set in PEFT's form with a card."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tasks.paths import EVALUATE
from verdict3d.asking.certificates import read_certificate
from verdict3d.config_arms import LoraParams, StackParams
from verdict3d.errors import Verdict3DError
from verdict3d.project import TRAIN
from verdict3d.records.adapters import CARD, CONFIG, AdapterCard, adapter_files, copy_adapter, read_card
from verdict3d.records.files import write_bytes
from verdict3d.records.record import read_record
from verdict3d.records.results import Results
from verdict3d.view.hub_card import write_hub_card

README = "README.md"
HUB_ID = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"
"""What a model on the hub is called."""
LICENCE = r"[a-z0-9][a-z0-9.-]{1,40}"
OURS = "apache-2.0"


def export_arm(
    root: Path, arm: str, folder: Path, licence: str | None, base: str | None, option: str
) -> dict[str, Any]:
    """Write an arm's LoRA set and its card into a folder.

    Args:
        root: Folder of ``params.yaml`` and ``data``.
        arm: Name of the arm.
        folder: New, empty, or with an earlier export.
        licence: Of the weights, as the hub calls it; None for this project's.
        base: Id of the base on the hub; None for what the adapter's card names.
        option: What a command needs to mean this workspace, for messages.

    Returns:
        ``arm``, ``folder``, ``files``, ``licence``, ``base_model`` (None where it is not known on the hub),
        ``half_credit`` by regime, ``certified`` by role, and ``notes`` for people.

    Raises:
        Verdict3DError: The arm is not trained or not LoRA, a value is none of the hub's, or the folder is in
            use.
    """
    trained = root / TRAIN / arm
    if not (trained / CARD).is_file():
        raise Verdict3DError(
            f"no trained arm {arm!r} in {root / TRAIN}; `verdict3d run{option}` trains the arms"
        )
    card = read_card(trained)
    if not (trained / CONFIG).is_file():
        raise Verdict3DError(_why_not_lora(arm, card))
    if licence is None and isinstance(card.params, LoraParams):
        raise Verdict3DError(f"{arm} is a set by somebody else: say under which licence with --licence")
    licence = licence or OURS
    if not re.fullmatch(LICENCE, licence):
        raise Verdict3DError(
            f"--licence {licence!r} is no identifier of the hub's, such as mit or apache-2.0"
        )
    if base is not None and not re.fullmatch(HUB_ID, base):
        raise Verdict3DError(f"--base {base!r} is no id of the hub's, such as microsoft/TRELLIS-image-large")
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / CARD).is_file())):
        raise Verdict3DError(f"{folder} is in use and holds no earlier export; name a new folder")
    named = re.fullmatch(HUB_ID, card.base) and not (root / card.base).exists()
    base = base or (card.base if named else None)
    evaluated = root / EVALUATE / arm / "results.json"
    results = read_record(evaluated, Results) if evaluated.is_file() else None
    certificates = {
        role: found
        for role in ("training", "evaluation")
        if (found := read_certificate(root, role)) is not None
    }
    copy_adapter(trained, folder)
    text = write_hub_card(card, results, certificates, licence, base)
    write_bytes(folder / README, text.encode())
    notes = []
    if base is None:
        notes.append(f"the base was loaded from {card.base}; name it on the hub with --base")
    if results is None:
        notes.append(f"{arm} is not evaluated, and its card says so; `verdict3d run{option}` evaluates it")
    return {
        "arm": arm,
        "folder": str(folder),
        "files": [*adapter_files(folder), README],
        "licence": licence,
        "base_model": base,
        "half_credit": {
            regime: found.summary.half_credit.model_dump() for regime, found in results.regimes.items()
        }
        if results
        else {},
        "certified": {role: certificate.passed for role, certificate in certificates.items()},
        "notes": notes,
    }


def _why_not_lora(arm: str, card: AdapterCard) -> str:
    """Return why an arm is no LoRA set, and what to do."""
    if isinstance(card.params, StackParams):
        why = "it is a stack of parts"
        do = "make the part that is LoRA an arm of its own"
    elif card.measures.get("parameters") == 0:
        why, do = "it trains nothing", "export an arm that does"
    else:
        why = "some of its weights are not LoRA (layers at rank 0, a network behind the encoder, leave_clean)"
        do = "train it with a rank above 0 and without `tokens` and `leave_clean`"
    return (
        f"{arm} is no LoRA set: {why}. To export LoRA, {do}; `verdict3d promote` registers any arm with its "
        "generator and code"
    )
