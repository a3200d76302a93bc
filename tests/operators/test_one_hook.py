"""An operator has one hook for its whole task."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePhotoRequestBatchOperator,
    VisionoDownloadPhotosOperator,
    VisionoGetStatsOperator,
    VisionoUpdatePermanentLinkOperator,
)
from airflow_provider_visio.operators.vizdom import (
    VizdomCreateDashboardOperator,
    VizdomExportDashboardOperator,
)
from airflow_provider_visio.sensors.visiono import VisionoPermanentLinkSensor, VisionoPhotoRequestSensor
from airflow_provider_visio.sensors.vizdom import VizdomExportSensor


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the connections that are read."""
    real, found = VisionoHook.get_connection, list[str]()

    def read(conn_id: str) -> Any:
        found.append(conn_id)
        return real(conn_id)

    monkeypatch.setattr(VisionoHook, "get_connection", staticmethod(read))
    return found


def test_a_task_reads_its_connection_once(sandbox, run_task, tmp_path: Path, reads):
    ids = [VisionoHook().create_photo_request("x")["id"] for _ in range(3)]
    for request_id in ids:
        sandbox.act(request_id, "submit")
    reads.clear()
    task = run_task(VisionoDownloadPhotosOperator(task_id="d", request_id=ids, destination=str(tmp_path)))
    assert len(task.run()) == 3
    assert reads == ["visiono_default"]


def test_a_connection_that_is_rendered_later_is_the_one_that_is_used(sandbox, connection):
    operator = VisionoUpdatePermanentLinkOperator(task_id="u", link_id="l", changes={"is_active": False})
    assert operator.hook.visiono_conn_id == "visiono_default"
    operator.visiono_conn_id = connection("other", sandbox.visiono_url, sandbox.visiono_key)
    assert operator.hook.visiono_conn_id == "other"


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_an_operator_that_has_called_the_service_can_be_copied(sandbox, again):
    operator = VisionoUpdatePermanentLinkOperator(task_id="u", link_id="l", changes={"is_active": False})
    operator.hook.get_conn()
    assert again(operator).visiono_conn_id == "visiono_default"


@pytest.mark.parametrize(
    ("task", "given"),
    [
        (VisionoGetStatsOperator, {}),
        (VisionoCreatePhotoRequestBatchOperator, {"requests": [{"instructions": "x"}]}),
        (VisionoUpdatePermanentLinkOperator, {"link_id": "l", "changes": {"is_active": False}}),
        (VizdomCreateDashboardOperator, {"name": "x"}),
        (VizdomExportDashboardOperator, {"dashboard_id": "d"}),
        (VisionoPhotoRequestSensor, {"request_id": "r"}),
        (VisionoPermanentLinkSensor, {"link_id": "l"}),
        (VizdomExportSensor, {"export_id": "e"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_connection_of_the_default_args_is_the_one_that_is_used(task, given):
    default_args = {"visiono_conn_id": "mine", "vizdom_conn_id": "mine", "deferrable": False}
    with DAG("d", schedule=None, default_args=default_args):
        operator = task(task_id="t", **given)
        mapped = task.partial(task_id="m").expand_kwargs([given])
        for one in (operator, mapped.unmap(given)):
            assert one.hook.conn_id == "mine"
            assert one.deferrable is False
