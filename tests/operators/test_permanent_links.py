from __future__ import annotations

import pytest

from airflow_provider_visio.exceptions import InvalidRequestError, NotFoundError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePermanentLinkOperator,
    VisionoDeletePermanentLinkOperator,
    VisionoUpdatePermanentLinkOperator,
)


def create(**more):
    return VisionoCreatePermanentLinkOperator(**{"task_id": "c", "instructions": "The van", **more})


def update(**more):
    return VisionoUpdatePermanentLinkOperator(**{"task_id": "u", "link_id": "sl_1", **more})


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
        lambda: create(custom_slug="A b"),
        lambda: create(custom_slug="A b", fields="{{ params.fields }}"),
        lambda: create(fields={"custom_slug": "A b"}),
        lambda: create(fields={"require_gps": "yes", "unique_field_label": "{{ params.label }}"}),
        lambda: create(fields={"tags": "fleet"}),
        lambda: create(fields={"colour": "{{ params.colour }}"}),
        lambda: create(fields={"is_active": False}),
        lambda: create(fields={"instructions": "Another"}),
        lambda: create(fields=["tags"]),
        lambda: create(fields="tags"),
        lambda: update(changes=["tags"]),
        lambda: update(changes={"colour": "red"}),
        lambda: update(changes={"custom_slug": "A b"}),
        lambda: update(changes={"instructions": " "}),
    ],
)
def test_what_is_known_to_be_wrong_fails_when_the_dag_is_parsed(make):
    with pytest.raises(InvalidRequestError):
        make()


@pytest.mark.parametrize("wrong", ["tags", 7, ["tags"]])
def test_what_a_template_turns_out_to_be_is_refused_in_words(sandbox, run_task, wrong):
    for operator, name in ((create(fields="{{ x }}"), "fields"), (update(changes="{{ x }}"), "changes")):
        setattr(operator, name, wrong)
        with pytest.raises(InvalidRequestError, match=f"{name}: give a dict of a link's fields"):
            run_task(operator).run()
    assert sandbox.calls() == []


def test_fields_that_a_template_leaves_empty_are_none(sandbox, run_task):
    operator = create(custom_slug="{{ x }}", fields="{{ x }}")
    operator.custom_slug, operator.fields = None, ""
    assert run_task(operator).run()["id"]


@pytest.mark.parametrize("visiono_dialect", ["plugin"])
@pytest.mark.parametrize("ignore_missing", [True, False])
def test_a_name_for_links_that_the_service_does_not_have_is_no_link_that_is_missing(
    sandbox, run_task, connection, ignore_missing
):
    """Deleted under the reference's name at a service that has the plugin's only."""
    link = VisionoHook().create_permanent_link("The van")
    conn_id = connection("visiono_wrong", sandbox.visiono_url, sandbox.visiono_key)
    delete = VisionoDeletePermanentLinkOperator(
        task_id="d", link_id=link["id"], ignore_missing=ignore_missing, visiono_conn_id=conn_id
    )
    with pytest.raises(NotFoundError, match="dialect"):
        run_task(delete).run()
    assert [listed["id"] for listed in VisionoHook().list_permanent_links()] == [link["id"]]


@pytest.mark.parametrize("visiono_dialect", ["reference", "plugin"])
def test_a_link_is_missing_also_where_the_list_counts_those_that_are_deleted(sandbox, run_task):
    body = {"data": [], "meta": {"total": 3}, "links": {"next": None}}
    sandbox.fault("visiono", "body", method="GET", path="-links$", status=200, body=body)
    delete = VisionoDeletePermanentLinkOperator(task_id="d", link_id="sl_1", ignore_missing=True)
    assert run_task(delete).run() == {"id": "sl_1", "deleted": False}
