from __future__ import annotations

import pytest

from airflow_provider_visio.exceptions import InvalidRequestError, NotFoundError
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePermanentLinkOperator,
    VisionoDeletePermanentLinkOperator,
    VisionoUpdatePermanentLinkOperator,
)


def test_a_link_is_made_changed_and_deleted(sandbox, run_task):
    create = VisionoCreatePermanentLinkOperator(
        task_id="c",
        instructions="Photograph the van",
        custom_slug="fleet-check",
        items=["Front"],
        fields={"tags": ["fleet"]},
    )
    task = run_task(create)
    link = task.run()
    assert link["request_url"].endswith("fleet-check")
    assert task.xcom["visio_link"] == link["request_url"]
    update = VisionoUpdatePermanentLinkOperator(
        task_id="u", link_id=link, changes={"instructions": "The car"}
    )
    assert run_task(update).run()["id"] == link["id"]
    delete = VisionoDeletePermanentLinkOperator(task_id="d", link_id=link)
    assert run_task(delete).run() == {"id": link["id"], "deleted": True}
    with pytest.raises(NotFoundError):
        run_task(delete).run()
    lenient = VisionoDeletePermanentLinkOperator(task_id="d", link_id=[link], ignore_missing=True)
    assert run_task(lenient).run() == [{"id": link["id"], "deleted": False}]


def test_a_slug_that_is_taken_is_the_service_s_to_refuse(sandbox, run_task):
    create = VisionoCreatePermanentLinkOperator(task_id="c", instructions="x", custom_slug="fleet-check")
    run_task(create).run()
    with pytest.raises(InvalidRequestError, match="custom_slug"):
        run_task(create).run()


@pytest.mark.parametrize(
    "make",
    [
        lambda: VisionoCreatePermanentLinkOperator(task_id="c", instructions=""),
        lambda: VisionoCreatePermanentLinkOperator(task_id="c", instructions="x", items="front"),
        lambda: VisionoUpdatePermanentLinkOperator(task_id="u", link_id="sl_1", changes={}),
        lambda: VisionoUpdatePermanentLinkOperator(task_id="u", link_id="", changes={"a": 1}),
        lambda: VisionoDeletePermanentLinkOperator(task_id="d", link_id="a/b"),
    ],
)
def test_what_is_known_to_be_wrong_fails_when_the_dag_is_parsed(make):
    with pytest.raises(InvalidRequestError):
        make()
