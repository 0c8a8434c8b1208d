"""The public interface: its names and signatures are a promise, and importing it costs nothing."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import verdict3d
from support.places import ROOT

PROMISED = {
    "Judge": "(settings: 'JudgeParams', rig: 'Rig', network: 'AuditedJudge') -> 'None'",
    "Judge.load": "(model: 'str | Path | None' = None, *, role: 'JudgeRole' = 'evaluation', "
    "project: 'str | Path | None' = None, revision: 'str | None' = None, panel: 'PanelKind | None' = None, "
    "views: 'int | None' = None, device: 'str | None' = None) -> 'Self'",
    "Judge.compare": "(self, photo: 'str | Path', a: 'str | Path | Mesh', b: 'str | Path | Mesh', *, "
    "up: 'Up' = 'auto') -> 'PairOfMeshes'",
    "Judge.panel": None,
    "Judge.digest": None,
    "Pipeline": "(generator: 'Generator', photos: 'PhotosParams') -> 'None'",
    "Pipeline.generate": "(self, photo: 'str | Path', *, seed: 'int' = 0, steps: 'int | None' = None) "
    "-> 'Mesh'",
    "load_pipeline": "(model: 'str | Path | None' = None, adapter: 'str | Path | None' = None, *, "
    "device: 'str | None' = None, background: 'str | None' = None) -> 'Pipeline'",
    "audit": "(judge: 'Judge', meshes: 'Sequence[str | Path]', photos: 'Sequence[str | Path] | None' = None, "
    "*, up: 'Up' = 'auto', seed: 'int' = 0) -> 'Trials'",
    "win_rate": "(rows: 'Iterable[Answered | Mapping[str, Any]] | pd.DataFrame', *, resamples: 'int' = 2000, "
    "confidence: 'float' = 0.95, seed: 'int' = 0) -> 'WinRate'",
    "gate": None,
    "gate.decide": "(evidence: 'Mapping[str, Evidence] | str | Path', rule: 'Rule | None' = None, *, "
    "seed: 'int | None' = None) -> 'dict[str, ArmDecision]'",
    "gate.read_evidence": "(path: 'str | Path') -> 'dict[str, Evidence]'",
    "gate.read_rule": "(path: 'str | Path') -> 'Rule'",
    "read_results": "(folder: 'str | Path') -> 'dict[str, pd.DataFrame]'",
    "read_mesh": "(path: 'str | Path', limits: 'MeshLimits | None' = None, up_axis: 'Up' = 'auto') -> 'Mesh'",
    "write_mesh": "(mesh: 'Mesh', path: 'str | Path') -> 'None'",
    "Verdict3DError": None,
    "ItemFailure": "(reason: 'str', message: 'str') -> 'None'",
    "__version__": None,
}
"""Public names with their signatures. docs/python.md has the rule that a change here follows."""

HEAVY = ("torch", "transformers", "pandas", "numpy", "scipy", "trimesh", "pydantic", "PIL", "moderngl")


def look_up(name: str) -> object:
    found: object = verdict3d
    for part in name.split("."):
        found = getattr(found, part)
    return found


def test_the_public_names_are_those_promised() -> None:
    assert {name.partition(".")[0] for name in PROMISED} == set(verdict3d.__all__) == set(dir(verdict3d))
    for owner in ("Judge", "Pipeline"):
        members = {f"{owner}.{name}" for name in vars(look_up(owner)) if not name.startswith("_")}
        assert members == {name for name in PROMISED if name.startswith(f"{owner}.")}
    functions = {f"gate.{name}" for name in verdict3d.gate.__all__ if name.islower()}
    assert functions == {name for name in PROMISED if name.startswith("gate.")}


@pytest.mark.parametrize("name", [name for name, signature in PROMISED.items() if signature])
def test_signatures_are_those_promised(name: str) -> None:
    found = look_up(name)
    assert callable(found)
    assert str(inspect.signature(found)) == PROMISED[name]


@pytest.mark.parametrize("name", [name for name in PROMISED if name != "__version__"])
def test_every_public_name_is_documented(name: str) -> None:
    text = inspect.getdoc(look_up(name))
    assert text and text.splitlines()[0].endswith((".", "?", "answers."))


def test_the_version_is_that_of_the_package() -> None:
    assert verdict3d.__version__ == version("verdict3d")


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Jugde'; it has .*Judge"):
        verdict3d.Jugde  # noqa: B018


def test_importing_takes_nothing_along() -> None:
    """0.3 s are allowed; what takes long is the packages, so none may be imported. No test asserts a time."""
    code = (
        f"import sys; before = set(sys.modules); import verdict3d; verdict3d.__all__; dir(verdict3d)\n"
        f"print(sorted(set(sys.modules) - before), [name for name in {HEAVY!r} if name in sys.modules])"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert said.endswith("[]\n")
    assert "'verdict3d'" in said and "verdict3d." not in said


TYPED = """
import verdict3d

judge = verdict3d.Judge.load()
reveal_type(judge.compare("photo.png", "a.glb", "b.glb"))
reveal_type(verdict3d.win_rate([]))
reveal_type(verdict3d.load_pipeline("model", adapter="adapter").generate("photo.png"))
reveal_type(verdict3d.audit(judge, []))
reveal_type(verdict3d.gate.decide({}))
reveal_type(verdict3d.__version__)
verdict3d.Judge.load(role="nobody")
"""


@pytest.mark.slow
def test_the_types_are_seen_by_who_imports_the_package(tmp_path: Path) -> None:
    from importlib.resources import files

    from mypy.api import run

    assert (
        files("verdict3d").joinpath("py.typed").is_file()
    )  # without it every name is Any to others (PEP 561)
    (tmp_path / "typed.py").write_text(TYPED)
    said, _, _ = run(["--config-file", str(ROOT / "pyproject.toml"), str(tmp_path / "typed.py")])
    revealed = re.findall(r'Revealed type is "(?:[a-z0-9_]+\.)*([^"]+)"', said)
    assert revealed == [
        "PairOfMeshes",
        "WinRate",
        "Mesh",
        "Trials",
        "dict[str, verdict3d.records.decisions.ArmDecision]",
        "str",
    ]
    assert 'Argument "role" to "load" of "Judge" has incompatible type' in said
