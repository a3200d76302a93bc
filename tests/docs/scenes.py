"""What is the case when a block runs, and what must be the case when it has run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook

from .stage import Stage

SCENES: dict[str, Callable[[Stage], Iterator[None]]] = {}


def scene(play: Callable[[Stage], Iterator[None]]) -> Callable[[Stage], Iterator[None]]:
    SCENES[play.__name__] = play
    return play


@scene
def everybody_answers(stage: Stage) -> Iterator[None]:
    """The scene of a block that names none."""
    stage.sandbox.person("submit", open_after=5, photo_every=5)
    yield
    assert {run.state for run in stage.runs.values()} <= {"success"}


@scene
def a_submitted_request(stage: Stage) -> Iterator[None]:
    stage.given["request_id"] = stage.submitted()
    yield


@scene
def an_open_request(stage: Stage) -> Iterator[None]:
    stage.given["request_id"] = VisionoHook().create_photo_request("Please photograph your meter.")["id"]
    yield


@scene
def a_permanent_link(stage: Stage) -> Iterator[None]:
    stage.given["link_id"] = VisionoHook().create_permanent_link("Please photograph the meter.")["id"]
    stage.conf["link_id"] = stage.given["link_id"]
    yield
    assert {run.state for run in stage.runs.values()} <= {"success"}


@scene
def a_dashboard(stage: Stage) -> Iterator[None]:
    stage.given["dashboard_id"] = next(VizdomHook().list_dashboards())["id"]
    yield
