"""What drills that count share: the options of those against a store, and the table at the end."""

from __future__ import annotations

import argparse
from collections import Counter

from drills.stores import STORES


def read_options(description: str | None, rivals: str, count: int, told: str) -> argparse.Namespace:
    """Read the command line of a drill against a store.

    Args:
        description: What the drill does.
        rivals: Option that sets how many take part, without dashes.
        count: How many by default.
        told: Help of that option.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--store", choices=STORES, default="sqlite", help="kind of MLflow store")
    parser.add_argument("--minutes", type=float, default=1.0, help="duration")
    parser.add_argument(f"--{rivals}", type=int, default=count, help=told)
    parser.add_argument("--seed", type=int, default=0, help="seed of the faults")
    return parser.parse_args()


def print_counts(found: Counter[str]) -> None:
    """Print what happened as a table."""
    print("| what | count |\n|---|---|")
    for what, count in found.items():
        print(f"| {what} | {count} |")
