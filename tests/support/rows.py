"""Records whose other fields do not matter to a test."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from verdict3d.records.record import RecordPart

P = TypeVar("P", bound=RecordPart)


def filled(kind: type[P], /, **fields: Any) -> P:
    """A record with these fields; each other one is None where it may be, else the simplest of its type."""
    others = {
        name: _plain(field.annotation) for name, field in kind.model_fields.items() if name not in fields
    }
    return kind(**others, **fields)


def _plain(kind: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _plain(inner[0])
    if origin is Literal:
        return inner[0]
    if origin in (Union, types.UnionType):
        return None if type(None) in inner else _plain(inner[0])
    if origin is tuple:
        return tuple(_plain(one) for one in inner)
    if origin in (list, dict):
        return origin()
    return filled(kind) if issubclass(kind, RecordPart) else kind()
