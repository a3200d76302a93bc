"""Many requests in one task: what a look at the service's list may conclude, so that nobody is asked twice."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_visio.hooks.visiono import VisionoHook
from tasks.test_batch import ask, made, people, words


def test_a_call_is_waited_for_as_long_as_the_connection_would_have_waited(
    sandbox, run_task, monkeypatch, clock, later, connection
):
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, timeout=300)
    task = run_task(ask(batch=True))
    real = VisionoHook.create_photo_requests

    def die(self: Any, *args: Any) -> None:
        later(290, lambda: real(self, *args))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(VisionoHook, "create_photo_requests", die)
        with pytest.raises(KeyboardInterrupt):
            task.run()
    run_task(ask(batch=True), task).run()
    clock.sleep(300)
    assert made(sandbox) == words(people(12))
