"""Digests of weight files are remembered, and never of another version than the one that is there."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from support.places import ROOT
from verdict3d import weight_digests
from verdict3d.errors import Verdict3DError
from verdict3d.project import CHECKPOINTS
from verdict3d.weight_digests import SUMS, digest_weights, table_path


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as large and as settled, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(weight_digests, "LARGE_BYTES", 4)
    monkeypatch.setattr(weight_digests, "SETTLED_NS", 0)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"first weights")
    return path


def plant(path: Path) -> None:
    """Put a digest on record that no file has."""
    with sqlite3.connect(table_path()) as table:
        table.execute("UPDATE digests SET sha256 = 'planted' WHERE path = ?", (str(path.resolve()),))


def test_an_unchanged_file_is_not_read_again(weights: Path) -> None:
    assert digest_weights(weights) == hashlib.sha256(b"first weights").hexdigest()
    plant(weights)
    assert digest_weights(weights) == "planted"
    link = weights.with_name("link")
    link.symlink_to(weights)
    assert digest_weights(link) == "planted"


def test_other_bytes_of_the_same_size_and_time_are_another_version(weights: Path) -> None:
    digest_weights(weights)
    plant(weights)
    times = weights.stat()
    weights.write_bytes(b"other weights")
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert digest_weights(weights) == hashlib.sha256(b"other weights").hexdigest()


def test_a_file_that_changed_a_moment_ago_is_read_every_time(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest_weights(weights)
    plant(weights)
    monkeypatch.setattr(weight_digests, "SETTLED_NS", 10**12)
    assert digest_weights(weights) == hashlib.sha256(b"first weights").hexdigest()


def test_a_small_file_is_read(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_digests, "LARGE_BYTES", 1000)
    digest_weights(weights)
    assert not table_path().exists()


@pytest.mark.parametrize("trouble", ["a folder in its place", "no database", "a file for a folder"])
def test_without_a_cache_the_file_is_read(weights: Path, trouble: str) -> None:
    if trouble == "a file for a folder":
        table_path().parent.parent.write_text("")
    else:
        table_path().parent.mkdir(parents=True)
        table_path().mkdir() if trouble == "a folder in its place" else table_path().write_text(
            "damaged" * 99
        )
    for _ in range(2):
        assert digest_weights(weights) == hashlib.sha256(b"first weights").hexdigest()


def test_the_table_is_its_owners(weights: Path) -> None:
    digest_weights(weights)
    assert stat.S_IMODE(table_path().stat().st_mode) == 0o600
    assert stat.S_IMODE(table_path().parent.stat().st_mode) == 0o700


def test_the_checkpoints_are_those_whose_digests_stand_beside_them() -> None:
    files = [path for path in (ROOT / CHECKPOINTS).rglob("*") if path.is_file() and path.name != SUMS]
    assert set(weight_digests._read_sums(ROOT / CHECKPOINTS)) == set(files)
    assert all(digest_weights(path) for path in files)


def test_a_checkpoint_that_came_with_the_package_and_was_damaged_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = tmp_path / CHECKPOINTS
    shutil.copytree(ROOT / CHECKPOINTS / "repair", checkpoints / "repair")
    shutil.copy(ROOT / CHECKPOINTS / SUMS, checkpoints)
    monkeypatch.setattr(weight_digests, "find_models", lambda: tmp_path)
    weights = checkpoints / "repair/adapter_model.safetensors"
    assert digest_weights(weights)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(Verdict3DError, match=r"adapter_model\.safetensors is not the file that came with"):
        digest_weights(weights)
    link = tmp_path / "link"
    link.symlink_to(checkpoints)
    with pytest.raises(Verdict3DError, match="is not the file that came with"):
        digest_weights(link / "repair/adapter_model.safetensors")
