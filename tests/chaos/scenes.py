"""The scenes: what is done to the tasks of each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.environment import Field, pause

# Seconds that a slow service takes: its caller has died by then, and the next try has begun.
SLOW = 20.0
# How many wait in a triggerer that is killed; CI has time for fewer.
WAITS = int(os.environ.get("CHAOS_WAITS") or "200")
# How many tasks run while that is killed on which all depend.
HELD = 3
POST = {"method": "POST", "path": "^/photo-requests$"}


@dataclass(frozen=True)
class Scene:
    """
    One way in which things go wrong.

    :param name: of the scene, its DAG and its connection.
    :param what: what is done, in words for the table.
    :param tasks: how many tasks a run has.
    :param act: does it.
    :param operator: arguments of the operator.
    :param phase: scenes of one phase play at the same time; those that break what all share come later.
    :param ends: how its tasks must end.
    :param left: the status that requests must have in the end; None: submitted, and stored.
    :param why: why something may be asked for twice all the same; empty where it may not.
    :param extra: how many more than its tasks may then be asked for.
    :param through_proxy: whether the service can be cut off.
    :param timeout: seconds that a call waits for its reply.
    """

    name: str
    what: str
    tasks: int
    act: Callable[[Field, Scene], None]
    operator: Mapping[str, Any] = field(default_factory=dict)
    phase: int = 1
    runs: int = 1
    ends: str = "success"
    left: str | None = None
    why: str = ""
    extra: int = 0
    through_proxy: bool = False
    timeout: float = 30

    @property
    def export_format(self) -> str | None:
        """The format that only this scene's exports have; None where people are asked for photos."""
        return self.operator.get("export_format")


def dying(the: Field, scene: Scene) -> None:
    """The tasks see to their end themselves."""
    the.start(scene.name)
    the.answer(scene.name)


def killed_before_reply(the: Field, scene: Scene) -> None:
    hold = the.fault(scene.name, "hold", **POST, times=scene.tasks, after_work=True)
    the.start(scene.name)
    the.until("all to be asked", lambda: the.held(hold))
    the.kill_every_worker(scene.name, scene.tasks)
    the.let_go(hold, drop=True)
    the.answer(scene.name)


def killed_while_service_works(the: Field, scene: Scene) -> None:
    holds = {the.fault(scene.name, "hold", **POST, times=1) for _ in range(scene.tasks)}
    since: dict[int, float] = {}
    the.start(scene.name)

    def worked_on() -> bool:
        now = time.monotonic()
        tried_again = sum(task.tries > 1 for task in the.tasks(scene.name))
        # The first to be asked was the first to die.
        for hold in sorted(the.held(*holds), key=lambda one: since.setdefault(one, now)):
            if now - since[hold] > SLOW and scene.tasks - len(holds) < tried_again:
                the.let_go(hold, drop=False)
                holds.discard(hold)
        return not holds

    the.until("all to be worked on", worked_on)
    the.answer(scene.name)


def killed_while_polling(the: Field, scene: Scene) -> None:
    the.start(scene.name)

    def polled() -> bool:
        ids = {request["id"] for request in the.requests(scene.name)}
        paths = [call["path"] for call in the.sandbox.control("GET", "/calls") if call["method"] == "GET"]
        return len(ids) == scene.tasks and all(f"/photo-requests/{one}" in paths for one in ids)

    the.until("all to be asked for, and looked at", polled)
    the.kill_every_worker(scene.name, scene.tasks)
    the.answer(scene.name)


def reply_dropped(the: Field, scene: Scene) -> None:
    the.fault(scene.name, "drop_after", **POST, times=scene.tasks)
    the.start(scene.name)
    the.answer(scene.name)


def service_down(the: Field, scene: Scene) -> None:
    first = the.start(scene.name)
    the.until("the first to wait", lambda: all(task.waits for task in the.tasks(scene.name, first)))
    the.proxy.refuse()
    the.start(scene.name)
    pause(30)
    the.proxy.hang()
    pause(30)
    the.proxy.restore()
    the.answer(scene.name)


def key_rotated(the: Field, scene: Scene) -> None:
    the.start(scene.name)
    the.until_deferred(scene.name, scene.tasks)
    fresh = f"{the.keys[scene.name]}-rotated"
    the.set_key(scene.name, fresh, in_airflow=False)
    pause(8)
    the.set_key(scene.name, fresh, in_airflow=True)
    the.answer(scene.name)


def cleared(the: Field, scene: Scene) -> None:
    the.start(scene.name)
    the.until_deferred(scene.name, scene.tasks)
    for task in the.tasks(scene.name):
        the.clear(scene.name, task)
    the.until("another try", lambda: all(task.tries > 1 for task in the.tasks(scene.name)))
    the.until_deferred(scene.name, scene.tasks)
    the.answer(scene.name)


def marked(the: Field, scene: Scene) -> None:
    the.start(scene.name)
    the.until_deferred(scene.name, scene.tasks)
    # The trigger must have begun to wait, or nobody is there to be told.
    pause(5)
    for task in the.tasks(scene.name):
        the.mark(scene.name, task, scene.ends)
    if scene.left == "deleted":
        the.until("their end", lambda: {r["status"] for r in the.requests(scene.name)} == {"deleted"}, 60)


def export_killed(the: Field, scene: Scene) -> None:
    hold = the.fault(scene.name, "hold", service="vizdom", method="GET", path="^/exports/", times=scene.tasks)
    the.start(scene.name)
    the.until("all to look at their exports", lambda: the.held(hold))
    the.kill_every_worker(scene.name, scene.tasks)
    the.let_go(hold, drop=True)


def export_reply_dropped(the: Field, scene: Scene) -> None:
    the.fault(scene.name, "drop_after", service="vizdom", method="POST", path="^/exports$", times=scene.tasks)
    the.start(scene.name)


def triggerer_killed(the: Field, scene: Scene) -> None:
    the.start(scene.name)
    the.until_deferred(scene.name, scene.tasks)
    the.until("their triggers", lambda: all(task.waits for task in the.tasks(scene.name)))
    the.stack.kill("triggerer")
    the.answer(scene.name)
    pause(5)
    the.stack.start("triggerer", wait=False)


def scheduler_killed(the: Field, scene: Scene) -> None:
    holds = some_wait_and_some_run(the, scene)
    the.stack.kill("scheduler")
    pause(2)
    the.stack.start("scheduler", wait=False)
    for hold in holds:
        the.let_go(hold, drop=True)
    the.answer(scene.name)


def api_server_restarted(the: Field, scene: Scene) -> None:
    first, *others = some_wait_and_some_run(the, scene)
    the.stack.stop("api-server")
    the.stack.start("api-server")
    the.stack.kill("api-server")
    the.let_go(first, drop=False)
    the.stack.start("api-server")
    for hold in others:
        the.let_go(hold, drop=False)
    the.answer(scene.name)


def some_wait_and_some_run(the: Field, scene: Scene) -> list[int]:
    """Start a run and return the holds that keep some of its tasks running; all others come to wait."""
    holds = [the.fault(scene.name, "hold", **POST, times=1, after_work=True) for _ in range(HELD)]
    the.start(scene.name)
    the.until("some to run", lambda: the.held(*holds) == set(holds))
    the.until_deferred(scene.name, scene.tasks - HELD)
    return holds


CANNOT_TELL = (
    "Vizdom has no list of exports and takes no idempotency key: a start whose reply was lost is made again"
)


def scenes(seed: int) -> list[Scene]:
    """All scenes; the seed decides what happens in the one at random."""
    from chaos.random_faults import EXPORTS, at_random

    blocking = {"deferrable": False}
    return [
        Scene(
            "worker_before_post",
            "worker killed -9 after the intent was written, before the POST",
            6,
            dying,
            {"dies": "after the intent is written"},
        ),
        Scene(
            "worker_before_reply",
            "worker killed -9 between the service's work and its reply",
            6,
            killed_before_reply,
            timeout=300,
        ),
        Scene(
            "worker_slow_service",
            "task process killed -9 while the service is slow: it works on the POST when the next try looks already",
            5,
            killed_while_service_works,
            {"dies": "while it asks"},
            timeout=300,
        ),
        Scene(
            "worker_before_id",
            "worker killed -9 after the reply, before the id was written down",
            6,
            dying,
            {"dies": "before the id is written"},
        ),
        Scene(
            "worker_after_id",
            "worker killed -9 right after the id was written down",
            6,
            dying,
            {"dies": "after the id is written"},
        ),
        Scene(
            "worker_polling",
            "worker killed -9 while it polls (`deferrable=False`)",
            5,
            killed_while_polling,
            blocking,
        ),
        Scene("reply_dropped", "reply to the POST dropped after the work", 6, reply_dropped),
        Scene(
            "service_down",
            "service away for a minute (30 s refused, 30 s silent), for tasks that wait and tasks that ask",
            6,
            service_down,
            runs=2,
            through_proxy=True,
        ),
        Scene("key_rotated", "key refused mid-wait, the connection changed 8 s later", 6, key_rotated),
        Scene(
            "cleared",
            "task cleared while deferred, also with `cancel_on_kill=True`: the request goes on",
            6,
            cleared,
            {"cancel_on_kill": True},
        ),
        Scene(
            "marked_failed",
            "task marked failed while deferred: the request stays",
            5,
            marked,
            ends="failed",
            left="pending",
        ),
        Scene(
            "marked_failed_cancel",
            "task marked failed while deferred, `cancel_on_kill=True`: the request is deleted",
            5,
            marked,
            {"cancel_on_kill": True},
            ends="failed",
            left="deleted",
        ),
        Scene(
            "marked_success",
            "task marked success while deferred: the request stays",
            5,
            marked,
            ends="success",
            left="pending",
        ),
        Scene(
            "export_worker_killed",
            "worker killed -9 while the export is made (`deferrable=False`)",
            4,
            export_killed,
            {**blocking, "export_format": "pdf"},
            timeout=300,
        ),
        Scene(
            "export_reply_dropped",
            "reply to the start of an export dropped after the work",
            4,
            export_reply_dropped,
            {"export_format": "csv"},
            why=CANNOT_TELL,
            extra=4,
        ),
        Scene(
            "triggerer_killed",
            f"triggerer killed -9 while {WAITS} wait (`cancel_on_kill=True`), another started: the requests go on",
            WAITS,
            triggerer_killed,
            {"cancel_on_kill": True},
            phase=2,
        ),
        Scene(
            "scheduler_killed",
            "scheduler killed -9, its workers with it, while tasks run and wait",
            12,
            scheduler_killed,
            phase=2,
            timeout=300,
        ),
        Scene(
            "api_server_restarted",
            "API server restarted, then killed -9 and started, while tasks run and wait",
            12,
            api_server_restarted,
            phase=2,
            timeout=300,
        ),
        Scene(
            "at_random",
            "all of this at once, at random",
            60,
            at_random(seed),
            phase=3,
            left="any",
            through_proxy=True,
        ),
        Scene(
            "exports_at_random",
            "the same, for exports",
            EXPORTS,
            dying,
            {"export_format": "png"},
            phase=3,
            why=CANNOT_TELL,
            extra=EXPORTS,
        ),
    ]
