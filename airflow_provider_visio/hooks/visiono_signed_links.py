"""The signed links (workflow mode) of the Visiono hook."""

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
    """Sign links and verify their returns with the connection's ``workflow_secret``; these methods send no call."""

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
        Return a permanent link's URL, signed for one person (source: plugin; the base of the URL is inferred).

        Anyone who has it can open the link for an hour, so its signature is masked in logs and rendered fields. It
        still works in mails and messages. To keep it out of XComs, sign it in the task that sends it.

        :param link_url: the link's ``request_url``; its query is kept. The plugin signs
            ``https://visiono.io/s/<slug>``: give that if the signed link does not open.
        :param unique_value: the value of the link's unique field, such as a licence plate.
        :param source: where the person comes from, such as the DAG's id.
        :param reference: your reference of the case; it comes back.
        :param valid_for: seconds or a timedelta for which the link opens, an hour at most; None for an hour.
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
        Verify the return from a signed link, and return its values (source: plugin).

        The signature does not cover the source, and the same return can come again: accept a ``submission_id`` once.
        Outside a task, where there may be no connection,
        :func:`airflow_provider_visio.workflow.verify_return` takes the secret itself.

        :param url_or_params: the URL that the person was redirected to, its query, or its parameters by name.
        :param names: the names of the parameters in your redirect template, where they differ from ``sub``, ``uv``,
            ``ref``, ``cnt``, ``ts`` and ``sig``: by ``submission_id``, ``unique_value``, ``reference``,
            ``photo_count``, ``timestamp`` and ``signature``. The template must have all six.
        :param valid_for: seconds or a timedelta for which a return is valid.
        :return: ``{"submission_id", "unique_value", "reference", "photo_count", "signed_at"}``.
        :raises InvalidRequestError: the connection has no ``workflow_secret``, or a parameter is missing, repeated or
            not valid. Anyone who knows your URL can cause this error and the next: catch both.
        :raises SignatureError: the signature is wrong or too old; do not use the values.
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
