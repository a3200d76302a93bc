"""`make demo`: the flagship example DAG on a real Airflow, told as it happens, its files checked."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.airflow_and_sandbox import airflow_and_sandbox
from dev.checkout import EXAMPLE_DAGS, OUTPUT, WORK, only_one
from dev.console import Story
from dev.output_files import LeftFile, left_files, table
from dev.processes import DevError, Stopped, signals_stop_us
from dev.run_watcher import RunWatcher, task_name
from dev.task_log import read_task_log

if TYPE_CHECKING:
    from dev.sandbox import Sandbox
    from dev.stack import Stack

DAG_ID = "visio_photos_to_dashboard"
PERSON = {"behaviour": "submit", "open_after": 4, "photo_every": 2}
RUN_TIMEOUT = 180
LOG_LINES = 60
LISTEN_EVERY = 0.3
# Asking for the tasks' states costs the API server, and the tasks need it too.
LOOK_EVERY = 1.0
PHOTOS = 3

# Who is behind each kind of event that the sandbox tells of.
WHO = {
    "request_created": "Visiono",
    "link_opened": "person",
    "photo_uploaded": "person",
    "request_submitted": "person",
    "email_sent": "Visiono",
    "export_started": "Vizdom",
    "export_ready": "Vizdom",
    "export_failed": "Vizdom",
    "file_fetched": "storage",
}
STATES = {
    "running": "{task}: running on a worker",
    "deferred": "{task}: deferred, waits in the triggerer and holds no worker",
    "success": "{task}: success",
    "failed": "{task}: FAILED",
    "up_for_retry": "{task}: FAILED, to be tried again",
    "upstream_failed": "{task}: not run, an earlier task failed",
    "skipped": "{task}: skipped",
}


class Demo:
    """One run of the flagship DAG, from empty folder to checked files."""

    def __init__(self, story: Story, home: Path, output: Path, faults: list[dict[str, Any]]) -> None:
        self.story = story
        self.home = home
        self.output = output
        self.faults = faults

    def run(self) -> None:
        """Do it all; `DevError` when anything goes wrong."""
        _empty(self.output)
        self.story.tell("demo", "starting the sandbox and Airflow (about 20 s)")
        options: dict[str, Any] = {"connections_in_environment": True, "cache": WORK, "grace": 2}
        with airflow_and_sandbox(self.home, EXAMPLE_DAGS, person=PERSON, **options) as (sandbox, stack):
            self.story.tell("demo", f"sandbox at {sandbox.info['url']}, Airflow at {stack.url}")
            for fault in self.faults:
                sandbox.add_fault(**fault)
            watcher = self._trigger(stack)
            self._follow(sandbox, stack, watcher)
            self._judge(stack, watcher)
            self.story.tell("demo", "the run is a success; stopping Airflow and the sandbox")
        self._check(left_files(self.output))

    def _trigger(self, stack: Stack) -> RunWatcher:
        stack.wait_for_dag(DAG_ID)
        run_id = stack.api.trigger(DAG_ID, {"destination": f"file://{self.output}"})
        self.story.tell("Airflow", f"run of {DAG_ID} started")
        return RunWatcher(stack.api, DAG_ID, run_id)

    def _follow(self, sandbox: Sandbox, stack: Stack, watcher: RunWatcher) -> None:
        """Tell what happens on both sides until the run has ended."""
        until = time.monotonic() + RUN_TIMEOUT
        looked, told = 0.0, 0
        while not watcher.ended:
            told = self._tell_events(sandbox, told)
            if time.monotonic() > looked + LOOK_EVERY:
                looked = time.monotonic()
                self._tell_states(watcher)
            if time.monotonic() > until:
                self._show_log(stack, watcher)
                raise DevError(f"the run has not ended after {RUN_TIMEOUT} s")
            sandbox.check_alive()
            stack.check_alive()
            time.sleep(LISTEN_EVERY)

    def _tell_events(self, sandbox: Sandbox, told: int) -> int:
        for event in sandbox.events(after=told):
            told = event["n"]
            self.story.tell(WHO.get(event["kind"], "sandbox"), event["text"])
        return told

    def _tell_states(self, watcher: RunWatcher) -> None:
        for task in watcher.look():
            if task["state"] in STATES:
                self.story.tell("Airflow", STATES[task["state"]].format(task=task_name(task)))

    def _judge(self, stack: Stack, watcher: RunWatcher) -> None:
        if watcher.state != "success":
            self._show_log(stack, watcher)
            raise DevError(f"the run ended as {watcher.state}")

    def _show_log(self, stack: Stack, watcher: RunWatcher) -> None:
        for task in watcher.unsuccessful()[:1]:
            print(f"\n--- log of {task_name(task)} ({task['state']}), its last lines")
            print(read_task_log(stack.logs, task, LOG_LINES))
            print("---\n", flush=True)

    def _check(self, files: list[LeftFile]) -> None:
        print(f"\n{self.output}")
        print(table(files), flush=True)
        problems = [file.problem for file in files if file.problem]
        expected = {".jpg": PHOTOS, ".pdf": 1, ".json": 2}
        for suffix, count in expected.items():
            found = sum(Path(file.path).suffix == suffix for file in files)
            if found != count:
                problems.append(f"{found} {suffix} files where {count} were expected")
        if problems:
            raise DevError("the files are not right: " + "; ".join(problems))
        print()


def _empty(folder: Path) -> None:
    """Clear our own output folder; any other folder must be empty already."""
    if folder == OUTPUT:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise DevError(f"{folder} is not empty")


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--work", type=Path, default=WORK, help="folder for Airflow's settings, database and logs"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the files")
    parser.add_argument(
        "--fault",
        type=json.loads,
        action="append",
        default=[],
        help="a sandbox fault in JSON, to see a failure",
    )
    options = parser.parse_args(arguments)
    story = Story()
    with signals_stop_us():
        try:
            with only_one("demo", options.work) as home:
                Demo(story, home, options.output.resolve(), options.fault).run()
        except (DevError, OSError) as error:
            story.tell("demo", "FAILED; everything is stopped")
            print(f"\n{error}", file=sys.stderr)
            return 1
        except Stopped as stopped:
            story.tell("demo", "interrupted; everything is stopped")
            return stopped.exit_code
    story.tell("demo", "done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
