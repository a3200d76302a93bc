"""What the plan has left, and a DAG that stops where that is too little."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DownstreamTasksSkipped
from airflow.sdk import DAG, teardown

from airflow_provider_visio.api.plan_quota import photos_left
from airflow_provider_visio.exceptions import InvalidRequestError, NotFoundError, VisioProviderError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.operators.visiono import (
    VisionoDeletePhotoRequestOperator,
    VisionoGetStatsOperator,
    VisionoQuotaShortCircuitOperator,
)


@pytest.mark.parametrize(
    ("stats", "left"),
    [
        ({"usage": {"photos_used": 40, "photos_limit": 100}}, 60),
        # A plan's limit need not be that of what the usage counts: it may be the photos of one request.
        ({"usage": {"photos_used": 40}, "plan": {"photo_limit": 25}}, None),
        ({"usage": {"photos_used": 40, "photos_limit": 100}, "plan": {"photo_limit": 25}}, 60),
        ({"usage": {"photos_used": 40}, "plan": {"used": 3, "limit": 10}}, 7),
        ({"usage": {"used": 3, "limit": 10}}, 7),
        ({"usage": {"photos": {"used": 3, "limit": 10}}}, 7),
        ({"usage": {"photos_remaining": 5, "photos_used": 40, "photos_limit": 100}}, 5),
        ({"photos_left": "12"}, 12),
        ({"usage": {"photos_used": 120, "photos_limit": 100}}, 0),
        ({"usage": {"photos_used": 0, "photos_limit": 0}}, 0),
        ({"usage": {"photos_used": 40, "photos_limit": None}}, None),
        ({"usage": {"photos_used": 40, "photos_limit": -1}}, None),
        ({"usage": {"photos_used": 40, "photos_limit": "unlimited"}}, None),
        ({"usage": {"photos_used": True, "photos_limit": 100}}, None),
        ({"usage": {"photos_limit": 100}}, None),
        ({"usage": {"is_lifetime_quota": True}, "plan": {"email_enabled": False}}, None),
        ({"usage": None, "plan": []}, None),
        ({}, None),
    ],
)
def test_what_is_left_by_what_the_service_says(stats, left):
    found = photos_left(stats)
    assert (found.photos if found else None) == left


def circuit(**more: Any) -> VisionoQuotaShortCircuitOperator:
    return VisionoQuotaShortCircuitOperator(**{"task_id": "quota", "at_least": 50, **more})


def skipped(run_task: Any, **more: Any) -> set[str]:
    """Return the tasks that it skips in a DAG: quota >> next >> last, and a teardown after them."""
    with DAG("d", schedule=None):
        stop = circuit(**more)
        following, last = (
            VisionoDeletePhotoRequestOperator(task_id=i, request_id="x") for i in ("next", "last")
        )
        stop >> following >> last

        @teardown
        def tidy() -> None: ...

        last >> tidy()
    try:
        run_task(stop).run()
    except DownstreamTasksSkipped as skip:
        return {i if isinstance(i, str) else i[0] for i in skip.tasks}
    return set()


def test_the_output_is_what_the_service_says_and_what_is_left(sandbox, run_task, capfd):
    sandbox.settings(plan="free")
    result = run_task(VisionoGetStatsOperator(task_id="s")).run()
    assert result["photos_left"] == 100
    assert "The plan has 100 photos left (usage.photos_limit, usage.photos_used)" in capfd.readouterr().out
    assert result["usage"]["is_lifetime_quota"] is True
    assert result["usage"]["billing_period_start"] is None
    assert result["plan"]["email_enabled"] is False


@pytest.mark.parametrize("plan", ["free", "paid"])
def test_enough_quota_continues(sandbox, run_task, plan, capfd):
    sandbox.settings(plan=plan)
    left = 100 if plan == "free" else 1000
    result = run_task(circuit(at_least=left)).run()
    assert result == {"photos_left": left, "at_least": left}
    assert (
        f"The plan has {left} photos left (usage.photos_limit, usage.photos_used), and the task needs at least {left}: "
        "the DAG continues" in capfd.readouterr().out
    )


def test_too_little_skips_all_that_follows(sandbox, run_task, capfd):
    sandbox.settings(plan="free")
    assert skipped(run_task, at_least=101) == {"next", "last"}
    assert (
        "The plan has 100 photos left (usage.photos_limit, usage.photos_used), and the task needs at "
        "least 101: the DAG stops here" in capfd.readouterr().out
    )


def test_trigger_rules_further_down_can_be_minded(sandbox, run_task):
    sandbox.settings(plan="free")
    assert skipped(run_task, at_least=101, ignore_downstream_trigger_rules=False) == {"next"}


@pytest.mark.parametrize(("on_unknown", "tasks"), [("continue", set()), ("stop", {"next", "last"})])
def test_a_plan_that_does_not_tell(sandbox, run_task, monkeypatch, on_unknown, tasks, capfd):
    monkeypatch.setattr(VisionoHook, "get_stats", lambda self: {"plan": {"email_enabled": True}})
    assert skipped(run_task, on_unknown=on_unknown) == tasks
    word = "stops here" if tasks else "continues"
    assert f"does not show how many photos the plan has left; the DAG {word}" in capfd.readouterr().out


def test_a_plan_that_does_not_tell_can_fail_the_task(sandbox, run_task, monkeypatch):
    monkeypatch.setattr(VisionoHook, "get_stats", lambda self: {})
    with pytest.raises(VisioProviderError, match=r"does not show how many .*\[connection visiono_default\]"):
        run_task(circuit(on_unknown="fail")).run()


def test_a_service_of_the_plugin_s_dialect_has_no_stats(sandbox, run_task):
    sandbox.settings(dialect="plugin")
    with pytest.raises(NotFoundError):
        run_task(circuit()).run()
    sandbox.settings(dialect="both")


def test_the_number_may_be_a_template(sandbox, run_task):
    operator = circuit(at_least="{{ 5000 }}")
    operator.render_template_fields({})
    with DAG("d", schedule=None) as dag:
        dag.add_task(operator)
        operator >> VisionoDeletePhotoRequestOperator(task_id="next", request_id="x")
    with pytest.raises(DownstreamTasksSkipped):
        run_task(operator).run()


@pytest.mark.parametrize(
    "more", [{"at_least": 0}, {"at_least": "many"}, {"at_least": True}, {"on_unknown": "skip"}]
)
def test_what_is_known_to_be_wrong_fails_when_the_dag_is_parsed(more):
    with pytest.raises(InvalidRequestError):
        circuit(**more)
