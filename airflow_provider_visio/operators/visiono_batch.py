"""Operator that creates many photo requests in one task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_visio.api.photo_request_fields import check_fields, check_photo_request, named_by
from airflow_provider_visio.arguments import check_if_known, is_literal, require
from airflow_provider_visio.exceptions import InvalidRequestError, retried
from airflow_provider_visio.idempotency.on_existing import check_on_existing
from airflow_provider_visio.operators.visiono_base import VisionoOperator

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_visio.idempotency.on_existing import OnExisting

OnItemError = Literal["fail", "report"]

_CHECKED = ("instructions", "recipient_email", "expires_in_hours", "items", "metadata")

# Failed requests that an error text names; the others it counts.
MOST_NAMED = 20

# A long list mostly waits for the rate limit, and should not hold its worker.
LONGEST_HOLD = 5.0
# A look-up that defers starts again with the list's first page, so it waits out a minute's limit.
LONGEST_LOOK = 120.0


class VisionoCreatePhotoRequestBatchOperator(VisionoOperator):
    """
    Ask many people for photos in one task: create a request for each dict of a list, each once.

    The output is ``{"ids": [...], "requests": [{"index", "id", "request_url"}], "failed": [{"index", "reason"}]}``, in
    the order of the list; :class:`~airflow_provider_visio.sensors.visiono.VisionoPhotoRequestSensor` and the operators
    that take several requests take the whole output as well as ``output["ids"]``.

    If the service takes ten requests in one call (the plugin's ``/photo-requests/batch``), ten are sent at a time,
    otherwise one by one. Both keep to the rate limit, and give the worker back between its windows.

    If a request is refused, the others are still created. One to which the service answers 5xx is tried again after the
    others. Two of these in a row end the try, because the service may be down.

    A retry creates only the missing requests. A request is identified by its content, so the list may grow and come in
    another order. A list is refused if it lacks requests that exist *and* has new ones, because a new one may be an old
    one with another text. So keep values that change with each try, such as the time, out of the requests.

    A list that is empty when the task runs skips the task, as mapping over an empty list does. If an earlier try has
    asked somebody, it fails the task.

    docs/reliability.md lists the exceptions, as for single requests. Addresses are kept out of rendered fields.

    :param requests: a list of dicts with the arguments of :class:`VisionoCreatePhotoRequestOperator` that describe a
        request: ``instructions`` and, optionally, ``recipient_email``, ``send_email``, ``expires_in_hours``, ``items``,
        ``require_gps``, ``allow_submitter_notes``, ``internal_notes`` and ``metadata``. (templated)
    :param batch: whether to send ten at a time. None uses the connection's ``dialect``: the plugin has that call, the
        reference does not. If the service turns out not to have it, they are sent one by one.
    :param on_item_error: what to do about refused requests once all others are created: ``"fail"`` fails the task and
        lists them; ``"report"`` lists them in ``failed`` and succeeds, even if none is created. (A sensor with
        ``on_deadline="proceed"`` accepts that as it accepts that no photos arrive.) A refusal of every request (the
        quota is used up, the key lacks permission) always fails the task at once.
    :param on_existing: what a cleared task does with its requests that are still open: ``"reuse"`` keeps them,
        ``"replace"`` deletes them and asks again, ``"fail"`` fails. (``"replace"`` also fails if the service does not
        say in a known word that one is open.) Requests that have ended are asked again. A retry asks nobody again.
    :param deferrable: give the worker back when the rate limit is used up for longer than five seconds (two minutes
        during a look-up).
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises InvalidRequestError: a request was refused; ``.fields`` has each by its place, such as ``requests.3``. All
        others are created, and a retry tries only the refused ones.
    :raises PermissionDeniedError: the plan's quota is used up, or the key lacks permission; nobody else is asked.
    :raises VisioProviderError: the service cannot be used, or the requests of an earlier try cannot be looked up; the
        next try uses the requests that are created.
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.requests = requests
        self.batch = batch
        self.on_item_error = on_item_error
        self.on_existing = on_existing
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
        """The requests, as given or as rendered."""
        return self._requests

    @requests.setter
    def requests(self, value: Any) -> None:
        # Airflow stores rendered fields in clear text, and takes minutes to mask a thousand addresses. So it gets the
        # requests without them once they are rendered.
        rendered = hasattr(self, "_requests") and not isinstance(value, _Rendered)
        self._requests = _Rendered(value) if rendered else value

    @property
    def _longest_wait(self) -> float | None:
        return LONGEST_LOOK if self.deferrable else None

    def _run(self, context: Context) -> dict[str, Any]:
        """Create the requests that do not exist yet."""
        from airflow_provider_visio.idempotency.batch_items import items_of
        from airflow_provider_visio.idempotency.create_batch import CreateBatch

        items = items_of(self._listed())
        hook = self.hook
        maker = hook.with_longest_wait(LONGEST_HOLD) if self.deferrable else hook
        run = CreateBatch(
            context, items, maker, hook, self._done, batch=self.batch, on_existing=self.on_existing
        )
        made, refused = run.make()
        if not items:
            raise self._nobody(made)
        failed = [{"index": item.index, "reason": refused[item.key]} for item in items if item.key in refused]
        if failed:
            self._report(failed, len(items), run.advice, retry_helps=run.retry_helps)
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
            _check_kind(request, index)
        return listed

    @staticmethod
    def _nobody(made: Mapping[str, tuple[str, str | None]]) -> Exception:
        """Return the end of a task with an empty list: skipped as a mapped task, unless it has asked somebody."""
        if not made:
            return AirflowSkipException("The list of requests is empty, so there is nobody to ask.")
        return InvalidRequestError.of(
            "requests",
            f"it is empty, but {len(made)} photo request(s) that an earlier try created exist, such as "
            f"{next(iter(made.values()))[0]}. Give the task the list that it had, or clear it with "
            "on_existing='replace' to delete them",
        )

    def _report(self, failed: list[dict[str, Any]], count: int, advice: str, *, retry_helps: bool) -> None:
        """Log the refused requests, or raise an error for them, as ``on_item_error`` says."""
        parts = [f"{len(failed)} of {count} photo requests were refused:"]
        parts += [f"[{one['index']}] {one['reason'].rstrip('.')}." for one in failed[:MOST_NAMED]]
        parts += [f"And {len(failed) - MOST_NAMED} more."] if len(failed) > MOST_NAMED else []
        text = " ".join([*parts, advice]).strip()
        if self.on_item_error == "report":
            self.log.warning("%s", text)
            return
        error = InvalidRequestError(
            f"{text} The others are created; a retry or a clear tries only the refused ones. Correct them, or use "
            "on_item_error='report' to go on without them. "
            f"[connection {self.visiono_conn_id}]",
            fields={f"requests.{one['index']}": [one["reason"]] for one in failed},
            conn_id=self.visiono_conn_id,
        )
        raise retried(error) if retry_helps else error


class _Rendered:
    """Rendered requests, which Airflow stores without the addresses."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def serialize(self) -> Any:
        """Return the rendered field that Airflow stores."""
        if not isinstance(self.value, Sequence) or isinstance(self.value, str | bytes):
            return f"<{type(self.value).__name__}>"
        return [_without_address(request) for request in self.value]


def _without_address(request: Any) -> Any:
    if not isinstance(request, Mapping):
        return f"<{type(request).__name__}>"
    return {name: "***" if name == "recipient_email" and value else value for name, value in request.items()}


def _check_kind(request: object, index: int) -> None:
    if not isinstance(request, Mapping):
        raise InvalidRequestError.of(f"requests.{index}", f"give a dict, not {type(request).__name__}")


def _check(request: Any, index: int) -> None:
    """Refuse a request that is known to be wrong while the DAG file is parsed."""
    _check_kind(request, index)
    place = f"requests.{index}"
    check_fields(request, place)
    known = {name: request[name] for name in _CHECKED if name in request}
    with named_by(place):
        check_if_known(check_photo_request, **known)
