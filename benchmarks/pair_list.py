"""How fast the list of pairs answers, and what it holds in memory: ``python -m benchmarks.pair_list``.

Makes up so many pairs, writes their index, serves it in a process of its own, asks it typical questions and
prints the times of the answers and the memory of the server before and after them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

QUESTIONS = {
    "all pairs": "",
    "loudest wrong": "truth=contradicts&sort=loudest",
    "two classes and a range": "outcome=win&outcome=loss&size=1..5&sort=gap",
    "judges disagree": "judges=contradicts&regime=severe&sort=split",
    "search": "q=chair 00017",
    "last page": "sort=object&page={last}",
}


def serve(path: Path, listening: socket.socket) -> None:
    """Serve an index at a socket."""
    import uvicorn

    from verdict3d.view.pairs.index import PairIndex
    from verdict3d.view.pairs.server import make_app

    app = make_app(PairIndex(path), path.parent / "kept", ["127.0.0.1"], {})
    uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).run(sockets=[listening])


def read_resident_mb(process: int) -> float:
    """Return the resident memory of a process in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def main() -> None:
    from support.pair_entries import many
    from verdict3d.view.pairs.index import PairIndex

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20, help="times that each question is asked")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.sqlite"
        started = time.perf_counter()
        PairIndex.write(path, many(options.pairs), {"state": "1", "title": "", "questions": {}, "views": []})
        written = time.perf_counter() - started
        print(
            f"{options.pairs} pairs: index of {path.stat().st_size / 1e6:.1f} MB written in {written:.1f} s"
        )
        listening = socket.create_server(("127.0.0.1", 0))
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(path, listening))
        server.start()
        base = f"http://127.0.0.1:{listening.getsockname()[1]}/data"
        with httpx.Client(trust_env=False, timeout=60) as client:
            client.get(f"{base}/facts.json")
            before = read_resident_mb(server.pid or 0)
            for name, text in QUESTIONS.items():
                address = f"{base}/pairs.json?{text.format(last=options.pairs // 50)}"
                times = []
                for _ in range(options.rounds):
                    started = time.perf_counter()
                    client.get(address).raise_for_status()
                    times.append(1000 * (time.perf_counter() - started))
                print(f"  {name:24} median {statistics.median(times):6.1f} ms   slowest {max(times):6.1f} ms")
            print(
                f"memory of the server: {before:.0f} MB before, "
                f"{read_resident_mb(server.pid or 0):.0f} MB after"
            )
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()
