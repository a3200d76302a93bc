"""`make demo`: run the main example DAG on a real Airflow, print its events, and check its files."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.airflow_and_sandbox import airflow_and_sandbox
from dev.checkout import EXAMPLE_DAGS, OUTPUT, WORK, single_run
from dev.console import Console
from dev.output_files import OutputFile, check_output_files, table
from dev.processes import DevError, Stopped, raise_on_signal
from dev.run_watcher import RunWatcher, task_name
from dev.task_log import read_task_log

if TYPE_CHECKING:
    from dev.sandbox import Sandbox
    from dev.stack import Stack

DAG_ID = "visio_photos_to_dashboard"
PERSON = {"behaviour": "submit", "open_after": 4, "photo_every": 2}
RUN_TIMEOUT = 180
LOG_LINES = 60
EVENT_INTERVAL = 0.3
# Each look at the tasks' states loads the API server, which the tasks need too.
STATE_INTERVAL = 1.0
PHOTOS = 3

# Source to print for each kind of event of the sandbox.
SOURCES = {
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
    "deferred": "{task}: deferred, waits in the triggerer and uses no worker",
    "success": "{task}: success",
    "failed": "{task}: FAILED",
    "up_for_retry": "{task}: FAILED, will be retried",
    "upstream_failed": "{task}: not run, because an upstream task failed",
    "skipped": "{task}: skipped",
}


class Demo:
    """One run of the main example DAG.

    :param console: where events are printed
    :param home: folder for Airflow and the sandbox
    :param output: folder for the run's files
    :param faults: faults of the sandbox
    """

    def __init__(self, console: Console, home: Path, output: Path, faults: list[dict[str, Any]]) -> None:
        self.console = console
        self.home = home
        self.output = output
        self.faults = faults

    def run(self) -> None:
        """Start both, run the DAG, and check its files.

        :raises DevError: the run did not succeed, or its files are wrong
        """
        _empty(self.output)
        self.console.log("demo", "starting the sandbox and Airflow (about 20 s)")
        options: dict[str, Any] = {"connections_in_environment": True, "cache": WORK, "grace": 2}
        with airflow_and_sandbox(self.home, EXAMPLE_DAGS, person=PERSON, **options) as (sandbox, stack):
            self.console.log("demo", f"sandbox at {sandbox.info['url']}, Airflow at {stack.url}")
            for fault in self.faults:
                sandbox.add_fault(**fault)
            watcher = self._trigger(stack)
            self._follow(sandbox, stack, watcher)
            self._check_state(stack, watcher)
            self.console.log("demo", "the run succeeded; stopping Airflow and the sandbox")
        self._check_files(check_output_files(self.output))

    def _trigger(self, stack: Stack) -> RunWatcher:
        stack.wait_for_dag(DAG_ID)
        run_id = stack.api.trigger(DAG_ID, {"destination": f"file://{self.output}"})
        self.console.log("Airflow", f"run of {DAG_ID} started")
        return RunWatcher(stack.api, DAG_ID, run_id)

    def _follow(self, sandbox: Sandbox, stack: Stack, watcher: RunWatcher) -> None:
        """Print the events of Airflow and the sandbox until the run has ended."""
        until = time.monotonic() + RUN_TIMEOUT
        polled, printed = 0.0, 0
        while not watcher.ended:
            printed = self._print_events(sandbox, printed)
            if time.monotonic() > polled + STATE_INTERVAL:
                polled = time.monotonic()
                self._print_states(watcher)
            if time.monotonic() > until:
                self._show_log(stack, watcher)
                raise DevError(f"the run did not end within {RUN_TIMEOUT} s")
            sandbox.check_alive()
            stack.check_alive()
            time.sleep(EVENT_INTERVAL)

    def _print_events(self, sandbox: Sandbox, printed: int) -> int:
        for event in sandbox.events(after=printed):
            printed = event["n"]
            self.console.log(SOURCES.get(event["kind"], "sandbox"), event["text"])
        return printed

    def _print_states(self, watcher: RunWatcher) -> None:
        for task in watcher.look():
            if task["state"] in STATES:
                self.console.log("Airflow", STATES[task["state"]].format(task=task_name(task)))

    def _check_state(self, stack: Stack, watcher: RunWatcher) -> None:
        if watcher.state != "success":
            self._show_log(stack, watcher)
            raise DevError(f"the run ended with the state {watcher.state}")

    def _show_log(self, stack: Stack, watcher: RunWatcher) -> None:
        for task in watcher.unsuccessful()[:1]:
            print(f"\n--- log of {task_name(task)} ({task['state']}), last lines")
            print(read_task_log(stack.logs, task, LOG_LINES))
            print("---\n", flush=True)

    def _check_files(self, files: list[OutputFile]) -> None:
        print(f"\n{self.output}")
        print(table(files), flush=True)
        problems = [file.problem for file in files if file.problem]
        expected = {".jpg": PHOTOS, ".pdf": 1, ".json": 2}
        for suffix, count in expected.items():
            found = sum(Path(file.path).suffix == suffix for file in files)
            if found != count:
                problems.append(f"{found} {suffix} files, expected {count}")
        if problems:
            raise DevError("the files are wrong: " + "; ".join(problems))
        print()


def _empty(folder: Path) -> None:
    """Delete the files of the default output folder. Any other folder must already be empty."""
    if folder == OUTPUT:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise DevError(f"{folder} is not empty. Choose another folder with --output, or delete its files.")


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
        help="a fault of the sandbox in JSON, such as a status of 503",
    )
    options = parser.parse_args(arguments)
    console = Console()
    with raise_on_signal():
        try:
            with single_run("demo", options.work) as home:
                Demo(console, home, options.output.resolve(), options.fault).run()
        except (DevError, OSError) as error:
            console.log("demo", "FAILED; everything is stopped")
            print(f"\n{error}", file=sys.stderr)
            return 1
        except Stopped as stopped:
            console.log("demo", "interrupted; everything is stopped")
            return stopped.exit_code
    console.log("demo", "done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
