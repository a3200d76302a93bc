"""Every example DAG has succeeded under a real scheduler and triggerer, deferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from examples import EXAMPLES, NEVER_ANSWER

from dev.output_files import check_output_files
from dev.task_log import read_task_log

if TYPE_CHECKING:
    from pathlib import Path

    from mailbox_server import MailboxServer

    from dev.run_watcher import RunWatcher
    from dev.sandbox import Sandbox
    from dev.stack import Stack

PROVIDER = "airflow_provider_visio.triggers."

# Waits for several requests at once, so there is no one page to lead to.
WITHOUT_LINK = {("visiono_fan_out", "wait"), ("visiono_campaign", "wait")}

Runs = dict[str, "RunWatcher"]


def waited(run: RunWatcher, package: str = PROVIDER) -> list[str]:
    """Name the tasks that were seen deferred, with a trigger of ours taken up by a triggerer."""
    return [
        task_id
        for (task_id, _), history in run.histories.items()
        if "deferred" in history.states
        and history.triggerer_jobs
        and any(trigger.startswith(package) for trigger in history.triggers)
    ]


@pytest.mark.parametrize("dag_id", EXAMPLES)
def test_it_succeeds(dag_id: str, runs: Runs, stack: Stack) -> None:
    run = runs[dag_id]
    logs = "\n".join(read_task_log(stack.logs, task) for task in run.unsuccessful()[:1])
    assert run.state == "success", f"{run.histories}\n{logs}"
    assert {task["state"] for task in run.tasks} == {"success"}


@pytest.mark.parametrize("dag_id", EXAMPLES)
def test_it_was_deferred(dag_id: str, runs: Runs) -> None:
    run = runs[dag_id]
    assert waited(run), run.histories
    for history in run.histories.values():
        if "deferred" in history.states:
            # It left the worker, was taken up by the triggerer, and came back.
            assert history.states.index("deferred") < history.states.index("success")


@pytest.mark.parametrize("dag_id", EXAMPLES)
def test_the_link_is_there_while_it_waits(dag_id: str, runs: Runs, sandbox: Sandbox) -> None:
    run = runs[dag_id]
    for task_id in waited(run):
        if (dag_id, task_id) not in WITHOUT_LINK:
            history = run.histories[task_id, -1]
            assert history.links, f"no link on {task_id}"
            assert all(url.startswith(sandbox.info["url"]) for url in history.links.values()), history.links


@pytest.mark.parametrize("dag_id", EXAMPLES)
def test_its_files_are_whole(dag_id: str, runs: Runs, output: Path) -> None:
    assert runs[dag_id].ended
    files = check_output_files(output / dag_id)
    assert [file.problem for file in files if file.problem] == []
    assert any(file.path.endswith("manifest.json") for file in files), files


def count(folder: Path, pattern: str) -> int:
    return len(list(folder.rglob(pattern)))


def test_the_flagship_leaves_photos_and_a_report(runs: Runs, output: Path) -> None:
    folder = output / "visio_photos_to_dashboard"
    assert count(folder, "*.jpg") == 3
    assert count(folder, "*.pdf") == 1
    assert count(folder, "manifest.json") == 2


def test_the_fan_out_asks_everybody_once(runs: Runs, output: Path) -> None:
    asked = [key for key in runs["visiono_fan_out"].histories if key[1] >= 0]
    assert len(asked) > 1
    assert count(output / "visiono_fan_out", "manifest.json") == len({map_index for _, map_index in asked})


def test_the_campaign_goes_on_without_those_who_never_answer(
    runs: Runs, stack: Stack, sandbox: Sandbox, output: Path
) -> None:
    run = runs["visiono_campaign"]
    found = stack.api.xcom(run.dag_id, run.run_id, "wait")
    requests = {request["id"]: request for request in sandbox.control("GET", "/photo-requests")}
    assert sorted(requests[i]["metadata"]["customer"] for i in found["waiting"]) == list(NEVER_ANSWER)
    assert count(output / "visiono_campaign", "manifest.json") == len(found["arrived"]) == 8


def test_the_weekly_export_is_mailed(runs: Runs, mailbox: MailboxServer, output: Path) -> None:
    assert runs["vizdom_weekly_export"].ended
    # A Monday may bring a scheduled run beside ours, with a mail of the same subject.
    mails = [(mail["Subject"], mail.get_body(("html",)).get_content()) for mail in mailbox.messages]
    folder = str(output / "vizdom_weekly_export")
    ours = [subject for subject, body in mails if folder in body]
    assert len(ours) == 1, mails
    assert ours[0].startswith("Dashboard dash_abc123, week of 2")
    assert {mail["To"] for mail in mailbox.messages} == {"team@example.com"}
