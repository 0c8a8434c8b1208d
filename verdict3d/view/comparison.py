"""The page of a comparison of folders: numbers first, then what the judge can do here, then every pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verdict3d.judge.audit.trials import describe_trials, name_trial
from verdict3d.records.comparisons import Comparison, Duel, PairOfMeshes
from verdict3d.records.names import Outcome
from verdict3d.records.numbers import Summary
from verdict3d.view.content import Illustration
from verdict3d.view.environment import make_environment
from verdict3d.view.links import PairLinks
from verdict3d.view.words import say_interval, say_number, say_p_value, say_ties


@dataclass(frozen=True)
class PairExhibit:
    """One pair on the page; a picture is None where there is nothing to show."""

    row: PairOfMeshes
    photo: Illustration | None
    mine: Illustration | None
    theirs: Illustration | None


def render_comparison(
    comparison: Comparison,
    exhibits: Sequence[PairExhibit],
    in_colour: Sequence[PairExhibit],
    group: str = "",
    pairs_page: str | None = None,
) -> str:
    """Return the page as one HTML document.

    Everything that comes from outside (names, reasons, tags) is escaped; the page's content policy forbids
    scripts and all loading except of pictures that lie beside it. The same comparison gives the same text.

    Args:
        comparison: What was found.
        exhibits: Every pair.
        in_colour: Every pair that was shown in colour.
        group: What the page of pairs calls the comparison.
        pairs_page: Address of the page of pairs that numbers lead to; None: they lead nowhere.
    """
    return (
        make_environment()
        .get_template("comparison.html.j2")
        .render(
            comparison=comparison,
            exhibits=exhibits,
            in_colour=in_colour,
            group=group,
            pairs=PairLinks(pairs_page),
            headline=say_headline(comparison),
            believing=say_what_to_know(comparison),
            not_apart=say_not_apart(comparison),
            left_out=say_left_out(comparison),
            colour_words=say_colours(comparison),
            trial_name=name_trial,
            p_words=say_p_value,
            pair_outcome=say_outcome,
            tone=choose_tone,
        )
    )


def describe_comparison(comparison: Comparison) -> list[str]:
    """Return a comparison in lines for a terminal."""
    lines = [say_headline(comparison)]
    for duel in comparison.duels:
        lines.append(f"  {say_duel(duel)}")
        lines += [f"    {tag}: {_say_rate(part)}, {part.pairs} pairs" for tag, part in duel.by_tag.items()]
    if comparison.board is not None:
        for one in comparison.board.ranked:
            place = "-" if one.rank is None else str(one.rank)
            strength = one.strength
            lines.append(
                f"  rank {place} ({one.rank_low} to {one.rank_high})  {one.side}  strength "
                f"{say_number(strength.value)} [{say_interval(strength.low, strength.high)}]"
            )
        lines += [f"  {sentence}" for sentence in say_not_apart(comparison)]
    lines.append(f"  {say_colours(comparison)}")
    lines += [f"    {say_duel(duel)}" for duel in comparison.colours.duels]
    lines += [f"  {sentence}" for sentence in say_left_out(comparison)]
    return lines + [f"  {sentence}" for sentence in say_what_to_know(comparison)]


def say_headline(comparison: Comparison) -> str:
    """Return the one sentence that a reader should take home."""
    if comparison.board is not None:
        first = [one.side for one in comparison.board.ranked if one.rank_high == 1]
        if first:
            return f"{first[0]} is the best of {len(comparison.sides)}"
        ranked = [one for one in comparison.board.ranked if one.rank is not None]
        if not ranked:
            return "Nothing could be compared"
        leading = [one.side for one in ranked if one.rank_low == 1]
        return f"No best of {len(comparison.sides)}: {', '.join(leading)} may be"
    for duel in comparison.duels:
        found = choose_tone(duel.summary)
        if found != "even":
            better, worse = (duel.x, duel.y) if found == "good" else (duel.y, duel.x)
            return f"{better} is better than {worse}"
        if duel.summary.half_credit.value is not None:
            return f"No clear difference between {duel.x} and {duel.y}"
    return "Nothing could be compared"


def choose_tone(found: Summary) -> str:
    """Return ``good`` where X is better, ``bad`` where Y is, else ``even``: by half-credit's interval."""
    half = found.half_credit
    if half.low is not None and half.low > 0.5:
        return "good"
    return "bad" if half.high is not None and half.high < 0.5 else "even"


def say_duel(duel: Duel) -> str:
    """Return two sides' numbers in a line."""
    found = duel.summary
    decisive, failed = found.decisive, duel.failed_x + duel.failed_y
    parts = [
        f"{duel.x} against {duel.y}: {_say_rate(found)}",
        f"decisive {say_number(decisive.value)} ({decisive.wins} won, {decisive.losses} lost)",
        f"coverage {say_number(found.coverage)}",
        say_ties(found),
        f"exact sign test p {say_p_value(found.p_value)}",
    ]
    if failed:
        parts.append(f"lost for want of a mesh: {duel.failed_x} by {duel.x}, {duel.failed_y} by {duel.y}")
    if found.invalid:
        parts.append(f"{found.invalid} without a verdict")
    return "; ".join(parts)


def say_not_apart(comparison: Comparison) -> list[str]:
    """Return which sides are not told apart, in words."""
    if comparison.board is None:
        return []
    open_pairs = [pair for pair in comparison.board.apart if not pair.told]
    if not open_pairs:
        return ["Every two of them are told apart."]
    names = "; ".join(f"{pair.better} and {pair.worse}" for pair in open_pairs)
    return [f"Not told apart ({len(open_pairs)} of {len(comparison.board.apart)} pairs): {names}."]


def say_left_out(comparison: Comparison) -> list[str]:
    """Return what is missing or was set aside, in words."""
    words = []
    for side in comparison.sides:
        if side.failures:
            reasons = ", ".join(f"{count} {reason}" for reason, count in side.failures.items())
            words.append(f"{side.name} lost for want of a usable mesh: {reasons}.")
        if side.unmatched:
            some = ", ".join(side.unmatched[:5]) + (", ..." if len(side.unmatched) > 5 else "")
            words.append(f"{len(side.unmatched)} files of {side.name} have no photo: {some}.")
    if comparison.refused:
        some = ", ".join(f"{one.photo} ({one.reason})" for one in comparison.refused[:5])
        more = ", ..." if len(comparison.refused) > 5 else ""
        words.append(f"{len(comparison.refused)} photos were left out: {some}{more}.")
    return words


def say_what_to_know(comparison: Comparison) -> list[str]:
    """Return what a reader must know about the judge before believing it."""
    judge = comparison.judge
    certified = "holds a certificate of this project" if comparison.certified else "holds no certificate here"
    words = [f"The {comparison.role} judge {judge.model} ({judge.panel}, {judge.mode}) {certified}."]
    if comparison.trials is None:
        return [
            *words,
            "It was not tried on these meshes (--no-audit): nothing says what it sees in them.",
        ]
    return words + describe_trials(comparison.trials)


def say_colours(comparison: Comparison) -> str:
    """Return what was asked about colours, or why nothing was."""
    colours = comparison.colours
    if colours.reason:
        return f"Colours were not asked about: {colours.reason}."
    return f"Colours, an axis of their own: {colours.surfaces} pairs have a surface on both sides."


def say_outcome(row: PairOfMeshes) -> str:
    """Return a pair's verdict in words."""
    plain: dict[Outcome, str] = {
        "win": f"{row.x} better",
        "loss": f"{row.y} better",
        "same": "Same mesh: not asked",
        "flip": "Flip: orders disagree",
        "close": "Close: within its error",
        "invalid": "No verdict",
    }
    return plain[row.outcome]


def _say_rate(found: Summary) -> str:
    half = found.half_credit
    return f"half-credit {say_number(half.value)} [{say_interval(half.low, half.high)}]"
