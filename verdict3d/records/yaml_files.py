"""YAML files, read as DVC reads them: by YAML 1.2, where ``017`` is 17, and ``yes`` and ``1:30`` are text."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verdict3d.errors import Verdict3DError

if TYPE_CHECKING:
    from ruamel.yaml import YAML
    from ruamel.yaml.nodes import Node

MOST_BYTES = 2**20
MOST_VALUES = 100_000
"""Values that a file may hold when its aliases are written out."""
MOST_LEVELS = 100
"""Levels that a file may be nested: Python's own limit depends on what else runs in the process."""


def read_yaml(path: str | Path) -> Any:
    """Read the one document of a file; None when it is empty.

    Raises:
        Verdict3DError: The file is missing, is no YAML, names a key twice, is too large or too deep.
    """
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        with Path(path).open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise Verdict3DError(f"{path} is larger than {MOST_BYTES // 2**20} MiB")
        return _make_parser().load(content.decode("utf-8"))
    except FileNotFoundError as error:
        raise Verdict3DError(f"{path} is missing") from error
    except MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        raise Verdict3DError(f"{path}{line} is not YAML: {error.problem}") from error
    except (YAMLError, ValueError) as error:  # such as bytes that are not UTF-8, and 30 February
        raise Verdict3DError(f"{path} is not YAML: {error}") from error
    except _TooLargeError as error:
        raise Verdict3DError(f"{path} {error}") from error


def format_yaml(values: Any) -> str:
    """Return values as YAML that :func:`read_yaml` and DVC read as the same values; keys keep their order."""
    text = io.StringIO()
    _make_parser().dump(values, text)
    return text.getvalue()


class _TooLargeError(Exception):
    """A document that is larger than it looks, or too deep."""


def _make_parser() -> YAML:
    from ruamel.yaml import YAML
    from ruamel.yaml.composer import Composer
    from ruamel.yaml.constructor import SafeConstructor

    class Levels(Composer):
        """Counts the levels of a document before anything is made of it."""

        level = 0

        def compose_node(self, parent: Node | None, index: int) -> Any:
            if self.level >= MOST_LEVELS:
                raise _TooLargeError("is nested too deeply")
            self.level += 1
            try:
                return super().compose_node(parent, index)
            finally:
                self.level -= 1

    class Constructor(SafeConstructor):
        """Looks at the size before anything is made of a document."""

        def construct_document(self, node: Node) -> Any:
            _count_values(node, {})
            return super().construct_document(node)

    parser = YAML(typ="safe", pure=True)
    parser.Composer, parser.Constructor = Levels, Constructor
    parser.default_flow_style = False
    parser.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    return parser


def _count_values(node: Node, counts: dict[int, int]) -> int:
    """Return the number of values below a node with aliases written out; ``counts`` holds known ones.

    Raises:
        _TooLargeError: There are more than ``MOST_VALUES``, or a node holds itself.
    """
    from ruamel.yaml.nodes import MappingNode

    known = counts.get(id(node))
    if known is None:
        counts[id(node)] = MOST_VALUES  # what a node that holds itself finds
        parts = node.value if isinstance(node.value, list) else []
        if isinstance(node, MappingNode):
            parts = [part for pair in parts for part in pair]
        known = counts[id(node)] = 1 + sum(_count_values(part, counts) for part in parts)
    if known > MOST_VALUES:
        raise _TooLargeError(f"holds more than {MOST_VALUES:,} values, aliases written out")
    return known
