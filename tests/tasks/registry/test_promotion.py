"""Versions, aliases and their trace in a real embedded MLflow, with a tiny generator of real classes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from support.decisions import decided
from tasks.registry.promotion import _parse_number
from tasks.registry.promotion_record import RefusedError
from tasks.scoring.champion import read_champion
from verdict3d.adapt.adapter import save_adapter
from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.records.adapters import read_card
from verdict3d.records.decisions import Decision
from verdict3d.records.files import read_json, write_json
from verdict3d.records.holdout import HoldoutSet
from verdict3d.records.promotion import PromotionRecord
from verdict3d.records.record import as_values, read_record, write_record

pytestmark = pytest.mark.slow

ARM = "conditioner_repair"
Project = tuple[Path, Params]


@contextmanager
def standing_in(root: Path) -> Iterator[None]:
    """Work in a project, with its embedded MLflow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        yield


@pytest.fixture(scope="module")
def cycle(tiny_chain: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A tiny project with a lock file, as DVC would have written it, after :func:`go_round`."""
    root, params = tiny_chain
    copy = Path(shutil.copytree(root, tmp_path_factory.mktemp("registry") / "project"))
    (copy / "dvc.lock").write_text("schema: '2.0'\nstages:\n  gate:\n    cmd: python -m tasks.gate\n")
    for certificate in copy.glob("data/certify/*/certificate.json"):
        write_json(certificate.with_name("metrics.json"), {})  # which the stage writes beside it
    with standing_in(copy):
        go_round((copy, params))
    return copy, params


@pytest.fixture
def project(cycle: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy after the cycle, for one test, which works in it."""
    root = Path(shutil.copytree(cycle[0], tmp_path / "project"))
    with standing_in(root):
        yield root, cycle[1]


def registry() -> Any:
    from tasks.registry.versions import Registry

    return Registry()


def uses() -> list[HoldoutSet]:
    """Return what held-out objects have been used for."""
    from tasks.tracking.registered_model import read_uses

    return read_uses(registry().client)


def another_candidate(root: Path, params: Params, number: int, evaluated: bool = True) -> None:
    """Train something else: move the weights and generate with them, as the stages would."""
    import tasks.evaluate

    folder = root / f"data/train/{ARM}"
    card = read_card(folder)
    weights = load_file(folder / "adapter_model.safetensors")
    moved = {name: tensor + 0.01 * number * torch.ones_like(tensor) for name, tensor in weights.items()}
    save_adapter(moved, card, card.measures, folder)
    if evaluated:
        tasks.evaluate.run(params, root, ARM)
    (root / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  gate:\n    cmd: candidate {number}\n")


def act(project: Project, *arguments: str) -> dict[str, Any]:
    """Run a command of ``tasks.registry.promotion`` as the command line does, in this process."""
    from tasks.registry.promotion import promote, rollback, sync

    root, params = project
    command, *rest = arguments
    if command == "promote":
        return as_values(promote(params, root, Path(), "", registry(), *rest))
    return as_values(rollback(registry(), *rest) if command == "rollback" else sync(Path(), registry()))


def waits(root: Path) -> bool:
    """Tell whether the next scheduled run would act on the decision below ``root``."""
    from tasks.registry.promotion_record import has_waiting_decision

    return has_waiting_decision(root, root, "")


def kept_uses(root: Path) -> list[dict[str, int]]:
    """Return the answers about each arm in every earlier use of held-out objects."""
    return [found["arms"] for found in read_json(root / "data/registry/holdout.json")["sets"]]


def go_round(project: Project) -> None:
    """First champion, a worse one rejected, an undecided one held, a better one promoted, and back again."""
    root, params = project
    decided(root, "PROMOTE")
    assert waits(root)
    first = act(project, "promote")
    assert not waits(root)
    assert first["moved"] and first["version"] == 1
    champion = registry().find_aliased("champion")
    assert champion.tags["verified"].split()[0] == champion.tags["verified"].split()[2]
    assert champion.tags["previous"] == "base" and champion.tags["record"] == first["digest"]
    assert registry().find_aliased("challenger") is None

    # the record is in the run of these results, with the word as a tag, and made again it has the same bytes
    client = registry().client
    run = client.get_run(champion.run_id)
    parent = client.get_run(run.data.tags["mlflow.parentRunId"])
    assert (
        parent.data.tags[f"decision.{ARM}"] == "PROMOTE" and "met" in parent.data.tags["mlflow.note.content"]
    )

    # the arm's model, with its numbers, and the version name each other
    model = client.get_logged_model(champion.tags["model"])
    assert (model.name, model.source_run_id) == (ARM, champion.run_id)
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "verdict3d", "version": 1}]
    name = "1_result/win_rate"
    assert {one.key: one.value for one in model.metrics}[name] == run.data.metrics[name]
    kept = root / f".verdict3d/promotions/verdict3d/{first['digest']}.json"
    sent = client.download_artifacts(parent.info.run_id, f"promotion/{kept.name}", str(root.parent))
    assert Path(sent).read_bytes() == kept.read_bytes()
    from tasks.registry.promotion_record import explain, make_record

    again = root.parent / "again.json"
    write_record(again, make_record(params, root))
    assert again.read_bytes() == kept.read_bytes()
    assert "stage gate: " in explain(read_record(kept, PromotionRecord))

    # a candidate that was compared with the base cannot replace a champion that came in between
    another_candidate(root, params, 1)
    decided(root, "PROMOTE")
    with pytest.raises(Verdict3DError, match="decision was made against the base, but version 1"):
        act(project, "promote")
    assert waits(root)  # the next run compares with the champion of that moment, and acts
    assert act(project, "sync")["changed"] and read_champion(root).version == 1
    assert not act(project, "sync")["changed"]
    earlier = {first["record"]["candidate"]["adapter"]: 10}
    assert kept_uses(root) == [earlier]

    decided(root, "REJECT")
    rejected = act(project, "promote")
    assert rejected["version"] is None and len(registry().list_versions()) == 1
    assert registry().find_champion().version == 1

    decided(root, "HOLD")
    held = act(project, "promote")
    assert (held["version"], held["moved"]) == (2, False)
    assert held["record"]["decision"]["arms"][ARM]["outlook"]["chances"]
    assert (
        registry().find_champion().version,
        int(registry().find_aliased("challenger").version),
    ) == (1, 2)

    decided(root, "PROMOTE")
    better = act(project, "promote")
    assert better["moved"] and registry().find_champion().version == better["version"] == 3
    assert registry().find_aliased("champion").tags["previous"] == "1"
    adapters = [found["record"]["candidate"]["adapter"] for found in (first, better)]
    (used,) = uses()
    assert used.objects == ["o1", "o2"] and used.arms == dict.fromkeys(adapters, 10)

    # its own decision counts from the next candidate on; that it was counted makes nothing stale
    assert act(project, "sync")["changed"] and not act(project, "sync")["changed"]
    assert kept_uses(root) == [earlier]

    assert act(project, "rollback", "", "chairs got worse")["champion"]["version"] == 1
    assert registry().find_version(3).tags["rolled_back"] == "chairs got worse"

    # the gate would promote it once more, and would be right about its numbers: people know better
    with pytest.raises(RefusedError, match=r"version 3 .* rolled back at 20..-.*: chairs got worse.*--force"):
        act(project, "promote")
    assert registry().find_champion().version == 1 and len(registry().list_versions()) == 3
    assert act(project, "rollback")["champion"]["version"] is None
    with pytest.raises(Verdict3DError, match="nothing to go back to"):
        act(project, "rollback")
    assert act(project, "rollback", "3", "they did not")["champion"]["version"] == 3
    assert registry().find_rolled_back(better["record"]["candidate"]["adapter"]) is None


def test_a_run_that_nobody_acts_on_has_used_its_objects(project: Project) -> None:
    from tasks.tracking.mlflow_runs import send_waiting
    from tasks.tracking.outbox import Outbox
    from tasks.tracking.run_record import collect_run

    root, _ = project
    decided(root, "REJECT")
    path, before = root / "data/gate/decision.json", uses()
    decision = read_record(path, Decision)
    other = decision.holdout.model_copy(update={"arms": {"tried and left": 6}, "audits": {"judge": 9}})
    write_record(path, decision.model_copy(update={"holdout": other}))
    (root / "dvc.lock").write_text("schema: '2.0'\nstages:\n  gate:\n    cmd: tried and left\n")
    outbox = Outbox(root)
    outbox.put(collect_run(root, "quick"))
    assert uses() == before and len(send_waiting(outbox)) == 1

    # what another preset asked of these objects counts here, and the larger number of the audit's answers
    (used,) = uses()
    assert used.arms == before[0].arms | {"tried and left": 6} and used.audits == {"judge": 9}
    path.unlink()
    assert act(project, "sync")["changed"] and kept_uses(root) == [used.arms]


def test_one_cycle_leaves_its_trace(project: Project) -> None:
    assert (registry().find_champion().version, len(registry().list_versions())) == (3, 3)
    moves = [(move["from"], move["to"]) for move in registry().read_moves()]
    assert moves == [(None, 1), (1, 3), (3, 1), (1, None), (None, 3)]
    assert (
        "the hold" not in json.dumps(registry().read_moves())
        and "they did not" in registry().read_moves()[-1]["why"]
    )


def test_a_version_knows_what_it_was_made_of(project: Project, tmp_path: Path) -> None:
    from tasks.registry.reproduction import fetch

    into = tmp_path / "fetched"
    into.mkdir()
    better = fetch("3", registry(), into)
    tags = registry().find_version(3).tags
    assert (better.arm, better.adapter, better.key) == (ARM, tags["adapter"], tags["dvc.lock"])
    assert (into / "params.yaml").read_bytes() == (project[0] / "params.yaml").read_bytes()
    assert read_champion(into).version == 1  # whom it was compared with, with its adapter
    with pytest.raises(Verdict3DError, match="no version 77"):
        fetch("77", registry(), into)


def test_force_leaves_a_trace_and_stops_at_certificates(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    root, _ = project
    act(project, "rollback", "1", "for now")
    act(project, "sync")
    decided(root, "HOLD", certified=False)
    with (
        registry().alone(),
        pytest.raises(Verdict3DError, match=r"promotion of verdict3d: process .* try again"),
    ):
        act(project, "promote")
    assert waits(root)
    with pytest.raises(Verdict3DError, match="no force without valid certificates"):
        act(project, "promote", "", "a demonstration")
    decided(root, "PROMOTE")
    with pytest.raises(RefusedError, match=r"rolled back at .*: for now"):
        act(project, "promote")
    decided(root, "REJECT")
    forced = act(project, "promote", "", "a demonstration")
    said = capfd.readouterr().out
    assert "has this very adapter; the new version" in said and "batch 1 of " in said
    assert forced["moved"] and forced["decision"] == "REJECT"
    champion = registry().find_aliased("champion")
    assert champion.tags["forced"] == "a demonstration" and champion.tags["decision"] == "REJECT"
    assert registry().read_moves()[-1]["why"] == "forced: a demonstration"
    assert forced["record"]["forced"] == "a demonstration"
    assert registry().find_rolled_back(champion.tags["adapter"]) is None  # and so it may be promoted again


def test_bytes_that_differ_keep_the_champion(project: Project) -> None:
    """The adapter is not the one that was evaluated: what the model makes is not what was judged."""
    root, params = project
    another_candidate(root, params, 2, evaluated=False)
    act(project, "sync")
    decided(root, "PROMOTE")
    before = registry().find_champion()
    assert waits(root)
    with pytest.raises(RefusedError, match="does not give the evaluated bytes"):
        act(project, "promote")
    assert not waits(root)  # asked again it would be refused again
    assert registry().find_champion() == before
    right, _, items, _ = registry().list_versions()[0].tags["verified"].split()
    assert int(right) < int(items)


@pytest.mark.parametrize("text", ["²", "1.0", "-1", "", "latest"])
def test_what_is_no_number_is_no_version(text: str) -> None:
    with pytest.raises(Verdict3DError, match="is no version: give a number, or base"):
        _parse_number(text)
