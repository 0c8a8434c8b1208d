"""Whether a run may generate: not with judges that fail on its objects, unless it was told to."""

from __future__ import annotations

from pathlib import Path

import pytest

import tasks.admission
from support.audit_examples import write_audit
from support.places import ROOT
from verdict3d.config import Params, load_params
from verdict3d.errors import Verdict3DError
from verdict3d.records.certificates import Admission, Certificate
from verdict3d.records.record import read_record, write_record

SAID = Path("data/admission/admission.json")


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(ROOT / "params.yaml")


def audited(root: Path, params: Params, **passed: bool) -> None:
    """Audits of 16 objects, and what they are made to say."""
    for role, fate in passed.items():
        write_audit(root, params, role)
        path = root / "data/audit" / role / "certificate.json"
        found = read_record(path, Certificate)
        reasons = [] if fate else ["clear_gap: lower bound of half-credit 0.500 is 0.250 below 0.75"]
        write_record(path, found.model_copy(update={"passed": fate, "reasons": reasons}))


def test_admission_says_the_same_of_any_judges_that_passed(tmp_path: Path, params: Params) -> None:
    said = []
    for name in ("one", "two"):
        audited(tmp_path / name, params, training=True, evaluation=True)
        tasks.admission.run(params, tmp_path / name)
        said.append((tmp_path / name / SAID).read_bytes())
    assert said[0] == said[1] and not read_record(tmp_path / "one" / SAID, Admission).uncertified


def test_every_judge_that_fails_is_named_with_what_to_do(tmp_path: Path, params: Params) -> None:
    audited(tmp_path, params, training=False, evaluation=False)
    with pytest.raises(Verdict3DError) as refusal:
        tasks.admission.run(params, tmp_path)
    for role in ("training", "evaluation"):
        assert f"the {role} judge (judge-{role}) cannot be believed about these objects: clear_gap" in str(
            refusal.value
        )
    assert "--allow-uncertified" in str(refusal.value) and not (tmp_path / SAID).exists()


def test_judges_that_fail_go_on_where_that_is_allowed(
    tmp_path: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    audited(tmp_path, params, training=True, evaluation=False)
    audit = params.audit.model_copy(update={"allow_uncertified": True})
    tasks.admission.run(params.model_copy(update={"audit": audit}), tmp_path)
    assert read_record(tmp_path / SAID, Admission).uncertified
    assert "the evaluation judge (judge-evaluation) cannot be believed" in capsys.readouterr().err
