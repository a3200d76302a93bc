"""The scenes: each breaks Airflow or the service in one way while tasks run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.environment import ChaosEnvironment, pause

# Seconds until a slow service answers. By then the caller is dead, and the next try has begun.
SLOW = 20.0
# Number of tasks that wait in the triggerer when it is killed. CI uses fewer, to save time.
WAITS = int(os.environ.get("CHAOS_WAITS") or "200")
# Number of tasks that run while the scheduler or the API server is killed.
HELD = 3
POST = {"method": "POST", "path": "^/photo-requests$"}


@dataclass(frozen=True)
class Scene:
    """
    A failure, and the result that its tasks must have.

    :param name: name of the scene, its DAG and its connection.
    :param what: title of the failure in the table.
    :param tasks: number of tasks in a run.
    :param act: function that starts the tasks and breaks something.
    :param operator: arguments of the operator.
    :param phase: scenes of one phase run at the same time. Those that break a shared component come later.
    :param runs: number of runs of the DAG.
    :param ends: the state that its tasks must end with.
    :param left: the status that requests must end with; None: submitted, with stored photos.
    :param why: why a request or export may be created twice; empty: it may not.
    :param extra: number of further requests or exports that are then allowed.
    :param through_proxy: whether calls go through the TCP proxy, which can cut the service off.
    :param timeout: seconds that a call waits for its reply.
    :param photos: number of photos that each person sends.
    :param webhooks: whether the connection takes webhooks.
    """

    name: str
    what: str
    tasks: int
    act: Callable[[ChaosEnvironment, Scene], None]
    operator: Mapping[str, Any] = field(default_factory=dict)
    phase: int = 1
    runs: int = 1
    ends: str = "success"
    left: str | None = None
    why: str = ""
    extra: int = 0
    through_proxy: bool = False
    timeout: float = 30
    photos: int = 2
    webhooks: bool = False

    @property
    def export_format(self) -> str | None:
        """Return the export format, which no other scene has; None if the scene creates photo requests."""
        return self.operator.get("export_format")


def kill_in_task(env: ChaosEnvironment, scene: Scene) -> None:
    """Start the tasks, which kill themselves."""
    env.start(scene.name)
    env.answer(scene.name)


def killed_before_reply(env: ChaosEnvironment, scene: Scene) -> None:
    hold = env.fault(scene.name, "hold", **POST, times=scene.tasks, after_work=True)
    env.start(scene.name)
    env.until("all POSTs to be held", lambda: env.held(hold))
    env.kill_every_worker(scene.name, scene.tasks)
    env.release(hold, drop=True)
    env.answer(scene.name)


def killed_while_service_works(env: ChaosEnvironment, scene: Scene) -> None:
    holds = {env.fault(scene.name, "hold", **POST, times=1) for _ in range(scene.tasks)}
    since: dict[int, float] = {}
    env.start(scene.name)

    def answered_late() -> bool:
        now = time.monotonic()
        tried_again = sum(task.tries > 1 for task in env.tasks(scene.name))
        # The first task that sent its POST was the first to be killed.
        for hold in sorted(env.held(*holds), key=lambda one: since.setdefault(one, now)):
            if now - since[hold] > SLOW and scene.tasks - len(holds) < tried_again:
                env.release(hold, drop=False)
                holds.discard(hold)
        return not holds

    env.until("all POSTs to be answered", answered_late)
    env.answer(scene.name)


def killed_while_polling(env: ChaosEnvironment, scene: Scene) -> None:
    env.start(scene.name)

    def polled() -> bool:
        ids = {request["id"] for request in env.requests(scene.name)}
        paths = [call["path"] for call in env.sandbox.control("GET", "/calls") if call["method"] == "GET"]
        return len(ids) == scene.tasks and all(f"/photo-requests/{one}" in paths for one in ids)

    env.until("all requests to be created and polled", polled)
    env.kill_every_worker(scene.name, scene.tasks)
    env.answer(scene.name)


def reply_dropped(env: ChaosEnvironment, scene: Scene) -> None:
    env.fault(scene.name, "drop_after", **POST, times=scene.tasks)
    env.start(scene.name)
    env.answer(scene.name)


def service_down(env: ChaosEnvironment, scene: Scene) -> None:
    first = env.start(scene.name)
    env.until("the first tasks to wait", lambda: all(task.waits for task in env.tasks(scene.name, first)))
    env.proxy.refuse()
    env.start(scene.name)
    pause(30)
    env.proxy.hang()
    pause(30)
    env.proxy.restore()
    env.answer(scene.name)


def key_rotated(env: ChaosEnvironment, scene: Scene) -> None:
    env.start(scene.name)
    env.until_deferred(scene.name, scene.tasks)
    fresh = f"{env.keys[scene.name]}-rotated"
    env.set_key(scene.name, fresh, in_airflow=False)
    pause(8)
    env.set_key(scene.name, fresh, in_airflow=True)
    env.answer(scene.name)


def cleared(env: ChaosEnvironment, scene: Scene) -> None:
    env.start(scene.name)
    env.until_deferred(scene.name, scene.tasks)
    for task in env.tasks(scene.name):
        env.clear(scene.name, task)
    env.until("the next try of all tasks", lambda: all(task.tries > 1 for task in env.tasks(scene.name)))
    env.until_deferred(scene.name, scene.tasks)
    env.answer(scene.name)


def marked(env: ChaosEnvironment, scene: Scene) -> None:
    env.start(scene.name)
    env.until_deferred(scene.name, scene.tasks)
    # Without a running trigger, Airflow calls no `on_kill`.
    pause(5)
    for task in env.tasks(scene.name):
        env.mark(scene.name, task, scene.ends)
    if scene.left == "deleted":
        env.until(
            "the deletion of their requests",
            lambda: {r["status"] for r in env.requests(scene.name)} == {"deleted"},
            60,
        )


def export_killed(env: ChaosEnvironment, scene: Scene) -> None:
    hold = env.fault(scene.name, "hold", service="vizdom", method="GET", path="^/exports/", times=scene.tasks)
    env.start(scene.name)
    env.until("all tasks to poll their exports", lambda: env.held(hold))
    env.kill_every_worker(scene.name, scene.tasks)
    env.release(hold, drop=True)


def export_reply_dropped(env: ChaosEnvironment, scene: Scene) -> None:
    env.fault(scene.name, "drop_after", service="vizdom", method="POST", path="^/exports$", times=scene.tasks)
    env.start(scene.name)


def triggerer_killed(env: ChaosEnvironment, scene: Scene) -> None:
    env.start(scene.name)
    env.until_deferred(scene.name, scene.tasks)
    env.until("the triggers of all tasks", lambda: all(task.waits for task in env.tasks(scene.name)))
    env.stack.kill("triggerer")
    env.answer(scene.name)
    pause(5)
    env.stack.start("triggerer", wait=False)


def scheduler_killed(env: ChaosEnvironment, scene: Scene) -> None:
    holds = hold_some_running(env, scene)
    env.stack.kill("scheduler")
    pause(2)
    env.stack.start("scheduler", wait=False)
    for hold in holds:
        env.release(hold, drop=True)
    env.answer(scene.name)


def api_server_restarted(env: ChaosEnvironment, scene: Scene) -> None:
    first, *others = hold_some_running(env, scene)
    env.stack.stop("api-server")
    env.stack.start("api-server")
    env.stack.kill("api-server")
    env.release(first, drop=False)
    env.stack.start("api-server")
    for hold in others:
        env.release(hold, drop=False)
    env.answer(scene.name)


def webhooks_odd(env: ChaosEnvironment, scene: Scene) -> None:
    """Each kind of fault hits the webhooks of two tasks; those of all others arrive."""
    env.start(scene.name)
    env.until_deferred(scene.name, scene.tasks)
    for kind in ("never", "late", "wrong_secret", "out_of_order", "twice"):
        env.webhook_fault(scene.name, kind, times=2, seconds=30)
    env.answer(scene.name)


def webhooks_cut_off(env: ChaosEnvironment, scene: Scene) -> None:
    env.start(scene.name)
    env.until_deferred(scene.name, scene.tasks)
    env.gateway.hang()
    env.answer(scene.name)
    env.until("webhooks under way", lambda: len(env.deliveries(scene.name)) == scene.tasks)
    env.gateway.refuse()
    env.until("webhooks to fail", lambda: env.failed_deliveries(scene.name))
    env.gateway.restore()


def webhooks_api_server_killed(env: ChaosEnvironment, scene: Scene) -> None:
    env.start(scene.name)
    env.until_deferred(scene.name, scene.tasks)
    env.answer(scene.name, after=lambda number: 3.0 * number)
    env.until("the first webhook to be accepted", lambda: env.accepted_deliveries(scene.name))
    env.stack.kill("api-server")
    env.until("a webhook to fail", lambda: env.failed_deliveries(scene.name), 60)
    before = len(env.accepted_deliveries(scene.name))
    env.stack.start("api-server")
    env.until("webhooks to be accepted again", lambda: len(env.accepted_deliveries(scene.name)) > before)


def webhooks_triggerer_killed(env: ChaosEnvironment, scene: Scene) -> None:
    env.start(scene.name)
    env.until_deferred(scene.name, scene.tasks)
    env.until("the triggers of all tasks", lambda: all(task.waits for task in env.tasks(scene.name)))
    env.answer(scene.name, after=lambda number: 1.0 * number)
    env.until("the first webhook", lambda: env.deliveries(scene.name))
    env.stack.kill("triggerer")
    env.until("all webhooks", lambda: len(env.deliveries(scene.name)) == scene.tasks)
    env.stack.start("triggerer", wait=False)


def hold_some_running(env: ChaosEnvironment, scene: Scene) -> list[int]:
    """Start a run, and hold the calls of some of its tasks. All others are deferred.

    :return: ids of the faults that hold the calls
    """
    holds = [env.fault(scene.name, "hold", **POST, times=1, after_work=True) for _ in range(HELD)]
    env.start(scene.name)
    env.until("some tasks to run", lambda: env.held(*holds) == set(holds))
    env.until_deferred(scene.name, scene.tasks - HELD)
    return holds


NO_LOOK_UP = (
    "Vizdom has no list of exports and takes no idempotency key, so a start whose reply was lost is repeated"
)


def scenes(seed: int) -> list[Scene]:
    """Return all scenes.

    :param seed: seed of the random failures
    """
    from chaos.random_faults import EXPORTS, at_random

    blocking = {"deferrable": False}
    return [
        Scene(
            "worker_before_post",
            "worker killed after the intent was recorded, before the POST",
            6,
            kill_in_task,
            {"dies": "after the intent is written"},
        ),
        Scene(
            "worker_before_reply",
            "worker killed after the service created the request, before its reply",
            6,
            killed_before_reply,
            timeout=300,
        ),
        Scene(
            "worker_slow_service",
            "task process killed during a slow POST; the next try looks up the request too early",
            5,
            killed_while_service_works,
            {"dies": "during its POST"},
            timeout=300,
        ),
        Scene(
            "worker_before_id",
            "worker killed after the reply, before the id was recorded",
            6,
            kill_in_task,
            {"dies": "before the id is written"},
        ),
        Scene(
            "worker_after_id",
            "worker killed right after the id was recorded",
            6,
            kill_in_task,
            {"dies": "after the id is written"},
        ),
        Scene(
            "worker_polling",
            "worker killed while it polls (`deferrable=False`)",
            5,
            killed_while_polling,
            blocking,
        ),
        Scene(
            "reply_dropped", "reply to the POST lost after the service created the request", 6, reply_dropped
        ),
        Scene(
            "service_down",
            "service down for a minute (30 s refused, 30 s without an answer) while tasks wait and create requests",
            6,
            service_down,
            runs=2,
            through_proxy=True,
        ),
        Scene(
            "key_rotated",
            "API key rejected during the wait; the connection gets the new key 8 s later",
            6,
            key_rotated,
        ),
        Scene(
            "cleared",
            "task cleared while deferred, with `cancel_on_kill=True`: the request stays",
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
            "worker killed while the service renders the export (`deferrable=False`)",
            4,
            export_killed,
            {**blocking, "export_format": "pdf"},
            timeout=300,
        ),
        Scene(
            "export_reply_dropped",
            "reply to the start of an export lost after the service started it",
            4,
            export_reply_dropped,
            {"export_format": "csv"},
            why=NO_LOOK_UP,
            extra=4,
        ),
        Scene(
            "store_breaks",
            "object store breaks while a task stores the fourth of six photos; the next try stores the rest",
            4,
            kill_in_task,
            {"dies": "when the store breaks", "parallel_downloads": 1},
            photos=6,
        ),
        Scene(
            "worker_storing",
            "worker killed while it stores the second of six photos",
            4,
            kill_in_task,
            {"dies": "while it stores", "parallel_downloads": 1},
            photos=6,
        ),
        Scene(
            "triggerer_killed",
            f"triggerer killed while {WAITS} tasks wait (`cancel_on_kill=True`), another started: the requests stay",
            WAITS,
            triggerer_killed,
            {"cancel_on_kill": True},
            phase=2,
        ),
        Scene(
            "scheduler_killed",
            "scheduler and its workers killed while tasks run and wait",
            12,
            scheduler_killed,
            phase=2,
            timeout=300,
        ),
        Scene(
            "api_server_restarted",
            "API server restarted, then killed and started again, while tasks run and wait",
            12,
            api_server_restarted,
            phase=2,
            timeout=300,
        ),
        Scene(
            "webhooks_cut_off",
            "webhooks cut off on their way, then refused, while tasks wait",
            8,
            webhooks_cut_off,
            phase=2,
            webhooks=True,
        ),
        Scene(
            "webhooks_api_server_killed",
            "API server killed while webhooks arrive, and started again",
            8,
            webhooks_api_server_killed,
            phase=2,
            webhooks=True,
        ),
        Scene(
            "webhooks_triggerer_killed",
            "triggerer killed while webhooks arrive, another started",
            8,
            webhooks_triggerer_killed,
            phase=2,
            webhooks=True,
        ),
        Scene(
            "webhooks_odd",
            "webhooks lost, late, out of order, doubled and with a wrong signature while tasks wait",
            12,
            webhooks_odd,
            phase=2,
            webhooks=True,
        ),
        Scene(
            "at_random",
            "all of these failures at random times",
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
            kill_in_task,
            {"export_format": "png"},
            phase=3,
            why=f"{NO_LOOK_UP}, and so is one whose file cannot be fetched",
            extra=EXPORTS,
        ),
    ]
