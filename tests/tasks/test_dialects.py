"""Every example DAG against each of Visiono's dialects alone, through a connection that names it."""

from __future__ import annotations

import inspect

import pytest
from airflow.sdk import DAG

from airflow_provider_visio.operators.visiono import (
    VisionoCreatePermanentLinkOperator,
    VisionoDeletePermanentLinkOperator,
    VisionoUpdatePermanentLinkOperator,
)
from dev.sandbox import Sandbox

from .test_dags import (
    EXAMPLES,
    check_campaign,
    test_fan_out,
    test_on_submission,
    test_photos_to_dashboard,
    test_three_steps,
)

pytestmark = pytest.mark.parametrize("visiono_dialect", ["reference", "plugin"])

TESTS = (check_campaign, test_fan_out, test_on_submission, test_photos_to_dashboard, test_three_steps)

LINK_CALLS = {
    "reference": ["POST /permanent-links", "PATCH /permanent-links/{id}", "DELETE /permanent-links/{id}"],
    "plugin": ["POST /smart-links", "PUT /smart-links/{id}", "DELETE /smart-links/{id}"],
}


def test_campaign(sandbox, run_dag, tmp_path, capfd):
    check_campaign(sandbox, run_dag, tmp_path, capfd, submitted=8, ended=1, waiting=1)


def test_every_example_with_visiono_is_here(visiono_dialect):
    tested = "".join(inspect.getsource(test) for test in TESTS)
    for path in EXAMPLES.glob("*.py"):
        if ".visiono import" in path.read_text():
            assert f'example("{path.stem}")' in tested


def test_a_link_is_made_changed_and_deleted(sandbox, run_dag, visiono_dialect):
    with DAG("links", schedule=None, start_date=None) as dag:
        create = VisionoCreatePermanentLinkOperator(task_id="create", instructions="Photograph the van")
        update = VisionoUpdatePermanentLinkOperator(
            task_id="update", link_id=create.output, changes={"instructions": "Photograph the car"}
        )
        update >> VisionoDeletePermanentLinkOperator(task_id="delete", link_id=create.output)
    assert run_dag(dag).state == "success"
    made = [call for call in sandbox.calls() if call["service"] == "visiono" and call["method"] != "GET"]
    assert [f"{call['method']} {call['route']}" for call in made] == LINK_CALLS[visiono_dialect]


def test_connections_to_the_development_sandbox_name_its_dialect(tmp_path, visiono_dialect):
    with Sandbox(tmp_path, options=("--dialect", visiono_dialect)) as sandbox:
        assert sandbox.connections()["visiono_default"]["extra"] == {"dialect": visiono_dialect}
