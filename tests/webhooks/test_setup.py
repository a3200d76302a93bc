"""The command that sets up a webhook."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.webhooks.__main__ import main


@pytest.fixture
def in_database(sandbox: Any, airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A connection in Airflow's database; return a function that returns its extras."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")

    def clear() -> None:
        with create_session() as session:
            session.execute(delete(Connection))

    clear()
    row = {"conn_type": "visiono", "host": sandbox.visiono_url, "password": sandbox.visiono_key}
    with create_session() as session:
        session.add(Connection(conn_id="visiono_stored", extra=json.dumps({"timeout": 20}), **row))

    def extras() -> dict[str, Any]:
        with create_session() as session:
            return session.scalar(select(Connection)).extra_dejson

    yield extras
    clear()


def test_the_secret_is_stored_in_the_connection(in_database, capsys):
    assert main(["visiono_stored", "https://airflow.example.com/"]) == 0
    (endpoint,) = VisionoHook().list_webhooks()
    assert endpoint["url"] == "https://airflow.example.com/visio/webhooks/visiono_stored"
    stored = in_database()
    assert stored["webhook_secret"].startswith("whsec_")
    assert stored["timeout"] == 20
    said = capsys.readouterr().out
    assert "stored its secret in the connection visiono_stored" in said
    assert stored["webhook_secret"] not in said

    assert main(["visiono_stored", "https://airflow.example.com"]) == 0
    assert "is there already" in capsys.readouterr().out
    assert in_database() == stored


def test_a_connection_from_elsewhere_is_completed_by_a_person(sandbox, airflow_database, capsys):
    assert main(["visiono_default", "https://airflow.example.com"]) == 0
    said = capsys.readouterr().out
    assert '"webhook_secret": "whsec_' in said
    assert "The service does not show it again." in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["visiono_nobody", "https://airflow.example.com"], "visiono_nobody"),
        (["visiono_default", "http://localhost:8080"], "give an https:// address"),
    ],
)
def test_what_cannot_be_set_up_is_said(sandbox, airflow_database, capsys, arguments, says):
    assert main(arguments) == 1
    assert says in capsys.readouterr().err
