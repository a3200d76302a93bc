"""The receiver, over a real Airflow database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from webhooks.deliveries import SECRET, body_of, sign

SUBMITTED = body_of("photo_request.submitted", id="req_1")


@pytest.fixture
def receiver(connection) -> str:
    """A connection that takes webhooks; return its id."""
    return connection("visiono_hooks", "https://api.visio.now/v1", "vsk_live_1", webhook_secret=SECRET)


@pytest.fixture
def stored(airflow_database: None) -> Iterator[Callable[[], dict[str, str]]]:
    """Return a function that returns all Variables of Airflow's database, which has none at first."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    def clear() -> None:
        with create_session() as session:
            session.execute(delete(Variable))

    def read() -> dict[str, str]:
        with create_session() as session:
            return {row.key: row.val for row in session.scalars(select(Variable))}

    clear()
    yield read
    clear()


@pytest.fixture
def post(receiver: str, stored: Any, clock: Any) -> Callable[..., Any]:
    """Return a function that posts a delivery to the receiver, well signed unless its arguments say otherwise."""
    from fastapi.testclient import TestClient

    from airflow_provider_visio.webhooks.app import app

    client = TestClient(app, raise_server_exceptions=False)

    def send(
        body: bytes = SUBMITTED,
        *,
        scheme: str = "visiono",
        to: str = receiver,
        headers: Any = None,
        secret: str = SECRET,
    ) -> Any:
        if headers is None:
            headers = sign(body, scheme, clock.now(), secret)
        return client.post(f"/{to}", content=body, headers=headers)

    return send
