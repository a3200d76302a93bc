"""Count the calls of a whole campaign, and print a table: `python -m benchmarks.campaign`."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import BaseOperator

# Virtual seconds in a real second, and the virtual seconds over which people answer.
SPEED = 60
SPREAD = 3600
LIMIT = 1000


def main() -> int:
    """Run the campaign twice: each person asked by a task of their own, and all by one batch.

    :return: exit code
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.campaign", description=__doc__)
    parser.add_argument("--people", type=int, default=1000)
    people = parser.parse_args().people
    print(
        "| calls for one person | create | wait | links and items | in all | people a day at 1,000 calls an hour |"
    )
    print("|---|---|---|---|---|---|")
    for name, create in (("created singly", _singly), ("created in batches of ten", _in_a_batch)):
        with tempfile.TemporaryDirectory(prefix="visio-bench-") as folder:
            counts = campaign(Path(folder), people, create)
        each = [count / people for count in counts]
        cells = " | ".join(f"{share:.2f}" for share in [*each, sum(each)])
        print(f"| {name} | {cells} | {24 * LIMIT / sum(each):,.0f} |", flush=True)
    return 0


def campaign(folder: Path, people: int, create: Callable[[int], list[str]]) -> list[int]:
    """Ask people, wait for all of them, and store their photos.

    :return: the calls to create, to wait, and to download
    """
    with Sandbox(folder, options=("--speed", str(SPEED))) as sandbox:
        settings = {"caller_clock": "virtual", "visiono_per_minute": 10_000, "visiono_per_hour": 10_000}
        sandbox.control("PATCH", "/settings", settings)
        sandbox.control("PUT", "/person", {"behaviour": "manual", "photos": 1})
        extra = {"calls_per_minute": 10_000, "calls_per_hour": 10_000}
        os.environ["AIRFLOW_CONN_VISIONO_DEFAULT"] = json.dumps(
            {
                "conn_type": "visiono",
                "host": sandbox.info["visiono_url"],
                "password": sandbox.info["visiono_key"],
                "extra": extra,
            }
        )
        from benchmarks.fast_clock import FastClock

        clock = FastClock.of(sandbox)
        clock.install()
        counts = [0]

        def count() -> None:
            total = sum(sandbox.control("GET", "/counters")["visiono"].values())
            counts.append(total - sum(counts))

        ids = create(people)
        count()
        answers = threading.Thread(target=_answer, args=(sandbox, clock, ids))
        answers.start()
        asyncio.run(_wait(ids))
        answers.join()
        count()
        _download(ids, folder / "photos")
        count()
        return counts[1:]


def _execute(operator: BaseOperator, number: int = -1) -> Any:
    from benchmarks.create_tasks import TaskInstance

    return operator.execute({"ti": TaskInstance(number), "task": operator})  # type: ignore[typeddict-item]


def _singly(people: int) -> list[str]:
    from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator

    def create(number: int) -> str:
        operator = VisionoCreatePhotoRequestOperator(
            task_id="ask", instructions=f"Photograph car {number}", items=["The whole car"]
        )
        return str(_execute(operator, number)["id"])

    return [create(number) for number in range(people)]


def _in_a_batch(people: int) -> list[str]:
    from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestBatchOperator

    requests = [
        {"instructions": f"Photograph car {number}", "items": ["The whole car"]} for number in range(people)
    ]
    output = _execute(VisionoCreatePhotoRequestBatchOperator(task_id="ask", requests=requests, batch=True))
    return [str(request_id) for request_id in output["ids"]]


def _answer(sandbox: Sandbox, clock: Any, ids: list[str]) -> None:
    begin = clock.now()
    for number, request_id in enumerate(ids):
        clock.sleep(begin + SPREAD * (number + 1) / len(ids) - clock.now())
        sandbox.control("POST", f"/photo-requests/{request_id}/submit", {})


async def _wait(ids: list[str]) -> None:
    from airflow_provider_visio.triggers.visiono import VisionoPhotoRequestTrigger

    async for event in VisionoPhotoRequestTrigger(ids).run():
        if event.payload["outcome"] != "done":
            raise RuntimeError(f"the wait ended otherwise: {event.payload['outcome']}")
        return


def _download(ids: list[str], destination: Path) -> None:
    from airflow_provider_visio.operators.visiono import VisionoDownloadPhotosOperator

    operator = VisionoDownloadPhotosOperator(task_id="store", request_id=ids, destination=str(destination))
    stored = _execute(operator)
    if sum(len(one["files"]) for one in stored) != len(ids):
        raise RuntimeError("not all photos were stored")


if __name__ == "__main__":
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="visio-bench-home-")
    logging.disable(logging.CRITICAL)
    sys.exit(main())
