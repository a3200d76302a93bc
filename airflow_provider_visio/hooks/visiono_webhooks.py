"""The webhook endpoints of the Visiono hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow.sdk.log import mask_secret

from airflow_provider_visio.api import visiono_webhooks as api
from airflow_provider_visio.api.reply import unexpected_reply
from airflow_provider_visio.hooks.visiono_base import VisionoBaseHook

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.visiono_webhooks import Webhook


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

    def _webhook(self, request: Call) -> Webhook:
        # Masked first, before an error can show it.
        data = _masked(self._data(request))
        return cast("Webhook", self._with_field(data, request, "id"))


def _masked(data: Any) -> Any:
    """Have the secret of a webhook endpoint masked in logs."""
    if isinstance(data, dict) and isinstance(data.get("secret"), str):
        mask_secret(data["secret"])
    return data
