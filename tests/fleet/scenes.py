"""The scenes: each is a campaign in which one part of the fleet is lost in the middle."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from fleet.environment import WORKERS, Fleet

PEOPLE = int(os.environ.get("PEOPLE") or "60")
# The part of the people that is asked, or whose photos are stored, when something is lost.
MIDDLE = 1 / 3


@dataclass(frozen=True)
class Scene:
    """
    A campaign in which something is lost.

    :param name: name of the scene and its run.
    :param what: title of the loss in the table.
    :param act: function that loses it, and has people answer.
    """

    name: str
    what: str
    act: Callable[[Fleet], None]


def nothing(fleet: Fleet) -> None:
    fleet.everybody_answers()


def worker_asking(fleet: Fleet) -> None:
    until_the_middle(fleet)
    fleet.until(
        f"a task that runs on {WORKERS[0]}",
        lambda: any(task.state == "running" and task.host == WORKERS[0] for task in fleet.tasks("ask")),
    )
    fleet.stack.kill(WORKERS[0])
    fleet.everybody_answers()


def worker_storing(fleet: Fleet) -> None:
    fleet.everybody_answers()
    fleet.until("the download to be in its middle", lambda: fleet.stored_files() >= MIDDLE * PEOPLE)
    (download,) = fleet.tasks("download")
    fleet.stack.kill(download.host)


def triggerer(fleet: Fleet) -> None:
    fleet.until("the wait to be in a triggerer", fleet.waiting_on, 600)
    fleet.stack.kill(str(fleet.waiting_on()))
    fleet.everybody_answers()


def scheduler(fleet: Fleet) -> None:
    until_the_middle(fleet)
    fleet.stack.kill("scheduler")
    fleet.stack.start("scheduler", wait=False)
    fleet.everybody_answers()


def redis_restarted(fleet: Fleet) -> None:
    until_the_middle(fleet)
    fleet.redis.stop()
    fleet.redis.start()
    fleet.everybody_answers()


def redis_lost(fleet: Fleet) -> None:
    until_the_middle(fleet)
    fleet.redis.kill()
    fleet.redis.start()
    fleet.everybody_answers()


def until_the_middle(fleet: Fleet) -> None:
    fleet.until("the middle of the campaign", lambda: fleet.asked() >= MIDDLE * PEOPLE)


SCENES = (
    Scene("nothing", "nothing", nothing),
    Scene("worker_asking", "a worker killed while it asks people; the other goes on", worker_asking),
    Scene("worker_storing", "the worker that stores photos killed; the other goes on", worker_storing),
    Scene("triggerer", "the triggerer with the wait killed; the other goes on", triggerer),
    Scene("scheduler", "the scheduler killed and started again", scheduler),
    Scene("redis_restarted", "Redis stopped and started again", redis_restarted),
    Scene("redis_lost", "Redis killed and its data lost; started again", redis_lost),
)
