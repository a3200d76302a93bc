"""An export that failed, is stuck or has no usable file is started again, by a retry and by a clear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from tasks.conftest import needs_store

from airflow_provider_visio.exceptions import (
    ExportFailedError,
    TransferError,
    WaitTimeoutError,
)
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.operators.vizdom import VizdomExportDashboardOperator

AGAIN = "A retry of this task exports again, as clearing it does"
RECORD = "visio_intent"

CLEARED = pytest.mark.parametrize("cleared", [False, True], ids=["retry", "clear"])
DEFERRABLE = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "on the worker"])
ON_EXISTING = pytest.mark.parametrize("on_existing", ["reuse", "replace", "fail"])


def export(**more: Any) -> VizdomExportDashboardOperator:
    return VizdomExportDashboardOperator(**{"task_id": "export", "dashboard_id": "dash_abc123", **more})


def started(sandbox: Any) -> list[str]:
    return [one["id"] for one in sandbox.control("GET", "/exports")]


def wait_of(task: Any) -> Any:
    """Run a task until it waits, and return its trigger."""
    with pytest.raises(TaskDeferred) as caught:
        task.operator.execute(task.context)
    return caught.value.trigger


# The file itself


@CLEARED
@DEFERRABLE
@pytest.mark.parametrize("outcome", ["page", "error", "nothing", "gone"])
def test_a_finished_export_without_its_file_is_exported_again(
    sandbox, run_task, tmp_path: Path, outcome, deferrable, cleared
):
    make = lambda: export(destination=str(tmp_path), export_format="csv", deferrable=deferrable)  # noqa: E731
    sandbox.settings(export_outcome=outcome)
    task = run_task(make())
    with pytest.raises(TransferError, match=AGAIN):
        task.run()
    for tries in (2, 3):
        task = run_task(make(), task, cleared=cleared)
        with pytest.raises(TransferError, match=AGAIN):
            task.run()
        assert len(started(sandbox)) == tries, "one in each try"
    sandbox.settings(export_outcome="file")
    output = run_task(make(), task, cleared=cleared).run()
    assert started(sandbox)[3:] == [output["id"]]
    assert Path(output["file"]["path"].removeprefix("file://")).read_text().startswith("Week of")


@needs_store
def test_the_next_try_says_why_it_exports_again_and_which_export_it_is(
    sandbox, run_task, tmp_path: Path, caplog, capsys
):
    sandbox.settings(export_outcome="gone")
    task = run_task(export(destination=str(tmp_path)))
    with pytest.raises(TransferError):
        task.run()
    (first,) = started(sandbox)
    sandbox.settings(export_outcome="file")
    assert (
        f"Started export {first} of dashboard dash_abc123 (1st export of this task)."
        in capsys.readouterr().out
    )
    second = run_task(export(destination=str(tmp_path)), task).run()["id"]
    assert (
        f"Started export {second} of dashboard dash_abc123 (2nd export of this task)."
        in capsys.readouterr().out
    )
    (said,) = [line for line in caplog.messages if "is not used again" in line]
    assert said.startswith(f"{first} is not used again: ")
    assert "404" in said


@needs_store
@CLEARED
def test_a_store_that_fails_costs_no_other_export(sandbox, run_task, tmp_path: Path, cleared):
    task = run_task(export(destination=str(tmp_path)))

    def in_the_way() -> None:
        (tmp_path / started(sandbox)[0]).write_text("in the way")

    with pytest.raises(TransferError, match="Cannot store at") as caught:
        task.run(in_the_way)
    assert AGAIN not in str(caught.value)
    (made,) = started(sandbox)
    (tmp_path / made).unlink()
    assert run_task(export(destination=str(tmp_path)), task, cleared=cleared).run()["id"] == made
    assert started(sandbox) == [made]


def test_without_a_store_a_retry_exports_again(sandbox, run_task, tmp_path: Path):
    sandbox.settings(export_outcome="nothing")
    task = run_task(export(destination=str(tmp_path)), store=None)
    with pytest.raises(TransferError, match=AGAIN):
        task.run()
    sandbox.settings(export_outcome="file")
    assert run_task(export(destination=str(tmp_path)), task).run()["file"]
    assert len(started(sandbox)) == 2


@needs_store
@CLEARED
def test_an_export_that_vizdom_no_longer_knows_is_exported_again(sandbox, run_task, cleared):
    task = run_task(export())
    (made,) = wait_of(task).ids
    lost = {"error": {"code": "not_found", "message": f"Export with ID '{made}' does not exist."}}
    sandbox.fault("vizdom", "body", method="GET", path=made, status=404, body=lost)
    assert run_task(export(), task, cleared=cleared).run()["id"] != made
    assert len(started(sandbox)) == 2


@needs_store
def test_one_whose_file_lapses_before_it_is_fetched_is_exported_again(sandbox, run_task, tmp_path: Path):
    task = run_task(export(destination=str(tmp_path)))
    real = VizdomHook.download_export

    def lapse(*given: Any, **named: Any) -> Any:
        sandbox.fault("vizdom", "body", method="GET", body={"data": {"id": "x", "status": "lapsed"}})
        return real(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VizdomHook, "download_export", lapse)
        with pytest.raises(ExportFailedError, match=AGAIN):
            task.run()
    sandbox.clear_faults()
    assert run_task(export(destination=str(tmp_path)), task).run()["file"]
    assert len(started(sandbox)) == 2


@CLEARED
def test_one_that_failed_is_exported_again(sandbox, run_task, cleared):
    task = run_task(export(dashboard_id="dash_broken"))
    for tries in (1, 2, 3):
        with pytest.raises(ExportFailedError, match=AGAIN):
            task.run()
        assert len(started(sandbox)) == tries
        task = run_task(export(dashboard_id="dash_broken"), task, cleared=cleared)


def test_one_of_several_files_that_is_gone_is_exported_again(sandbox, run_task, tmp_path: Path):
    sandbox.settings(export_outcome="several")
    task = run_task(export(export_format="csv", destination=str(tmp_path)))
    sandbox.fault("storage", "status", status=404, path="-2.csv")
    with pytest.raises(TransferError, match=AGAIN):
        task.run()
    sandbox.clear_faults()
    assert len(run_task(export(export_format="csv", destination=str(tmp_path)), task).run()["files"]) == 3


# One that is stuck


@CLEARED
@DEFERRABLE
@ON_EXISTING
def test_one_that_is_stuck_is_exported_again_with_a_whole_timeout(
    sandbox, run_task, clock, deferrable, cleared, on_existing
):
    make = lambda: export(timeout=600, deferrable=deferrable, on_existing=on_existing)  # noqa: E731
    sandbox.settings(export_outcome="stuck")
    task = run_task(make())
    for tries in (1, 2, 3):
        before = clock.now()
        with pytest.raises(WaitTimeoutError, match=rf"The export goes on at Vizdom\. {AGAIN}"):
            task.run()
        assert len(started(sandbox)) == tries
        assert 600 <= clock.now() - before < 630
        task = run_task(make(), task, cleared=cleared)
    sandbox.settings(export_outcome="file")
    assert task.run()["id"] == started(sandbox)[3]


@needs_store
def test_one_that_is_stuck_is_given_up_by_the_try_that_finds_it_so(sandbox, run_task, clock):
    """The worker died, and the deadline passed before the retry."""
    sandbox.settings(export_outcome="stuck")
    task = run_task(export())
    (stuck,) = wait_of(task).ids
    clock.sleep(3599)
    task = run_task(export(), task)
    assert wait_of(task).ids == [stuck]
    clock.sleep(2)
    trigger = wait_of(run_task(export(), task))
    assert trigger.ids == started(sandbox)[1:]
    assert trigger.deadline == pytest.approx(clock.now() + 3600, abs=2)


@needs_store
def test_a_longer_timeout_waits_on_for_the_same(sandbox, run_task, clock):
    sandbox.settings(export_outcome="stuck")
    task = run_task(export(timeout=60))
    with pytest.raises(WaitTimeoutError):
        task.run()
    assert wait_of(run_task(export(timeout=7200), task)).ids == started(sandbox)


@needs_store
def test_one_that_is_ready_after_its_deadline_is_used(sandbox, run_task, tmp_path: Path):
    sandbox.settings(export_outcome="stuck")
    task = run_task(export(timeout=60, destination=str(tmp_path)))
    with pytest.raises(WaitTimeoutError):
        task.run()
    (made,) = started(sandbox)
    sandbox.control("POST", f"/exports/{made}/complete")
    assert run_task(export(timeout=60, destination=str(tmp_path)), task).run()["id"] == made


@needs_store
def test_one_that_nobody_waits_for_has_no_deadline(sandbox, run_task, clock):
    sandbox.settings(export_outcome="stuck")
    make = lambda: export(timeout=60, wait_for_completion=False)  # noqa: E731
    task = run_task(make())
    made = task.run()["id"]
    clock.sleep(3600)
    assert run_task(make(), task, cleared=True).run()["id"] == made


@pytest.mark.parametrize("store", [True, None], ids=["with a store", "without"])
def test_a_try_starts_one_export_also_where_it_is_stuck_after_a_pause(sandbox, run_task, clock, store):
    """After its start, the rate limit holds the task for longer than ``timeout``."""
    sandbox.settings(export_outcome="stuck")
    task = run_task(export(timeout=60, wait_for_completion=True, destination=None), store=store)
    real = VizdomHook.create_export
    with pytest.MonkeyPatch.context() as patch:
        # Ready at once, so that the next call is the task's own.
        patch.setattr(VizdomHook, "create_export", lambda *given: {**real(*given), "status": "completed"})
        sandbox.fault("vizdom", "rate_limit", method="GET", retry_after=1800, times=1)
        with pytest.raises(WaitTimeoutError):
            task.run()
    assert len(started(sandbox)) == 1


# What older versions have written


@needs_store
@CLEARED
def test_a_record_of_an_older_version_is_read(sandbox, run_task, cleared):
    task = run_task(export())
    (made,) = wait_of(task).ids
    for name in ("unusable", "number"):
        del task.store[RECORD][name]
    task = run_task(export(), task, cleared=cleared)
    assert task.run()["id"] == made
    again = run_task(export(), task, cleared=True)
    assert again.run()["id"] != made
    assert again.store[RECORD]["number"] == 2
