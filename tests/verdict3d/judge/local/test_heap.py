"""Free memory goes back to the system."""

from pathlib import Path

from verdict3d.judge.local.heap import give_back_heap

BLOCK, BLOCKS = 50_000, 2_000  # too small for pages of their own


def _resident_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def test_holes_between_what_is_kept_go_back() -> None:
    blocks = [bytes([number % 255 + 1]) * BLOCK for number in range(BLOCKS)]
    kept = blocks[::20]
    del blocks
    before = _resident_mib()
    give_back_heap()
    assert before - _resident_mib() > 0.5 * BLOCK * BLOCKS / 2**20
    assert all(len(block) == BLOCK for block in kept)
