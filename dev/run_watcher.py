"""What a DAG run's tasks go through, seen over the REST API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dev.stack import FINAL_RUN_STATES

if TYPE_CHECKING:
    from dev.airflow_api import AirflowApi, Json

TaskKey = tuple[str, int]


@dataclass
class TaskStory:
    """One task instance: the states it was seen in, and who waited for it while it was deferred."""

    states: list[str] = field(default_factory=list)
    triggers: set[str] = field(default_factory=set)
    triggerer_jobs: set[int] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)


class RunWatcher:
    """Looks at one run again and again; `look` returns the task instances whose state has changed."""

    def __init__(self, api: AirflowApi, dag_id: str, run_id: str, *, links: bool = False) -> None:
        self.dag_id = dag_id
        self.run_id = run_id
        self.state = "queued"
        self.tasks: list[Json] = []
        self.stories: dict[TaskKey, TaskStory] = {}
        self._api = api
        self._links = links

    @property
    def ended(self) -> bool:
        """Whether the run is over, well or not."""
        return self.state in FINAL_RUN_STATES

    @property
    def has_waited(self) -> bool:
        """Whether a triggerer was seen to wait for a task of the run."""
        return any(story.triggerer_jobs for story in self.stories.values())

    def look(self) -> list[Json]:
        """Ask once; return the task instances that are in another state than before."""
        # The run first: once it has ended, its tasks change no more.
        self.state = self._api.run(self.dag_id, self.run_id)["state"]
        self.tasks = self._api.task_instances(self.dag_id, self.run_id)
        return [task for task in self.tasks if self._note(task)]

    def _note(self, task: Json) -> bool:
        story = self.stories.setdefault((task["task_id"], task["map_index"]), TaskStory())
        if task["state"] == "deferred":
            self._note_deferral(task, story)
        if task["state"] is None or story.states[-1:] == [task["state"]]:
            return False
        story.states.append(task["state"])
        return True

    def _note_deferral(self, task: Json, story: TaskStory) -> None:
        if task["trigger"]:
            story.triggers.add(task["trigger"]["classpath"])
        if task["triggerer_job"]:
            story.triggerer_jobs.add(task["triggerer_job"]["id"])
        if self._links and not story.links:
            links = self._api.links(self.dag_id, self.run_id, task["task_id"], task["map_index"])
            story.links = {name: url for name, url in links.items() if url}

    def unsuccessful(self) -> list[Json]:
        """List what to show when the run is not a success: failed tasks first, then those that hang."""
        order = ("failed", "up_for_retry", "running", "deferred", "queued", "scheduled")
        bad = [task for task in self.tasks if task["state"] in order]
        return sorted(bad, key=lambda task: order.index(task["state"]))


def task_name(task: Json) -> str:
    """Name a task instance, with its map index when it has one."""
    return task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]"
