"""A promoter of the drill of promotions: ``python -m drills.promotions_promoter FOLDER SEED``."""

from __future__ import annotations

import sys
from pathlib import Path

from drills.promotions import promote_until_stopped

if __name__ == "__main__":
    promote_until_stopped(Path(sys.argv[1]), int(sys.argv[2]))
