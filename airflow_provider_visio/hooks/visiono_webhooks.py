"""The webhook endpoints of the Visiono hook."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict, cast
from urllib.parse import unquote

from airflow.sdk.log import mask_secret

from airflow_provider_visio.api import visiono_webhooks as api
from airflow_provider_visio.api.reply import unexpected_reply
from airflow_provider_visio.exceptions import VisioProviderError
from airflow_provider_visio.hooks.visiono_base import VisionoBaseHook
from airflow_provider_visio.webhooks import PREFIX
from airflow_provider_visio.webhooks.delivery import NEEDED_EVENTS
from airflow_provider_visio.webhooks.inbox import last_delivery

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.visiono_webhooks import Webhook

log = logging.getLogger(__name__)

# The connection that a receiver's address names.
_RECEIVER = re.compile(PREFIX + r"/([^/?#]+)/?(?:[?#].*)?$")


class EnsuredWebhook(TypedDict, total=False):
    """
    A webhook endpoint that is there.

    :param created: whether it was created now; only then ``secret`` is known.
    """

    id: str
    url: str
    secret: str
    created: bool


class VisionoWebhooksMixin(VisionoBaseHook):
    """
    Webhook endpoints (plugin: the reference has none of these calls).

    Each method raises ``NotFoundError`` where this service does not have the call.
    """

    def list_webhooks(self, *, limit: int | None = None) -> Iterator[Webhook]:
        """
        Iterate over webhook endpoints, through all pages (source: plugin).

        The endpoints should have no secret; if one has, it is masked in logs.

        :param limit: stop after this many.
        """
        for found in self.get_conn().pages(api.list_webhooks(), limit=limit):
            yield cast("Webhook", _masked(found))

    def create_webhook(self, url: str, events: Sequence[str]) -> Webhook:
        """
        Create a webhook endpoint (source: plugin).

        Only this reply has the ``secret``: store it in a connection or a secrets backend at once. Do not return it from
        a task, since an XCom is not secret. It is masked in logs.

        :param url: an ``https://`` address on the public internet.
        :param events: names of the events, at least one; :meth:`list_webhook_events` returns all names.
        :return: the endpoint, with ``id`` and ``secret``.
        :raises InvalidRequestError: the input is refused, by this provider or by the service.
        :raises ConnectionFailedError: no reply; with ``.ambiguous``, it may have been created, with a secret that you
            do not have: look for it with :meth:`list_webhooks` and delete it.
        """
        return self._webhook(api.create_webhook(url, events))

    def get_webhook(self, webhook_id: str) -> Webhook:
        """
        Return one webhook endpoint, without its secret (source: plugin).

        :param webhook_id: id of the endpoint.
        :raises NotFoundError: it does not exist, or this service does not have the call.
        """
        return self._webhook(api.get_webhook(webhook_id))

    def update_webhook(self, webhook_id: str, **changes: Any) -> Webhook:
        """
        Change a webhook endpoint (source: plugin) and return it.

        :param webhook_id: id of the endpoint.
        :param changes: ``url``, ``events``, ``is_active`` (assumed).
        :raises InvalidRequestError: the input is refused, by this provider or by the service.
        """
        return self._webhook(api.update_webhook(webhook_id, changes))

    def delete_webhook(self, webhook_id: str) -> None:
        """
        Delete a webhook endpoint (source: plugin).

        :param webhook_id: id of the endpoint.
        :raises NotFoundError: it does not exist, or this service does not have the call.
        """
        self._data(api.delete_webhook(webhook_id))

    def test_webhook(self, webhook_id: str) -> Any:
        """
        Have the service send a test to a webhook endpoint (source: plugin).

        :param webhook_id: id of the endpoint.
        :return: the reply's data, None if it has none; its shape is not public.
        :raises ConnectionFailedError: no reply; with ``.ambiguous``, a test may still have been sent.
        """
        return self._data(api.test_webhook(webhook_id))

    def list_webhook_events(self) -> list[str]:
        """
        Return the names of all events (source: plugin; the shape is assumed).

        :raises UnexpectedReplyError: the reply has no names.
        """
        request = api.list_webhook_events()
        names = api.event_names(self._data(request))
        if names is None:
            raise unexpected_reply(
                request, self.get_conn().config, "answered without a list of event names in `data`"
            )
        return names

    def ensure_webhook(self, url: str, events: Sequence[str] | None = None) -> EnsuredWebhook:
        """
        Find the webhook endpoint with an address, or create it (source: plugin).

        An endpoint that is switched off, or lacks an event, is changed. The ``secret`` is known only when it is
        created: store it as the extra ``webhook_secret`` of the connection that the address names. It is masked in
        logs; do not return it from a task. If a secret is lost, delete the endpoint and call this again.

        :param url: the receiver's address, ``https://<airflow>/visio/webhooks/<connection id>``, on the public
            internet.
        :param events: names of the events; None for those that end a wait, and ``photo_request.created``.
        :return: ``id``, ``url``, ``created`` and, if it was created, ``secret``.
        :raises InvalidRequestError: the input is refused, by this provider or by the service.
        :raises ConnectionFailedError: no reply; call it again, and see above if it then finds the endpoint.
        """
        wanted = list(NEEDED_EVENTS if events is None else events)
        create = api.create_webhook(url, wanted)  # checks both
        found = next((one for one in self.list_webhooks() if one.get("url") == url), None)
        where = f"the extra `webhook_secret` of the connection {_connection_of(url) or self.conn_id!r}"
        if found is None:
            made = self._webhook(create)
            log.info(
                "Created webhook endpoint %s. Its secret is shown once: store it as %s.",
                made["id"],
                where,
            )
            return {"id": made["id"], "url": url, "secret": made.get("secret", ""), "created": True}
        has = found.get("events") or []
        if found.get("is_active") is False or not set(wanted) <= set(has):
            self.update_webhook(found["id"], events=list(dict.fromkeys([*has, *wanted])), is_active=True)
        log.info(
            "Found webhook endpoint %s. Its secret was shown when it was created, and belongs into %s. If it is lost, "
            "delete the endpoint and create it again.",
            found["id"],
            where,
        )
        return {"id": found["id"], "url": url, "created": False}

    def _webhooks_set_up(self) -> str:
        """Return a sentence about webhooks, for a person who tests the connection."""
        try:
            endpoints = list(self.list_webhooks(limit=100))
        except VisioProviderError as error:
            return f"Whether webhooks are set up cannot be read ({type(error).__name__})."
        if not endpoints:
            return "No webhook is set up."
        # The Test button knows no connection id, but an endpoint's address does.
        names = {_connection_of(one.get("url")) or self.conn_id for one in endpoints}
        last = max((at for name in names if (at := last_delivery(name))), default=None)
        off = sum(one.get("is_active") is False for one in endpoints)
        came = (
            "none has come yet"
            if last is None
            else f"the last one came at {datetime.fromtimestamp(last, UTC):%Y-%m-%dT%H:%M:%SZ}"
        )
        return f"Webhook endpoints: {len(endpoints)}{f', {off} of them switched off' if off else ''}; {came}."

    def _webhook(self, request: Call) -> Webhook:
        # Masked first, before an error can show it.
        data = _masked(self._data(request))
        return cast("Webhook", self._with_field(data, request, "id"))


def _connection_of(url: object) -> str | None:
    """Return the connection id in the address of a receiver, or None for another address."""
    found = _RECEIVER.search(url) if isinstance(url, str) else None
    return found and unquote(found[1])


def _masked(data: Any) -> Any:
    """Have the secret of a webhook endpoint masked in logs."""
    if isinstance(data, dict) and isinstance(data.get("secret"), str):
        mask_secret(data["secret"])
    return data
