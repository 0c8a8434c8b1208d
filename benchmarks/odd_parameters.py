"""Odd values at every place of the parameters: `python -m benchmarks.odd_parameters`.

Every value of `params.yaml` and the presets is replaced in turn by each odd value, left out, and joined by a
key that nobody knows; odd files come on top, which a limit of time and memory guards. Each has to be refused
in a message that names the place, or to be allowed: `--allowed` lists what is. Status 1 when anything else
happened.
"""

from __future__ import annotations

import argparse
import copy
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from verdict3d.config import check_params, load_params
from verdict3d.errors import Verdict3DError
from verdict3d.records.yaml_files import read_yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from support.odd_files import ODD_FILES  # noqa: E402

LIMIT_S = 20
LONGEST = 4000
"""Characters of a message."""
ODD: list[Any] = [
    None, True, 0, -1, 0.5, 10**30, float("inf"), float("nan"), "", " ", "017", "a\nb", "x; touch FILE #",
    "../../etc", "\u2028", "\ud800", "x" * 100_000, [], [None], ["a", "a"], [1.0, 0.0], {}, {"a": {"b": 1}},
]  # fmt: skip
"""What is put at every place."""


def list_places(values: Any, steps: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    """Yield the place of every value, sections and items of lists included."""
    inner = values.items() if isinstance(values, dict) else enumerate(values)
    for name, value in inner:
        yield (*steps, name)
        if isinstance(value, dict | list):
            yield from list_places(value, (*steps, name))


def change(values: Any, steps: tuple[int | str, ...], odd: Any, *, leave_out: bool = False) -> Any:
    """Return a copy with an odd value at a place, or without the place."""
    whole = copy.deepcopy(values)
    inner = whole
    for step in steps[:-1]:
        inner = inner[step]
    if leave_out:
        del inner[steps[-1]]
    else:
        inner[steps[-1]] = odd
    return whole


def try_parameters(values: Any, place: str) -> str:
    """Return "refused", "allowed", or what went wrong."""
    try:
        check_params(values, "params.yaml")
    except Verdict3DError as error:
        return judge_message(str(error), place)
    except Exception as error:  # what this command looks for
        return f"{type(error).__name__}: {error}"[:200]
    return "allowed"


def judge_message(message: str, place: str) -> str:
    """Return "refused" when a message names the place and can be read, else what is wrong with it."""
    if len(message) > LONGEST:
        return f"a message of {len(message)} characters"
    named = [step for step in place.split(".") if not step.isdecimal()][-2:]
    if not any(name in message for name in named):
        return f"the place is not named: {message[:200]!r}"
    try:
        message.encode()
    except UnicodeEncodeError:
        return "a message that cannot be printed"
    return "refused"


def try_values(values: Any) -> Iterator[tuple[str, str, str]]:
    """Yield every case of one set of parameters: its place, what was done there, the outcome."""
    for steps in list(list_places(values)):
        place = ".".join(map(str, steps))
        for odd in ODD:
            yield place, repr(odd)[:60], try_parameters(change(values, steps, odd), place)
        yield place, "left out", try_parameters(change(values, steps, None, leave_out=True), place)
        inner = change(values, steps, {"unknown_key": 1})
        yield place, "another key", try_parameters(inner, place)


def try_files() -> Iterator[tuple[str, str, str]]:
    """Yield every odd file, with its outcome."""

    def ring(number: int, frame: object) -> None:
        raise TimeoutError(f"no end within {LIMIT_S} s of the processor's time")

    before = signal.signal(signal.SIGPROF, ring)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "params.yaml")
            for name, content in ODD_FILES.items():
                path.write_bytes(content)
                signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
                try:
                    load_params(path)
                    outcome = "allowed, which no such file is"
                except Verdict3DError as error:
                    outcome = judge_message(str(error), "params.yaml")
                except Exception as error:  # what this command looks for
                    outcome = f"{type(error).__name__}: {error}"[:200]
                finally:
                    signal.setitimer(signal.ITIMER_PROF, 0)
                yield "file", name, outcome
    finally:
        signal.signal(signal.SIGPROF, before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try everything and print the counts; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--allowed", action="store_true", help="list what is allowed")
    parser.add_argument("--file", default="params.yaml", help="parameters to change (default: params.yaml)")
    options = parser.parse_args(arguments)
    counts, wrong = Counter[str](), []
    for place, done, outcome in [*try_files(), *try_values(read_yaml(options.file))]:
        kind = outcome if outcome in ("refused", "allowed") else "wrong"
        counts[kind] += 1
        if kind == "wrong":
            wrong.append(f"{place} = {done}: {outcome}")
        elif kind == "allowed" and options.allowed:
            print(f"allowed: {place} = {done}")
    print(f"{sum(counts.values())} cases: {counts['refused']} refused, {counts['allowed']} allowed", end="")
    print(f", {counts['wrong']} wrong")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
