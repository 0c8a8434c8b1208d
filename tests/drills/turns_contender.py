"""A process of the drill of turns: ``python -m drills.turns_contender URI FOLDER SEED``."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from mlflow.exceptions import MlflowException

from drills.turns import Contender


def main(uri: str, folder: str, seed: str) -> None:
    """Contend until the drill ends."""
    choice = random.Random(int(seed))
    contender = Contender(uri, Path(folder), choice)
    while not Path(folder, "stop").exists():
        try:
            contender.contend()
        except MlflowException as error:
            contender.note("unexpected errors")
            print(error, file=sys.stderr)
        time.sleep(choice.uniform(0.0, 0.1))


if __name__ == "__main__":
    main(*sys.argv[1:])
