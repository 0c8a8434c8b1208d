"""The folder that commands and the Python interface work in, and the paths below its ``data`` that they read.

In a checkout that is the checkout, or the project around the working directory. An installed package has a
folder of its own, whose ``params.yaml`` and checkpoints are those that came with it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from verdict3d.errors import Verdict3DError

STATE_FOLDER = ".verdict3d"
"""Below a project: what belongs to neither git nor DVC."""
PARAMETERS = "params.yaml"
DATA = Path("data")
CHECKPOINTS = DATA / "checkpoints"
AUDIT = DATA / "audit"
CERTIFY = DATA / "certify"
TRAIN = DATA / "train"
REPORT = DATA / "report"
PAGE = REPORT / "index.html"
VOTE_JOURNAL = DATA / "voting" / "votes.jsonl"

_SHIPPED = Path(__file__).with_name("shipped")
"""Parameters and checkpoints of an installed package; a checkout has none."""


@dataclass(frozen=True)
class Workspace:
    """One place where results are: a project, or one of its presets.

    Attributes:
        project: The project: a checkout with code and presets, or the folder of an installed package.
        root: Where ``params.yaml``, ``dvc.lock`` and ``data`` of this run are.
        preset: Name of the preset, or None for the project's own parameters.
    """

    project: Path
    root: Path
    preset: str | None

    @property
    def state(self) -> Path:
        """Folder for what belongs to neither git nor DVC: locks, logs, unsent runs."""
        return self.project / STATE_FOLDER

    @property
    def report(self) -> Path:
        """The report page of the last run here."""
        return self.root / PAGE

    @property
    def difference(self) -> Path:
        """Folder of what `verdict3d diff` wrote last."""
        return self.state / "difference" / (self.preset or "default")

    @property
    def option(self) -> str:
        """What a command needs to mean this workspace: `` --preset NAME``, or nothing."""
        return f" --preset {self.preset}" if self.preset else ""


def audit_path(role: str) -> Path:
    """Return where the audit on the objects leaves the certificate of a role's judge."""
    return AUDIT / role / "certificate.json"


def locate_certificate(role: str) -> Path:
    """Return where the whole certificate is, which says of generations too what the judge has shown."""
    return CERTIFY / role / "certificate.json"


def find_checkout() -> Path | None:
    """Return the checkout that this package stands in; None for an installed package."""
    top = Path(__file__).resolve().parents[1]
    return top if (top / "flows").is_dir() and (top / PARAMETERS).is_file() else None


def find_models() -> Path:
    """Return the folder whose ``params.yaml`` names the judges and the generator that come with the package.

    Nothing is written there. The working directory decides nothing.

    Raises:
        Verdict3DError: The package was built without them.
    """
    found = find_checkout() or _SHIPPED
    if not (found / PARAMETERS).is_file():
        raise Verdict3DError(
            f"{found} has no {PARAMETERS}: this installation came without the parameters and checkpoints "
            "that belong to it; install a wheel that `make wheel` has built, or work in a checkout"
        )
    return found


def find_project(start: Path | None = None) -> Path:
    """Return the nearest folder at or above ``start`` with ``dvc.yaml`` and ``params.yaml``.

    Elsewhere it is the checkout that this package stands in, or the folder that an installed package keeps,
    so that commands work from anywhere.

    Raises:
        Verdict3DError: That folder cannot be made.
    """
    here = (start or Path.cwd()).resolve()
    for folder in [here, *here.parents]:
        if (folder / "dvc.yaml").is_file() and (folder / PARAMETERS).is_file():
            return folder
    return find_checkout() or _open_own_folder()


def _open_own_folder() -> Path:
    """Return the folder of an installed package below the user's cache, with links to what came with it."""
    from verdict3d.versions import find_own_version

    models = find_models()
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = caches / "verdict3d" / find_own_version()
    try:
        (folder / DATA).mkdir(parents=True, exist_ok=True)
        for name in (Path(PARAMETERS), CHECKPOINTS):
            _link(folder / name, models / name)
    except OSError as error:
        raise Verdict3DError(
            f"{folder} cannot be made, where pictures and answers are kept: {error.strerror}; set "
            "XDG_CACHE_HOME to a folder that you may write to"
        ) from error
    return folder


def _link(link: Path, target: Path) -> None:
    """Let ``link`` lead to ``target``; another process may be doing the same."""
    if link.is_symlink() and link.readlink() == target:
        return
    temporary = link.with_name(f"{link.name}.{os.getpid()}")
    temporary.symlink_to(target)
    temporary.replace(link)
