"""Writes requirements.lock and its neighbours: every version with the hashes of its files.

    python .ci/lock.py UV [PINS]

UV is its program. PINS is a file of exact versions; by default those of the environment that runs this.
requirements.lock has what a checkout needs to run, requirements-dev.lock what only tests and checks need,
requirements-cuda.lock what PyTorch's CUDA build needs beside the first. uv asks the index for the hashes of
all files of a version, whatever Python and machine they are for. Local builds of torch ("+cpu") lie on other
indexes: the hash of the one that is installed here joins those that the lock has already.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib.metadata import distributions, requires, version
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCK, DEV_LOCK, CUDA_LOCK = (ROOT / f"requirements{kind}.lock" for kind in ("", "-dev", "-cuda"))
RUNNING = "verdict3d[pipeline,postgres,s3]"
"""What requirements.lock serves; setuptools installs the checkout itself."""
LEFT_OUT = re.compile(r"(pip|wheel|triton|nvidia-.*|cuda-.*)==", re.IGNORECASE)
HEAD = "# What a checkout runs, exactly; written by `make lock`. CONTRIBUTING.md says which pins matter.\n"
DEV_HEAD = "# What tests and checks need beside requirements.lock; written by `make lock`.\n"
CUDA_HEAD = "# What PyTorch's CUDA build needs beside requirements.lock; written by `make lock`.\n"
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def list_installed() -> str:
    """Return what is installed here, a pin a line; local builds are the same version."""
    command = [sys.executable, "-m", "pip", "freeze", "--all", "--exclude-editable"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    pins = [line for line in said.splitlines() if "==" in line and not LEFT_OUT.match(line)]
    return "".join(re.sub(r"\+[A-Za-z0-9.]+$", "", pin) + "\n" for pin in pins)


def resolve(requirements: str, *options: str) -> str:
    """Return pins with hashes for Linux, macOS and Windows and all versions of Python from 3.11 on."""
    command = [sys.argv[1], "pip", "compile", "-", "--quiet", "--generate-hashes", "--universal"]
    command += ["--python-version", "3.11", "--no-annotate", "--no-header", "--system-certs", *options]
    return subprocess.run(command, check=True, input=requirements, capture_output=True, text=True).stdout


def hash_local_torch(pin: str) -> set[str]:
    """Return the hashes of local builds of torch at ``pin``: those locked before, and the installed one's."""
    before = find_torch(LOCK.read_text(encoding="utf-8"))
    known = set(HASH.findall(before)) if before.startswith(f"{pin} ") else set()
    if "+" not in version("torch"):
        return known
    with tempfile.TemporaryDirectory() as folder:
        get = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, pin]
        subprocess.run(get, check=True, stderr=subprocess.DEVNULL)
        file = next(Path(folder).iterdir())
        said = subprocess.check_output([sys.executable, "-m", "pip", "hash", str(file)], text=True)
    return known | set(HASH.findall(said))


def normalise(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def split_entries(lock: str) -> dict[str, str]:
    """Return the entries of a lock by normalised name."""
    entries = re.findall(r"^\S+==.*(?:\n    --hash=.*)*\n", lock, re.MULTILINE)
    return {normalise(entry.partition("==")[0]): entry for entry in entries}


def find_torch(lock: str) -> str:
    """Return the entry of torch in a lock; empty where there is none."""
    found = re.search(r"^torch==.*(\n    --hash=.*)*", lock, re.MULTILINE)
    return found.group() if found else ""


def find_needed(name: str, extras: frozenset[str], found: set[tuple[str, frozenset[str]]]) -> None:
    """Add a package with these extras, and all that it needs here, to ``found``, by normalised names."""
    if (normalise(name), extras) in found:
        return
    found.add((normalise(name), extras))
    for line in requires(name) or ():
        need = Requirement(line)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            find_needed(need.name, frozenset(need.extras), found)


def list_development() -> set[str]:
    """Return the installed packages that only tests and checks need, by normalised name."""
    running, found = Requirement(RUNNING), {("setuptools", frozenset[str]())}
    find_needed(running.name, frozenset(running.extras), found)
    return {normalise(one.metadata["Name"]) for one in distributions()} - {name for name, _ in found}


def main() -> None:
    """Write the locks."""
    pins = Path(sys.argv[2]).read_text(encoding="utf-8") if len(sys.argv) > 2 else list_installed()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write(pins)
        constraints.flush()
        # other versions of Python and other systems need a little more than what is installed here
        whole = split_entries(resolve(pins, "--constraint", constraints.name))
        torch = find_torch("".join(whole.values())).split(" ", 1)[0]
        behind_torch = split_entries(resolve(torch, "--constraint", constraints.name))
    names = {line.partition("==")[0] for line in pins.splitlines()}
    cuda = behind_torch.keys() - {normalise(name) for name in names}
    development = list_development()
    lock = "".join(entry for name, entry in whole.items() if name not in cuda | development)
    entry = find_torch(lock)
    hashes = sorted(set(HASH.findall(entry)) | hash_local_torch(torch))
    lock = lock.replace(entry, " \\\n    ".join([torch, *hashes]))
    LOCK.write_text(HEAD + lock, encoding="utf-8")
    extra = "".join(entry for name, entry in whole.items() if name in development)
    DEV_LOCK.write_text(DEV_HEAD + extra, encoding="utf-8")
    extra = "".join(entry for name, entry in behind_torch.items() if name in cuda)
    CUDA_LOCK.write_text(CUDA_HEAD + extra, encoding="utf-8")


if __name__ == "__main__":
    main()
