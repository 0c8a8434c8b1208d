"""A de-biased VLM judge for single-image-to-3D generators, and the library that adapts them with it.

What stands in ``__all__`` is the public interface. Importing it takes no time: each name is loaded when it is
first used. Everything else of this package may change from one release to the next; docs/python.md says how
public names change.

    import verdict3d

    judge = verdict3d.Judge.load()
    verdict = judge.compare("chair.png", "a.glb", "b.glb")
    print(verdict.outcome, verdict.d, verdict.b)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verdict3d.errors import ItemFailure as ItemFailure
    from verdict3d.errors import Verdict3DError as Verdict3DError
    from verdict3d.interface import gate as gate
    from verdict3d.interface.auditing import audit as audit
    from verdict3d.interface.judge import Judge as Judge
    from verdict3d.interface.pipeline import Pipeline as Pipeline
    from verdict3d.interface.pipeline import load_pipeline as load_pipeline
    from verdict3d.interface.rates import win_rate as win_rate
    from verdict3d.interface.results import read_results as read_results
    from verdict3d.mesh.files import read_mesh as read_mesh
    from verdict3d.mesh.files import write_mesh as write_mesh

    __version__: str

_PLACES = {
    "Judge": "verdict3d.interface.judge",
    "Pipeline": "verdict3d.interface.pipeline",
    "load_pipeline": "verdict3d.interface.pipeline",
    "audit": "verdict3d.interface.auditing",
    "win_rate": "verdict3d.interface.rates",
    "read_results": "verdict3d.interface.results",
    "read_mesh": "verdict3d.mesh.files",
    "write_mesh": "verdict3d.mesh.files",
    "Verdict3DError": "verdict3d.errors",
    "ItemFailure": "verdict3d.errors",
}
"""Module of each public name that is no module itself."""

__all__ = [
    "ItemFailure",
    "Judge",
    "Pipeline",
    "Verdict3DError",
    "__version__",
    "audit",
    "gate",
    "load_pipeline",
    "read_mesh",
    "read_results",
    "win_rate",
    "write_mesh",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    from importlib import import_module

    if name == "__version__":
        from verdict3d.versions import find_own_version

        value: Any = find_own_version()
    elif name == "gate":
        value = import_module("verdict3d.interface.gate")
    elif name in _PLACES:
        value = getattr(import_module(_PLACES[name]), name)
    else:
        raise AttributeError(f"module 'verdict3d' has no attribute {name!r}; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
