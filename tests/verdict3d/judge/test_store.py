"""The verdict store: nothing is asked twice, nothing is lost."""

import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.judge_identities import make_identity
from verdict3d.errors import Verdict3DError
from verdict3d.judge import store as store_module
from verdict3d.judge.identity import JudgeIdentity
from verdict3d.judge.panel import PairRequest, Panel, look_alike
from verdict3d.judge.store import VerdictStore
from verdict3d.judge.verdict import Margins, Verdict

IDENTITY = make_identity()
BLANK = np.zeros((8, 8, 3), np.uint8)


class LetterJudge:
    """Prefers the mesh with the larger name; knows what it was asked."""

    def __init__(self, identity: JudgeIdentity = IDENTITY, batch_size: int = 4) -> None:
        self.identity, self.batch_size = identity, batch_size
        self.asked: list[list[tuple[str, str]]] = []

    def compare(self, requests: list[PairRequest]) -> list[Margins]:
        self.asked.append([(request.x, request.y) for request in requests])
        return [self.answer(request) for request in requests]

    def answer(self, request: PairRequest) -> Margins:
        if "broken" in (request.x, request.y):
            return Margins.invalid("bad_image", "cannot be read")
        preference = float(ord(request.x[0]) - ord(request.y[0]))
        return Margins(preference + 0.25, -preference + 0.25)


def pair(x: str, y: str, *views: str) -> tuple[PairRequest, ...]:
    """Questions about two meshes, from one view set when none is named."""
    return tuple(
        PairRequest(Panel(BLANK, BLANK, BLANK + 9), "reference", x, y, view) for view in views or ("rig",)
    )


def test_rows_hold_margins_and_hashes(tmp_path: Path) -> None:
    store = VerdictStore(tmp_path / "folder" / "verdicts.db")
    assert store.rows() == []
    store.ask(LetterJudge(), [pair("c", "a")])
    (row,) = store.rows()
    assert (row["m1"], row["m2"], row["reason"]) == (2.25, -1.75, "")
    assert row["judge"] == IDENTITY.answers
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
    assert back == there.flip() and len(judge.asked) == 1


@pytest.mark.parametrize("change", ["weights", "settings", "prompt", "mode", "panel", "dtype"])
def test_another_judge_is_asked_anew(tmp_path: Path, change: str) -> None:
    store = VerdictStore(tmp_path / "v.db")
    store.ask(LetterJudge(), [pair("a", "b")])
    other = LetterJudge(make_identity(**{change: "other"}))
    store.ask(other, [pair("a", "b")])
    assert other.asked and len(store.rows()) == 2
    moved = LetterJudge(make_identity(model="elsewhere"))
    store.ask(moved, [pair("a", "b")])
    assert not moved.asked
    store.ask(moved, [pair("a", "b", "another set")])
    assert len(moved.asked) == 1


def test_more_view_sets_ask_nothing_twice(tmp_path: Path) -> None:
    """Each set is on record by itself; the verdict over more of them is the one of a judge asked at once."""
    store, sets = VerdictStore(tmp_path / "v.db"), ("one", "two", "three")
    few = LetterJudge(make_identity(views=1, view_sets="first"))
    store.ask(few, [pair("a", "b", *sets[:1]), pair("c", "a", *sets[:1])])
    many = LetterJudge(make_identity(views=3, view_sets="all"), batch_size=12)
    assert few.identity.digest != many.identity.digest
    grown = store.ask(many, [pair("a", "b", *sets), pair("a", "c", *sets)])
    assert [len(batch) for batch in many.asked] == [4]  # two sets more of each pair
    assert [row["rig"] for row in store.rows()] == ["one", "one", "two", "three", "two", "three"]
    anew = VerdictStore(tmp_path / "other.db").ask(many, [pair("a", "b", *sets), pair("a", "c", *sets)])
    assert grown == anew and [len(verdict.sets) for verdict in grown] == [3, 3]
    again = LetterJudge(few.identity)
    store.ask(again, [pair("b", "a", *sets[:1])])
    assert not again.asked


def test_a_batch_is_as_many_pairs_as_have_so_many_view_sets(tmp_path: Path) -> None:
    judge = LetterJudge(make_identity(views=2), batch_size=5)
    store = VerdictStore(tmp_path / "v.db")
    store.ask(judge, [pair("a", "b", "1", "2"), pair("b", "c", "1", "2"), pair("c", "d", "1", "2")])
    assert [len(batch) for batch in judge.asked] == [4, 2]


def test_what_looks_the_same_from_every_view_set_is_not_asked(tmp_path: Path) -> None:
    judge, store = LetterJudge(make_identity(views=2)), VerdictStore(tmp_path / "v.db")
    alike = Panel(BLANK, BLANK, BLANK)
    looks_alike = tuple(PairRequest(alike, "reference", "a", "c", view) for view in "12")
    once = (looks_alike[0], *pair("a", "c", "2"))
    asked = [looks_alike, pair("b", "b", "1", "2"), once]
    assert [verdict.outcome for verdict in store.ask(judge, asked)] == ["same", "same", "loss"]
    assert judge.asked == [[("a", "c"), ("a", "c")]]
    verdicts = store.ask(judge, asked, equal_too=True)
    assert [len(verdict.sets) for verdict in verdicts] == [2, 2, 2] and len(store.rows()) == 4


def test_montages_that_differ_by_rounding_look_alike_and_those_with_a_small_part_do_not() -> None:
    montage = np.random.default_rng(0).integers(8, 247, size=(224, 224, 3), dtype=np.uint8)
    rounded, part = montage + 1, montage.copy()
    rounded[0, :3] += 20
    part[100:104, 100:104] ^= 64
    assert look_alike(montage, montage) and look_alike(montage, rounded) and look_alike(rounded, montage)
    assert not look_alike(montage, part) and not look_alike(part, montage)
    assert not look_alike(montage, montage[:112])


def test_invalid_verdicts_are_recorded_and_asked_again(tmp_path: Path) -> None:
    judge, store = LetterJudge(), VerdictStore(tmp_path / "v.db")
    for _ in range(2):
        (verdict,) = store.ask(judge, [pair("broken", "a")])
        assert verdict.outcome == "invalid" and verdict.row()["reason"] == "bad_image"
    assert len(judge.asked) == 2 and [row["reason"] for row in store.rows()] == ["bad_image"]


def test_a_verdict_that_was_invalid_is_replaced(tmp_path: Path) -> None:
    class Mended(LetterJudge):
        def answer(self, request: PairRequest) -> Margins:
            return Margins(1.5, -0.5)

    store = VerdictStore(tmp_path / "v.db")
    store.ask(LetterJudge(), [pair("broken", "a"), pair("c", "d")])
    assert store.ask(Mended(), [pair("broken", "a")]) == [Verdict.of((1.5, -0.5))]
    assert [(row["x"], row["m1"]) for row in store.rows()] == [("c", -0.75), ("broken", 1.5)]


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    path.write_bytes(b"\x00\xff rubbish\n" * 100)
    store = VerdictStore(path)
    with pytest.raises(Verdict3DError, match=r"v\.db cannot be used.*everything is asked again"):
        store.rows()
    with pytest.raises(Verdict3DError, match=r"v\.db cannot be used.*everything is asked again"):
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

    def dying(*arguments: Any) -> Margins | None:
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
