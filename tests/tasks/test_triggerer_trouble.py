"""A triggerer that cannot do what the worker can ends a wait after two rounds, and says what it lacks."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, conf

from airflow_provider_visio.exceptions import AuthenticationError, ConnectionFailedError
from airflow_provider_visio.hooks.base import VisioBaseHook
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator
from airflow_provider_visio.operators.vizdom import VizdomExportDashboardOperator
from airflow_provider_visio.sensors.visiono import VisionoPermanentLinkSensor, VisionoPhotoRequestSensor
from airflow_provider_visio.triggers.visiono import VisionoPermanentLinkTrigger
from tasks.conftest import Task

NO_CONNECTION = "The triggerer has no connection"
NO_WAY = "The triggerer has no way to the service"
ANOTHER = "The triggerer's poll does not work with the connection"


class Triggerer:
    """What the triggerer reads where its environment differs from the worker's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fault: str | None = None
        true = VisioBaseHook.async_config

        async def async_config(hook: VisioBaseHook) -> Any:
            config = await true(hook)
            if self.fault == "no connection":
                raise AirflowNotFoundException("not defined")
            if self.fault == "no way":
                return replace(config, base_url="http://127.0.0.1:9")
            if self.fault == "no key":
                raise AuthenticationError("no key")
            return config

        monkeypatch.setattr(VisioBaseHook, "async_config", async_config)


@pytest.fixture
def triggerer(monkeypatch: pytest.MonkeyPatch) -> Triggerer:
    return Triggerer(monkeypatch)


FAULTS = pytest.mark.parametrize(
    ("fault", "says"), [("no connection", NO_CONNECTION), ("no way", NO_WAY), ("no key", ANOTHER)]
)


def sensor(**more: Any) -> VisionoPhotoRequestSensor:
    return VisionoPhotoRequestSensor(
        task_id="wait", request_id=VisionoHook().create_photo_request("A meter")["id"], timeout=9e6, **more
    )


def waits(sandbox: Any) -> list[Any]:
    sandbox.settings(export_seconds=9e6)
    link = VisionoHook().create_permanent_link("Photograph the van")["id"]
    return [
        sensor(),
        VisionoCreatePhotoRequestOperator(
            task_id="ask", instructions="A meter", wait_for_photos=True, timeout=9e6
        ),
        VisionoPermanentLinkSensor(task_id="link", link_id=link, timeout=9e6),
        VizdomExportDashboardOperator(task_id="export", dashboard_id="dash_abc123", timeout=9e6),
    ]


@FAULTS
@pytest.mark.parametrize("kind", range(4), ids=["sensor", "create", "link", "export"])
def test_the_second_round_without_a_poll_fails(sandbox, triggerer, fault, says, kind):
    task = Task(waits(sandbox)[kind])
    triggerer.fault = fault
    with pytest.raises(ConnectionFailedError, match=says) as caught:
        task.run()
    assert len(task.deferrals) == 2
    assert caught.value.conn_id in str(caught.value)
    assert "deferrable=False" in str(caught.value)


@FAULTS
def test_one_round_without_a_poll_does_not(sandbox, triggerer, fault, says):
    request_id = (operator := sensor()).request_id
    task = Task(operator)
    triggerer.fault = fault

    def meanwhile() -> None:
        if len(task.deferrals) == 2:
            triggerer.fault = None
            sandbox.act(request_id, "submit")

    assert task.run(meanwhile)["arrived"] == [request_id]


def test_outages_with_a_poll_that_worked_between_them_do_not_add_up(sandbox, triggerer):
    """The second outage begins after the trigger has polled."""
    request_id = (operator := sensor(poke_interval=30)).request_id
    task = Task(operator)

    def meanwhile() -> None:
        triggerer.fault = "no way" if len(task.deferrals) == 1 else None
        if len(task.deferrals) == 2:
            sandbox.fault("visiono", "drop_before", skip=3, times=5)
        if len(task.deferrals) == 3:
            triggerer.fault = "no way"
        if len(task.deferrals) == 4:
            sandbox.act(request_id, "submit")

    assert task.run(meanwhile)["arrived"] == [request_id]
    assert [event.get("polled") for event in task.events] == [False, True, False, None]


def test_a_service_that_is_down_now_and_then_is_waited_for(sandbox):
    request_id = (operator := sensor(poke_interval=30)).request_id
    task = Task(operator)

    def meanwhile() -> None:
        if len(task.deferrals) < 4:
            sandbox.fault("visiono", "status", status=503, times=5)
        else:
            sandbox.act(request_id, "submit")

    assert task.run(meanwhile)["arrived"] == [request_id]


def test_a_key_that_only_the_triggerer_has_wrong_says_so(sandbox, triggerer, monkeypatch):
    async def wrong(hook: VisioBaseHook) -> Any:
        return replace(hook.config(), key="vsk_live_old")

    monkeypatch.setattr(VisioBaseHook, "async_config", wrong)
    with pytest.raises(
        AuthenticationError, match=r"the triggerer's environment or secrets backend has another"
    ):
        Task(sensor()).run()


def test_a_watch_that_cannot_poll_says_so_each_ten_minutes(sandbox, triggerer, caplog):
    from airflow_provider_visio import clock

    triggerer.fault = "no connection"
    trigger = VisionoPermanentLinkTrigger("link_1")

    async def watch() -> None:
        async def listen() -> None:
            async for _ in trigger.run():
                pass

        listening = asyncio.create_task(listen())
        await clock.asleep(3600)
        assert not listening.done()
        listening.cancel()

    caplog.set_level(logging.ERROR)
    asyncio.run(asyncio.wait_for(watch(), 30))
    said = [text for text in caplog.messages if "permanent link link_1 learns nothing" in text]
    assert 5 <= len(said) <= 6
    assert all(NO_CONNECTION in text and "visiono_default" in text for text in said)


@pytest.mark.parametrize("status", ["healthy", "unhealthy", None])
def test_a_deferral_without_a_triggerer_warns(sandbox, serve, monkeypatch, caplog, status):
    from api.local_server import Answer

    airflow = serve(Answer(200, {"triggerer": {"status": status}}))
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", f"{airflow.url}/execution/")
    operator = sensor()
    task = Task(operator)
    task.run(lambda: sandbox.act(operator.request_id, "submit"))
    assert [call.path for call in airflow.received] == ["/api/v2/monitor/health"]
    assert ("no triggerer that is alive" in caplog.text) is (status != "healthy")


def test_a_health_page_that_cannot_be_had_says_nothing(sandbox, serve, monkeypatch, caplog):
    from api.local_server import Answer

    airflow = serve(Answer(404, b"<html>"))
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", airflow.url)
    operator = sensor()
    Task(operator).run(lambda: sandbox.act(operator.request_id, "submit"))
    assert len(airflow.received) == 1
    assert "alive" not in caplog.text


@pytest.mark.parametrize(("text", "defers"), [("True", True), ("False", False), ("false", False)])
def test_the_configuration_decides_where_nobody_says(monkeypatch, text, defers):
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", text)
    tasks = [
        lambda **more: VisionoPhotoRequestSensor(task_id="wait", request_id="req_1", **more),
        lambda **more: VisionoCreatePhotoRequestOperator(task_id="ask", instructions="A meter", **more),
    ]
    for made in tasks:
        assert made().deferrable is defers
        assert made(deferrable=not defers).deferrable is not defers
    assert not tasks[0](mode="reschedule").deferrable


def test_a_default_that_airflow_wrote_into_its_own_file_decides_nothing(monkeypatch):
    monkeypatch.delenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", raising=False)
    assert VisionoPhotoRequestSensor(task_id="wait", request_id="req_1").deferrable
    for text, defers in (("false", True), ("False", False), ("True", True)):
        had = conf.has_section("operators")
        conf.set("operators", "default_deferrable", text)
        try:
            assert VisionoPhotoRequestSensor(task_id="wait", request_id="req_1").deferrable is defers
        finally:
            conf.remove_option("operators", "default_deferrable", remove_default=False)
            if not had:
                conf.remove_section("operators")
