"""Operator that makes many photo requests in one task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_visio.api.photo_request_fields import check_fields, check_photo_request, named_by
from airflow_provider_visio.arguments import check_if_known, is_literal, require
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.idempotency.batch_items import items_of
from airflow_provider_visio.idempotency.record import check_on_existing
from airflow_provider_visio.operators.visiono_base import VisionoOperator

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_visio.idempotency.record import OnExisting

OnItemError = Literal["fail", "report"]

_CHECKED = ("instructions", "recipient_email", "expires_in_hours", "items", "metadata")

# Failed requests that an error text names; the others it counts.
MOST_NAMED = 20

# Most of the time of a long list is waiting for turns: without this, it would be the worker's.
LONGEST_HOLD = 5.0
# A look-up that the limit breaks off begins again with its list's first page, so it waits out a minute's limit.
LONGEST_LOOK = 120.0


class VisionoCreatePhotoRequestBatchOperator(VisionoOperator):
    """
    Ask many people for photos, in one task: a request for each dict of a list, each made once.

    The output is ``{"ids": [...], "requests": [{"index", "id", "request_url"}], "failed": [{"index", "reason"}]}``, in
    the order of the list; :class:`~airflow_provider_visio.sensors.visiono.VisionoPhotoRequestSensor` and the operators
    that take several requests take the whole output as well as ``output["ids"]``.

    Where the service takes ten requests in one call (the plugin's ``/photo-requests/batch``), ten are sent at a time,
    otherwise one by one; either way within the rate limit, and the worker is given back between the limit's windows.

    A refused request keeps no other from being created. One to which the service answers 5xx is tried again after the
    others. Two of these in a row end the try, because the service may be down.

    A retry makes what is missing and nothing else: each request is known by its content, so the list may come in
    another order, and longer. A list in which requests that were made are missing *and* others are new is refused, for
    a new one may be an old one that is put differently.

    A list that turns out to be empty when the task runs skips the task, as mapping over an empty list does. Where an
    earlier try was given a longer one, and has asked somebody, it fails the task.

    The time that passes between two tries makes no difference, so keep what changes with it out of the requests. What
    cannot be excluded is in docs/reliability.md, as for single requests. Addresses are kept out of rendered fields.

    :param requests: a list of dicts with the arguments of :class:`VisionoCreatePhotoRequestOperator` that describe a
        request: ``instructions`` and, as wanted, ``recipient_email``, ``send_email``, ``expires_in_hours``, ``items``,
        ``require_gps``, ``allow_submitter_notes``, ``internal_notes`` and ``metadata``. (templated)
    :param batch: whether to send ten at a time; None for what the connection's ``dialect`` says: the plugin knows that
        call, the reference does not. A service that turns out not to have it gets them one by one.
    :param on_item_error: what a refused request means, once all others are made: ``"fail"`` fails the task and lists
        them; ``"report"`` lists them in ``failed`` and succeeds, even with none made, which a wait with
        ``on_deadline="proceed"`` takes as it does that nothing arrives. What is refused whatever is asked for (the
        quota is used up, the key may not) fails the task at once in either case.
    :param on_existing: what becomes, when the task is cleared, of the requests that it made and that are still open:
        ``"reuse"`` keeps them, ``"replace"`` deletes them and asks anew, ``"fail"`` fails. (``"replace"``
        fails, too, where the service does not say in a known word that one is open.) Those that have ended are asked
        for anew. A retry asks nobody again.
    :param deferrable: give the worker back where the service's rate limit is used up for longer than five seconds (two
        minutes, while it is looked up what was made before).
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises InvalidRequestError: a request was refused; ``.fields`` has each by its place, such as ``requests.3``. All
        others are made, and a retry tries the refused ones only.
    :raises PermissionDeniedError: the plan's quota is used up, or the key may not make requests; nobody else is asked.
    :raises VisioProviderError: the service cannot be used, or it cannot be looked up what an earlier try has made; what
        was made until then is kept for the next try.
    """

    template_fields: Sequence[str] = ("requests", "visiono_conn_id")
    template_fields_renderers = {"requests": "json"}  # noqa: RUF012
    operator_extra_links: Collection[BaseOperatorLink] = ()  # there is no one page to lead to

    def __init__(
        self,
        *,
        requests: Any,
        batch: bool | None = None,
        on_item_error: OnItemError = "fail",
        on_existing: OnExisting = "reuse",
        visiono_conn_id: str = "visiono_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.multiple_outputs = True
        self.requests = requests
        self.batch = batch
        self.on_item_error = on_item_error
        self.on_existing = on_existing
        self.visiono_conn_id = visiono_conn_id
        check_on_existing(on_existing)
        if on_item_error not in get_args(OnItemError):
            raise InvalidRequestError.of("on_item_error", f"give 'fail' or 'report', not {on_item_error!r}")
        require(requests, "requests")
        if isinstance(requests, list | tuple):
            for index, request in enumerate(requests):
                if is_literal(request) or isinstance(request, Mapping):
                    _check(request, index)

    @property
    def requests(self) -> Any:
        """What is asked for."""
        return self._requests

    @requests.setter
    def requests(self, value: Any) -> None:
        # Airflow stores rendered fields in the clear. To have it mask a thousand addresses takes it minutes, so it is
        # shown the requests without them, from when rendering puts the value.
        rendered = hasattr(self, "_requests") and not isinstance(value, _Rendered)
        self._requests = _Rendered(value) if rendered else value

    @property
    def _longest_wait(self) -> float | None:
        return LONGEST_LOOK if self.deferrable else None

    def _run(self, context: Context) -> dict[str, Any]:
        """Make the requests that are not made yet."""
        from airflow_provider_visio.hooks.visiono import VisionoHook
        from airflow_provider_visio.idempotency.create_batch import CreateBatch

        items = items_of(self._listed())
        maker = VisionoHook(self.visiono_conn_id, longest_wait=LONGEST_HOLD if self.deferrable else None)
        run = CreateBatch(
            context, items, maker, self.hook, self._done, batch=self.batch, on_existing=self.on_existing
        )
        made, refused = run.make()
        if not items:
            raise self._nobody(made)
        failed = [{"index": item.index, "reason": refused[item.key]} for item in items if item.key in refused]
        if failed:
            told = self._told(failed, len(items), run.advice)
            if self.on_item_error == "fail":
                raise self._error(failed, told)
            self.log.warning("%s", told)
        run.close()
        requests = [
            {"index": item.index, "id": made[item.key][0], "request_url": made[item.key][1]}
            for item in items
            if item.key in made
        ]
        return {"ids": [one["id"] for one in requests], "requests": requests, "failed": failed}

    def _listed(self) -> list[Mapping[str, Any]]:
        requests = self.requests.value if isinstance(self.requests, _Rendered) else self.requests
        if isinstance(requests, str | bytes | Mapping) or not isinstance(requests, Iterable):
            raise InvalidRequestError.of(
                "requests",
                f"give a list of dicts, not {type(requests).__name__}; a template gives text, unless the DAG has "
                "render_template_as_native_obj=True",
            )
        listed = list(requests)
        for index, request in enumerate(listed):
            if not isinstance(request, Mapping):
                raise InvalidRequestError.of(
                    f"requests.{index}", f"give a dict, not {type(request).__name__}"
                )
        return listed

    @staticmethod
    def _nobody(made: Mapping[str, tuple[str, str | None]]) -> Exception:
        """Return how a task ends that is given an empty list: as a mapped one does, unless it has asked somebody."""
        if not made:
            return AirflowSkipException("The list of requests is empty, so there is nobody to ask.")
        return InvalidRequestError.of(
            "requests",
            f"it is empty, but {len(made)} photo request(s) that an earlier try made stand, such as "
            f"{next(iter(made.values()))[0]}. Give the task the list that it had, or clear it with "
            "on_existing='replace' to delete them",
        )

    def _told(self, failed: list[dict[str, Any]], count: int, advice: str) -> str:
        named = " ".join(f"[{one['index']}] {one['reason']}." for one in failed[:MOST_NAMED]).replace(
            "..", "."
        )
        more = f"And {len(failed) - MOST_NAMED} more." if len(failed) > MOST_NAMED else ""
        parts = (f"{len(failed)} of {count} photo requests were refused:", named, more, advice)
        return " ".join(part for part in parts if part)

    def _error(self, failed: list[dict[str, Any]], told: str) -> InvalidRequestError:
        return InvalidRequestError(
            f"{told} The others are made; a retry, or clearing this task, tries the refused ones again and asks nobody "
            "else. Correct them, or use on_item_error='report' to go on without them. "
            f"[connection {self.visiono_conn_id}]",
            fields={f"requests.{one['index']}": [one["reason"]] for one in failed},
            conn_id=self.visiono_conn_id,
        )


class _Rendered:
    """Rendered requests, of which Airflow keeps all but the addresses."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def serialize(self) -> Any:
        """Return what Airflow shows as the rendered field."""
        if not isinstance(self.value, Sequence) or isinstance(self.value, str | bytes):
            return f"<{type(self.value).__name__}>"
        return [_without_address(request) for request in self.value]


def _without_address(request: Any) -> Any:
    if not isinstance(request, Mapping):
        return f"<{type(request).__name__}>"
    return {name: "***" if name == "recipient_email" and value else value for name, value in request.items()}


def _check(request: object, index: int) -> None:
    """Refuse a request of which it is known while the DAG file is parsed that it cannot be."""
    place = f"requests.{index}"
    if not isinstance(request, Mapping):
        raise InvalidRequestError.of(place, f"give a dict, not {type(request).__name__}")
    check_fields(request, place)
    known = {name: request[name] for name in _CHECKED if name in request}
    with named_by(place):
        check_if_known(check_photo_request, **known)
