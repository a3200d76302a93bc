"""
Assets for Visiono: a DAG starts when photo requests are submitted.

An asset watcher cannot start one run for each request: its events have no partition key, and one run takes all that
have come. So there are two assets, and
:class:`~airflow_provider_visio.operators.visiono.VisionoPublishSubmissionsOperator` feeds the second from the first.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetWatcher

from airflow_provider_visio.storage.lineage import object_uri

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["photo_request_submission", "photo_requests_submitted", "submission_schedule", "submitted_ids"]


def photo_requests_submitted(
    visiono_conn_id: str = "visiono_default",
    *,
    since: float | str | datetime | None = None,
    poke_interval: float | timedelta = 60.0,
    max_age: float | timedelta = timedelta(days=30),
) -> Asset:
    """
    Return the asset whose events say that photo requests were submitted, also those created outside Airflow.

    ``schedule=[photo_requests_submitted()]`` starts a run soon after a submission. One run takes all submissions that
    have come since the last one; :func:`submitted_ids` has their ids. A triggerer watches the workspace while at least
    one DAG on this schedule is not paused.

    The asset has one watcher. So give the same arguments in all DAG files. They are those of
    :class:`~airflow_provider_visio.triggers.visiono.VisionoPhotoRequestSubmittedTrigger`.

    :param visiono_conn_id: id of the Airflow connection.
    :param since: report also requests that were submitted before the watch, if they were created since then.
    :param poke_interval: seconds or timedelta between two polls.
    :param max_age: seconds or timedelta; requests that were created longer ago than that are not reported.
    :return: the asset ``visiono_submitted_<connection>``; the ``extra["payload"]`` of its events is ``{"request_ids":
        [ids]}``.
    :raises InvalidRequestError: an argument is not what it should be.
    """
    # Not imported with this module: the operator needs the names only.
    from airflow_provider_visio.triggers.visiono_submitted import VisionoPhotoRequestSubmittedTrigger

    trigger = VisionoPhotoRequestSubmittedTrigger(visiono_conn_id, since, poke_interval, max_age)
    name = f"visiono_submitted_{visiono_conn_id}"
    watcher = AssetWatcher(name=name, trigger=trigger)
    return Asset(name, _uri(visiono_conn_id, "submitted"), watchers=[watcher])


def photo_request_submission(visiono_conn_id: str = "visiono_default") -> Asset:
    """
    Return the asset that has an event for each submitted photo request; its partition key is the request's id.

    A DAG with a :class:`~airflow_provider_visio.operators.visiono.VisionoPublishSubmissionsOperator` feeds it.

    :param visiono_conn_id: id of the Airflow connection.
    :return: the asset ``visiono_submission_<connection>``.
    """
    return Asset(f"visiono_submission_{visiono_conn_id}", _uri(visiono_conn_id, "submission"))


def submission_schedule(visiono_conn_id: str = "visiono_default", *, otherwise: Asset | None = None) -> Any:
    """
    Return the ``schedule`` of a DAG that runs once for each submitted photo request (Airflow 3.3).

    Before Airflow 3.3 it starts one run for several requests. A DAG that takes all of :func:`submitted_ids` works in
    both ways.

    :param visiono_conn_id: id of the Airflow connection.
    :param otherwise: the asset for an Airflow before 3.3; None for ``photo_requests_submitted(visiono_conn_id)``.
    :return: ``PartitionedAssetTimetable(assets=photo_request_submission(visiono_conn_id))``, or a list with the asset
        for an Airflow before 3.3.
    """
    try:
        # Airflow 3.2 has the first. But its tasks cannot give an event a partition key.
        from airflow.sdk import PartitionedAssetTimetable, PartitionedAtRuntime  # noqa: F401
    except ImportError:
        return [otherwise or photo_requests_submitted(visiono_conn_id)]
    return PartitionedAssetTimetable(assets=photo_request_submission(visiono_conn_id))


def submitted_ids(context: Mapping[str, Any], visiono_conn_id: str | None = None) -> list[str]:
    """
    Return the ids of the submitted photo requests that a run is for.

    :param context: the context of a running task.
    :param visiono_conn_id: only those of this connection's :func:`photo_requests_submitted`; None for all.
    :return: the run's partition key, if it has one; otherwise the ids in the events that started the run, each once.
    """
    key = getattr(context.get("dag_run"), "partition_key", None)
    if key:
        return [str(key)]
    found: dict[str, None] = {}
    for asset, events in (context.get("triggering_asset_events") or {}).items():
        if visiono_conn_id is None or getattr(asset, "uri", None) == _uri(visiono_conn_id, "submitted"):
            for event in events:
                found |= dict.fromkeys(_ids_in(event.extra))
    return list(found)


def _ids_in(extra: Any) -> list[str]:
    """Return the ids in an event's extra; none in one that somebody has created in another shape."""
    payload = extra.get("payload") if isinstance(extra, dict) else None
    ids = payload.get("request_ids") if isinstance(payload, dict) else None
    return [found for found in ids if isinstance(found, str) and found] if isinstance(ids, list) else []


def _uri(visiono_conn_id: str, which: str) -> str:
    return object_uri("visiono", visiono_conn_id, "photo-requests", which)
