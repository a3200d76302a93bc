"""The recipes in docs/ that need a real scheduler: a person's part is played over Airflow's own API."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote

from dev.polling import wait_for
from dev.sandbox import Sandbox
from dev.stack import Stack

DWELL = 10.0
# They answer at once, for the recipe looks every minute only.
AT_ONCE = {"behaviour": "submit", "open_after": 0, "photo_every": 0}
NOBODY = {"behaviour": "manual"}


def begin(stack: Stack, sandbox: Sandbox, destination: Path, claim: str) -> str:
    """Start the recipe, have its photos sent, and return its run."""
    stack.wait_for_dag("approve_photos")
    sandbox.control("PUT", "/person", AT_ONCE)
    run_id = stack.api.trigger("approve_photos", {"destination": f"file://{destination}", "claim": claim})

    def asked() -> str | None:
        requests = sandbox.control("GET", "/photo-requests")
        return next((one["id"] for one in requests if claim in one["instructions"]), None)

    wait_for("the photo request", asked, timeout=120)
    sandbox.control("PUT", "/person", NOBODY)
    return run_id


def details(run_id: str) -> str:
    return f"/dags/approve_photos/dagRuns/{quote(run_id)}/taskInstances/review/-1/hitlDetails"


def review(stack: Stack, run_id: str, choice: str) -> str:
    """Answer as the reviewer does, and return what they were shown."""
    shown = stack.api.get(details(run_id))
    stack.api.call("PATCH", details(run_id), body={"chosen_options": [choice], "params_input": {}})
    return f"{shown['subject']}\n{shown['body']}"


def look_closely(stack: Stack, run_ids: list[str]) -> None:
    """Wait for the reviews, and as long as no person would be quicker: see Airflow's issue 72716."""
    for run_id in run_ids:
        wait_for("the review", lambda run_id=run_id: stack.api.find(details(run_id)), timeout=180)
    since = time.monotonic()
    wait_for("a look at the photos", lambda: time.monotonic() > since + DWELL, timeout=60)


def states(stack: Stack, run_id: str) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in stack.api.task_instances("approve_photos", run_id)}


def test_photos_are_approved_or_rejected(stack: Stack, sandbox: Sandbox, tmp_path: Path) -> None:
    good = begin(stack, sandbox, tmp_path / "good", "C-GOOD")
    bad = begin(stack, sandbox, tmp_path / "bad", "C-BAD")
    look_closely(stack, [good, bad])

    shown = review(stack, good, "Approve")
    assert "claim C-GOOD" in shown
    photos = [str(path) for path in (tmp_path / "good").rglob("*.jpg")]
    assert len(photos) == 2
    assert all(path in shown for path in photos)
    review(stack, bad, "Reject")

    assert stack.wait_for_run("approve_photos", good)["state"] == "success"
    assert set(states(stack, good).values()) == {"success"}
    assert len(list((tmp_path / "good").rglob("*.pdf"))) == 1
    assert stack.wait_for_run("approve_photos", bad)["state"] == "success"
    assert states(stack, bad) == {"photos": "success", "review": "success", "report": "skipped"}
    assert list((tmp_path / "bad").rglob("*.pdf")) == []
