"""The sandbox has exactly the documents' calls, with the same evidence."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute

from airflow_provider_visio.sandbox.evidence import in_dialect
from airflow_provider_visio.sandbox.options import Options
from airflow_provider_visio.sandbox.server import visiono_app, vizdom_app
from airflow_provider_visio.sandbox.workspace import Workspace
from dev.contract.documents import SERVICES, load, operations, spoken_in

APPS = {"visiono": visiono_app, "vizdom": vizdom_app}


def routes(service: str) -> dict[str, APIRoute]:
    found = APPS[service](Workspace(Options())).router.routes
    return {
        f"{method} {one.path}": one for one in found if isinstance(one, APIRoute) for method in one.methods
    }


@pytest.mark.parametrize("service", SERVICES)
def test_same_calls_with_the_same_evidence(service):
    served = {name: one.openapi_extra["x-evidence"] for name, one in routes(service).items()}
    assert served == {one.name: one.about["x-evidence"] for one in operations(load(service))}


@pytest.mark.parametrize("service", SERVICES)
def test_same_status_of_success(service):
    for one in operations(load(service)):
        good = {status for status in one.about["responses"] if status.startswith("2")}
        assert str(routes(service)[one.name].status_code) in good, one.name


@pytest.mark.parametrize("dialect", ["both", "reference", "plugin"])
def test_same_calls_in_each_dialect(dialect):
    served = {name for name, one in routes("visiono").items() if in_dialect(one, dialect)}
    assert served == {one.name for one in operations(spoken_in(load("visiono"), dialect))}
