"""Packages that report usage from this environment, as a JSON list: ``python -m flows.products.telemetry``.

A process of its own, because packages read their switches when they are imported. Each is asked by the very
function that it asks itself, so a switch that a new version gives another name is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Callable


def _ask_dvc() -> bool:
    from dvc.analytics import is_enabled

    return bool(is_enabled())


def _ask_hub() -> bool:
    from huggingface_hub.constants import HF_HUB_DISABLE_TELEMETRY

    return not HF_HUB_DISABLE_TELEMETRY


def _ask_mlflow() -> bool:
    from mlflow.telemetry.utils import is_telemetry_disabled

    return not is_telemetry_disabled()


def _ask_prefect() -> bool:
    from prefect._internal.analytics.enabled import is_telemetry_enabled

    return bool(is_telemetry_enabled())


PACKAGES: dict[str, Callable[[], bool]] = {
    "dvc": _ask_dvc,
    "huggingface_hub": _ask_hub,
    "mlflow": _ask_mlflow,
    "prefect": _ask_prefect,
}


def find_reporting() -> list[str]:
    """Return the packages that would report."""
    return [name for name, asks in PACKAGES.items() if asks()]


if __name__ == "__main__":
    print(json.dumps(find_reporting()))
