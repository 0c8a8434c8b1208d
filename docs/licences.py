# ruff: noqa: E501  (tables)
"""Write docs/licences.md: ``python docs/licences.py`` (``make licences``).

Packages are those of the lock files, with the licence that each names in its own metadata; models and files of others
that the repository holds or that presets name are listed here.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/licences.md"
LOCKS = {
    "requirements.lock": "the chain",
    "requirements-dev.lock": "its tests and checks alone",
    "requirements-tools.lock": "the site and the linters alone",
}
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)

NAMES = {
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""How metadata of older form spell a licence, and its SPDX name where there is one."""

UNSAID = {"assimp_py": "MIT, with Assimp (BSD-3-Clause)", "huey": "MIT", "skops": "MIT"}
"""Of packages whose metadata say nothing: what their licence files are."""

ELSEWHERE = {
    "async-timeout": "Apache-2.0",
    "httpx2-jsfetch": "BSD-3-Clause",
    "pywin32": "PSF-2.0",
    "waitress": "ZPL-2.1",
    "whenever": "MIT",
}
"""Of packages that only other versions of Python or other systems need: what their metadata say there."""

REST = """
## Packages that the locks leave out

| what brings it | package | licence |
|---|---|---|
| PyTorch's CUDA build | `nvidia-*`, `cuda-*` | NVIDIA's own; read it before you hand out an image with them |
| the same | `triton` | MIT |
| `verdict3d[photos]` | `rembg`, `onnxruntime` | MIT |
| `verdict3d[heic]` | `pillow-heif` | BSD-3-Clause; it holds libheif and libde265 (LGPL-3.0) |
| `verdict3d[finish]` | `fast-simplification` | MIT |
| the attention of H100 and H200, where installed | `flash_attn_interface` | BSD-3-Clause |

The renderer uses the machine's OpenGL: Mesa (MIT) or the driver of the GPU. Tests use PostgreSQL (PostgreSQL licence) and
Chromium (BSD-3-Clause).

## Models

| model | where | licence |
|---|---|---|
| the generator, both judges and the repair of the default run | `data/checkpoints` | Apache-2.0; trained by us on procedural furniture ([results](results.md#the-shipped-checkpoints)) |
| microsoft/TRELLIS-image-large | hub, `presets/full.yaml` | MIT |
| facebook/dinov2-with-registers-large | hub, `presets/full.yaml` | Apache-2.0 |
| Qwen/Qwen2.5-VL-7B-Instruct | hub, `presets/full.yaml` | Apache-2.0 |
| OpenGVLab/InternVL3-8B-hf | hub, `presets/full.yaml` | MIT; its language model, Qwen2.5-7B, Apache-2.0 |
| u2net, isnet-general-use | fetched by `--background` | Apache-2.0 |
| birefnet-general, birefnet-general-lite | fetched by `--background` | MIT |

Licences of models are those their publishers named when this was written. The card of the revision that you pin decides.

## Files of others in this repository

| file | licence |
|---|---|
| `verdict3d/view/pairs/static/model-viewer-umd.min.js` | Apache-2.0; the packages inside it MIT and BSD-3-Clause (`LICENSE.model-viewer.txt` beside it) |

Everything else is ours, under the [Apache License 2.0](../LICENSE); [sources.md](sources.md) says where facts and formulas
come from.
"""


def read_pins(lock: str) -> dict[str, str]:
    """Return the versions that a lock file pins, by normalised name; of one with conditions the last."""
    found = PIN.findall((ROOT / lock).read_text(encoding="utf-8"))
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def find_licence(name: str) -> str:
    """Return the licence of a locked package.

    Raises:
        PackageNotFoundError: It is needed here and not installed.
        SystemExit: Its metadata name none, and nobody has read its licence file.
    """
    try:
        return name_licence(distribution(name))
    except PackageNotFoundError:
        if name not in ELSEWHERE:
            raise
        return ELSEWHERE[name]


def name_licence(package: Distribution) -> str:
    """Return the licence that a package names in its metadata: an SPDX expression where it has one.

    Raises:
        SystemExit: It names none, and nobody has read its licence file.
    """
    given = package.metadata
    if expression := given.get("License-Expression"):
        return str(expression)
    classified = [
        one.rpartition(" :: ")[2]
        for one in given.get_all("Classifier") or []
        if one.startswith("License :: ") and " :: " in one[11:]
    ]
    lines = (given.get("License") or "").strip().splitlines()
    found = classified or [line for line in lines[:1] if len(line) < 60 and line != "UNKNOWN"]
    if not found and given["Name"] not in UNSAID:
        sys.exit(
            f"the metadata of {given['Name']} name no licence: read its licence file and add it to UNSAID here"
        )
    return " and ".join(sorted({NAMES.get(one, one) for one in found})) or UNSAID[given["Name"]]


def write_page() -> str:
    """Return the page.

    Raises:
        SystemExit: A locked package is not installed.
    """
    text = ["# Licences", "", "Written by `make licences` from the metadata of the locked packages."]
    seen: set[str] = set()
    for lock, what in LOCKS.items():
        text += [
            "",
            f"## Packages of `{lock}`",
            "",
            f"For {what}.",
            "",
            "| package | version | licence |",
            "|---|---|---|",
        ]
        for name, version in read_pins(lock).items():
            if name in seen:
                continue
            seen.add(name)
            try:
                licence = find_licence(name)
            except PackageNotFoundError:
                sys.exit(f"{name} of {lock} is not installed: call `make licences`, which installs it first")
            text.append(f"| {name} | {version} | {licence} |")
    return "\n".join(text) + "\n" + REST


if __name__ == "__main__":
    PAGE.write_text(write_page(), encoding="utf-8")
