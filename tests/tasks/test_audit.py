"""The audit from end to end: the shipped judges on controls of known answers, and bad ones in their place."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import tasks.audit
import tasks.certify
import tasks.controls
import tasks.gate
import tasks.label
import tasks.report
from support.audited_project import write_audited_project
from support.rows import filled
from tasks.pairs import describe_candidate
from tasks.paths import read_assets, read_generations
from tasks.tracking.run_values import make_certificate_tags
from verdict3d.asking.certificates import require_certificate, with_chosen_panels
from verdict3d.asking.pairings import STORE
from verdict3d.config import Params, load_params
from verdict3d.errors import Verdict3DError
from verdict3d.judge.audit.controls import CONTROLS
from verdict3d.judge.audit.planted import PLANTED, AuditedJudge, plant
from verdict3d.judge.identity import identify
from verdict3d.judge.loading import load_judge
from verdict3d.judge.panel import PairRequest
from verdict3d.judge.rubric import SLOTS
from verdict3d.judge.store import VerdictStore
from verdict3d.judge.verdict import Margins
from verdict3d.mesh.damage import KINDS
from verdict3d.mesh.equivalents import EQUIVALENTS
from verdict3d.pretrain.embedded import build_judge
from verdict3d.provenance import digest_directory
from verdict3d.records.certificates import Certificate
from verdict3d.records.files import read_json, read_jsonl
from verdict3d.records.pairs import Pair
from verdict3d.records.record import read_record, write_record, write_rows
from verdict3d.records.results import JudgeUsed, Labels

pytestmark = pytest.mark.slow

Project = tuple[Path, Params]
ROLES = ("training", "evaluation")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("audited")
    params = write_audited_project(root)
    tasks.controls.run(params, root)
    for role in ROLES:
        tasks.audit.run(params, root, role)
        tasks.certify.run(params, root, role)
    return root, params


def certificate(project: Project, role: str) -> dict[str, Any]:
    found: dict[str, Any] = read_json(project[0] / "data/certify" / role / "certificate.json")
    return found


def test_every_control_is_asked(project: Project) -> None:
    root, params = project
    pairs = read_jsonl(root / "data/controls/pairs.jsonl")
    ladder = [pair for pair in pairs if pair["control"] == "ladder"]
    cells = {(pair["defect"], pair["grade"]) for pair in ladder}
    assert cells == {(defect, grade) for defect in KINDS for grade in (1, 4, 5)}
    assert len(ladder) == len(cells) * params.audit.rows_per_defect
    assert {pair["defect"] for pair in pairs if pair["control"] == "null"} == set(EQUIVALENTS)
    for pair in pairs:
        assert pair["x"]["failure"] is None and pair["y"]["failure"] is None
        if pair["control"] == "null":
            assert pair["x"]["mesh_digest"] != pair["y"]["mesh_digest"]
        if pair["control"] == "clean_but_wrong":
            assert pair["category"] not in pair["y"]["montages"]["normal"]
        if pair["control"] == "colour":
            assert pair["x"]["montages"].keys() == {"rgb"}
    for role in ROLES:
        rows = read_jsonl(root / "data/audit" / role / "verdicts.jsonl")
        assert {row["panel"] for row in rows} == {
            "three_images",
            "two_sheets",
            "reference_free",
            "seven_images",
        }
        assert {row["mode"] for row in rows} == {"normal", "splat", "rgb"}
        assert {row["outcome"] for row in rows} <= {"win", "loss", "flip"}
        assert set(certificate(project, role)["controls"]) == set(CONTROLS) - {"camera"}  # one view set


@pytest.mark.parametrize("role", ROLES)
def test_the_shipped_judges_answer_by_what_they_see(project: Project, role: str) -> None:
    """Eight objects are too few for a certificate, and enough for what planted judges cannot do."""
    found = {name: one["quantity"]["value"] for name, one in certificate(project, role)["controls"].items()}
    assert found["null"] <= 0.2 and abs(found["position"] - 0.5) < 0.15
    assert found["clear_gap"] >= 0.75 and found["untaught_gap"] >= 0.6 and found["clean_but_wrong"] >= 0.75
    assert found["reference_shuffled"] > 0.1


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_bad_judges_fail(project: Project, fault: str) -> None:
    root, params = project
    before = digest_directory(root / "data/audit")
    found = tasks.audit.drill(params, root, "evaluation", fault)
    assert not found.passed
    failed = {name for name, control in found.controls.items() if not control.passed}
    assert (
        failed
        >= {
            "always-first": {"clear_gap", "clean_but_wrong"},
            "reference-blind": {"reference_shuffled", "reference_removed"},
            "coin-flip": {"null", "clear_gap"},
            "follows-the-camera": {"null", "clear_gap"},
        }[fault]
    )
    assert digest_directory(root / "data/audit") == before


def test_a_judge_that_follows_the_camera_is_refused_by_its_control(tmp_path: Path) -> None:
    params = write_audited_project(tmp_path, objects=4, views=4)
    tasks.controls.run(params, tmp_path)
    found = tasks.audit.drill(params, tmp_path, "evaluation", "follows-the-camera")
    camera = found.controls["camera"]
    assert not camera.passed and camera.quantity.value is not None and abs(camera.quantity.value - 0.5) < 0.2


def test_a_judge_of_the_first_slot_is_caught_on_equal_generations(project: Project, tmp_path: Path) -> None:
    root, params = project
    judge = plant("always-first", load_judge(params.judges.evaluation, root))
    found, _ = tasks.certify.certify(params, root, "evaluation", judge, VerdictStore(tmp_path / "drill.db"))
    position = found.controls["position"]
    assert not found.passed and not position.passed and position.quantity.value == 1.0


def test_the_same_audit_asks_nothing_and_writes_the_same_bytes(project: Project, tmp_path: Path) -> None:
    root, params = tmp_path / "again", project[1]
    shutil.copytree(project[0], root)
    folders = ("data/audit", "data/certify")
    before = [digest_directory(root / folder) for folder in folders]
    store = VerdictStore(root / STORE).rows()
    tasks.audit.run(params, root, "evaluation")
    tasks.certify.run(params, root, "evaluation")
    assert [digest_directory(root / folder) for folder in folders] == before
    assert VerdictStore(root / STORE).rows() == store
    controls = digest_directory(root / "data/controls")
    tasks.controls.run(params, root)
    assert digest_directory(root / "data/controls") == controls


def test_an_untrained_judge_is_refused_and_marked_where_it_is_allowed(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "untrained"
    shutil.copytree(project[0], root)
    build_judge("qwen2_5_vl", seed=11).save(tmp_path / "judge")
    judges = project[1].judges
    training = judges.training.model_copy(update={"model": str(tmp_path / "judge")})
    params = project[1].model_copy(update={"judges": judges.model_copy(update={"training": training})})
    judge = identify(training, tmp_path)
    with pytest.raises(Verdict3DError, match="certificate is for another judge: weights, settings differ"):
        require_certificate(params, root, "training", judge)
    tasks.audit.run(params, root, "training")
    tasks.certify.run(params, root, "training")
    with pytest.raises(Verdict3DError) as refusal:
        require_certificate(params, root, "training", judge)
    assert "failed the control clear_gap" in str(refusal.value) and "lower bound of half-credit" in str(
        refusal.value
    )
    assert "--allow-uncertified" in str(refusal.value)
    allowed = params.model_copy(update={"audit": params.audit.model_copy(update={"allow_uncertified": True})})
    record = require_certificate(allowed, root, "training", judge)
    assert record.certified is False and record.objections
    assert "not certified" in capsys.readouterr().err
    tags = make_certificate_tags(read_record(root / "data/certify/training/certificate.json", Certificate))
    assert tags["judge.training.certified"] == "false" and "clear_gap" in tags["judge.training.failed"]


def test_with_uncertified_judges_allowed_the_gate_takes_no_certificate(
    project: Project, tmp_path: Path
) -> None:
    root, params = project
    digests = {role: certificate(project, role)["judge"]["digest"] for role in ROLES}
    (root / "data/label").mkdir(exist_ok=True)
    used = filled(Labels, judge=filled(JudgeUsed, digest=digests["training"]))
    write_record(root / "data/label/metrics.json", used)
    allowed = params.model_copy(update={"audit": params.audit.model_copy(update={"allow_uncertified": True})})
    for found in tasks.gate.read_certificates(allowed, root, digests["evaluation"]).values():
        assert found.state == "open" and "allow_uncertified" in found.words


def test_the_report_shows_the_audit(project: Project) -> None:
    root, params = project
    report = tasks.report.gather(load_params(root / "params.yaml"), root)
    assert [audit.role for audit in report.audits] == list(ROLES)
    assert set(report.audits[0].pictures) == {
        *("original", "damaged", "original_splat", "damaged_splat", "reference", "right", "wrong")
    }
    (kappa,) = report.agreements
    assert kappa["pairs"] > 50 and -1 <= kappa["value"] <= 1
    tasks.report.run(params, root)
    page = (root / "data/report/index.html").read_text()
    assert "Can the judges be trusted?" in page and "Splats hide geometry" in page


def test_a_third_judge_is_audited_and_stands_beside_the_others(project: Project, tmp_path: Path) -> None:
    root = tmp_path / "third"
    shutil.copytree(project[0], root)
    build_judge("internvl", seed=11).save(tmp_path / "judge-third")
    values = project[1].model_dump()
    values["judges"]["third"] = values["judges"]["evaluation"] | {"model": str(tmp_path / "judge-third")}
    values["audit"]["roles"] = [*ROLES, "third"]
    params = Params.model_validate(values)
    tasks.audit.run(params, root, "third")
    tasks.certify.run(params, root, "third")
    found = read_record(root / "data/certify/third/certificate.json", Certificate)
    assert not found.passed and "clear_gap" in " ".join(found.reasons)  # it has not been trained
    assert set(found.lineage.shared) == set(ROLES)
    report = tasks.report.gather(params, root)
    agreed = {(row["one"], row["other"]): row for row in report.agreements}
    assert set(agreed) == {("training", "evaluation"), ("training", "third"), ("evaluation", "third")}
    assert agreed["training", "evaluation"]["value"] > agreed["evaluation", "third"]["value"]
    tags = make_certificate_tags(found)
    assert tags["judge.third.certified"] == "false"


class SeesOnlyTwoSheets:
    """The real judge's answers on three images, given where two sheets are shown; else the first slot."""

    def __init__(self, judge: AuditedJudge, real: AuditedJudge) -> None:
        self.judge, self.real = judge, real
        self.identity, self.batch_size = judge.identity, judge.batch_size

    def showing(self, panel: str, mode: str) -> SeesOnlyTwoSheets:
        return SeesOnlyTwoSheets(self.judge.showing(panel, mode), self.real.showing("three_images", mode))

    def compare(self, requests: Sequence[PairRequest]) -> list[Margins]:
        if self.identity.panel == "two_sheets":
            return self.real.compare(list(requests))
        return [Margins(2.0, 2.0) for _ in requests]


@pytest.fixture
def sheets(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy without verdicts, whose audits find judges that see only two sheets."""
    root = tmp_path / "sheets"
    shutil.copytree(project[0], root, ignore=shutil.ignore_patterns(".verdict3d"))
    for stage in (tasks.audit, tasks.certify):
        monkeypatch.setattr(
            stage,
            "load_judge",
            lambda *asked, **how: SeesOnlyTwoSheets(load_judge(*asked, **how), load_judge(*asked, **how)),
        )
    allowed = project[1].audit.model_copy(update={"allow_uncertified": True})
    return root, project[1].model_copy(update={"audit": allowed})


def test_the_panel_that_the_audit_chose_is_the_one_that_labels(
    project: Project, sheets: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    root, params = sheets
    tasks.audit.run(params, root, "training")
    tasks.certify.run(params, root, "training")
    assert "panel two_sheets, chosen by this audit" in capsys.readouterr().out
    found, usual = certificate(sheets, "training"), certificate(project, "training")
    assert found["judge"]["panel"] == found["panel"]["chosen"] == "two_sheets"
    assert found["judge"]["digest"] != usual["judge"]["digest"]
    credit = found["panel"]["credit"]
    assert credit["two_sheets"] == usual["panel"]["credit"]["three_images"] > 1.0
    assert {credit[kind] for kind in SLOTS if kind != "two_sheets"} == {1.0}
    for name, control in found["controls"].items():  # all is asked, with the chosen panel
        assert control["half_credit"] == usual["controls"][name]["half_credit"]
    asset = read_assets(root)[0]
    made = read_generations(root)[:3]  # of the first asset
    sides = {"x": describe_candidate(made[0]), "y": describe_candidate(made[2])}
    pair = filled(Pair, id="pair", asset=asset.id, reference=asset.condition, expected="x", **sides)
    write_rows(root / "data/pairs/pairs.jsonl", [pair])
    tasks.label.run(params, root)
    assert read_json(root / "data/label/metrics.json")["judge"]["digest"] == found["judge"]["digest"]
    assert VerdictStore(root / STORE).rows()[-1]["panel"] == "two_sheets"


def test_a_fixed_panel_is_audited_though_another_does_better(
    sheets: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    root, params = sheets
    training = params.judges.training.model_copy(update={"panel": "three_images"})
    fixed = params.model_copy(update={"judges": params.judges.model_copy(update={"training": training})})
    tasks.audit.run(fixed, root, "training")
    tasks.certify.run(fixed, root, "training")
    found = certificate(sheets, "training")
    assert found["judge"]["panel"] == "three_images" and found["panel"]["asked"] == "three_images"
    assert not found["passed"] and "two_sheets" in found["warnings"][-1]
    assert "warning: judges.training.panel fixes three_images" in capsys.readouterr().err
    assert found["warnings"][-1] in tasks.report.gather(fixed, root).warnings
    assert with_chosen_panels(fixed, root).judges.training == training
