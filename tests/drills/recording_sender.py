"""A checkout of the drill of recording: ``python -m drills.recording_sender FOLDER PLACE SEED``."""

from __future__ import annotations

import sys
from pathlib import Path

from drills.recording import send_rounds

if __name__ == "__main__":
    send_rounds(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
