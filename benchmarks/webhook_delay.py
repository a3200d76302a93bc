"""
Measure the seconds from a submission until its task resumes, and ends: `python -m benchmarks.webhook_delay`.

A real API server, scheduler and triggerer run, and the sandbox. Each submission is announced to the receiver by a
signed delivery. With `--polls-only` it is not. A task has resumed when its trigger has fired: Airflow's database says
that it is not deferred any more. It ends after a worker has run it.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from benchmarks.table import HEAD, Row, number
from dev.airflow_and_sandbox import airflow_and_sandbox
from dev.polling import wait_for
from dev.processes import Stopped, raise_on_signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dev.airflow_api import Json
    from dev.sandbox import Sandbox
    from dev.stack import Stack

DAG_ID = "webhook_delay"
SECRET = "whsec_benchmark"
DAG_FILE = """
import pendulum
from airflow.sdk import DAG, task
from benchmarks.inbox_read import ReadInbox
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor

with DAG("webhook_delay", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):

    @task
    def ids(dag_run=None):
        return dag_run.conf["ids"]

    VisionoPhotoRequestSensor.partial(
        task_id="wait", deferrable=True, poke_interval=60, timeout=3600
    ).expand(request_id=ids())

with DAG("inbox_read", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):
    ReadInbox(task_id="read", conn_id="visiono_default")
"""
READ_DAG_ID = "inbox_read"
TIMEOUT = 900.0


def measure(
    waits: int, submissions: int, seconds: float, folder: Path, *, announced: bool
) -> tuple[list[float], list[float], list[float]]:
    """Return the delays until tasks resumed, and until they ended, in seconds, and milliseconds of reads; each sorted.

    :param waits: number of tasks
    :param submissions: how many of them get a submission
    :param seconds: seconds between two submissions
    :param folder: folder for all files
    :param announced: whether webhooks announce the submissions
    """
    dags = folder / "dags"
    dags.mkdir(parents=True)
    (dags / "waits.py").write_text(DAG_FILE)
    with airflow_and_sandbox(
        folder,
        dags,
        person={"behaviour": "manual"},
        connections_in_environment=False,
        environment={"AIRFLOW__VISIO__WEBHOOKS": "True", "PYTHONPATH": str(Path(__file__).parents[1])},
        cache=folder,
    ) as (sandbox, stack):
        ids = sandbox.control("POST", "/photo-requests", {"count": waits})
        stack.api.call("PATCH", "/connections/visiono_default", body=_with_secret(sandbox))
        stack.wait_for_dag(DAG_ID)
        run_id = stack.api.trigger(DAG_ID, {"ids": ids})

        def waiting() -> list[Json]:
            found = stack.api.task_instances(DAG_ID, run_id)
            return [one for one in found if one["task_id"] == "wait" and one["map_index"] >= 0]

        def states() -> list[str]:
            return [str(one["state"]) for one in waiting()]

        # An inbox that is not there yet is looked for twice a minute.
        announce(stack, "req_of_nobody")
        wait_for(
            "all waits to be deferred", lambda: states() == ["deferred"] * waits, timeout=TIMEOUT, every=2
        )
        # Past the time for which a task stays deferred at least, and the poll's first look.
        time.sleep(30)
        reads = _reads(stack)
        submitted: dict[str, float] = {}
        watch = Watch(folder / "airflow" / "airflow.db")
        for one in ids[:submissions]:
            sandbox.control("POST", f"/photo-requests/{one}/submit", {})
            submitted[one] = time.time()
            if announced:
                announce(stack, one)
            watch.until(submitted[one] + seconds)
        wait_for(
            "the tasks to end",
            lambda: watch.look() and states().count("success") == submissions,
            timeout=TIMEOUT,
            every=0.25,
        )
        ended = {one["map_index"]: one["end_date"] for one in waiting() if one["state"] == "success"}
    places = {place: submitted[one] for place, one in enumerate(ids[:submissions])}
    return (
        sorted(watch.resumed[place] - at for place, at in places.items()),
        sorted(datetime.fromisoformat(ended[place]).timestamp() - at for place, at in places.items()),
        reads,
    )


def _reads(stack: Stack) -> list[float]:
    """Return the milliseconds of reads of the inbox in the triggerer, sorted."""
    stack.wait_for_dag(READ_DAG_ID)
    run_id = stack.api.trigger(READ_DAG_ID)
    stack.wait_for_run(READ_DAG_ID, run_id)
    read: list[float] = stack.api.xcom(READ_DAG_ID, run_id, "read")
    return read


class Watch:
    """
    Notes when tasks leave their deferral, from Airflow's database.

    :param database: its SQLite file.
    """

    def __init__(self, database: Path) -> None:
        self.resumed: dict[int, float] = {}
        self._url = f"file:{database}?mode=ro"

    def look(self) -> bool:
        """Look at all tasks, and return True."""
        with closing(sqlite3.connect(self._url, uri=True, timeout=30)) as connection:
            rows = connection.execute(
                "SELECT map_index FROM task_instance WHERE task_id = 'wait' AND state <> 'deferred'"
            ).fetchall()
        for (place,) in rows:
            self.resumed.setdefault(place, time.time())
        return True

    def until(self, moment: float) -> None:
        """Look four times a second until a Unix timestamp."""
        while time.time() < moment:
            self.look()
            time.sleep(0.25)


def announce(stack: Stack, request_id: str) -> None:
    """Post a signed delivery to the receiver."""
    body = json.dumps(
        {"event": "photo_request.submitted", "data": {"photo_request": {"id": request_id}}}
    ).encode()
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    reply = requests.post(
        f"{stack.url}/visio/webhooks/visiono_default",
        data=body,
        headers={"X-Visiono-Signature": signature},
        timeout=30,
    )
    assert reply.status_code == 202, f"{reply.status_code} {reply.text}"


def _with_secret(sandbox: Sandbox) -> dict[str, object]:
    fields = dict(sandbox.connections()["visiono_default"])
    extra = fields.pop("extra", None) or {}
    extra = json.loads(extra) if isinstance(extra, str) else dict(extra)
    return {
        "connection_id": "visiono_default",
        **fields,
        "extra": json.dumps({**extra, "webhook_secret": SECRET}),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement, and print its row.

    :return: exit code
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhook_delay", description=__doc__)
    parser.add_argument("--waits", type=int, default=100, help="number of tasks (default: 100)")
    parser.add_argument("--submissions", type=int, default=25, help="number of submissions (default: 25)")
    parser.add_argument(
        "--seconds", type=float, default=16.0, help="seconds between two submissions (default: 16)"
    )
    parser.add_argument("--polls-only", action="store_true", help="announce nothing")
    parser.add_argument("--keep", type=Path, help="folder for all files (default: a temporary folder)")
    options = parser.parse_args(arguments)
    announced = not options.polls_only
    try:
        with raise_on_signal(), tempfile.TemporaryDirectory(prefix="visio-bench-") as temporary:
            folder = options.keep or Path(temporary) / "run"
            resumed, ended, reads = measure(
                options.waits,
                min(options.submissions, options.waits),
                options.seconds,
                folder,
                announced=announced,
            )
    except Stopped as stopped:
        return stopped.exit_code
    print(HEAD)
    for until, delays, most in (("task resumed", resumed, 5.0), ("task ended", ended, None)):
        late = delays[int(len(delays) * 0.95 - 0.01)]
        row = Row(
            f"seconds from submission to {until}, p95, {options.waits} waits, {len(delays)} submissions",
            "with webhooks" if announced else "polls only",
            late,
            f"{number(late)} (median {number(delays[len(delays) // 2])})",
            most=most if announced else None,
        )
        print(row.line())
    median, late = reads[len(reads) // 2], reads[int(len(reads) * 0.95)]
    print(
        Row(
            "milliseconds of a read of the inbox in the triggerer, median",
            f"{options.waits} waits",
            median,
            f"{number(median)} (p95 {number(late)})",
            most=20,
        ).line()
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
