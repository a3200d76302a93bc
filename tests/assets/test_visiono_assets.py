"""The assets for ``schedule=``, and the ids that a run is for."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.execution_time import context as execution_context

from airflow_provider_visio.assets.visiono import (
    photo_request_submission,
    photo_requests_submitted,
    submission_schedule,
    submitted_ids,
)
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.triggers.visiono import VisionoPhotoRequestSubmittedTrigger
from assets.by_asset import ByAsset

HAS_PARTITIONS = hasattr(execution_context.OutletEventAccessor, "add_partitions")


def test_the_names_are_those_that_runs_and_receivers_know():
    submitted, submission = photo_requests_submitted(), photo_request_submission()
    assert (submitted.name, submitted.uri) == (
        "visiono_submitted_visiono_default",
        "visiono://visiono_default/photo-requests/submitted",
    )
    assert (submission.name, submission.uri) == (
        "visiono_submission_visiono_default",
        "visiono://visiono_default/photo-requests/submission",
    )
    assert submission.watchers == []


def test_a_connection_s_id_may_have_any_characters():
    one, other = photo_request_submission("Visiono EU/1"), photo_request_submission("Visiono EU/2")
    assert one.uri == "visiono://Visiono%20EU%2F1/photo-requests/submission"
    assert one != other


def test_the_watcher_has_the_arguments():
    asset = photo_requests_submitted(
        "visiono_eu", since=60.0, poke_interval=timedelta(minutes=2), max_age=timedelta(days=7)
    )
    (watcher,) = asset.watchers
    assert isinstance(watcher.trigger, VisionoPhotoRequestSubmittedTrigger)
    assert watcher.trigger.serialize()[1] == {
        "visiono_conn_id": "visiono_eu",
        "since": 60.0,
        "poke_interval": 120.0,
        "max_age": 604_800.0,
    }


def test_a_wrong_argument_is_refused_where_the_dag_is_parsed():
    with pytest.raises(InvalidRequestError, match="poke_interval"):
        photo_requests_submitted(poke_interval=0)


def test_one_asset_in_two_dag_files_is_one():
    one, other = photo_requests_submitted(), photo_requests_submitted()
    assert (one.name, one.uri) == (other.name, other.uri)
    hashes = {
        asset.watchers[0].trigger.hash(*asset.watchers[0].trigger.serialize()) for asset in (one, other)
    }
    assert len(hashes) == 1


def test_the_schedule_of_a_run_for_each_submission():
    with DAG("each", schedule=submission_schedule("visiono_eu")) as dag:
        pass
    condition: Any = dag.timetable.asset_condition
    if HAS_PARTITIONS:
        assert type(dag.timetable).__name__ == "PartitionedAssetTimetable"
        assert condition == photo_request_submission("visiono_eu")
    else:
        assert [asset.name for asset in condition.objects] == ["visiono_submitted_visiono_eu"]


def test_an_airflow_without_partitions_gets_the_other_asset(monkeypatch):
    import airflow.sdk

    monkeypatch.delattr(airflow.sdk, "PartitionedAtRuntime", raising=False)
    monkeypatch.setattr(airflow.sdk, "__getattr__", _without("PartitionedAtRuntime", airflow.sdk.__getattr__))
    submitted = photo_requests_submitted("visiono_eu", poke_interval=5)
    assert submission_schedule("visiono_eu", otherwise=submitted) == [submitted]
    (usual,) = submission_schedule("visiono_eu")
    assert usual.name == submitted.name


def _without(missing: str, whole: Any) -> Any:
    def get(name: str) -> Any:
        if name == missing:
            raise AttributeError(name)
        return whole(name)

    return get


def event(*ids: Any, **extra: Any) -> SimpleNamespace:
    return SimpleNamespace(extra={"from_trigger": True, "payload": {"request_ids": list(ids)}, **extra})


def test_the_ids_of_a_run_are_those_of_all_its_events_each_once():
    events = ByAsset(
        (photo_requests_submitted(), [event("req_1", "req_2"), event("req_2", "req_3")]),
        (photo_requests_submitted("visiono_eu"), [event("req_9")]),
    )
    context = {"dag_run": SimpleNamespace(partition_key=None), "triggering_asset_events": events}
    assert submitted_ids(context) == ["req_1", "req_2", "req_3", "req_9"]
    assert submitted_ids(context, "visiono_eu") == ["req_9"]
    assert submitted_ids(context, "visiono_us") == []


def test_the_id_of_a_run_with_a_partition_key_is_that():
    context = {
        "dag_run": SimpleNamespace(partition_key="req_7"),
        "triggering_asset_events": ByAsset((Asset("x"), [event("req_1")])),
    }
    assert submitted_ids(context) == ["req_7"]


@pytest.mark.parametrize(
    "extra",
    [{}, {"payload": None}, {"payload": []}, {"payload": {}}, {"payload": {"request_ids": "req_1"}}, None],
)
def test_an_event_of_another_shape_has_no_ids(extra):
    events = ByAsset(
        (photo_requests_submitted(), [SimpleNamespace(extra=extra), event("", None, 7, "req_1")])
    )
    assert submitted_ids({"dag_run": SimpleNamespace(), "triggering_asset_events": events}) == ["req_1"]


def test_a_run_that_somebody_started_has_no_ids():
    assert submitted_ids({"dag_run": SimpleNamespace(partition_key=None)}) == []
