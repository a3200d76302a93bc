"""
Measure the seconds from a submission to the end of the task that waited for it: `python -m benchmarks.webhook_delay`.

A real API server, scheduler and triggerer run, and the sandbox. Each submission is announced to the receiver by a
signed delivery. With `--polls-only` it is not.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import sys
import tempfile
import time
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
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor

with DAG("webhook_delay", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):

    @task
    def ids(dag_run=None):
        return dag_run.conf["ids"]

    VisionoPhotoRequestSensor.partial(
        task_id="wait", deferrable=True, poke_interval=60, timeout=3600
    ).expand(request_id=ids())
"""
# Where the plugin is not installed with the package, as in a clone of an older installation.
PLUGIN_FILE = "from airflow_provider_visio.webhooks.plugin import VisioPlugin  # noqa: F401\n"
TIMEOUT = 900.0


def measure(waits: int, seconds: float, folder: Path, *, announced: bool) -> list[float]:
    """Return the delay of each task in seconds, sorted.

    :param waits: number of tasks
    :param seconds: seconds between two submissions
    :param folder: folder for all files
    :param announced: whether webhooks announce the submissions
    """
    dags = folder / "dags"
    dags.mkdir(parents=True)
    (dags / "waits.py").write_text(DAG_FILE)
    plugins = folder / "airflow" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "visio.py").write_text(PLUGIN_FILE)
    with airflow_and_sandbox(
        folder,
        dags,
        person={"behaviour": "manual"},
        connections_in_environment=False,
        environment={"AIRFLOW__VISIO__WEBHOOKS": "True", "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins)},
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
        submitted = {}
        for one in ids:
            sandbox.control("POST", f"/photo-requests/{one}/submit", {})
            submitted[one] = time.time()
            if announced:
                announce(stack, one)
            time.sleep(seconds)
        wait_for("all tasks to end", lambda: states() == ["success"] * waits, timeout=TIMEOUT, every=2)
        ended = {one["map_index"]: datetime.fromisoformat(one["end_date"]).timestamp() for one in waiting()}
    return sorted(ended[place] - submitted[one] for place, one in enumerate(ids))


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
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="seconds between two submissions (default: 5)"
    )
    parser.add_argument("--polls-only", action="store_true", help="announce nothing")
    parser.add_argument("--keep", type=Path, help="folder for all files (default: a temporary folder)")
    options = parser.parse_args(arguments)
    announced = not options.polls_only
    try:
        with raise_on_signal(), tempfile.TemporaryDirectory(prefix="visio-bench-") as temporary:
            folder = options.keep or Path(temporary) / "run"
            delays = measure(options.waits, options.seconds, folder, announced=announced)
    except Stopped as stopped:
        return stopped.exit_code
    late = delays[int(len(delays) * 0.95 - 0.01)]
    row = Row(
        f"seconds from submission to the end of the resumed task, p95, {options.waits} waits",
        "with webhooks" if announced else "polls only",
        late,
        f"{number(late)} (median {number(delays[len(delays) // 2])})",
        most=5.0 if announced else None,
    )
    print(HEAD, row.line(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
