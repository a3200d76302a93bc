"""
Airflow's triggerer without a database: its supervisor, and its trigger runner in a process of its own, run one trigger.

    python small_triggerer.py CLASS_PATH ARGUMENTS_AS_JSON

What the triggerer logs comes out; the task's log is ``logs/task.log`` in Airflow's home.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from uuid import uuid4

import structlog
from airflow._shared.observability.metrics import stats
from airflow.configuration import conf
from airflow.executors import workloads
from airflow.executors.workloads.task import TaskInstanceDTO
from airflow.jobs.triggerer_job_runner import TriggerLoggingFactory, TriggerRunnerSupervisor
from airflow.models.trigger import Trigger
from airflow.observability.metrics import stats_utils


class Supervisor(TriggerRunnerSupervisor):
    order: tuple[str, dict[str, Any]] | None
    ended = False

    def load_triggers(self) -> None:
        if self.order is None:
            return
        (path, kwargs), self.order = self.order, None
        task = TaskInstanceDTO(
            id=uuid4(),
            dag_version_id=uuid4(),
            task_id="wait",
            dag_id="dag",
            run_id="run",
            try_number=1,
            map_index=-1,
            pool_slots=1,
            priority_weight=1,
        )
        self.logger_cache[1] = TriggerLoggingFactory(log_path="task.log", ti=task)  # type: ignore[arg-type]
        encrypted = Trigger.encrypt_kwargs(kwargs)
        self.creating_triggers.append(
            workloads.RunTrigger(id=1, classpath=path, encrypted_kwargs=encrypted, ti=task)
        )

    def should_stop(self) -> bool:
        return self.ended

    def heartbeat(self) -> None:
        pass

    def clean_unused(self) -> None:
        pass

    def metric_tags(self) -> dict[str, str]:
        return {"hostname": "here"}

    def on_trigger_event(self, trigger_id: int, event: Any) -> None:
        self.ended = True
        sys.stdout.write(f"EVENT {json.dumps(event.payload)}\n")

    def on_trigger_failure(self, trigger_id: int, exc: list[str] | None) -> None:
        self.ended = True
        sys.stdout.write(f"FAILURE {exc}\n")


if __name__ == "__main__":
    # As TriggererJobRunner does before it starts its supervisor.
    stats.initialize(
        factory=stats_utils.get_stats_factory(),
        export_legacy_names=conf.getboolean("metrics", "legacy_names_on"),
    )
    Supervisor.order = (sys.argv[1], json.loads(sys.argv[2]))
    supervisor = Supervisor.start(job=None, capacity=10, logger=structlog.get_logger())
    try:
        supervisor.run()
    finally:
        supervisor.kill(escalation_delay=10, force=True)
