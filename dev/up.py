"""`make up`: Airflow and the sandbox, left running with the connections in place, until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dev.airflow_and_sandbox import airflow_and_sandbox
from dev.checkout import EXAMPLE_DAGS, ROOT, WORK, only_one
from dev.console import Story, nobody_listens
from dev.polling import wait_for
from dev.ports import free_port
from dev.processes import DevError, Stopped, signals_stop_us

if TYPE_CHECKING:
    from dev.stack import Stack

AIRFLOW_PORT = 8080
SANDBOX_PORT = 8400
FLAGSHIP = "visio_photos_to_dashboard"
# Changed and new DAG files are read within seconds here: people edit them.
CONFIG = {"dag_processor": {"min_file_process_interval": 5, "refresh_interval": 10}}

READY = """
  Airflow     {airflow}
              no login needed
  recipients  {recipients}
              every open photo request, with the link that its recipient gets

  Try first:
    1. open {airflow}/dags/{flagship} and press Trigger
    2. open the recipients page, follow the link, pick or take pictures, submit
    3. watch the task go on, and look at its extra links

  Airflow's own commands:  AIRFLOW_HOME={home} .venv/bin/airflow dags list
  logs:                    {logs}

  Ctrl-C stops everything.
"""


def up(story: Story, home: Path) -> None:
    """Start both, say where they are, and stay until a signal or until a part of them ends."""
    story.tell("up", "starting the sandbox and Airflow (about 20 s)")
    with airflow_and_sandbox(
        home,
        EXAMPLE_DAGS,
        sandbox_port=_port("the sandbox", SANDBOX_PORT, story),
        port=_port("Airflow", AIRFLOW_PORT, story),
        config=CONFIG,
        cache=WORK,
    ) as (sandbox, stack):
        _unpause(stack)
        story.tell("up", "ready")
        text = READY.format(
            airflow=stack.url,
            recipients=sandbox.info["recipients_url"],
            flagship=FLAGSHIP,
            home=_short(stack.home),
            logs=_short(stack.logs),
        )
        story.show(text)
        while not nobody_listens():
            sandbox.check_alive()
            stack.check_alive()
            time.sleep(1)


def _port(what: str, preferred: int, story: Story) -> int:
    port = free_port(preferred)
    if port != preferred:
        story.tell("up", f"port {preferred} is busy: {what} gets {port}")
    return port


def _unpause(stack: Stack) -> None:
    """Make every DAG that runs on demand ready to run; those with a schedule stay paused."""
    files = [path for path in EXAMPLE_DAGS.glob("*.py") if not path.name.startswith("_")]

    def look() -> bool:
        return len(stack.api.dags()) + len(stack.api.import_errors()) >= len(files)

    wait_for("the example DAGs", look, timeout=120)
    for dag in stack.api.dags():
        if dag["timetable_summary"] is None:
            stack.api.pause(dag["dag_id"], paused=False)


def _short(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped; return the exit code."""
    parser = argparse.ArgumentParser(prog="make up", description=__doc__)
    parser.add_argument(
        "--work", type=Path, default=WORK, help="folder for Airflow's settings, database and logs"
    )
    options = parser.parse_args(arguments)
    story = Story()
    with signals_stop_us():
        try:
            with only_one("up", options.work) as home:
                up(story, home)
        except (DevError, OSError) as error:
            story.tell("up", "FAILED; everything is stopped")
            print(f"\n{error}", file=sys.stderr)
            return 1
        except Stopped:
            pass
    story.tell("up", "everything is stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
