import ast
from pathlib import Path

import pytest

from airflow_provider_visio import sandbox
from airflow_provider_visio.sandbox.options import Options
from airflow_provider_visio.sandbox.server import visiono_app, vizdom_app
from airflow_provider_visio.sandbox.workspace import Workspace

FOLDER = Path(sandbox.__file__).parent

SEED = {
    "GET /photo-requests",
    "POST /photo-requests",
    "GET /photo-requests/{id}",
    "DELETE /photo-requests/{id}",
    "GET /stats",
    "GET /permanent-links",
    "POST /permanent-links",
    "GET /permanent-links/{id}",
    "PATCH /permanent-links/{id}",
    "DELETE /permanent-links/{id}",
    "GET /status",
}
PLUGIN = {
    "POST /photo-requests/batch",
    "GET /photo-requests/{id}/submissions",
    "GET /photo-requests/{id}/download-urls",
    "GET /photo-requests/{id}/qrcode",
    "GET /smart-links",
    "POST /smart-links",
    "GET /smart-links/{id}",
    "PUT /smart-links/{id}",
    "DELETE /smart-links/{id}",
    "GET /smart-links/{id}/submissions",
    "GET /smart-links/{id}/download-urls",
    "GET /smart-links/{id}/qrcode",
    "GET /webhooks",
    "POST /webhooks",
    "GET /webhooks/{id}",
    "PATCH /webhooks/{id}",
    "DELETE /webhooks/{id}",
    "POST /webhooks/{id}/test",
    "GET /webhooks/events",
}


def labels(app):
    """Evidence of each operation in the app's own OpenAPI document."""
    return {
        f"{method.upper()} {path}": operation.get("x-evidence")
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
    }


def test_every_visiono_call_is_there_and_labelled():
    found = labels(visiono_app(Workspace(Options())))
    assert {call for call, level in found.items() if level == "seed"} == SEED
    assert {call for call, level in found.items() if level == "plugin"} == PLUGIN
    assert {level for call, level in found.items() if call not in SEED | PLUGIN} == {"assumed"}


def test_every_vizdom_call_is_labelled():
    found = labels(vizdom_app(Workspace(Options())))
    assert found == {
        "GET /dashboards": "seed",
        "GET /dashboards/{id}": "inferred",
        "POST /dashboards": "assumed",
        "POST /exports": "assumed",
        "GET /exports/{id}": "assumed",
        "GET /data-sources": "assumed",
        "POST /data-sources": "assumed",
        "POST /data-sources/{id}/test": "assumed",
        "DELETE /data-sources/{id}": "assumed",
        "GET /members": "assumed",
        "POST /invites": "assumed",
    }


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.name)
def test_sandbox_shares_nothing_with_the_client(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level <= 1, f"{file.name} line {node.lineno}"
            assert not (node.module or "").startswith("airflow"), f"{file.name} line {node.lineno}"
        elif isinstance(node, ast.Import):
            assert not [alias for alias in node.names if alias.name.startswith("airflow")]
