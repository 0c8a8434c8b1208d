"""Drill: commands get damaged weights, records, pictures and meshes, odd names, numbers and addresses.

Every case copies a small finished project, spoils one thing, and calls one command in a process of its own.
Each has to end by itself, with status 1 or 2 and a short message that names what is wrong, without a
traceback and without a password; or to do its work all the same, where a default stands in for what is bad.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from support.command_line import call_command_line
from support.odd_files import ODD_FILES
from support.places import ROOT
from support.tiny_project import run_tiny_chain
from support.tiny_trellis import tiny_photo

LIMIT_S = 120.0
LONGEST = 2000
"""Characters of a message."""
PASSWORD = "secretpw"
GENERATOR, JUDGE = "data/checkpoints/generator", "data/checkpoints/judge-evaluation"
ARM = "data/train/conditioner_repair"
NETWORK = f"{GENERATOR}/ckpts/sparse_structure_flow_model"
ASK = ("judge", "--reference", "photo.png", "a.glb", "b.glb")
MAKE = ("generate", "photo.png", "-o", "made.glb", "--steps", "1")
ADAPTED = (*MAKE, "--arm", "conditioner_repair")
DRAW = ("render", "a.glb", "-o", "drawn.png")
Spoil = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        name: What is bad.
        arguments: What is called.
        named: What the message has to hold; None where the command has to do its work all the same.
        spoil: Makes the input bad, in the project's folder.
        environment: Variables that differ.
    """

    name: str
    arguments: tuple[str, ...]
    named: str | None
    spoil: Spoil = lambda project: None
    environment: dict[str, str] = field(default_factory=dict)


def write(place: str, content: bytes, project: Path) -> None:
    (project / place).unlink()
    (project / place).write_bytes(content)


def lose(place: str, project: Path) -> None:
    (project / place).unlink()


def cut(place: str, project: Path) -> None:
    os.truncate(project / place, (project / place).stat().st_size // 2)


def flip(place: str, project: Path) -> None:
    content = bytearray((project / place).read_bytes())
    content[-1] ^= 0x40
    (project / place).write_bytes(content)


def change_tensors(place: str, change: Callable[[dict[str, np.ndarray]], object], project: Path) -> None:
    held = load_file(project / place)
    change(held)
    save_file(held, project / place, {"format": "pt"})


def fill_all(held: dict[str, np.ndarray]) -> None:
    held.update({name: np.full_like(array, np.nan) for name, array in held.items()})


def shorten_first(held: dict[str, np.ndarray]) -> None:
    held[min(held)] = held[min(held)].reshape(-1)[:1].copy()


def replace_by(what: Callable[[Path], object], place: str, project: Path) -> None:
    lose(place, project)
    what(project / place)


def write_preset(content: bytes, project: Path) -> None:
    lose("presets", project)
    (project / "presets").mkdir()
    (project / "presets/odd.yaml").write_bytes(content)


DAMAGE: dict[str, Callable[[str], Spoil]] = {
    "missing": lambda place: partial(lose, place),
    "{}": lambda place: partial(write, place, b"{}"),
    "[]": lambda place: partial(write, place, b"[]"),
    "null": lambda place: partial(write, place, b"null"),
    "cut": lambda place: partial(cut, place),
    "not UTF-8": lambda place: partial(write, place, b'{"a": "\xff"}'),
}
BEYOND = b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'
BAD_WEIGHTS: dict[str, Callable[[str], Spoil]] = {
    "missing": lambda place: partial(lose, place),
    "empty": lambda place: partial(write, place, b""),
    "cut": lambda place: partial(cut, place),
    "a page": lambda place: partial(write, place, b"<html>not found</html>"),
    "a header of 2^60 bytes": lambda place: partial(write, place, (2**60).to_bytes(8, "little") + b"{}"),
    "numbers beyond the end": lambda place: partial(write, place, len(BEYOND).to_bytes(8, "little") + BEYOND),
    "a tensor too few": lambda place: partial(change_tensors, place, lambda held: held.pop(min(held))),
    "a tensor of another shape": lambda place: partial(change_tensors, place, shorten_first),
    "numbers that are none": lambda place: partial(change_tensors, place, fill_all),
}
DEFAULTS = {
    ("tokenizer_config.json", "{}"),
    ("preprocessor_config.json", "{}"),
    ("verdict3d.json", "missing"),
}
"""What may be missing or empty: it changes who the judge is, not whether it is one."""
OTHER_NAMES = {
    ("card.json", "missing"): "conditioner_repair",  # an adapter without a card is none
    (f"{NETWORK}.safetensors", "numbers that are none"): "non_finite",  # what is made, or answered, tells
    (f"{JUDGE}/model.safetensors", "numbers that are none"): "non_finite_margin",
}


def list_weights() -> Iterator[Case]:
    """Yield damaged weights and what stands beside them."""
    adapter = f"{ARM}/adapter_model.safetensors"
    for place, command, named in (
        (f"{NETWORK}.safetensors", MAKE, "sparse_structure_flow_model"),
        (f"{JUDGE}/model.safetensors", ASK, "judge-evaluation"),
        (adapter, ADAPTED, "conditioner_repair"),
    ):
        for how, spoil in BAD_WEIGHTS.items():
            yield Case(f"{place}: {how}", command, OTHER_NAMES.get((place, how), named), spoil(place))
    yield Case(f"{adapter}: a bit flipped", ADAPTED, "conditioner_repair", partial(flip, adapter))
    for place, command in (
        (f"{NETWORK}.json", MAKE),
        (f"{GENERATOR}/pipeline.json", MAKE),
        (f"{GENERATOR}/image_cond_model/config.json", MAKE),
        (f"{ARM}/card.json", ADAPTED),
        (f"{JUDGE}/config.json", ASK),
        (f"{JUDGE}/tokenizer.json", ASK),
        (f"{JUDGE}/tokenizer_config.json", ASK),
        (f"{JUDGE}/preprocessor_config.json", ASK),
        (f"{JUDGE}/verdict3d.json", ASK),
    ):
        for how, spoil in DAMAGE.items():
            key = (Path(place).name, how)
            named = None if key in DEFAULTS else OTHER_NAMES.get(key, key[0])
            yield Case(f"{place}: {how}", command, named, spoil(place))


def list_records() -> Iterator[Case]:
    """Yield records of finished stages that hold nothing, or something else."""
    for place, command in (
        ("data/gate/decision.json", ("promote", "--explain")),
        ("data/gate/decision.json", ("status", "--json")),
        ("data/certify/evaluation/certificate.json", ("promote", "--explain")),
        ("dvc.lock", ("promote", "--explain")),
        ("data/evaluate/conditioner_repair/results.json", ("status",)),
        ("data/evaluate/conditioner_repair/verdicts.jsonl", ("view", "--json")),
        ("data/assets/assets.jsonl", ("view", "--json")),
        (".verdict3d/verdicts.db", ("verdicts", "list")),
    ):
        for how, spoil in DAMAGE.items():
            if how != "missing":
                yield Case(f"{' '.join(command)}: {place}: {how}", command, Path(place).name, spoil(place))


def list_files() -> Iterator[Case]:
    """Yield photos and meshes that are none."""
    bounds = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    contents = {"empty": b"", "a page": b"<html>", "PNG's head": b"\x89PNG\r\n\x1a\n", "PostScript": bounds}
    for how, content in (contents | {"GLB's head": b"glTF\2\0\0\0\xff\0\0\0"}).items():
        for command, place in ((MAKE, "photo.png"), (ASK, "photo.png"), (ASK, "a.glb"), (DRAW, "a.glb")):
            yield Case(f"{command[0]}: {place}: {how}", command, place, partial(write, place, content))
    for command, place in ((MAKE, "photo.png"), (ASK, "photo.png"), (ASK, "a.glb"), (DRAW, "a.glb")):
        yield Case(f"{command[0]}: {place}: missing", command, place, partial(lose, place))
        for how, what in {"a folder": Path.mkdir, "a pipe": os.mkfifo}.items():
            yield Case(f"{command[0]}: {place}: {how}", command, place, partial(replace_by, what, place))
    none = ("data/gate", "data/pairs")
    yield Case("generate: no photos", ("generate", none[0], "-o", "out"), none[0])
    yield Case("compare: no meshes", ("compare", *none, "--photos", none[0], "-o", "out"), none[0])
    yield Case("doctor: no meshes", ("doctor", "--meshes", none[0]), none[0])


def list_parameters() -> Iterator[Case]:
    """Yield files of parameters that are none."""
    for how, content in ODD_FILES.items():
        yield Case(f"params.yaml: {how}", ("status",), "params.yaml", partial(write, "params.yaml", content))
        if content:  # else it is a preset that changes nothing
            preset = ("status", "--preset", "odd")
            yield Case(f"odd.yaml: {how}", preset, "odd", partial(write_preset, content))


def list_names() -> Iterator[Case]:
    """Yield odd names, numbers and addresses on the command line and in the environment."""
    for preset in (
        "quick+",
        "/etc/passwd",
        "../..",
        "x; touch FILE #",
        "\u2028",
        "\udcff",
        "x" * 5000,
        "-",
    ):
        yield Case(f"preset {preset[:20]!a}", ("status", f"--preset={preset}"), "preset")
    for arguments, named in (
        (("status", "--preset="), "--preset"),
        (("status", "--preset", ""), "--preset"),
        ((*MAKE, "--arm="), "--arm"),
        ((*MAKE[:3], ""), "-o"),
        (("generate", " ", *MAKE[2:]), "argument 2"),
        (("render", "", *DRAW[2:]), "argument 2"),
        (("export", "", "hub"), "argument 2"),
        (("reproduce", ""), "argument 2"),
        (("reproduce", "\u2028"), "argument 2"),
        (("rollback", "--to", ""), "--to"),
        (("promote", "--arm", ""), "--arm"),
        (("diff", "before", ".", "--output="), "--output"),
        (("doctor", "--meshes="), "--meshes"),
        (("verdicts", "list", "--asset="), "--asset"),
    ):
        yield Case(f"{' '.join(arguments)!a}", arguments, named)
    for place in ("/proc/x/y.png", "photo.png/x.png", "x" * 300 + ".png", "page.html"):
        yield Case(f"render into {place[:20]}", (*DRAW[:3], place), place[:20])
    for number in ("abc", "0", "-1", "''", "1.5", "\u00b2", "1000000000"):
        variables = {"VERDICT3D_WORKERS": number}
        yield Case(f"VERDICT3D_WORKERS {number!a}", MAKE, None, environment=variables)  # one photo needs none
    for arm in ("nobody", "../../etc", "\udcff", "x; touch FILE #"):
        yield Case(f"generate by arm {arm!a}", (*MAKE, f"--arm={arm}"), "arm")
        yield Case(f"export arm {arm!a}", ("export", arm, "hub"), "arm")
    for version in ("\u00b2", "-1", "1.5", "9" * 5000, "base; rm", "\udcff"):
        yield Case(f"rollback to {version[:20]!a}", ("rollback", f"--to={version}"), "version")
    for reference in ("/etc/passwd", "zz", "0" * 40, "a'b", "%"):
        yield Case(f"reproduce {reference!a}", ("reproduce", reference), "version")
    for address in (
        "nonsense",
        f"ftp://user:{PASSWORD}@host/x",
        "databricks",
        "sqlite:////dev/null/x.db",
        f"http://user:{PASSWORD}@127.0.0.1:9",
        f"postgresql://user:{PASSWORD}@127.0.0.1:9/x",
        "http://[::1",
        "http://host:port/",
    ):
        variables = {"MLFLOW_TRACKING_URI": address}
        yield Case(f"MLflow at {address}", ("rollback",), "MLflow at", environment=variables)


GROUPS: dict[str, Callable[[], Iterator[Case]]] = {
    "weights": list_weights,
    "records": list_records,
    "files": list_files,
    "parameters": list_parameters,
    "names": list_names,
}


def main() -> int:
    """Run the drill, print what went wrong and a count, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=GROUPS, default=list(GROUPS), help="kinds of inputs")
    parser.add_argument("--every", type=int, default=1, help="try only each case of this number")
    parser.add_argument("--project", type=Path, help="a finished tiny project, made where it is missing")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = prepare(chosen.project or Path(folder, "finished"), Path(folder, "ready"))
        bad = 0
        print("| kind | cases | refused in a message | did their work | wrong |\n|---|---|---|---|---|")
        for group in chosen.only:
            cases = list(GROUPS[group]())[:: chosen.every]
            outcomes = [(case, *try_case(case, project)) for case in cases]
            wrong = [(case, said, problems) for case, status, said, problems in outcomes if problems]
            worked = sum(status == 0 and not problems for _, status, _, problems in outcomes)
            refused = len(cases) - worked - len(wrong)
            print(f"| {group} | {len(cases)} | {refused} | {worked} | {len(wrong)} |", flush=True)
            for case, said, problems in wrong:
                print(f"{case.name!a}: {', '.join(problems)}\n{said[-1500:]}", file=sys.stderr, flush=True)
            bad += len(wrong)
    return 1 if bad else 0


def prepare(finished: Path, ready: Path) -> Path:
    """Return a copy of a finished tiny project, made where it is missing, in which commands work."""
    if not (finished / "data/gate").exists():
        run_tiny_chain(finished)
    shutil.copytree(finished, ready)
    for name in ("tasks", "flows", "verdict3d", "presets"):
        (ready / name).symlink_to(ROOT / name)
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, ready)
    shutil.copytree(ROOT / ".dvc", ready / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    (ready / "dvc.lock").write_text("schema: '2.0'\nstages:\n  gate:\n    cmd: python -m tasks.gate\n")
    text = (ready / "params.yaml").read_text(encoding="utf-8")
    (ready / "params.yaml").write_text(text.replace(f"{finished}/", ""), encoding="utf-8")
    tiny_photo(0).save(ready / "photo.png")
    for name, mesh in zip("ab", sorted((ready / "data/assets/meshes").glob("*.glb")), strict=False):
        shutil.copy(mesh, ready / f"{name}.glb")
    call_command_line("rollback", cwd=ready)  # makes MLflow's database, and imports what is slow
    return ready


def try_case(case: Case, ready: Path) -> tuple[int | None, str, list[str]]:
    """Return a case's exit status, None where it did not end, what it said, and what is wrong with that."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "project")
        shutil.copytree(ready, project, symlinks=True)
        case.spoil(project)
        status, said = call(case, project)
        return status, said, judge_outcome(case, status, said)


def call(case: Case, project: Path) -> tuple[int | None, str]:
    """Return the exit status of a command, None where it did not end, and what it said."""
    report = project / "said.json"
    child = os.fork()
    if child == 0:
        os.setsid()
        os.environ.update(case.environment)
        try:
            called = call_command_line(*case.arguments, cwd=project)
            found = (called.returncode, called.stderr + called.stdout)
        except BaseException:
            found = (70, traceback.format_exc())
        report.write_text(json.dumps(found))
        os._exit(0)
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            status, said = json.loads(report.read_text()) if report.exists() else (71, "it died")
            return status, said
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None, ""


def judge_outcome(case: Case, status: int | None, said: str) -> list[str]:
    """Return what is wrong with how a command ended."""
    if status is None:
        return [f"no end within {LIMIT_S:.0f} s"]
    wrong = [word for word in ("Traceback (most recent", PASSWORD) if word in said]
    if case.named is None:
        return [*wrong, *([f"status {status}"] if status else [])]
    if status not in (1, 2):
        wrong.append(f"status {status}" if status else "accepted")
    if case.named not in said:
        wrong.append(f"{case.named!a} is not named")
    if len(said) > LONGEST:
        wrong.append(f"a message of {len(said)} characters")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
