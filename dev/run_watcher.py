"""Follow the task states of a DAG run through the REST API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dev.stack import FINAL_RUN_STATES

if TYPE_CHECKING:
    from dev.airflow_api import AirflowApi, Json

TaskKey = tuple[str, int]


@dataclass
class TaskHistory:
    """The observed history of a task instance.

    :param states: states, in order
    :param triggers: class paths of its triggers
    :param triggerer_jobs: ids of the triggerer jobs that ran them
    :param links: extra link name -> address
    """

    states: list[str] = field(default_factory=list)
    triggers: set[str] = field(default_factory=set)
    triggerer_jobs: set[int] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)


class RunWatcher:
    """Polls one DAG run.

    :param links: whether to read the extra links of deferred tasks
    """

    def __init__(self, api: AirflowApi, dag_id: str, run_id: str, *, links: bool = False) -> None:
        self.dag_id = dag_id
        self.run_id = run_id
        self.state = "queued"
        self.tasks: list[Json] = []
        self.histories: dict[TaskKey, TaskHistory] = {}
        self._api = api
        self._links = links

    @property
    def ended(self) -> bool:
        """Return whether the run has ended, with success or failure."""
        return self.state in FINAL_RUN_STATES

    @property
    def has_waited(self) -> bool:
        """Return whether a triggerer ran a trigger of this run."""
        return any(history.triggerer_jobs for history in self.histories.values())

    def look(self) -> list[Json]:
        """Poll once, and return the task instances whose state has changed."""
        # Read the run first: after its end, its tasks do not change.
        self.state = self._api.run(self.dag_id, self.run_id)["state"]
        self.tasks = self._api.task_instances(self.dag_id, self.run_id)
        return [task for task in self.tasks if self._note(task)]

    def _note(self, task: Json) -> bool:
        history = self.histories.setdefault((task["task_id"], task["map_index"]), TaskHistory())
        if task["state"] == "deferred":
            self._note_deferral(task, history)
        if task["state"] is None or history.states[-1:] == [task["state"]]:
            return False
        history.states.append(task["state"])
        return True

    def _note_deferral(self, task: Json, history: TaskHistory) -> None:
        if task["trigger"]:
            history.triggers.add(task["trigger"]["classpath"])
        if task["triggerer_job"]:
            history.triggerer_jobs.add(task["triggerer_job"]["id"])
        if self._links and not history.links:
            links = self._api.links(self.dag_id, self.run_id, task["task_id"], task["map_index"])
            history.links = {name: url for name, url in links.items() if url}

    def unsuccessful(self) -> list[Json]:
        """List the tasks that did not succeed: failed tasks first, then unfinished ones."""
        order = ("failed", "up_for_retry", "running", "deferred", "queued", "scheduled")
        bad = [task for task in self.tasks if task["state"] in order]
        return sorted(bad, key=lambda task: order.index(task["state"]))


def task_name(task: Json) -> str:
    """Return the task id, with the map index of a mapped task."""
    return task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]"
