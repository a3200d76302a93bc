"""Operator that invites a person to Vizdom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_visio.arguments import require
from airflow_provider_visio.exceptions import InvalidRequestError, VisioProviderError
from airflow_provider_visio.operators.vizdom_base import VizdomOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_visio.idempotency.create_once import CreateOnce


# In the record and the log, where the service gives no id.
_NO_ID = "the invite"


class VizdomInviteMemberOperator(VizdomOperator):
    """
    Invite a person to the workspace by e-mail.

    The call behind this is **assumed**, see :mod:`airflow_provider_visio.api.vizdom_contract`. The output is ``{"id",
    "role", "invited": True}``, without the address, and without ``id`` where the service gives none; with
    ``ignore_existing``, for a person who is a member or invited already, ``{"role", "invited": False}``.

    No list of invites is known. If the reply is lost, the task cannot find out whether the mail was sent: it fails with
    an error that says so, and a retry invites again. If the service then answers that the address is invited already,
    the task succeeds. Airflow before 3.3 keeps nothing between tries, so there any retry accepts that answer.

    :param email: the address. It is masked in logs and rendered fields. (templated)
    :param role: ``viewer``, ``editor`` or ``admin``. (templated)
    :param ignore_existing: succeed if the person is a member or invited already; the role does not change.
    :param deferrable: defer while the service's rate limit is used up for longer than a minute.
    :param vizdom_conn_id: id of the Airflow connection; its key must be an Admin's. (templated)
    :raises InvalidRequestError: the input is refused, or the person is a member or invited already.
    :raises PermissionDeniedError: the key is not an Admin's.
    """

    template_fields: Sequence[str] = ("email", "role", "vizdom_conn_id")

    def __init__(
        self,
        *,
        email: str,
        role: str = "viewer",
        ignore_existing: bool = False,
        vizdom_conn_id: str = "vizdom_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.multiple_outputs = True
        self.email = email
        self.role = role
        self.ignore_existing = ignore_existing
        self.vizdom_conn_id = vizdom_conn_id
        require(email, "email")
        require(role, "role")

    @property
    def email(self) -> str:
        """The address."""
        return self._email

    @email.setter
    def email(self, address: str) -> None:
        # As of VizdomCreateDataSourceOperator.settings.
        if address and hasattr(self, "_email"):
            from airflow.sdk.log import mask_secret

            mask_secret(address)
        self._email = address

    def _run(self, context: Context) -> dict[str, Any]:
        """Send the invite, unless an earlier try has sent it."""
        from airflow_provider_visio.api.vizdom_workspace import is_there_already
        from airflow_provider_visio.idempotency.create_once import CreateOnce

        hook = self.hook
        once = CreateOnce(context, self._done, {"email": self.email, "role": self.role}, "reuse")
        may_be_ours = once.in_doubt
        try:
            invite_id = str(self._invite(once)["id"])
        except InvalidRequestError as error:
            if not is_there_already(error, hook.contract):
                raise
            if not (self.ignore_existing or may_be_ours):
                raise error.saying(
                    "To send the mail again, use Pending invites in Vizdom's settings; with ignore_existing=True this "
                    "task succeeds for a person who is there already."
                ) from error
            self.log.info("The person is a member or invited already; no mail was sent.")
            return {"role": self.role, "invited": False}
        except VisioProviderError as error:
            if not error.ambiguous:
                raise
            raise error.saying(
                "If the service answers to that retry that the address is invited already, the task succeeds."
            ) from error
        once.close()
        about = {} if invite_id == _NO_ID else {"id": invite_id}
        return {**about, "role": self.role, "invited": True}

    def _invite(self, once: CreateOnce) -> Mapping[str, Any]:
        from airflow_provider_visio.idempotency.create_once import ResourceAdapter
        from airflow_provider_visio.idempotency.lookup_window import LookupWindow

        def ask(_: dict[str, str]) -> Mapping[str, Any]:
            invite_id = self.hook.invite_member(self.email, self.role).get("id", _NO_ID)
            self.log.info("Sent %s.", invite_id)
            return {"id": invite_id}

        return once.get(
            ResourceAdapter(
                ask=ask,
                look_at=lambda invite_id: {"id": invite_id},
                look_up=None,
                phase_of=lambda _: "arrived",
                discard=None,
                window=LookupWindow.of(self.hook.get_conn().config),
            )
        )
