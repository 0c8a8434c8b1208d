"""Uses a wheel in a clean environment: the README's lines of Python, and the commands that need no pipeline.

    python .ci/wheel.py dist/verdict3d-0.1.0-py3-none-any.whl

The environment is made by the Python that runs this and gets the wheel with what it asks for, at the versions
of requirements.lock; nothing of the checkout is on its path.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIPELINE = ("prefect", "dvc", "mlflow", "tasks", "flows")


def read_readme_lines() -> str:
    """Return the lines of Python that the README shows."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^    from pathlib import Path\n(?:    .*\n|\n)+", text, re.MULTILINE)
    if not found:
        raise SystemExit("the README shows no Python that begins with `from pathlib import Path`")
    return re.sub(r"^ {4}", "", found.group(), flags=re.MULTILINE)


def main(wheel: Path) -> None:
    """Make the environment, install, and run."""
    with tempfile.TemporaryDirectory(prefix="verdict3d-wheel-") as folder:
        place = Path(folder)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment["XDG_CACHE_HOME"] = str(place / "cache")

        def run(*command: str | Path, status: int = 0) -> str:
            print("+", *command, flush=True)
            words = [str(word) for word in command]
            done = subprocess.run(
                words, cwd=place, env=environment, text=True, capture_output=True, check=False
            )
            print(done.stdout, done.stderr[-2000:], sep="", flush=True)
            if done.returncode != status:
                raise SystemExit(f"status {done.returncode} instead of {status}")
            return done.stdout + done.stderr

        venv.create(place / "environment", with_pip=True)
        python, verdict3d = (place / "environment/bin" / name for name in ("python", "verdict3d"))
        lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
        (place / "constraints.txt").write_text("\n".join(re.findall(r"^\S+==[^\s;]+", lock, re.MULTILINE)))
        run(python, "-m", "pip", "install", "--quiet", "-c", "constraints.txt", wheel.resolve())
        for package in PIPELINE:
            run(python, "-I", "-c", f"import {package}", status=1)
        script = (ROOT / "examples/two_folders.py").read_text(encoding="utf-8")
        (place / "two_folders.py").write_text(script)
        (place / "readme.py").write_text(read_readme_lines())
        run(python, "two_folders.py", ".")
        said = run(python, "readme.py")
        if "coverage" not in said:
            raise SystemExit("the README's lines did not print the win-rate")
        chair = ("--reference", "photos/chair.png", "june/chair.glb", "july/chair.glb")
        run(verdict3d, "judge", *chair, "--json")
        run(verdict3d, "compare", "june", "july", "--photos", "photos", "-o", "page")
        run(verdict3d, "view", "page", "--bundle", "pairs")
        run(verdict3d, "render", "june/chair.glb", "-o", "chair.png")
        run(verdict3d, "generate", "photos/chair.png", "-o", "made.glb", "--steps", "2")
        run(verdict3d, "doctor")
        if "needs the pipeline" not in run(verdict3d, "run", status=1):
            raise SystemExit("`verdict3d run` does not say what it needs")
        run("du", "-sh", place / "environment")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
