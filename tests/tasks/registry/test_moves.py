"""The champion's moves: any number of them, and those that nobody wrote down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.registry.promotion import rollback
from tasks.registry.versions import CHAMPION, FOUND, MOVE, MOVES, SHOWN_MOVES, Registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry in a SQLite file, with four versions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
        found = Registry()
        found.open()
        for number in range(1, 5):
            tags = {"arm": "arm", "adapter": f"{number:064d}"}
            found.client.create_model_version(found.name, "drill:/none", tags=tags, await_creation_for=0)
        yield found


def ways(registry: Registry) -> list[tuple[int | None, int | None]]:
    return [(move["from"], move["to"]) for move in registry.read_moves()]


@pytest.mark.slow
def test_moves_have_no_bound_and_none_is_left_out(registry: Registry) -> None:
    registry.client.set_registered_model_tag(
        registry.name, MOVES, '[{"from": null, "to": 1, "why": "promoted", "record": null}]'
    )  # as it was kept before
    registry.point(CHAMPION, 1)
    rollback(registry, "2", "one")
    registry.point(CHAMPION, 3)  # by hand, or by a promotion that was killed before it wrote this down
    rollback(registry, "4", "two")
    assert ways(registry) == [(None, 1), (1, 2), (2, 3), (3, 4)]
    assert [move["why"] for move in registry.read_moves()][1:] == [
        "rolled back: one",
        FOUND,
        "rolled back: two",
    ]
    for number in range(30):
        registry.add_move(4, 4, f"move {number} {'and so on ' * 300}", None)
    assert len(registry.read_moves()) == 34 and all(
        key.startswith(MOVE) or key == MOVES for key in registry.read_notes()
    )
    description = registry.client.get_registered_model(registry.name).description
    assert description.count("\n* ") == SHOWN_MOVES and len(description) < 5000
    assert "without the first 14" in description and "move 29" in description
