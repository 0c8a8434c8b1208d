"""Every record comes back from disk as it was written."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from verdict3d.records import assets, certificates, generations, pairs, promotion, results, verdicts, votes
from verdict3d.records.record import Record, as_values, read_record, read_rows, write_record, write_rows


def kinds(kind: type[Record] = Record) -> list[type[Record]]:
    """Every kind of record that is imported here."""
    found = [one for child in kind.__subclasses__() for one in kinds(child)]
    return found + ([kind] if "SCHEMA" in vars(kind) else [])


ROOMS = (assets, certificates, generations, pairs, promotion, results, verdicts, votes)
KINDS = [kind for kind in kinds() if kind.__module__ in {room.__name__ for room in ROOMS}]
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))


def test_schemas_are_names_of_one_kind_each() -> None:
    names = [kind.SCHEMA for kind in KINDS]
    assert len(set(names)) == len(names) >= 14
    assert all(name.startswith("verdict3d/") and name.rpartition("/")[2].isdecimal() for name in names)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_is_written_is_read(kind: type[Record], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.from_type(kind), max_size=3))
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder, "rows.jsonl"), rows)
        assert read_rows(Path(folder, "rows.jsonl"), kind) == rows
        for row in rows[:1]:
            write_record(Path(folder, "row.json"), row)
            assert read_record(Path(folder, "row.json"), kind) == row
            assert json.loads(json.dumps(as_values(row)))["schema"] == kind.SCHEMA
