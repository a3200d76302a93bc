"""`make up`: run Airflow and the sandbox, with connections, until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dev.airflow_and_sandbox import airflow_and_sandbox
from dev.checkout import EXAMPLE_DAGS, ROOT, WORK, single_run
from dev.console import Console, is_output_closed
from dev.polling import wait_for
from dev.ports import free_port
from dev.processes import DevError, Stopped, raise_on_signal

if TYPE_CHECKING:
    from dev.stack import Stack

AIRFLOW_PORT = 8080
SANDBOX_PORT = 8400
FLAGSHIP = "visio_photos_to_dashboard"
# Developers edit the DAG files, so changes are read within seconds.
CONFIG = {
    "dag_processor": {"min_file_process_interval": 5, "refresh_interval": 10},
    "visio": {"gallery": True},
}

READY = """
  Airflow     {airflow}
              no login needed
  recipients  {recipients}
              all open photo requests, with their links

  Try first:
    1. open {airflow}/dags/{flagship} and press Trigger
    2. open the recipients page, follow the link, pick or take pictures, submit
    3. see how the task resumes, and look at the photos: the button Photos on its page Details

  airflow commands:        AIRFLOW_HOME={home} .venv/bin/airflow dags list
  logs:                    {logs}

  Ctrl-C stops everything.
"""


def up(console: Console, home: Path) -> None:
    """Start both, print their addresses, and wait for a signal or for the end of a component."""
    console.log("up", "starting the sandbox and Airflow (about 20 s)")
    with airflow_and_sandbox(
        home,
        EXAMPLE_DAGS,
        sandbox_port=_port("the sandbox", SANDBOX_PORT, console),
        port=_port("Airflow", AIRFLOW_PORT, console),
        config=CONFIG,
        webhooks=True,
        cache=WORK,
    ) as (sandbox, stack):
        _unpause(stack)
        console.log("up", "ready")
        text = READY.format(
            airflow=stack.url,
            recipients=sandbox.info["recipients_url"],
            flagship=FLAGSHIP,
            home=_short(stack.home),
            logs=_short(stack.logs),
        )
        console.print_text(text)
        while not is_output_closed():
            sandbox.check_alive()
            stack.check_alive()
            time.sleep(1)


def _port(what: str, preferred: int, console: Console) -> int:
    port = free_port(preferred)
    if port != preferred:
        console.log("up", f"port {preferred} is busy: {what} gets {port}")
    return port


def _unpause(stack: Stack) -> None:
    """Unpause every DAG, except those that a clock starts."""
    files = [path for path in EXAMPLE_DAGS.glob("*.py") if not path.name.startswith("_")]

    def look() -> bool:
        read = {dag["fileloc"] for dag in stack.api.dags()}
        return len(read) + len(stack.api.import_errors()) >= len(files)

    wait_for("the example DAGs", look, timeout=120)
    for dag in stack.api.dags():
        # None, "Asset" or "Partitioned Asset"; a cron expression for the others.
        if (dag["timetable_summary"] or "Asset").endswith("Asset"):
            stack.api.pause(dag["dag_id"], paused=False)


def _short(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped.

    :return: exit code
    """
    parser = argparse.ArgumentParser(prog="make up", description=__doc__)
    parser.add_argument(
        "--work", type=Path, default=WORK, help="folder for Airflow's settings, database and logs"
    )
    options = parser.parse_args(arguments)
    console = Console()
    with raise_on_signal():
        try:
            with single_run("up", options.work) as home:
                up(console, home)
        except (DevError, OSError) as error:
            console.log("up", "FAILED; everything is stopped")
            print(f"\n{error}", file=sys.stderr)
            return 1
        except Stopped:
            pass
    console.log("up", "everything is stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
