"""Does a registered model give what was evaluated? Asked in a fresh process before an alias moves."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tasks.making.batches import compose_batches
from tasks.paths import EVALUATE, read_generations
from tasks.registry.promotion_record import PROGRESS, RefusedError
from tasks.registry.versions import Registry
from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.making.base import choose_full_steps
from verdict3d.provenance import SOURCES, digest_file
from verdict3d.randomness import numpy_generator
from verdict3d.records.files import read_json, write_json
from verdict3d.records.generations import Generation
from verdict3d.records.record import RecordPart

REGENERATE = Path(__file__).with_name("regeneration.py")
VERIFIED_BATCHES = 2


class ExpectedMesh(RecordPart):
    """What the registered model is asked for, and what the evaluation got.

    Attributes:
        id: Id of the generation.
        photo: Path of the condition picture.
        seed: Seed of the noise.
        mesh: SHA-256 of the GLB; None where there is none.
        failure: Reason of the failure; None where there is a mesh.
    """

    id: str
    photo: str
    seed: int
    mesh: str | None
    failure: str | None


def verify(params: Params, root: Path, arm: str, registry: Registry, version: int) -> None:
    """Load the registered model in a fresh process and compare a sample of whole batches with the evaluation.

    Raises:
        RefusedError: It gave other bytes.
        Verdict3DError: It cannot be loaded, or ran this checkout's code instead of its own.
    """
    batches = sample_batches(params, root, arm)
    with tempfile.TemporaryDirectory() as folder:
        request, answer = Path(folder, "request.json"), Path(folder, "result.json")
        write_json(
            request,
            {
                "tracking_uri": registry.uri,
                "model": registry.uri_of(version),
                "progress": PROGRESS,
                "batches": [[item.model_dump() for item in batch] for batch in batches],
            },
        )
        done = subprocess.run(
            [sys.executable, "-P", str(REGENERATE), str(request), str(answer)],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            tail = "\n".join(done.stderr.strip().splitlines()[-8:])
            raise Verdict3DError(f"version {version} cannot be loaded from the registry:\n{tail}")
        found = read_json(answer)
    if Path(found["loaded_from"]).resolve() == SOURCES.resolve():
        raise Verdict3DError(f"version {version} was loaded with this checkout's code instead of its own")
    items = sum(len(batch) for batch in batches)
    registry.tag(version, verified=f"{items - len(found['differing'])} of {items} items")
    if found["differing"]:
        names = ", ".join(found["differing"][:3])
        raise RefusedError(
            f"version {version} does not give the evaluated bytes for {len(found['differing'])} of {items} "
            f"held-out items, such as {names}; the champion stays. The usual cause is another machine, torch "
            "or number of threads than in the evaluation: run the evaluation here"
        )


def sample_batches(params: Params, root: Path, arm: str) -> list[list[ExpectedMesh]]:
    """Return some of the batches that the evaluation generated, whole and in order, with what came out."""
    rows = read_generations(root, EVALUATE / arm)
    batches = compose_batches(
        rows,
        params.generate.batch_size,
        lambda row: row.steps and (row.steps.structure, row.steps.latents),
    )
    usable = [batch for batch in batches if rows[batch[0]].steps == choose_full_steps(params)]
    rng = numpy_generator(params.seed, "verified batches", arm)
    chosen = sorted(rng.permutation(len(usable))[:VERIFIED_BATCHES])
    return [[_select_expected(root, rows[position]) for position in usable[number]] for number in chosen]


def _select_expected(root: Path, row: Generation) -> ExpectedMesh:
    return ExpectedMesh(
        id=row.id,
        photo=str((root / row.condition).resolve()),
        seed=row.seed,
        mesh=digest_file(root / row.mesh) if row.mesh else None,
        failure=row.failure,
    )
