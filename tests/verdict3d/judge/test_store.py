"""The verdict store: nothing is asked twice, nothing is lost."""

import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from verdict3d.errors import Verdict3DError
from verdict3d.judge import store as store_module
from verdict3d.judge.identity import JudgeIdentity
from verdict3d.judge.panel import PairRequest, Panel
from verdict3d.judge.store import VerdictStore
from verdict3d.judge.verdict import Verdict

IDENTITY = JudgeIdentity("somewhere", "w", "s", "Class", "p", "three_images", "normal", "float32")
BLANK = np.zeros((8, 8, 3), np.uint8)


class LetterJudge:
    """Prefers the mesh with the larger name; knows what it was asked."""

    def __init__(
        self, identity: JudgeIdentity = IDENTITY, tie_band: float = 0.0, batch_size: int = 4
    ) -> None:
        self.identity, self.tie_band, self.batch_size = identity, tie_band, batch_size
        self.asked: list[list[tuple[str, str]]] = []

    def compare(self, requests: list[PairRequest]) -> list[Verdict]:
        self.asked.append([(request.x, request.y) for request in requests])
        return [self.answer(request) for request in requests]

    def answer(self, request: PairRequest) -> Verdict:
        if "broken" in (request.x, request.y):
            return Verdict.invalid("bad_image", "cannot be read")
        preference = float(ord(request.x[0]) - ord(request.y[0]))
        return Verdict(preference + 0.25, -preference + 0.25, self.tie_band)


def pair(x: str, y: str, rig: str = "rig") -> PairRequest:
    return PairRequest(Panel(BLANK, BLANK, BLANK), "reference", x, y, rig)


def test_rows_hold_margins_and_hashes(tmp_path: Path) -> None:
    store = VerdictStore(tmp_path / "folder" / "verdicts.db")
    assert store.rows() == []
    store.ask(LetterJudge(), [pair("c", "a")])
    (row,) = store.rows()
    assert (row["m1"], row["m2"], row["d"], row["b"], row["r"]) == (2.25, -1.75, 2.0, 0.25, 1.75)
    assert row["outcome"] == "win" and row["judge"] == IDENTITY.digest
    assert {row[key] for key in ("x", "y", "reference", "rig", "prompt", "panel", "mode")} == {
        *("c", "a", "reference", "rig", "p", "three_images", "normal")
    }


def test_only_what_is_missing_is_asked_in_order(tmp_path: Path) -> None:
    judge, store = LetterJudge(), VerdictStore(tmp_path / "v.db")
    first = store.ask(judge, [pair("a", "b"), pair("c", "a")])
    assert [verdict.outcome for verdict in first] == ["loss", "win"]
    again = VerdictStore(store.path)
    answers = again.ask(judge, (pair(*names) for names in ("ca", "dz", "ab", "dz", "zd")))
    assert [verdict.outcome for verdict in answers] == ["win", "loss", "loss", "loss", "win"]
    assert judge.asked == [[("a", "b"), ("c", "a")], [("d", "z")]]


def test_a_swapped_pair_is_the_same_question(tmp_path: Path) -> None:
    judge, store = LetterJudge(), VerdictStore(tmp_path / "v.db")
    (there,) = store.ask(judge, [pair("a", "b")])
    (back,) = store.ask(judge, [pair("b", "a")])
    assert back == there.flipped() and len(judge.asked) == 1


@pytest.mark.parametrize("change", ["weights", "settings", "prompt", "mode", "panel", "dtype"])
def test_another_judge_is_asked_anew(tmp_path: Path, change: str) -> None:
    store = VerdictStore(tmp_path / "v.db")
    store.ask(LetterJudge(), [pair("a", "b")])
    other = LetterJudge(replace(IDENTITY, **{change: "other"}))
    store.ask(other, [pair("a", "b")])
    assert other.asked and len(store.rows()) == 2
    moved = LetterJudge(replace(IDENTITY, model="elsewhere"))
    store.ask(moved, [pair("a", "b")])
    assert not moved.asked
    store.ask(moved, [pair("a", "b", rig="another rig")])
    assert len(moved.asked) == 1


def test_the_tie_band_classes_stored_margins(tmp_path: Path) -> None:
    store = VerdictStore(tmp_path / "v.db")
    (wide,) = store.ask(LetterJudge(), [pair("b", "a")])
    strict = LetterJudge(tie_band=2.0)
    (narrow,) = store.ask(strict, [pair("b", "a")])
    assert (wide.outcome, narrow.outcome, strict.asked) == ("win", "tie", [])


def test_invalid_verdicts_are_recorded_and_asked_again(tmp_path: Path) -> None:
    judge, store = LetterJudge(), VerdictStore(tmp_path / "v.db")
    for _ in range(2):
        (verdict,) = store.ask(judge, [pair("broken", "a")])
        assert verdict.reason == "bad_image"
    assert len(judge.asked) == 2 and [row["outcome"] for row in store.rows()] == ["invalid"]


def test_rows_keep_the_class_they_had(tmp_path: Path) -> None:
    store = VerdictStore(tmp_path / "v.db")
    given = store.ask(LetterJudge(tie_band=2.0), [pair("b", "a"), pair("broken", "c"), pair("a", "z")])
    kept = [{name: row[name] for name in given[0].row()} for row in store.rows()]
    assert kept == [verdict.row() for verdict in given]
    assert [row["outcome"] for row in kept] == ["tie", "invalid", "loss"]


def test_a_verdict_that_was_invalid_is_replaced(tmp_path: Path) -> None:
    class Mended(LetterJudge):
        def answer(self, request: PairRequest) -> Verdict:
            return Verdict(1.5, -0.5)

    store = VerdictStore(tmp_path / "v.db")
    store.ask(LetterJudge(), [pair("broken", "a"), pair("c", "d")])
    assert store.ask(Mended(), [pair("broken", "a")]) == [Verdict(1.5, -0.5)]
    assert [(row["x"], row["outcome"]) for row in store.rows()] == [("c", "loss"), ("broken", "win")]


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    path.write_bytes(b"\x00\xff rubbish\n" * 100)
    store = VerdictStore(path)
    with pytest.raises(Verdict3DError, match=r"v\.db cannot be used.*its verdicts are asked again"):
        store.rows()
    with pytest.raises(Verdict3DError, match=r"v\.db cannot be used.*its verdicts are asked again"):
        store.ask(LetterJudge(), [pair("a", "b")])
    (tmp_path / "file").touch()
    with pytest.raises(Verdict3DError, match="cannot be used"):
        VerdictStore(tmp_path / "file/v.db").ask(LetterJudge(), [pair("a", "b")])


def test_a_run_that_goes_on_has_the_same_rows(tmp_path: Path) -> None:
    asked = [pair(chr(97 + number), chr(98 + number)) for number in range(11)]
    VerdictStore(tmp_path / "whole.db").ask(LetterJudge(), asked)
    VerdictStore(tmp_path / "killed.db").ask(LetterJudge(), asked[:8])
    judge = LetterJudge()
    VerdictStore(tmp_path / "killed.db").ask(judge, asked)
    assert [len(batch) for batch in judge.asked] == [3]
    assert VerdictStore(tmp_path / "killed.db").rows() == VerdictStore(tmp_path / "whole.db").rows()


def _die_while_writing(path: Path) -> None:
    """Write two of a batch's three verdicts and be gone."""
    find, calls = store_module._find, iter(range(100))

    def dying(*arguments: Any) -> Verdict | None:
        if next(calls) == 5:  # three looks before the judge is asked, then one before each row
            os._exit(9)
        return find(*arguments)

    store_module._find = dying
    VerdictStore(path).ask(LetterJudge(), [pair("a", "b"), pair("c", "a"), pair("e", "f")])


def test_a_killed_writer_leaves_no_part_of_a_batch(tmp_path: Path) -> None:
    store = VerdictStore(tmp_path / "v.db")
    store.ask(LetterJudge(), [pair("m", "n")])
    worker = multiprocessing.get_context("spawn").Process(target=_die_while_writing, args=(store.path,))
    worker.start()
    worker.join()
    assert worker.exitcode == 9 and [row["x"] for row in store.rows()] == ["m"]
    judge = LetterJudge()
    store.ask(judge, [pair("a", "b"), pair("c", "a"), pair("e", "f")])
    assert [len(batch) for batch in judge.asked] == [3] and len(store.rows()) == 4


def test_a_removed_file_starts_anew(tmp_path: Path) -> None:
    judge, store = LetterJudge(), VerdictStore(tmp_path / "v.db")
    store.ask(judge, [pair("a", "b")])
    store.path.unlink()
    store.ask(judge, [pair("a", "b")])
    assert len(judge.asked) == 2 and len(store.rows()) == 1


def _write(path: Path, worker: int) -> None:
    """Ask for ten pairs of one's own and ten that all workers ask for."""
    own = [pair(f"{chr(97 + number)}{worker}", f"z{worker}") for number in range(10)]
    shared = [pair(f"{chr(97 + number)}-all", "z-all") for number in range(10)]
    mixed = [request for both in zip(own, shared, strict=True) for request in both]
    answers = VerdictStore(path).ask(LetterJudge(batch_size=3), mixed)
    assert [answer.outcome for answer in answers] == ["loss"] * 20


def test_concurrent_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write, args=(path, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    rows = VerdictStore(path).rows()
    assert len(rows) == len({row["key"] for row in rows}) == 3 * 10 + 10
