"""Each submission is published once: by one run, also over retries and clears."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors
from assets.by_asset import ByAsset
from tasks.conftest import Store

from airflow_provider_visio.assets.visiono import photo_request_submission, photo_requests_submitted
from airflow_provider_visio.operators.visiono import VisionoPublishSubmissionsOperator

AT = datetime(2026, 11, 30, tzinfo=UTC)
ASSET = photo_request_submission()
HAS_PARTITIONS = hasattr(OutletEventAccessors()[ASSET], "add_partitions")
needs_partitions = pytest.mark.skipif(not HAS_PARTITIONS, reason="Airflow before 3.3 has no keyed events")


class Events(list[Any]):
    """The events of an asset, as a task reads them."""

    def after(self, moment: datetime) -> list[Any]:
        return [event for event in self if event.timestamp >= moment]


class Airflow:
    """
    What Airflow keeps of the asset: its state, and its events.

    :param reported: the asset whose events start the runs.
    """

    def __init__(self, reported: Asset | None = None) -> None:
        self.reported = reported or photo_requests_submitted()
        self.store = Store()
        self.events = Events()

    def run(self, run_id: str, ids: Iterable[str], *, records: bool = True) -> list[str]:
        """
        Run the task once, and return the keys that it has published.

        :param records: whether Airflow gets to record the events; otherwise the process dies right before.
        """
        task = VisionoPublishSubmissionsOperator(task_id="publish")
        run = SimpleNamespace(dag_id="publish", run_id=run_id, run_after=AT, partition_key=None)
        extra = {"payload": {"request_ids": list(ids)}}
        outlets = OutletEventAccessors()
        context: Any = {
            "dag_run": run,
            "triggering_asset_events": ByAsset((self.reported, [SimpleNamespace(extra=extra)])),
            "asset_state_store": ByAsset((ASSET, self.store)),
            "inlet_events": ByAsset((ASSET, self.events)),
            "outlet_events": outlets,
        }
        output = task.execute(context)
        keys = sorted(outlets[ASSET].partition_keys)
        assert sorted(output["ids"]) == keys
        if records:
            self.events += [
                SimpleNamespace(
                    partition_key=key, source_dag_id="publish", source_run_id=run_id, timestamp=AT
                )
                for key in keys
            ]
        return keys


def test_the_asset_is_its_outlet_and_its_inlet():
    task = VisionoPublishSubmissionsOperator(task_id="publish", visiono_conn_id="visiono_eu")
    assert task.outlets == task.inlets == [photo_request_submission("visiono_eu")]


@needs_partitions
def test_each_submission_is_a_partition():
    assert Airflow().run("one", ["req_1", "req_2"]) == ["req_1", "req_2"]


@needs_partitions
def test_another_run_publishes_only_what_is_new():
    airflow = Airflow()
    airflow.run("one", ["req_1", "req_2"])
    assert airflow.run("two", ["req_2", "req_3"]) == ["req_3"]
    with pytest.raises(AirflowSkipException, match="Nothing to publish"):
        airflow.run("three", ["req_1", "req_2", "req_3"])


@needs_partitions
def test_a_retry_publishes_again_what_was_not_recorded():
    airflow = Airflow()
    airflow.run("one", ["req_1", "req_2"], records=False)
    with pytest.raises(AirflowSkipException):
        airflow.run("two", ["req_1"])
    assert airflow.run("one", ["req_1", "req_2"]) == ["req_1", "req_2"]


@needs_partitions
def test_a_cleared_task_publishes_nothing_again():
    airflow = Airflow()
    airflow.run("one", ["req_1", "req_2"])
    with pytest.raises(AirflowSkipException):
        airflow.run("one", ["req_1", "req_2"])


@needs_partitions
def test_a_run_of_another_dag_with_the_same_id_is_another_run():
    airflow = Airflow()
    airflow.store.set("visio_published_req_1", {"dag_id": "other", "run_id": "one"})
    with pytest.raises(AirflowSkipException):
        airflow.run("one", ["req_1"])


@needs_partitions
def test_submissions_on_another_connection_are_not_published():
    airflow = Airflow(photo_requests_submitted("visiono_eu"))
    with pytest.raises(AirflowSkipException):
        airflow.run("one", ["req_1"])


@needs_partitions
def test_a_run_without_submissions_is_skipped():
    with pytest.raises(AirflowSkipException):
        Airflow().run("one", [])


def test_an_airflow_without_partitions_skips_the_task():
    task = VisionoPublishSubmissionsOperator(task_id="publish")
    with pytest.raises(AirflowSkipException, match="cannot start a run"):
        task.execute({"outlet_events": ByAsset((ASSET, SimpleNamespace(extra={})))})
