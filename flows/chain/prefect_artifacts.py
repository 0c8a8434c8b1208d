"""What a run leaves in Prefect for people to look at: win-rates, montages, and where the report is."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

from prefect import get_run_logger, task
from prefect.artifacts import create_image_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.chain.results import HEADINGS, format_markdown, format_win_rate, read_win_rates
from tasks.paths import EVALUATE
from tasks.tracking.run_values import flatten_numbers
from verdict3d.project import DATA, Workspace
from verdict3d.records.differences import Difference
from verdict3d.records.files import read_json
from verdict3d.records.generations import Generation
from verdict3d.records.record import read_rows
from verdict3d.view.difference import describe_difference

MONTAGES_SHOWN = 4
NUMBERS_SHOWN = 40


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="artifacts")
def leave_artifacts_task(workspace: Workspace, arms: list[str]) -> None:
    """Leave artifacts in Prefect; when its server went away, what it would have shown is in the report."""
    try:
        _leave_artifacts(workspace, arms)
    except Exception as error:  # whatever Prefect's client raises
        get_run_logger().warning("no artifacts in Prefect: %s", type(error).__name__)


def _leave_artifacts(workspace: Workspace, arms: list[str]) -> None:
    """Leave the table of win-rates, a few montages and the way to the report in Prefect."""
    table = format_markdown(HEADINGS, [format_win_rate(rate) for rate in read_win_rates(workspace.root)])
    create_markdown_artifact(table, key="win-rates", description="held-out win-rates against the base")
    for arm in arms:
        folder = workspace.root / EVALUATE / arm
        for number, montage in enumerate(_list_montages(workspace.root, folder)[:MONTAGES_SHOWN]):
            picture = base64.b64encode(montage.read_bytes()).decode()
            create_image_artifact(
                f"data:image/png;base64,{picture}",
                key=f"montage-{arm.replace('_', '-')}-{number}",
                description=montage.name,
            )
    if workspace.report.exists():
        place = workspace.report.relative_to(workspace.project)
        create_markdown_artifact(
            f"`{place}` in the checkout; `report/index.html` among the artifacts of the run in MLflow",
            key="report",
            description="where the report page is",
        )


def leave_stage_numbers(workspace: Workspace, stage: str, warn: Callable[..., None]) -> None:
    """Leave the numbers that a stage wrote in Prefect, the first of them; without its server, nothing."""
    path = workspace.root / DATA / stage.replace("@", "/") / "metrics.json"
    if not path.is_file():
        return
    numbers = sorted(flatten_numbers(read_json(path), ""))
    rows = [(name.lstrip("."), f"{value:.4g}") for name, value in numbers[:NUMBERS_SHOWN]]
    more = f"\n\n{len(numbers) - len(rows)} more in `{path.relative_to(workspace.root)}`"
    table = format_markdown(("number", "value"), rows) + (more if len(numbers) > len(rows) else "")
    key = "numbers-" + stage.replace("@", "-").replace("_", "-")
    try:
        create_markdown_artifact(table, key=key, description=f"what {stage} found")
    except Exception as error:  # whatever Prefect's client raises
        warn("no artifact in Prefect: %s", type(error).__name__)


def leave_difference(difference: Difference) -> None:
    """Leave what changed since the run before in Prefect; the page is in MLflow."""
    first, *rest = describe_difference(difference)
    text = "\n".join([f"**{first}**", "", *(f"* {line.strip()}" for line in rest)])
    create_markdown_artifact(text, key="difference", description="what changed since the run before")


def _list_montages(root: Path, folder: Path) -> list[Path]:
    """Return the montage pictures of an arm's generations, in the order of its manifest."""
    manifest = folder / "generations.jsonl"
    rows = read_rows(manifest, Generation) if manifest.exists() else []
    paths = [root / row.montage for row in rows if row.montage]
    return [path for path in paths if path.is_file()]
