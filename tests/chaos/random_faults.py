"""Everything at once: what is broken, and when, is drawn from a seed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chaos.environment import Field, Task, pause

if TYPE_CHECKING:
    from chaos.scenes import Scene

EXPORTS = 6
SECONDS = 75
# Seconds within which people answer.
SLOWEST = 50
MOST_MARKED = 4
# Seconds after which a mark is there to stay.
SETTLES = 3


@dataclass
class Storm:
    """What is done, and what must come of it."""

    the: Field
    scene: Scene
    draw: random.Random
    done: list[str] = field(default_factory=list)
    marked: dict[int, str] = field(default_factory=dict)

    def rage(self) -> None:
        """Do one thing after the other until the time is up, then mend everything."""
        until = time.monotonic() + SECONDS
        often = [deed for deed, weight in DEEDS for _ in range(weight)]
        # Each once at least.
        due = [deed for deed, _ in DEEDS]
        self.draw.shuffle(due)
        while (now := time.monotonic()) < until or (due and now < until + SECONDS):
            deed = due.pop(0) if due else self.draw.choice(often)
            said = deed(self)
            if said:
                self.done.append(f"{now - until + SECONDS:5.1f} s: {said}")
            elif deed not in due:
                due.append(deed)
            pause(self.draw.uniform(0.5, 3.0))
        self.the.proxy.restore()
        self.the.sandbox.control("DELETE", "/faults")

    def some(self, state: str, most: int) -> list[Task]:
        """Draw some tasks that are in a state."""
        found = [task for task in self.the.tasks(self.scene.name) if task.state == state]
        # Neither how many there are nor their order is the seed's.
        return self.draw.sample(found, min(most, len(found)))

    def kill_workers(self) -> str:
        killed = len(self.the.kill_workers(self.some("running", 2)))
        return f"{killed} worker(s) killed" if killed else ""

    def kill_processes(self) -> str:
        killed = len(self.the.kill_processes(self.some("running", 2)))
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
            spec["key"] = self.the.keys.get("exports_at_random")
        self.the.fault(self.scene.name, times=self.draw.randint(1, 4), **spec)
        return f"{spec['kind']} of {spec.get('service', 'visiono')} {spec.get('method', '')}".strip()

    def cut_off(self) -> str:
        way = self.draw.choice(["refuse", "hang"])
        seconds = self.draw.uniform(2, 8)
        getattr(self.the.proxy, way)()
        pause(seconds)
        self.the.proxy.restore()
        return f"service away for {seconds:.0f} s ({way})"

    def lose(self, component: str) -> str:
        self.the.stack.kill(component)
        pause(self.draw.uniform(0, 2))
        self.the.stack.start(component, wait=False)
        return f"{component} killed"

    def lose_triggerer(self) -> str:
        return self.lose("triggerer")

    def lose_scheduler(self) -> str:
        return self.lose("scheduler")

    def lose_api_server(self) -> str:
        self.the.stack.kill("api-server")
        self.the.stack.start("api-server")
        return "api-server killed"

    def clear(self) -> str:
        tasks = [task for task in self.some("deferred", 3) if task.number not in self.marked]
        for task in tasks:
            self.the.clear(self.scene.name, task)
        return f"{len(tasks)} task(s) cleared" if tasks else ""

    def mark(self) -> str:
        state = self.draw.choice(["failed", "success"])
        if len(self.marked) >= MOST_MARKED:
            return ""
        tasks = [task for task in self.some("deferred", 1) if task.number not in self.marked]
        for task in tasks:
            self.marked[task.number] = state
            self.the.mark(self.scene.name, task, state)
            pause(SETTLES)
            if not self.the.is_so(self.scene.name, task, state):
                # Its wait ended in the same moment, and of the two Airflow kept that.
                del self.marked[task.number]
                return f"a task marked {state}, which Airflow forgot"
        return f"a task marked {state}" if tasks else ""

    def rotate_key(self) -> str:
        fresh = f"key-{self.draw.randrange(10**6)}"
        self.the.set_key(self.scene.name, fresh, in_airflow=False)
        pause(self.draw.uniform(0, 4))
        self.the.set_key(self.scene.name, fresh, in_airflow=True)
        return "key rotated"


DEEDS: list[tuple[Callable[[Storm], str], int]] = [
    (Storm.kill_workers, 5),
    (Storm.kill_processes, 4),
    (Storm.fault, 8),
    (Storm.cut_off, 2),
    (Storm.lose_triggerer, 1),
    (Storm.lose_scheduler, 1),
    (Storm.lose_api_server, 1),
    (Storm.clear, 2),
    (Storm.mark, 2),
    (Storm.rotate_key, 1),
]

# What was done in the last storm, for the report.
storms: list[Storm] = []


def at_random(seed: int) -> Callable[[Field, Scene], None]:
    """Return the act of a seed."""

    def act(the: Field, scene: Scene) -> None:
        draw = random.Random(seed)
        after = {number: draw.uniform(0, SLOWEST) for number in range(scene.tasks)}
        storm = Storm(the, scene, draw)
        storms.append(storm)
        the.start(scene.name)
        the.until("the first to run", lambda: the.count(scene.name, "running", "deferred") >= 1)
        the.answer(scene.name, after.__getitem__)
        storm.rage()

    return act
