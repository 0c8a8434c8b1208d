"""What a stage depends on besides the data that it reads: ``data/identity``, which DVC compares."""

from __future__ import annotations

from typing import Any, ClassVar

from verdict3d.records.generators import GeneratorRecord
from verdict3d.records.record import Record


class StageIdentity(Record):
    """The identity of one stage, or of one of its items.

    Attributes:
        code: Digest of each file that it imports, directly or not, by path.
        params: Values of the parameters that ``dvc.yaml`` lists for it, defaults filled in.
        files: Digests of LoRA sets of others that it takes over, by path; None for a file that is missing.
        generators: Records of the generators that are not ours and whose meshes it uses, by name.
    """

    SCHEMA: ClassVar[str] = "verdict3d/stage-identity/1"

    code: dict[str, str]
    params: dict[str, Any]
    files: dict[str, str | None]
    generators: dict[str, GeneratorRecord]
