"""Every example DAG against each of Visiono's dialects alone, through a connection that names it."""

from __future__ import annotations

import inspect

import pytest

from .test_dags import (
    EXAMPLES,
    airflow_database,
    check_campaign,
    run_dag,
    test_fan_out,
    test_photos_to_dashboard,
    test_three_steps,
)

__all__ = ["airflow_database", "run_dag"]

pytestmark = pytest.mark.parametrize("visiono_dialect", ["reference", "plugin"])

TESTS = (check_campaign, test_fan_out, test_photos_to_dashboard, test_three_steps)


def test_campaign(sandbox, run_dag, tmp_path, capfd):
    check_campaign(sandbox, run_dag, tmp_path, capfd, submitted=8, ended=1, waiting=1)


def test_every_example_with_visiono_is_here(visiono_dialect):
    tested = "".join(inspect.getsource(test) for test in TESTS)
    for path in EXAMPLES.glob("*.py"):
        if ".visiono import" in path.read_text():
            assert f'example("{path.stem}")' in tested
