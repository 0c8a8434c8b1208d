"""What a recorded run was made of: ``python -m tasks.registry.reproduction REFERENCE PRESET FOLDER RESULT``.

REFERENCE is what :func:`tasks.registry.recorded.find_run` takes.
FOLDER gets ``params.yaml``, ``dvc.lock`` and ``data/registry`` as they were; RESULT gets a
:class:`~verdict3d.records.recorded_runs.RunOrigin`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tasks.paths import CHAMPION, CHAMPION_RECORD, HOLDOUT
from tasks.registry.recorded import find_run
from tasks.registry.versions import Registry
from tasks.tracking.store import saying_failures
from verdict3d.errors import Verdict3DError, one_message
from verdict3d.records.files import read_json, write_bytes
from verdict3d.records.record import write_record
from verdict3d.records.recorded_runs import RunOrigin
from verdict3d.run_keys import run_key

FILES = {
    "params.yaml": Path("params.yaml"),
    "dvc.lock": Path("dvc.lock"),
    f"registry/{HOLDOUT.name}": HOLDOUT,
    f"registry/{CHAMPION_RECORD.name}": CHAMPION_RECORD,
}
"""Where the artifacts of a run belong in a project."""


def fetch(reference: str, registry: Registry, folder: Path) -> RunOrigin:
    """Fetch what a run was made of into ``folder``.

    Args:
        reference: Name of a recorded run, such as a version or the beginning of an id.
        registry: Where versions are.
        folder: Top folder of a project to be.

    Raises:
        Verdict3DError: There is no such version or run, or its files are not those it was recorded with.
    """
    client, arm, adapter = registry.client, None, None
    if reference.isdecimal():
        version = registry.find_version(int(reference))
        arm, adapter = version.tags["arm"], version.tags["adapter"]
    run = find_run(registry, reference)
    tags = run.data.tags
    with tempfile.TemporaryDirectory() as temporary:
        kept = Path(client.download_artifacts(run.info.run_id, "", temporary))
        for name, place in FILES.items():
            if (kept / name).exists():
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(kept / name, folder / place)
    if not (folder / "params.yaml").exists() or run_key(folder) != tags.get("dvc.lock"):
        raise Verdict3DError(
            f"run {run.info.run_id} does not hold the params.yaml and dvc.lock that it was recorded with"
        )
    _fetch_champion(registry, folder)
    return RunOrigin(
        run=run.info.run_id,
        commit=tags.get("git.commit"),
        dirty=tags.get("git.dirty") == "true",
        key=tags["dvc.lock"],
        arm=arm,
        adapter=adapter,
    )


def _fetch_champion(registry: Registry, folder: Path) -> None:
    """Fetch the adapter of the champion that the run's candidates were compared with."""
    record = folder / CHAMPION_RECORD
    if record.exists():
        # the record stays as it is, in the form that the run's own code reads
        values = read_json(record)
        version = values.get("version") if isinstance(values, dict) else None
        if not isinstance(version, int):
            raise Verdict3DError(f"the run's {CHAMPION_RECORD.name} names no version")
        with registry.fetch_adapter(version) as adapter:
            # whatever files it has: that code may write adapters otherwise than this
            for path in adapter.iterdir():
                write_bytes(folder / CHAMPION / path.name, path.read_bytes())


def main(reference: str, preset: str, folder: str, result: str) -> None:
    """Fetch and describe."""
    with one_message(), saying_failures():
        write_record(Path(result), fetch(reference, Registry(preset), Path(folder)))


if __name__ == "__main__":
    main(*sys.argv[1:])
