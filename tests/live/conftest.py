"""One Airflow and one sandbox for the whole session; all example DAGs run at once and are followed to their end."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

from examples import EXAMPLES, NEVER_ANSWER  # noqa: E402
from mailbox_server import MailboxServer  # noqa: E402

from dev.airflow_and_sandbox import airflow_and_sandbox  # noqa: E402
from dev.checkout import EXAMPLE_DAGS, ROOT, WORK  # noqa: E402
from dev.markdown import pages  # noqa: E402
from dev.run_watcher import RunWatcher  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.sandbox import Sandbox
    from dev.stack import Stack

# Nobody moves until every run waits, so that each wait is a real one on the slowest machine, too.
NOBODY = {"behaviour": "manual"}
EVERYBODY = {"behaviour": "submit", "open_after": 1, "photo_every": 0.5}
RUN_TIMEOUT = 240
LOOK_EVERY = 0.7


def bundles(folders: dict[str, tuple[Path, int]]) -> str:
    """Return where DAGs are, as Airflow wants to be told, each with the seconds between two looks."""
    return json.dumps(
        [
            {
                "name": name,
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {"path": str(folder), **({"refresh_interval": every} if every else {})},
            }
            for name, (folder, every) in folders.items()
        ]
    )


def write_recipes(folder: Path) -> None:
    """Write the DAGs of the pages in docs/ that need a real scheduler."""
    for page in pages(ROOT):
        for block in page.blocks():
            if "live" in block.words:
                (folder / f"{block.words['live']}.py").write_text(block.text)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.live)


@pytest.fixture(scope="session")
def mailbox() -> Iterator[MailboxServer]:
    with MailboxServer() as server:
        yield server


@pytest.fixture(scope="session")
def written_dags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for DAGs that are written while Airflow runs."""
    return tmp_path_factory.mktemp("written")


@pytest.fixture(scope="session")
def airflow(
    tmp_path_factory: pytest.TempPathFactory, mailbox: MailboxServer, written_dags: Path
) -> Iterator[tuple[Sandbox, Stack]]:
    home = tmp_path_factory.mktemp("live")
    write_recipes(written_dags)
    shutil.copytree(HERE / "config", home / "airflow" / "config")
    folders = {"examples": (EXAMPLE_DAGS, 0), "live-tests": (HERE / "dags", 0), "written": (written_dags, 2)}
    options: dict[str, Any] = {
        "parallelism": 8,
        "cache": WORK,
        # No webhook is set up but in the test of webhooks: all other waits end by polls.
        "config": {
            "dag_processor": {"dag_bundle_config_list": bundles(folders)},
            "visio": {"webhooks": True},
        },
    }
    with airflow_and_sandbox(home, EXAMPLE_DAGS, person=NOBODY, **options) as (sandbox, stack):
        stack.add_connections({"smtp_default": mailbox.connection()})
        yield sandbox, stack


@pytest.fixture(scope="session")
def sandbox(airflow: tuple[Sandbox, Stack]) -> Sandbox:
    return airflow[0]


@pytest.fixture(scope="session")
def stack(airflow: tuple[Sandbox, Stack]) -> Stack:
    return airflow[1]


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each example stores its files in a folder of its own name here."""
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="session")
def runs(stack: Stack, sandbox: Sandbox, output: Path) -> dict[str, RunWatcher]:
    """Every example, run to its end or to the timeout; the tests judge."""
    watchers = {}
    for dag_id, params in EXAMPLES.items():
        stack.wait_for_dag(dag_id)
        run_id = stack.api.trigger(dag_id, {"destination": f"file://{output / dag_id}", **params})
        watchers[dag_id] = RunWatcher(stack.api, dag_id, run_id, links=True)
    follow(list(watchers.values()), sandbox)
    return watchers


def follow(watchers: list[RunWatcher], sandbox: Sandbox) -> None:
    until = time.monotonic() + RUN_TIMEOUT
    submitted = False
    while (going := [watcher for watcher in watchers if not watcher.ended]) and time.monotonic() < until:
        for watcher in going:
            watcher.look()
        if not submitted and all(watcher.ended or watcher.has_waited for watcher in watchers):
            submitted = True
            for request in sandbox.control("GET", "/photo-requests"):
                if (request["metadata"] or {}).get("customer") in NEVER_ANSWER:
                    continue
                sandbox.control("PUT", f"/photo-requests/{request['id']}/person", EVERYBODY)
        time.sleep(LOOK_EVERY)
