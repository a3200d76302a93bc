"""The gallery's app, for a user who may read some DAGs, and tasks with the outputs that a test gives them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest


class Gallery:
    """A browser's view of the gallery."""

    def __init__(self, client: Any, outputs: dict[str, Any]) -> None:
        self._client = client
        self._outputs = outputs

    def has(self, output: Any, task_id: str = "store") -> None:
        """Give a task an output."""
        self._outputs[task_id] = output

    def get(self, kind: str, *, dag_id: str = "claims", task_id: str = "store", **more: Any) -> Any:
        """Send a GET as a browser does that shows a page."""
        headers = {"Accept": "text/html", **more.pop("headers", {})}
        query = {"dag_id": dag_id, "run_id": "run_1", "task_id": task_id, "map_index": "{MAP_INDEX}", **more}
        return self._client.get(f"/{kind}", params=query, headers=headers)

    def picture(self, number: int = 0, *, manifest: int = 0, **more: Any) -> Any:
        """Get a picture as the page does."""
        return self.file(
            number, manifest=manifest, kind="picture", **{"headers": {"Accept": "image/*"}, **more}
        )

    def file(self, number: int = 0, *, manifest: int = 0, kind: str = "file", **more: Any) -> Any:
        """Get a file of an output by its number, with the digest that the page has for it."""
        output = self._outputs["store"]
        jobs = output if isinstance(output, list) else [output]
        digest = jobs[manifest]["files"][number]["sha256"][:16]
        return self.get(kind, **{"manifest": manifest, "file": number, "sha256": digest, **more})


@pytest.fixture
def gallery(airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    """The app, where the user may read every DAG but ``hidden``, and the XComs of each but ``no_xcoms``."""
    from airflow.api_fastapi.core_api import security
    from fastapi.testclient import TestClient

    from airflow_provider_visio.gallery import task_output
    from airflow_provider_visio.gallery.app import app

    outputs: dict[str, Any] = {}
    monkeypatch.setattr(task_output, "_output", lambda task: outputs.get(task.task_id))
    monkeypatch.setitem(app.dependency_overrides, security.get_user, lambda: "viewer")
    monkeypatch.setattr(
        security, "get_auth_manager", lambda: SimpleNamespace(is_authorized_dag=_may_read, _get_user=None)
    )
    return Gallery(TestClient(app, raise_server_exceptions=False), outputs)


def _may_read(*, method: str, access_entity: Any, details: Any, user: str) -> bool:
    hidden = {"hidden"} if access_entity.value == "TASK_INSTANCE" else {"hidden", "no_xcoms"}
    return method == "GET" and user == "viewer" and details.id not in {*hidden, None}


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that hides modules, as if they were not installed."""
    from airflow_provider_visio.gallery import pictures

    def hide(*names: str) -> None:
        has = pictures._has
        pictures._pillow.cache_clear()
        monkeypatch.setattr(pictures, "_has", lambda name: name not in names and has(name))

    yield hide
    pictures._pillow.cache_clear()
