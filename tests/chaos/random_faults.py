"""Break components and calls at random times. The seed decides which, and when."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chaos.environment import ChaosEnvironment, Task, pause

if TYPE_CHECKING:
    from chaos.scenes import Scene

EXPORTS = 6
SECONDS = 75
# People answer within this number of seconds.
MAX_ANSWER_SECONDS = 50
MAX_MARKED = 4
# Seconds after which a marked state is final.
MARK_SETTLE_SECONDS = 3


@dataclass
class RandomFaults:
    """Random failures of one scene.

    :param draw: random numbers
    :param done: log of the failures
    :param marked: number of a task -> the state that it was marked with
    """

    env: ChaosEnvironment
    scene: Scene
    draw: random.Random
    done: list[str] = field(default_factory=list)
    marked: dict[int, str] = field(default_factory=dict)

    def run(self) -> None:
        """Cause one failure after the other until the time is over, then end all faults."""
        until = time.monotonic() + SECONDS
        often = [action for action, weight in ACTIONS for _ in range(weight)]
        # Each action at least once.
        due = [action for action, _ in ACTIONS]
        self.draw.shuffle(due)
        while (now := time.monotonic()) < until or (due and now < until + SECONDS):
            action = due.pop(0) if due else self.draw.choice(often)
            said = action(self)
            if said:
                self.done.append(f"{now - until + SECONDS:5.1f} s: {said}")
            elif action not in due:
                due.append(action)
            pause(self.draw.uniform(0.5, 3.0))
        self.env.proxy.restore()
        self.env.sandbox.control("DELETE", "/faults")

    def some(self, state: str, most: int) -> list[Task]:
        """Select random tasks in a state."""
        found = [task for task in self.env.tasks(self.scene.name) if task.state == state]
        # The seed decides neither their number nor their order.
        return self.draw.sample(found, min(most, len(found)))

    def kill_workers(self) -> str:
        killed = len(self.env.kill_workers(self.some("running", 2)))
        return f"{killed} worker(s) killed" if killed else ""

    def kill_processes(self) -> str:
        killed = len(self.env.kill_processes(self.some("running", 2)))
        return f"{killed} task process(es) killed" if killed else ""

    def fault(self) -> str:
        kinds: list[dict[str, Any]] = [
            {"kind": "drop_after", "method": "POST"},
            {"kind": "drop_before", "method": "POST"},
            {"kind": "drop_after", "method": "POST", "path": "^/exports$", "service": "vizdom"},
            {"kind": "status", "status": 503},
            {"kind": "html", "status": 502},
            {"kind": "truncate"},
            {"kind": "rate_limit", "retry_after": 3},
            {"kind": "truncate", "service": "storage", "key": None},
            {"kind": "status", "status": 503, "service": "storage", "key": None},
        ]
        spec = self.draw.choice(kinds)
        if spec.get("service") == "vizdom":
            spec["key"] = self.env.keys.get("exports_at_random")
        self.env.fault(self.scene.name, times=self.draw.randint(1, 4), **spec)
        return f"{spec['kind']} of {spec.get('service', 'visiono')} {spec.get('method', '')}".strip()

    def cut_off(self) -> str:
        way = self.draw.choice(["refuse", "hang"])
        seconds = self.draw.uniform(2, 8)
        getattr(self.env.proxy, way)()
        pause(seconds)
        self.env.proxy.restore()
        return f"service down for {seconds:.0f} s ({way})"

    def lose(self, component: str) -> str:
        self.env.stack.kill(component)
        pause(self.draw.uniform(0, 2))
        self.env.stack.start(component, wait=False)
        return f"{component} killed"

    def lose_triggerer(self) -> str:
        return self.lose("triggerer")

    def lose_scheduler(self) -> str:
        return self.lose("scheduler")

    def lose_api_server(self) -> str:
        self.env.stack.kill("api-server")
        self.env.stack.start("api-server")
        return "api-server killed"

    def clear(self) -> str:
        tasks = [task for task in self.some("deferred", 3) if task.number not in self.marked]
        for task in tasks:
            self.env.clear(self.scene.name, task)
        return f"{len(tasks)} task(s) cleared" if tasks else ""

    def mark(self) -> str:
        state = self.draw.choice(["failed", "success"])
        if len(self.marked) >= MAX_MARKED:
            return ""
        tasks = [task for task in self.some("deferred", 1) if task.number not in self.marked]
        for task in tasks:
            self.marked[task.number] = state
            self.env.mark(self.scene.name, task, state)
            pause(MARK_SETTLE_SECONDS)
            if not self.env.is_in_state(self.scene.name, task, state):
                # Its wait ended at the same moment, and Airflow kept that state.
                del self.marked[task.number]
                return f"a task marked {state}, which Airflow overwrote"
        return f"a task marked {state}" if tasks else ""

    def rotate_key(self) -> str:
        fresh = f"key-{self.draw.randrange(10**6)}"
        self.env.set_key(self.scene.name, fresh, in_airflow=False)
        pause(self.draw.uniform(0, 4))
        self.env.set_key(self.scene.name, fresh, in_airflow=True)
        return "key rotated"


ACTIONS: list[tuple[Callable[[RandomFaults], str], int]] = [
    (RandomFaults.kill_workers, 5),
    (RandomFaults.kill_processes, 4),
    (RandomFaults.fault, 8),
    (RandomFaults.cut_off, 2),
    (RandomFaults.lose_triggerer, 1),
    (RandomFaults.lose_scheduler, 1),
    (RandomFaults.lose_api_server, 1),
    (RandomFaults.clear, 2),
    (RandomFaults.mark, 2),
    (RandomFaults.rotate_key, 1),
]

# The random failures of this run, for the report.
random_runs: list[RandomFaults] = []


def at_random(seed: int) -> Callable[[ChaosEnvironment, Scene], None]:
    """Return the function of the random scene.

    :param seed: seed of the random numbers
    """

    def act(env: ChaosEnvironment, scene: Scene) -> None:
        draw = random.Random(seed)
        after = {number: draw.uniform(0, MAX_ANSWER_SECONDS) for number in range(scene.tasks)}
        random_run = RandomFaults(env, scene, draw)
        random_runs.append(random_run)
        env.start(scene.name)
        env.until("the first task to run", lambda: env.count(scene.name, "running", "deferred") >= 1)
        env.answer(scene.name, after.__getitem__)
        random_run.run()

    return act
