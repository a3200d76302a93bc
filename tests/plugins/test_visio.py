"""The plugin: mounted in a real API server, and costing nothing elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from webhooks.deliveries import body_of, sign

from airflow_provider_visio.get_provider_info import get_provider_info
from airflow_provider_visio.plugins.visio import VisioPlugin

BODY = body_of("photo_request.submitted", id="req_1")


@pytest.fixture
def api_server(airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes Airflow's whole API server, with this plugin, for some path of its base URL."""
    from airflow import plugins_manager
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from fastapi.testclient import TestClient

    def make(**options: str) -> TestClient:
        for name, value in options.items():
            monkeypatch.setenv(name, value)
        plugin = VisioPlugin()
        monkeypatch.setattr(
            plugins_manager,
            "get_fastapi_plugins",
            lambda: (plugin.fastapi_apps, plugin.fastapi_root_middlewares),
        )
        return TestClient(create_app(apps="core"))

    yield make
    purge_cached_app()


def test_a_real_api_server_takes_a_delivery(api_server, receiver, stored, clock):
    client = api_server(AIRFLOW__VISIO__WEBHOOKS="True")
    headers = dict(sign(BODY, "webhook-timestamp", clock.now()))
    reply = client.post(f"/visio/webhooks/{receiver}", content=BODY, headers=headers)
    assert (reply.status_code, reply.text) == (202, "Recorded.\n")
    assert f"visio_webhooks_{receiver}" in stored()
    assert client.post(f"/visio/webhooks/{receiver}", content=BODY).status_code == 401
    assert client.get(f"/visio/webhooks/{receiver}").status_code == 405
    assert client.get("/visio/webhooks/openapi.json").status_code == 405


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_it_is_off_by_default(api_server, receiver, stored, method):
    client = api_server()
    reply = client.request(method, f"/visio/webhooks/{receiver}", content=BODY)
    assert (reply.status_code, reply.text) == (404, "Not found.\n")
    assert stored() == {}


@pytest.mark.parametrize("on", [True, False])
def test_loading_the_plugin_imports_neither_fastapi_nor_the_receiver(on):
    """The scheduler, the dag processor, the triggerer and each task load it."""
    code = (
        "import sys; from airflow.providers.common.compat.sdk import AirflowPlugin, conf; before = set(sys.modules);"
        "from airflow_provider_visio.plugins.visio import VisioPlugin; VisioPlugin.on_load();"
        "print(*sorted(set(sys.modules) - before))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "AIRFLOW__VISIO__WEBHOOKS": str(on), "AIRFLOW__VISIO__GALLERY": str(on)},
    ).stdout.split()
    assert [name for name in found if not name.startswith("airflow_provider_visio")] == []
    assert {"airflow_provider_visio.webhooks.app", "airflow_provider_visio.gallery.app"} & set(found) == set()


def test_airflow_finds_the_plugin_in_the_metadata():
    (entry,) = get_provider_info()["plugins"]
    module, _, name = entry["plugin-class"].rpartition(".")
    assert (module, name) == (VisioPlugin.__module__, VisioPlugin.__name__)
    assert entry["name"] == VisioPlugin.name


def test_its_apps_are_there_for_the_class_and_for_an_instance():
    """Airflow makes an instance of an entry point's plugin, and none of a provider's."""
    for plugin in (VisioPlugin, VisioPlugin()):
        assert [one["url_prefix"] for one in plugin.fastapi_apps] == ["/visio/webhooks", "/visio/gallery"]


GALLERY_ADDRESS = "/visio/gallery/photos?dag_id=claims&run_id=run_1&task_id=ask"


def test_a_real_api_server_has_the_gallery(api_server):
    client = api_server(AIRFLOW__VISIO__GALLERY="True", AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True")
    reply = client.get(GALLERY_ADDRESS, headers={"Accept": "text/html"})
    assert reply.status_code == 404
    assert "This task has no output." in reply.text
    assert client.get("/visio/gallery/static/gallery.css").headers["content-type"].startswith("text/css")


def test_a_stranger_sees_no_gallery(api_server):
    client = api_server(AIRFLOW__VISIO__GALLERY="True", AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="False")
    assert client.get(GALLERY_ADDRESS).status_code == 401


def test_the_gallery_is_off_by_default(api_server):
    client = api_server()
    for address in (GALLERY_ADDRESS, "/visio/gallery/static/gallery.css"):
        reply = client.get(address)
        assert (reply.status_code, reply.text) == (404, "Not found.\n")
    assert VisioPlugin.external_views == []


def test_its_page_has_no_tab_where_airflow_can_hide_it(monkeypatch):
    from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse

    monkeypatch.setenv("AIRFLOW__VISIO__GALLERY", "True")
    (view,) = VisioPlugin().external_views
    field = ExternalViewResponse.model_fields["destination"]
    assert view["destination"] == ("base" if "'base'" in str(field.annotation) else "task_instance")
    assert not view["href"].startswith("/")
    assert ExternalViewResponse.model_validate(view).url_route == "visio_gallery"


def test_on_an_airflow_that_cannot_hide_it_each_task_has_a_tab(monkeypatch):
    from typing import Literal

    from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse

    monkeypatch.setenv("AIRFLOW__VISIO__GALLERY", "True")
    field = ExternalViewResponse.model_fields["destination"]
    monkeypatch.setattr(field, "annotation", Literal["nav", "task_instance"])
    assert VisioPlugin().external_views[0]["destination"] == "task_instance"
