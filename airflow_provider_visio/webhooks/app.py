"""
The receiver: a FastAPI app in Airflow's API server that takes the service's webhooks.

Airflow does not authenticate the apps of plugins: the signature is the authentication. Nothing of a body is logged but
the event and ids.
"""

from __future__ import annotations

import logging

from airflow.models.connection import Connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from starlette.concurrency import run_in_threadpool

from airflow_provider_visio import clock
from airflow_provider_visio.connection_form import VISIONO_FORM
from airflow_provider_visio.webhooks.delivery import read_delivery
from airflow_provider_visio.webhooks.inbox import record_delivery
from airflow_provider_visio.webhooks.signature import verify

log = logging.getLogger(__name__)

LARGEST_BODY = 2**20

app = FastAPI(title="Visio webhooks", docs_url=None, redoc_url=None, openapi_url=None)


@app.post("/{conn_id}", response_class=PlainTextResponse)
async def receive(conn_id: str, request: Request) -> PlainTextResponse:
    """Take a delivery for a connection."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            return _answer(413, "The body is larger than 1 MiB.")
    # In a thread: secrets backends and the database block.
    return await run_in_threadpool(_take, conn_id, request.headers.items(), bytes(body))


def _take(conn_id: str, headers: list[tuple[str, str]], body: bytes) -> PlainTextResponse:
    secret, pinned = _secret_of(conn_id)
    scheme = verify(headers, body, secret, now=clock.now(), pinned=pinned)
    if scheme is None:
        # The same for a connection that does not exist, one without a secret, and a wrong signature.
        return _answer(401, "The delivery is not authentic.")
    try:
        delivery = read_delivery(body)
    except ValueError:
        log.warning("A webhook of connection %s has no JSON object as its body; nothing is done.", conn_id)
        return _answer(400, "The body is not a JSON object.")
    log.info(
        "Webhook of connection %s, signature %s: %s %s",
        conn_id,
        scheme,
        delivery.event,
        ", ".join(delivery.ids) or ("(nothing to look at)" if delivery.known else "(unknown event)"),
    )
    if not delivery.known:
        return _answer(200, "Nothing is done for this event.")
    try:
        record_delivery(conn_id, delivery.ids, clock.now())
    except Exception:
        log.exception("Cannot write the webhook inbox of connection %s.", conn_id)
        return _answer(503, "The delivery cannot be recorded; send it again later.")
    return _answer(202, "Recorded.") if delivery.ids else _answer(200, "Nothing is done for this event.")


def _secret_of(conn_id: str) -> tuple[str | None, str | None]:
    """Return a connection's secret and the only scheme that it accepts, each None if there is none."""
    try:
        extra = Connection.get_connection_from_secrets(conn_id).extra_dejson
        fields = {field.name: field.read(extra) for field in VISIONO_FORM.fields if field.name in _OURS}
    except AirflowNotFoundException:
        return None, None
    except ValueError as error:
        log.warning("Webhooks of connection %r are refused: %s.", conn_id, error)
        return None, None
    except Exception as error:  # noqa: BLE001  a backend that fails, which a stranger does not see
        log.warning(
            "Webhooks of connection %r are refused: it cannot be read (%s).", conn_id, type(error).__name__
        )
        return None, None
    return fields["webhook_secret"], fields["webhook_signature"]


_OURS = ("webhook_secret", "webhook_signature")


def _answer(status: int, text: str) -> PlainTextResponse:
    return PlainTextResponse(text + "\n", status)
