"""The workflow mode of the Visiono hook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.log import mask_secret

from airflow_provider_visio import clock
from airflow_provider_visio.api import signed_links
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.hooks.visiono_base import VisionoBaseHook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from airflow_provider_visio.api.signed_links import WorkflowReturn


class VisionoWorkflowMixin(VisionoBaseHook):
    """Signed links, and what comes back from them, with the connection's ``workflow_secret``; no call is made."""

    def build_workflow_url(
        self,
        link_url: str,
        *,
        unique_value: str | int,
        source: str | int,
        reference: str | int,
        valid_for: float | timedelta | None = None,
    ) -> str:
        """
        Return a permanent link's address, signed for one person (source: plugin; onto which address is inferred).

        Whoever has it can open the link for an hour, so its signature is masked in logs and rendered fields. It still
        works in mails and messages; to keep it out of XComs, sign it in the task that sends it.

        :param link_url: the link's own ``request_url``; its query is kept. The plugin signs
            ``https://visiono.io/s/<slug>``: give that if the signed link does not open.
        :param unique_value: what the link asks for by its unique field, such as a licence plate.
        :param source: where the person comes from, such as the DAG's id.
        :param reference: what you know the case by; it comes back.
        :param valid_for: seconds or a timedelta for which the link opens, an hour at most; None for the hour.
        :raises InvalidRequestError: the connection has no ``workflow_secret``, or a value is empty, begins or ends with
            a blank, or has a ``|`` or control characters.
        """
        url = signed_links.build_url(
            link_url,
            secret=self._workflow_secret(),
            unique_value=unique_value,
            source=source,
            reference=reference,
            now=clock.now(),
            valid_for=valid_for,
        )
        mask_secret(signed_links.signature_in(url))
        return url

    def verify_workflow_return(
        self,
        url_or_params: str | Mapping[str, object],
        *,
        names: Mapping[str, str] | None = None,
        valid_for: float | timedelta = signed_links.HOUR,
    ) -> WorkflowReturn:
        """
        Return what came back from a signed link, once its signature is found to be the service's (source: plugin).

        The signature does not cover the source, and does not say whether it was seen before: take a ``submission_id``
        once. Outside a task, where there may be no connection,
        :func:`airflow_provider_visio.signed_links.verify_return` takes the secret itself.

        :param url_or_params: the address that the person was led back to, its query, or its parameters by name.
        :param names: how your redirect template calls the parameters, where that differs from ``sub``, ``uv``, ``ref``,
            ``cnt``, ``ts`` and ``sig``: by ``submission_id``, ``unique_value``, ``reference``, ``photo_count``,
            ``timestamp`` and ``signature``. The template must have all six.
        :param valid_for: seconds or a timedelta for which it is believed.
        :return: ``{"submission_id", "unique_value", "reference", "photo_count", "signed_at"}``.
        :raises InvalidRequestError: the connection has no ``workflow_secret``, or a parameter is missing, there twice,
            or cannot be. Whoever knows your address can cause either error: catch both.
        :raises SignatureError: the signature does not fit, or is too old; nothing of it may be believed.
        """
        return signed_links.verify_return(
            url_or_params, secret=self._workflow_secret(), now=clock.now(), valid_for=valid_for, names=names
        )

    def _workflow_secret(self) -> str:
        secret = self.config().extra["workflow_secret"]
        if not secret:
            raise InvalidRequestError(
                f"workflow_secret: the connection {self.conn_id!r} has none. Copy the secret from the permanent link's "
                "workflow settings in Visiono's dashboard into the connection's extra `workflow_secret`.",
                fields={"workflow_secret": ["it is missing"]},
                conn_id=self.conn_id,
            )
        return str(secret)
