from __future__ import annotations

import subprocess
import sys

import pytest

HTTP = {"requests", "urllib3", "httpx", "httpcore", "aiohttp", "tenacity"}


@pytest.mark.parametrize(
    "module",
    [
        f"airflow_provider_visio.{kind}.{service}"
        for kind in ("operators", "sensors", "triggers")
        for service in ("visiono", "vizdom")
    ]
    + ["airflow_provider_visio.assets.visiono"],
)
def test_parsing_a_dag_file_imports_no_http_library(module):
    """What Airflow itself has imported by then does not count."""
    code = (
        "import sys; from airflow.sdk import BaseOperator, BaseSensorOperator; before = set(sys.modules);"
        f"import {module}; print(*(set(sys.modules) - before))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert module in found
    assert not HTTP & {name.partition(".")[0] for name in found.split()}


def test_reading_the_metadata_imports_no_airflow():
    code = (
        "import sys; from airflow_provider_visio.get_provider_info import get_provider_info; get_provider_info();"
        "print(*[name for name in sys.modules if name.partition('.')[0] in ('airflow', 'requests', 'httpx')])"
    )
    assert not subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


def test_the_sandbox_and_the_client_share_no_code():
    code = "import sys; import airflow_provider_visio.sandbox.server; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    ours = {name for name in found if name.startswith("airflow_provider_visio.")}
    assert {name for name in ours if not name.startswith("airflow_provider_visio.sandbox")} == set()
    assert "airflow" not in found
