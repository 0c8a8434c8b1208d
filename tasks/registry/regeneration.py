"""Does a registered model give the evaluated bytes? Run as a script in a fresh process, never imported.

    python regeneration.py REQUEST RESULT

REQUEST is JSON: {"tracking_uri", "model", "progress": what lines for people begin with, "batches": [[{"id",
"photo": path, "seed", "mesh": SHA-256 or None, "failure": reason or None}]]}; RESULT gets {"loaded_from":
where the model's code lies, "differing": [ids]}.

It knows nothing of this project: the packages it loads are the copies inside the registered model.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any


def main(request_file: str, result_file: str) -> None:
    """Load the model, generate each batch and compare."""
    import mlflow
    import pandas as pd

    request: dict[str, Any] = json.loads(Path(request_file).read_text(encoding="utf-8"))
    mlflow.set_tracking_uri(request["tracking_uri"])
    mlflow.set_registry_uri(request["tracking_uri"])
    model = mlflow.pyfunc.load_model(request["model"])
    differing = []
    for number, batch in enumerate(request["batches"], start=1):
        print(f"{request['progress']}batch {number} of {len(request['batches'])}", flush=True)
        asked = pd.DataFrame(
            {
                "photo": [Path(item["photo"]).read_bytes() for item in batch],
                "seed": [item["seed"] for item in batch],
            }
        )
        made = model.predict(asked).to_dict("records")
        for item, row in zip(batch, made, strict=True):
            digest = hashlib.sha256(row["mesh"]).hexdigest() if row["mesh"] is not None else None
            if (digest, row["failure"]) != (item["mesh"], item["failure"]):
                differing.append(item["id"])
    code = str(Path(sys.modules["verdict3d"].__file__ or "").parents[1])
    Path(result_file).write_text(json.dumps({"loaded_from": code, "differing": differing}), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
