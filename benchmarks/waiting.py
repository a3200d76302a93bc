"""Measure the cost of waits and creates, and print a table: `python -m benchmarks.waiting`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.scenarios import PEERS, SCENARIOS, BenchmarkRun
from benchmarks.table import HEAD
from benchmarks.wait_measurement import WarmUp
from dev.processes import Stopped, raise_on_signal
from dev.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.contestants import Contestant
    from benchmarks.table import Row


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenarios, and print the table.

    :return: exit code
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer waits and a third of an hour, for a trial"
    )
    parser.add_argument("--only", default=",".join(SCENARIOS), help="scenarios, such as A,C (default: all)")
    parser.add_argument("--alone", action="store_true", help="measure this provider only")
    parser.add_argument(
        "--keep", type=Path, help="folder for logs and messages (default: a temporary folder)"
    )
    options = parser.parse_args(arguments)
    try:
        with raise_on_signal():
            peers = () if options.alone else PEERS
            rows = measure(options.only.split(","), quick=options.quick, keep=options.keep, peers=peers)
    except Stopped as stopped:
        return stopped.exit_code
    print(HEAD, *(row.line() for row in rows), sep="\n")
    return 0


def measure(
    names: Sequence[str], *, quick: bool, keep: Path | None, peers: tuple[Contestant, ...]
) -> list[Row]:
    """Run scenarios, and print their progress on standard error.

    :param names: keys of `SCENARIOS`
    :param keep: folder for logs and messages; None: a temporary folder
    """
    begin = time.monotonic()

    def log(text: str) -> None:
        print(f"{time.monotonic() - begin:6.0f} s  {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="visio-bench-") as temporary:
        folder = keep or Path(temporary)
        with Sandbox(folder / "warm-up") as sandbox:
            run = BenchmarkRun(folder, WarmUp(sandbox), log, quick, peers)
            return [row for name in names for row in SCENARIOS[name](run)]


if __name__ == "__main__":
    sys.exit(main())
