"""What held-out objects were used for goes on counting when others are added."""

from __future__ import annotations

from tasks.scoring.holdout import set_identity, use_of
from verdict3d.records.holdout import HoldoutSet

OLD = [f"old {number}" for number in range(64)]
NEW = [f"new {number}" for number in range(64)]


def used(objects: list[str], arms: dict[str, int], audits: dict[str, int] | None = None) -> HoldoutSet:
    return HoldoutSet(objects=sorted(objects), arms=arms, audits=audits or {})


def test_one_added_object_starts_no_new_count() -> None:
    """The digest of a list was the identity: 65 objects were a set that nothing had been asked of."""
    earlier = [used(OLD, {"a": 640, "b": 640}, {"judge": 128})]
    found = use_of("c", used([*OLD, "one more"], {"c": 650}), earlier)
    assert (found.candidates, found.looks) == (3, 1)
    assert found.queries == 650 + 640 + 640 + 128


def test_adding_objects_and_asking_again_is_another_look() -> None:
    first = used(OLD, {"a": 640}, {"judge": 64})
    grown = used([*OLD, *NEW], {"a": 1280}, {"judge": 128})
    found = use_of("a", grown, [first])
    assert found.looks == 2 and found.candidates == 1
    assert found.queries == 1280 + 128  # the first 640 and 64 are among them
    assert use_of("a", first, [first]).looks == 1  # the same decision made again
    assert use_of("b", used([*OLD, *NEW], {"b": 1}), [first]).looks == 1
    assert use_of("a", used(NEW, {"a": 640}), [first]).looks == 1  # other objects


def test_other_objects_do_not_count() -> None:
    found = use_of("a", used(NEW, {"a": 640}), [used(OLD, {"b": 640}, {"judge": 9})])
    assert (found.candidates, found.queries, found.looks) == (1, 640, 1)
    assert set_identity(used(OLD, {})) == set_identity(used(OLD, {"x": 1})) != set_identity(used(NEW, {}))
