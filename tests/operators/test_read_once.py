"""What a task needs from Airflow it reads once: its connection, the ids of a mapped task, the links of its buttons."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.comms import (
    GetXComCount,
    GetXComSequenceItem,
    GetXComSequenceSlice,
    XComCountResponse,
    XComSequenceIndexResult,
    XComSequenceSliceResult,
)
from airflow.sdk.execution_time.lazy_sequence import LazyXComSequence

from airflow_provider_visio.arguments import ids_of
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.operators.vizdom import (
    VizdomDownloadExportOperator,
    VizdomExportDashboardOperator,
    VizdomInviteMemberOperator,
)
from airflow_provider_visio.sensors.visiono import VisionoPermanentLinkSensor, VisionoPhotoRequestSensor
from airflow_provider_visio.sensors.vizdom import VizdomExportSensor

IN_EACH_MODE = [{"mode": "poke"}, {"deferrable": True}]


@pytest.fixture(autouse=True)
def poking(clock, monkeypatch):
    """Let a sensor that pokes sleep by the provider's clock."""
    monkeypatch.setattr(
        "airflow.sdk.bases.sensor.time", SimpleNamespace(sleep=clock.sleep, monotonic=clock.now)
    )


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Ids of the connections that were read, in their order."""
    found: list[str] = []
    for hook in (VisionoHook, VizdomHook):
        read = hook.get_connection

        def get_connection(conn_id: str, read: Any = read) -> Any:
            found.append(conn_id)
            return read(conn_id)

        monkeypatch.setattr(hook, "get_connection", staticmethod(get_connection))
    return found


def exports(sandbox, count: int) -> list[str]:
    ids = [VizdomHook().create_export("dash_abc123", "pdf")["id"] for _ in range(count)]
    sandbox.advance(60)
    return ids


def test_three_downloads_read_the_connection_once(sandbox, run_task, reads, tmp_path):
    ids = exports(sandbox, 3)
    reads.clear()
    run_task(VizdomDownloadExportOperator(task_id="t", export_id=ids, destination=str(tmp_path))).run()
    assert reads == ["vizdom_default"]


def test_an_export_that_waits_on_its_worker_reads_the_connection_once(sandbox, run_task, reads, clock, later):
    later(2, lambda: sandbox.advance(60))
    operator = VizdomExportDashboardOperator(task_id="t", dashboard_id="dash_abc123", deferrable=False)
    run_task(operator).run()
    assert reads == ["vizdom_default"]


def test_an_invite_reads_the_connection_once(sandbox, run_task, reads):
    run_task(VizdomInviteMemberOperator(task_id="t", email="new@example.com")).run()
    assert reads == ["vizdom_default"]


def test_a_sensor_reads_the_connection_once_for_all_its_looks(sandbox, run_task, reads, later):
    export_id = VizdomHook().create_export("dash_abc123", "pdf")["id"]
    reads.clear()
    later(20, lambda: sandbox.advance(60))
    run_task(VizdomExportSensor(task_id="t", export_id=export_id, mode="poke")).run()
    assert reads == ["vizdom_default"]


def test_a_connection_id_is_that_of_run_time(sandbox, run_task, reads):
    operator = VizdomInviteMemberOperator(
        task_id="t", email="new@example.com", vizdom_conn_id="{{ 'vizdom' }}_default"
    )
    operator.render_template_fields({})
    run_task(operator).run()
    assert reads == ["vizdom_default"]


def test_a_task_that_has_run_can_be_copied(sandbox, run_task):
    operator = VizdomInviteMemberOperator(task_id="t", email="new@example.com")
    run_task(operator).run()
    assert copy.deepcopy(operator).email == "new@example.com"


def test_a_sensor_that_has_run_can_be_copied(sandbox, run_task):
    (export_id,) = exports(sandbox, 1)
    sensor = VizdomExportSensor(task_id="t", export_id=export_id, mode="poke")
    run_task(sensor).run()
    assert pickle.loads(pickle.dumps(copy.deepcopy(sensor))).export_id == export_id


class Supervisor:
    """Airflow's side of a task: the output of a mapped task, and how often it was asked."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.asked: list[type] = []

    def send(self, message: Any) -> Any:
        if "XCom" in type(message).__name__:
            self.asked.append(type(message))
        if isinstance(message, GetXComCount):
            return XComCountResponse(len=len(self.items))
        if isinstance(message, GetXComSequenceItem):
            return XComSequenceIndexResult(root=self.items[message.offset])
        if not isinstance(message, GetXComSequenceSlice):
            return None
        return XComSequenceSliceResult(root=self.items[message.start : message.stop : message.step])


@pytest.fixture
def mapped(monkeypatch):
    """Return a function that gives the output of a mapped task, and what it was asked for."""

    def output(items: list[Any]) -> tuple[Any, list[type]]:
        supervisor = Supervisor(items)
        monkeypatch.setattr(
            "airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", supervisor, raising=False
        )
        source = type("Source", (), {"dag_id": "d", "task_id": "ask"})()
        argument = type("Argument", (), {"operator": source, "key": "return_value"})()
        ti = type("Ti", (), {"run_id": "r"})()
        return LazyXComSequence(xcom_arg=argument, ti=ti), supervisor.asked

    return output


def test_the_ids_of_a_mapped_task_are_one_call(mapped):
    output, asked = mapped([{"id": f"req_{n}"} for n in range(30)])
    assert ids_of(output, "request_id") == [f"req_{n}" for n in range(30)]
    assert asked == [GetXComSequenceSlice]


@pytest.mark.parametrize("mode", IN_EACH_MODE, ids=["poke", "deferred"])
@pytest.mark.parametrize("on_deadline", ["fail", "proceed"])
def test_a_sensor_reads_the_ids_of_a_mapped_task_once(sandbox, run_task, mapped, later, mode, on_deadline):
    ids = [VisionoHook().create_photo_request("Photograph the meter")["id"] for _ in range(3)]
    output, asked = mapped([{"id": one} for one in ids])

    def submit():
        for one in ids:
            sandbox.act(one, "submit")

    later(100, submit)
    sensor = VisionoPhotoRequestSensor(
        task_id="t", request_id="{{ ids }}", on_deadline=on_deadline, timeout=900, **mode
    )
    sensor.request_id = output  # as Airflow renders it
    task = run_task(sensor)
    assert sorted(
        task.run(meanwhile=submit if mode.get("deferrable") else lambda: None)["arrived"]
    ) == sorted(ids)
    assert asked == [GetXComSequenceSlice]


def test_a_sensor_pushes_its_link_once(sandbox, run_task, later):
    request_id = VisionoHook().create_photo_request("Photograph the meter")["id"]
    later(200, lambda: sandbox.act(request_id, "submit"))
    task = run_task(VisionoPhotoRequestSensor(task_id="t", request_id=request_id, mode="poke"))
    task.run()
    assert task.pushed == ["visio_link"]
    assert task.buttons == {"Photo request": task.xcom["visio_link"]}


def test_a_deferred_wait_for_one_keeps_its_button(sandbox, run_task):
    request_id = VisionoHook().create_photo_request("Photograph the meter")["id"]
    task = run_task(VisionoPhotoRequestSensor(task_id="t", request_id=request_id))
    task.run(meanwhile=lambda: sandbox.act(request_id, "submit"))
    assert task.buttons["Photo request"].startswith(sandbox.info["url"])


def test_a_deferred_wait_without_a_link_asks_for_no_xcom_that_is_missing(sandbox, run_task):
    ids = [VisionoHook().create_photo_request("Photograph the meter")["id"] for _ in range(2)]
    task = run_task(VisionoPhotoRequestSensor(task_id="t", request_id=ids))
    task.run(meanwhile=lambda: [sandbox.act(one, "submit") for one in ids])
    assert task.buttons == {"Photo request": ""}


def test_a_sensor_without_buttons_pushes_nothing(sandbox, run_task):
    link_id = VisionoHook().create_permanent_link("Photograph the meter")["id"]
    task = run_task(VisionoPermanentLinkSensor(task_id="t", link_id=link_id, timeout=120, soft_fail=True))
    with pytest.raises(Exception, match="soft_fail"):
        task.run(meanwhile=lambda: sandbox.advance(600))
    assert task.pushed == []
