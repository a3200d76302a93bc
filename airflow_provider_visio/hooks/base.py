"""Base of both hooks: an Airflow connection becomes a client."""

from __future__ import annotations

import asyncio
import json
import math
import re
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook

from airflow_provider_visio.api.call import call, path_fault
from airflow_provider_visio.api.config import Service, ServiceConfig, base_url_from, proxy_url
from airflow_provider_visio.api.reply import unexpected_reply
from airflow_provider_visio.connection_form import MASK, VISIONO_FORM, VIZDOM_FORM, Form, read_extras
from airflow_provider_visio.exceptions import (
    AuthenticationError,
    InvalidRequestError,
    VisioProviderError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from typing import Self

    from airflow.sdk import Connection, ObjectStoragePath

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.client import Client, TriggerClient
    from airflow_provider_visio.storage.manifest import Manifest, StoredFile
    from airflow_provider_visio.storage.remote_file import RemoteFile
    from airflow_provider_visio.storage.transfer import OnFileError


_OURS = {form.conn_type for form in (VISIONO_FORM, VIZDOM_FORM)}
# Types that name no service: their key may be for either.
_ANY_SERVICE = {"", "generic", "http", "https"}
_METHOD = re.compile("[A-Z]+(-[A-Z]+)*")


class VisioBaseHook(BaseHook):
    """
    Authentication, retry and errors for one service.

    :param conn_id: id of the Airflow connection.
    :param longest_wait: seconds that one call may wait for the rate limit, where that is less than the connection's
        ``rate_limit_wait``.
    """

    service: ClassVar[Service]
    form: ClassVar[Form]
    #: Of how many requests, links or exports the task stores files; their lineage shares Airflow's limit.
    lineage_jobs = 1

    def __init__(self, conn_id: str, longest_wait: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self._longest_wait = math.inf if longest_wait is None else longest_wait
        self._client: Client | None = None

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the connection form looks (Airflow 3.1; later versions read the provider's metadata)."""
        return cls.form.behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the connection form's own fields (Airflow 3.1; later versions read the provider's metadata)."""
        return cls.form.widgets()

    def get_conn(self) -> Client:
        """
        Return the client that sends this hook's calls.

        :raises AirflowNotFoundException: there is no such connection.
        :raises AuthenticationError: the connection has no API key.
        :raises InvalidRequestError: the connection has a setting that cannot be used, or is another service's.
        """
        if self._client is None:
            self._client = self._client_of(self.config())
        return self._client

    def _client_of(self, config: ServiceConfig) -> Client:
        # Imported here, so that parsing a DAG file does not import an HTTP library.
        from airflow_provider_visio.api.client import Client

        return Client(config, self.config)

    def with_longest_wait(self, seconds: float) -> Self:
        """Return a hook for the same connection whose calls wait at most so many seconds for the rate limit."""
        hook = type(self)(self.conn_id, longest_wait=seconds)
        config = self.get_conn().config
        config = replace(config, rate_limit_wait=min(seconds, config.rate_limit_wait))
        hook._client = hook._client_of(config)  # noqa: SLF001
        return hook

    async def get_async_conn(self) -> TriggerClient:
        """Return a client for a trigger's event loop; raises as :meth:`get_conn` does."""
        return await _trigger_client(self.async_config)

    async def get_polling_conn(self) -> TriggerClient:
        """
        Return a client for a poll.

        It sends each call once, because a poll repeats by itself and counts its failures. It sends only while other
        calls leave room in the rate limit.
        """

        async def config() -> ServiceConfig:
            return replace(await self.async_config(), max_attempts=1, rate_limit_wait=0.0)

        return await _trigger_client(config, polling=True)

    def config(self) -> ServiceConfig:
        """Read the connection."""
        try:
            connection = self.get_connection(self.conn_id)
        except AirflowNotFoundException as error:
            raise self._no_connection() from error
        return self._config_from(connection, connection.extra_dejson)

    async def async_config(self) -> ServiceConfig:
        """Read the connection without blocking an event loop."""
        from airflow.sdk import Connection
        from asgiref.sync import sync_to_async

        if not hasattr(Connection, "aextra_dejson"):
            # Before Airflow 3.3.2 the calls mask secrets with a blocking call to Airflow, which needs a thread.
            return await sync_to_async(self.config)()
        try:
            connection = await self.aget_connection(self.conn_id)
            return self._config_from(connection, await connection.aextra_dejson())
        except AirflowNotFoundException as error:
            raise self._no_connection() from error

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """
        Send any call, with this hook's authentication, retry and errors, and return the reply's ``data``.

        The result is None if a call that changes something succeeds without a body.

        :param method: the HTTP method.
        :param path: the path below the base URL, such as ``/photo-requests``; it may have a query.
        :param params: query parameters; they go before those in the path, and one with a list is sent several times.
        :param body: the JSON body.
        :raises InvalidRequestError: the path has a ``#`` or a ``..``, or is a whole URL; or there is no such method.
        :raises VisioProviderError: the typed error that the reply means.
        """
        return self._data(_any_call(method, path, params, body))

    def request_pages(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """
        Iterate over the items of any list, through all pages, with this hook's authentication, retry and errors.

        The items are objects. For a list of something else, such as names, use :meth:`request`.

        :param method: the HTTP method, ``GET`` for nearly every list.
        :param path: the path below the base URL, such as ``/photo-requests``; it may have a query.
        :param params: query parameters of every page. As for :meth:`request`.
        :param limit: stop after so many items.
        :raises InvalidRequestError: the path has a ``#`` or a ``..``, or is a whole URL; or there is no such method.
        :raises VisioProviderError: the typed error that a reply means; as the items are taken, not before.
        :raises UnexpectedReplyError: the reply's ``data`` is not a list of objects.
        """
        return self.get_conn().pages(replace(_any_call(method, path, params), needs_data=True), limit=limit)

    def test_connection(self) -> tuple[bool, str]:
        """Make a small call and return whether it worked, with a message; used by the Test button of Airflow's UI."""
        # The UI's button waits for the result.
        hook = type(self)(self.conn_id, longest_wait=5.0)
        try:
            config = hook.config()
            config = replace(config, max_attempts=min(2, config.max_attempts))
            hook._client = hook._client_of(config)  # noqa: SLF001
            found = hook._probe()  # noqa: SLF001
        except (VisioProviderError, AirflowNotFoundException) as error:
            return False, str(error)
        return True, f"Reached {self.service.name} at {config.base_url}: the key is accepted. {found}"

    def _service(self, extras: Mapping[str, Any]) -> Service:  # noqa: ARG002
        """Return the service as a connection's extras say it is."""
        return self.service

    @abstractmethod
    def _probe(self) -> str:
        """Make the call that tests a connection and return what it found."""

    def _store_files(
        self,
        files: Sequence[RemoteFile],
        place: ObjectStoragePath,
        job_id: str,
        *,
        origin: tuple[str, str],
        about: Mapping[str, Any],
        links: Mapping[str, str],
        links_again: Callable[[], Mapping[str, str]],
        shared_folder: bool,
        on_file_error: OnFileError,
        parallel_downloads: int | None,
    ) -> Manifest:
        """
        Store files; the other parameters are those of :func:`~airflow_provider_visio.storage.transfer.store`.

        :param origin: kind and id of what they come from, for :meth:`collect_lineage`.
        :param links: a link for each file, by key.
        :param links_again: gets new links, when one has expired.
        """
        from airflow_provider_visio.storage.transfer import Job, store

        minted = [links]
        client = self.get_conn()
        return store(
            files,
            place,
            Job(self.service.name, self.conn_id, job_id, about, shared_folder),
            links=lambda: minted.pop() if minted else links_again(),
            open_link=client.open,
            parallel=parallel_downloads or client.config.extra["parallel_downloads"],
            on_file_error=on_file_error,
            report=lambda stored: self.collect_lineage(*origin, stored, shared_folder=shared_folder),
        )

    def collect_lineage(
        self, kind: str, object_id: str, files: Sequence[StoredFile], *, shared_folder: bool
    ) -> None:
        """
        Tell Airflow's lineage about stored files; see :func:`~airflow_provider_visio.storage.lineage.collect`.

        :param kind: the kind of what they come from, such as ``photo-requests``.
        :param object_id: its id.
        """
        from airflow_provider_visio.storage.lineage import Origin, collect

        origin = Origin(self.form.conn_type, self.conn_id, kind, object_id)
        collect(self, origin, files, jobs=self.lineage_jobs, shared_folder=shared_folder)

    def _data(self, request: Call) -> Any:
        return self.get_conn().send(request)["data"]

    def _object(self, request: Call, *, needs: str | None = "id") -> dict[str, Any]:
        """Return a reply's data if it is an object with the field that it needs."""
        return self._with_field(self._data(request), request, needs)

    def _with_field(self, data: Any, request: Call, needs: str | None) -> dict[str, Any]:
        what = "answered without an object in `data`"
        if isinstance(data, dict):
            found = data.get(needs) if needs else None
            if needs is None or (isinstance(found, str) and found):
                return data
            if isinstance(found, int) and not isinstance(found, bool):
                return {**data, needs: str(found)}
            what = f"answered without `data.{needs}`"
        raise unexpected_reply(request, self.get_conn().config, what)

    def _no_connection(self) -> AirflowNotFoundException:
        return AirflowNotFoundException(
            f"The connection {self.conn_id!r} is not defined. Create it in Admin > Connections with type "
            f"{self.service.name} and the API key as its password, or with: airflow connections add "
            f"{self.conn_id} --conn-type {self.form.conn_type} --conn-password <API key>. (Airflow also reports "
            "this while its API server is down; the next try then finds it.)"
        )

    def _check_type(self, connection: Connection) -> None:
        """Refuse another service's connection: its key must not be sent to this service's host."""
        kind = (connection.conn_type or "").strip().lower()
        own = self.form.conn_type
        if kind in {own, *_ANY_SERVICE} or ((connection.host or "").strip() and kind not in _OURS):
            return
        fault = (
            f"its type is {kind!r}, so its key is not {self.service.name}'s and is not sent to it. Name a connection "
            f"of the type {own!r}"
        )
        if kind not in _OURS:
            fault += f", or give this one {self.service.name}'s base URL as its Host"
        raise InvalidRequestError(
            f"The connection {self.conn_id!r} cannot be used: {fault}.",
            fields={"conn_type": [fault]},
            conn_id=self.conn_id,
        )

    def _config_from(self, connection: Connection, extra: Any) -> ServiceConfig:
        """Return a connection's settings; a generic connection, or one with a Host, may have another type."""
        self._check_type(connection)
        key = (connection.password or "").strip()
        if not key:
            raise AuthenticationError(
                f"The connection {self.conn_id!r} has no API key: put the {self.service.name} key into its Password.",
                conn_id=self.conn_id,
            )
        if key == MASK:
            raise AuthenticationError(
                f"The Password of the connection {self.conn_id!r} is {MASK}, which Airflow shows in place of a secret. "
                "It was copied from a masked output; put the key itself there.",
                conn_id=self.conn_id,
            )
        if not key.isascii() or not key.isprintable() or " " in key:
            raise AuthenticationError(
                f"The Password of the connection {self.conn_id!r} is not an API key: it has characters that no "
                "HTTP header can carry. Copy the key again.",
                conn_id=self.conn_id,
            )
        try:
            if connection.extra and connection.extra.strip() and not _is_object(connection.extra):
                raise ValueError('its extras are not a JSON object; give one such as {"timeout": 60}')
            extras = read_extras(self.form, extra if isinstance(extra, dict) else {})
            service = self._service(extras)
            base_url = base_url_from(service, connection.host, connection.port, connection.schema)
            proxy = proxy_url(extras["proxy"])
            bundle, only = extras["ca_bundle"], extras["ca_bundle_only"]
            if only and not bundle:
                raise ValueError("ca_bundle_only needs a ca_bundle")
        except ValueError as error:
            raise InvalidRequestError(
                f"The connection {self.conn_id!r} cannot be used: {error}.".replace("..", "."),
                fields=getattr(error, "fields", None),
                conn_id=self.conn_id,
            ) from error
        return ServiceConfig(
            service=service,
            conn_id=self.conn_id,
            base_url=base_url,
            key=key,
            connect_timeout=float(extras["connect_timeout"]),
            read_timeout=float(extras["timeout"]),
            verify=(bundle if only else True) if extras["verify"] else False,
            ca_bundle=None if only or not extras["verify"] else bundle,
            proxy=proxy,
            max_attempts=extras["max_attempts"],
            rate_limit_wait=min(self._longest_wait, float(extras["rate_limit_wait"])),
            limits=tuple(
                (seconds, extras[name])
                for name, seconds in (("calls_per_minute", 60.0), ("calls_per_hour", 3600.0))
                if extras.get(name)
            ),
            reserve=float(extras["polling_reserve"]) / 100,
            extra=extras,
        )


def _any_call(
    method: str, path: str, params: Mapping[str, Any] | None, body: Mapping[str, Any] | None = None
) -> Call:
    verb = method.strip().upper() if isinstance(method, str) else ""
    if not _METHOD.fullmatch(verb):
        raise InvalidRequestError.of("method", f"give an HTTP method such as 'GET', not {method!r}")
    if not isinstance(path, str):
        raise InvalidRequestError.of(
            "path", f"give text such as '/photo-requests', not {type(path).__name__}"
        )
    if fault := path_fault(path):
        raise InvalidRequestError.of("path", fault)
    given = {name: value for name, value in (params or {}).items() if value is not None}
    escaped = path.replace("{", "{{").replace("}", "}}")
    found = call(verb, "/" + escaped.lstrip("/"), params=given, body=body, evidence="assumed")
    return replace(found, needs_data=not found.changes)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


async def _trigger_client(
    reload: Callable[[], Awaitable[ServiceConfig]], *, polling: bool = False
) -> TriggerClient:
    config = await reload()

    def client() -> TriggerClient:
        from airflow_provider_visio.api.client import TriggerClient

        return TriggerClient(config, reload, polling=polling)

    # In a thread: the first import of the HTTP library would block the event loop.
    return await asyncio.to_thread(client)
