"""Measure downloads beside curl, and print a table: `python -m benchmarks.download`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.file_host import FileHost
from dev.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

PHOTOS = 60
PHOTO_BYTES = 2_000_000
AT_ONCE = (1, 4, 8)


def main() -> int:
    """Measure both in turn, in rounds, so that a slow phase of the machine affects both.

    :return: exit code
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.download", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if not shutil.which("curl"):
        print("curl is not installed", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory(prefix="visio-bench-") as temporary,
        Sandbox(Path(temporary)) as sandbox,
        FileHost(Path(temporary), PHOTO_BYTES) as host,
    ):
        times = measure(sandbox, host, Path(temporary), rounds)
    print("| files at once | curl, MB/s | this provider, MB/s | ratio, median (least to most) | target | |")
    print("|---|---|---|---|---|---|")
    for at_once, pairs in times.items():
        ratios = [curl / ours for curl, ours in pairs]
        curl, ours = (
            PHOTOS * PHOTO_BYTES / 1e6 / statistics.median(found) for found in zip(*pairs, strict=True)
        )
        ratio = statistics.median(ratios)
        print(
            f"| {at_once} | {curl:.0f} | {ours:.0f} | {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | at least "
            f"0.9 | {'hit' if ratio >= 0.9 else '**miss**'} |"
        )
    return 0


def measure(
    sandbox: Sandbox, host: FileHost, folder: Path, rounds: int
) -> dict[int, list[tuple[float, float]]]:
    """Fetch the photos of one request, by curl and by the provider. The sandbox redirects each link to the file host.

    :return: number of files at once -> the seconds of curl and of the provider, a pair for each round
    """
    os.environ["AIRFLOW_HOME"] = str(folder / "airflow")
    os.environ["AIRFLOW_CONN_VISIONO_DEFAULT"] = json.dumps(
        {"conn_type": "visiono", "host": sandbox.info["visiono_url"], "password": sandbox.info["visiono_key"]}
    )
    from airflow_provider_visio.hooks.visiono import VisionoHook

    hook = VisionoHook()
    request_id = _submitted(sandbox, hook)
    redirect = {"service": "storage", "kind": "redirect", "location": host.url, "times": None}
    sandbox.control("POST", "/faults", redirect)
    links = [str(photo["url"]) for photo in hook.list_photos(request_id)]
    times: dict[int, list[tuple[float, float]]] = {at_once: [] for at_once in AT_ONCE}
    for number in range(rounds + 1):
        for at_once, found in times.items():
            pair = (
                _timed(partial(_curl, links, at_once), folder),
                _timed(partial(_provider, hook, request_id, at_once), folder),
            )
            if number:  # the first round draws the pictures and fills caches
                found.append(pair)
    return times


def _submitted(sandbox: Sandbox, hook: Any) -> str:
    request_id = str(hook.create_photo_request("Sixty views")["id"])
    for _ in range(PHOTOS):
        sandbox.control("POST", f"/photo-requests/{request_id}/upload", {})
    sandbox.control("POST", f"/photo-requests/{request_id}/submit", {})
    return request_id


def _timed(work: Callable[[Path], object], folder: Path) -> float:
    place = folder / "files"
    place.mkdir()
    started = time.perf_counter()
    work(place)
    seconds = time.perf_counter() - started
    stored = [path for path in place.rglob("*") if path.is_file() and path.stat().st_size == PHOTO_BYTES]
    if len(stored) != PHOTOS:
        raise RuntimeError(f"{len(stored)} of {PHOTOS} photos were stored")
    shutil.rmtree(place)
    return seconds


def _provider(hook: Any, request_id: str, at_once: int, place: Path) -> None:
    hook.download_photos(request_id, str(place), parallel_downloads=at_once)


def _curl(links: list[str], at_once: int, place: Path) -> None:
    settings = "\n".join(
        f'url = "{link}"\noutput = "{place}/{number}.jpg"' for number, link in enumerate(links)
    )
    parallel = ["--parallel", "--parallel-max", str(at_once)] if at_once > 1 else []
    subprocess.run(
        ["curl", "--silent", "--no-progress-meter", "--fail", "--location", *parallel, "--config", "-"],
        input=settings,
        text=True,
        check=True,
    )


if __name__ == "__main__":
    sys.exit(main())
