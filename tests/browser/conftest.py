"""
One Airflow with logins, a base URL with a path, and large XComs in object storage; and a browser.

The browser is Debian's Chromium, which Playwright drives.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent)]

from playwright.sync_api import expect  # noqa: E402

from dev.airflow_and_sandbox import airflow_and_sandbox  # noqa: E402
from dev.checkout import WORK  # noqa: E402
from dev.chromium import chromium  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    from dev.stack import Stack

PASSWORDS = {name: f"{name}-password" for name in ("admin", "viewer", "outsider")}
ROLES = {"admin": "admin", "viewer": "viewer", "outsider": "viewer"}
BASE_PATH = "/airflow"
# Milliseconds: Airflow's UI loads its parts on first use, and the machine may be busy.
PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("browser")
    shutil.copytree(HERE / "config", home / "airflow" / "config")
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps(PASSWORDS))
    config: dict[str, dict[str, object]] = {
        "core": {
            "auth_manager": "hiding_auth_manager.HidingAuthManager",
            "simple_auth_manager_all_admins": False,
            "simple_auth_manager_users": ",".join(f"{name}:{role}" for name, role in ROLES.items()),
            "simple_auth_manager_passwords_file": passwords,
            "xcom_backend": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
        },
        "common.io": {
            "xcom_objectstorage_path": f"file://{home}/xcoms",
            "xcom_objectstorage_threshold": 5000,
        },
        "visio": {"gallery": True},
    }
    person = {"behaviour": "submit", "open_after": 0, "photo_every": 0.1}
    login = ("admin", PASSWORDS["admin"])
    options: dict[str, Any] = {"config": config, "cache": WORK, "login": login, "base_path": BASE_PATH}
    with airflow_and_sandbox(home, HERE / "dags", person=person, **options) as (_, stack):
        yield stack


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Site:
    """Airflow as a browser sees it."""

    def __init__(self, stack: Stack, browser: Browser) -> None:
        self.stack = stack
        self.browser = browser
        self.url = stack.url
        self._tokens: dict[str, str] = {}

    def address(self, kind: str, run: tuple[str, str], task_id: str = "store", **more: Any) -> str:
        """Return an address of the gallery itself."""
        query = {"dag_id": run[0], "run_id": run[1], "task_id": task_id, "map_index": "{MAP_INDEX}", **more}
        return f"{self.url}/visio/gallery/{kind}?{urlencode(query)}"

    def in_airflow(self, run: tuple[str, str], task_id: str = "store") -> str:
        """Return the address of the gallery within Airflow's UI."""
        return f"{self.url}/dags/{run[0]}/runs/{quote(run[1])}/tasks/{task_id}/plugin/visio_gallery"

    def page(self, user: str | None = "viewer", **options: Any) -> Page:
        """Return a tab of a browser in which a user is logged in."""
        context = self.browser.new_context(**{"reduced_motion": "reduce", **options})
        context.set_default_timeout(PATIENCE)
        if user is not None:
            token = self._tokens.get(user) or self.stack.api.token((user, PASSWORDS[user]))
            self._tokens[user] = token
            context.add_cookies(
                [
                    {
                        "name": "_token",
                        "value": token,
                        "url": self.stack.url,
                        "sameSite": "Lax",
                        "httpOnly": False,
                    }
                ]
            )
        return context.new_page()


@pytest.fixture(scope="session")
def site(airflow: Stack, browser: Browser) -> Site:
    return Site(airflow, browser)


@pytest.fixture
def visit(site: Site) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a tab, which is closed after the test."""
    opened: list[Page] = []

    def tab(*args: Any, **options: Any) -> Page:
        opened.append(site.page(*args, **options))
        return opened[-1]

    yield tab
    for page in opened:
        page.context.close()


@pytest.fixture(scope="session")
def run_with(airflow: Stack) -> Callable[..., tuple[str, str]]:
    """Return a function that runs a task with some output, and returns the ids of DAG and run."""

    def run(output: Any, dag_id: str = "any_output") -> tuple[str, str]:
        airflow.wait_for_dag(dag_id)
        run_id = airflow.api.trigger(dag_id, {"output": output})
        assert airflow.wait_for_run(dag_id, run_id)["state"] == "success"
        return dag_id, run_id

    return run


@pytest.fixture(scope="session")
def claims(airflow: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A run of the operators."""
    airflow.wait_for_dag("claims")
    run_id = airflow.api.trigger("claims", {"destination": f"file://{tmp_path_factory.mktemp('claims')}"})
    airflow.wait_for_run("claims", run_id)
    states = {one["task_id"]: one["state"] for one in airflow.api.task_instances("claims", run_id)}
    assert set(states.values()) == {"success"}, states
    return "claims", run_id
