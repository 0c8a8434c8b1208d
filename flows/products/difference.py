"""What changed between two runs: parameters, data, judges, win-rates on what both compared, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import numpy as np

from flows.products.drift import collect_drift
from flows.products.run_files import RunFiles
from tasks.paths import ASSETS, DECISION, EVALUATE
from tasks.tracking.run_values import flatten
from verdict3d.config_judges import JudgeRole
from verdict3d.project import locate_certificate
from verdict3d.provenance import digest_json
from verdict3d.randomness import numpy_generator
from verdict3d.records.assets import Asset
from verdict3d.records.certificates import Certificate
from verdict3d.records.decisions import Decision
from verdict3d.records.differences import (
    AssetChanges,
    AssetNamed,
    ChangedValue,
    DecisionChange,
    Difference,
    JudgeChange,
    PairChange,
    Paired,
    RateDifference,
)
from verdict3d.records.record import as_values
from verdict3d.records.recorded_runs import PastRate
from verdict3d.records.results import Results
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.stats.multiplicity import holm
from verdict3d.stats.paired import PairedEstimate, compare_means, compare_rates

PairKey = tuple[str, str, int]
GeneratorFor = Callable[[str], np.random.Generator]


def compare_runs(before: RunFiles, after: RunFiles, history: Sequence[PastRate], root: Path) -> Difference:
    """Compare two runs; what one of them does not keep is named in ``left_out``.

    Args:
        before: The earlier run.
        after: The later one.
        history: Ties and flips of the runs so far, from :mod:`tasks.registry.recorded`.
        root: Folder with the parameters and checkpoints whose conditioner looks at new photos.
    """
    evaluate = after.params["evaluate"]
    confidence, resamples = float(evaluate["confidence"]), int(evaluate["bootstrap"])

    def generator_for(name: str) -> np.random.Generator:
        return numpy_generator(int(after.params["seed"]), "diff", name)

    assets = [
        {row.id: row for row in run.rows(ASSETS / "assets.jsonl", Asset) or ()} for run in (before, after)
    ]
    changes = compare_assets(before, after, *assets) if all(assets) else None
    same = _list_same(changes, assets[1])
    rates, pairs = [], []
    for arm in sorted({*before.arms, *after.arms}):
        found, changed = _compare_arm(before, after, arm, same, generator_for, resamples, confidence)
        rates += found
        pairs += changed
    judges = [_compare_judge(before, after, role) for role in get_args(JudgeRole)]
    drift = (
        collect_drift(before, after, assets[0], assets[1], changes, generator_for, root) if changes else []
    )
    return Difference(
        before=before.named,
        after=after.named,
        confidence=confidence,
        parameters=compare_parameters(before.params, after.params),
        assets=changes,
        judges=[judge for judge in judges if judge is not None],
        rates=_adjust(rates),
        pairs=sorted(pairs, key=_loudest),
        decisions=_compare_decisions(before, after),
        drift=drift,
        history=list(history),
        left_out=list(dict.fromkeys([*before.left_out, *after.left_out])),
    )


def compare_parameters(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[ChangedValue]:
    """Return the parameters that differ, by name."""
    old, new = dict(flatten(before)), dict(flatten(after))
    return [
        ChangedValue(name=name, before=old.get(name), after=new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def compare_assets(
    before: RunFiles, after: RunFiles, old: Mapping[str, Asset], new: Mapping[str, Asset]
) -> AssetChanges:
    """Return which assets came, went and changed: their mesh, their clean photo, or their split."""

    def change(name: str) -> list[str]:
        was, now = old[name], new[name]
        photos = before.digest(was.condition), after.digest(now.condition)
        parts = {
            "mesh": was.digest != now.digest,
            "photo": photos[0] != photos[1],
            "split": was.split != now.split,
        }
        return [part for part, differs in parts.items() if differs]

    changed = {name: what for name in sorted(set(old) & set(new)) if (what := change(name))}
    return AssetChanges(
        before=len(old),
        after=len(new),
        both=len(set(old) & set(new)) - len(changed),
        came=[_name_asset(new[name]) for name in sorted(set(new) - set(old))],
        went=[_name_asset(old[name]) for name in sorted(set(old) - set(new))],
        changed=[_name_asset(new[name], what) for name, what in changed.items()],
    )


def _name_asset(asset: Asset, changed: Sequence[str] = ()) -> AssetNamed:
    return AssetNamed(id=asset.id, category=asset.category, split=asset.split, changed=list(changed))


def _list_same(changes: AssetChanges | None, new: Mapping[str, Asset]) -> set[str] | None:
    """Return the objects that are the same in both runs; None where that is not known."""
    if changes is None:
        return None
    other = {one.id for one in [*changes.came, *changes.changed]}
    return set(new) - other


def _compare_arm(
    before: RunFiles,
    after: RunFiles,
    arm: str,
    same: set[str] | None,
    generator_for: GeneratorFor,
    resamples: int,
    confidence: float,
) -> tuple[list[RateDifference], list[PairChange]]:
    """Return an arm's win-rates in both runs, by regime, and the pairs with another verdict."""
    results = [_read_results(run, arm) for run in (before, after)]
    verdicts = [_read_verdicts(run, arm) for run in (before, after)]
    regimes = sorted({regime for one in results if one for regime in one.regimes})
    rates, changed = [], []
    for regime in regimes:
        both = [
            (verdicts[0][key], row)
            for key, row in sorted(verdicts[1].items())
            if key in verdicts[0] and key[1] == regime and (same is None or key[0] in same)
        ]
        named = f"{arm} {regime}"
        found = compare_rates(both, _prefix(generator_for, named), resamples, confidence)
        scores = [
            (old.object, old.arm.f_score, new.arm.f_score)
            for old, new in both
            if old.arm.f_score is not None and new.arm.f_score is not None
        ]
        f_score = compare_means(scores, generator_for(f"{named} F-score"), resamples, confidence)
        summaries = [
            one.regimes[regime].summary if one and regime in one.regimes else None for one in results
        ]
        rates.append(
            RateDifference(
                arm=arm,
                regime=regime,
                before=summaries[0],
                after=summaries[1],
                objects=found.objects,
                pairs=found.pairs,
                half_credit=_paired(found.half_credit),
                decisive=_paired(found.decisive),
                f_score=_paired(f_score),
                tie_rate=_paired(found.tie_rate),
                flip_rate=_paired(found.flip_rate),
            )
        )
        changed += [_name_change(arm, old, new) for old, new in both if old.outcome != new.outcome]
    return rates, changed


def _prefix(generator_for: GeneratorFor, named: str) -> GeneratorFor:
    return lambda name: generator_for(f"{named} {name}")


def _read_results(run: RunFiles, arm: str) -> Results | None:
    return run.record(EVALUATE / arm / "results.json", Results) if arm in run.arms else None


def _read_verdicts(run: RunFiles, arm: str) -> dict[PairKey, HeldoutVerdict]:
    rows = run.rows(EVALUATE / arm / "verdicts.jsonl", HeldoutVerdict) if arm in run.arms else None
    return {(row.object, row.regime, row.seed): row for row in rows or ()}


def _name_change(arm: str, old: HeldoutVerdict, new: HeldoutVerdict) -> PairChange:
    return PairChange(
        arm=arm,
        regime=new.regime,
        object=new.object,
        category=new.category,
        seed=new.seed,
        before=old.outcome,
        after=new.outcome,
        d_before=old.d,
        d_after=new.d,
    )


def _loudest(change: PairChange) -> tuple[float, str, str, str, int]:
    moved = abs((change.d_after or 0.0) - (change.d_before or 0.0))
    return -moved, change.arm, change.regime, change.object, change.seed


def _paired(found: PairedEstimate) -> Paired:
    return Paired(**asdict(found), p_adjusted=None)


def _adjust(rates: Iterable[RateDifference]) -> list[RateDifference]:
    """Return the rates with p-values that hold for all of them together."""
    rates = list(rates)
    p_values = {
        str(place): rate.half_credit.p_value
        for place, rate in enumerate(rates)
        if rate.half_credit.p_value is not None
    }
    adjusted = holm(p_values)
    return [
        rate.model_copy(
            update={
                "half_credit": rate.half_credit.model_copy(update={"p_adjusted": adjusted.get(str(place))})
            }
        )
        for place, rate in enumerate(rates)
    ]


def _compare_judge(before: RunFiles, after: RunFiles, role: JudgeRole) -> JudgeChange | None:
    """Return a judge in both runs; None where neither asks it."""
    asked = [run for run in (before, after) if run.params["judges"].get(role)]
    path = locate_certificate(role)
    old, new = (run.record(path, Certificate) if run in asked else None for run in (before, after))
    if old is None and new is None:
        return None
    values = (old.judge.model_dump(), new.judge.model_dump()) if old and new else ({}, {})
    return JudgeChange(
        role=role,
        before=old.judge if old else None,
        after=new.judge if new else None,
        changed=[name for name, value in values[1].items() if values[0][name] != value],
        certified_before=old.passed if old else None,
        certified_after=new.passed if new else None,
        certificate_before=digest_json(as_values(old)) if old else None,
        certificate_after=digest_json(as_values(new)) if new else None,
        reasons=new.reasons if new else [],
    )


def _compare_decisions(before: RunFiles, after: RunFiles) -> list[DecisionChange]:
    words = []
    for run in (before, after):
        found = run.record(DECISION, Decision)
        words.append({arm: one.decision for arm, one in found.arms.items()} if found else {})
    return [
        DecisionChange(arm=arm, before=words[0].get(arm), after=words[1].get(arm))
        for arm in sorted({*words[0], *words[1]})
    ]
