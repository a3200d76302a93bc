"""A small client of Airflow's REST API, with the calls that the developer tools need."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import requests

Json = dict[str, Any]
TIMEOUT = (5, 30)
PAGE = 100


class AirflowApi:
    """A session with an API server.

    :param url: address of the API server
    :param login: name and password; None where every user is an administrator
    """

    def __init__(self, url: str, login: tuple[str, str] | None = None) -> None:
        self.url = url
        self._login = login
        self._session = requests.Session()
        self._session.trust_env = False  # the server is on the loopback interface: use no proxy

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Json | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """Send a call.

        :return: the reply's JSON, or None if the reply is empty
        :raises requests.HTTPError: the reply has an error status; the message has its text
        """
        if "Authorization" not in self._session.headers:
            self._log_in()
        reply = self._session.request(
            method, f"{self.url}/api/v2{path}", params=params, json=body, headers=headers, timeout=TIMEOUT
        )
        if not reply.ok:
            text = f"{method} {path}: {reply.status_code} {reply.text[:500]}"
            raise requests.HTTPError(text, response=reply)
        return reply.json() if reply.content else None

    def _log_in(self) -> None:
        self._session.headers["Authorization"] = f"Bearer {self.token(self._login)}"

    def token(self, login: tuple[str, str] | None) -> str:
        """Return a token, with which a browser is logged in too.

        :param login: name and password; None where every user is an administrator
        """
        address = f"{self.url}/auth/token"
        if login is None:
            reply = self._session.get(address, timeout=TIMEOUT)
        else:
            name, password = login
            reply = self._session.post(
                address, json={"username": name, "password": password}, timeout=TIMEOUT
            )
        reply.raise_for_status()
        return str(reply.json()["access_token"])

    def get(self, path: str, **params: Any) -> Any:
        """Send a GET. Keyword arguments are the query parameters."""
        return self.call("GET", path, params=params)

    def find(self, path: str) -> Any:
        """Send a GET, and return None if the reply is 404."""
        try:
            return self.get(path)
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == requests.codes.not_found:
                return None
            raise

    def every(self, path: str, key: str, **params: Any) -> list[Json]:
        """Return all entries of a paged list.

        :param key: name of the list in the reply
        """
        entries: list[Json] = []
        while True:
            page = self.get(path, limit=PAGE, offset=len(entries), **params)
            entries += page[key]
            if not page[key] or len(entries) >= page["total_entries"]:
                return entries

    def health(self) -> Json:
        """Return component name -> its status and latest heartbeat. This call needs no login."""
        reply = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=TIMEOUT)
        reply.raise_for_status()
        health: Json = reply.json()
        return health

    def is_ready_for_tasks(self) -> bool:
        """Return whether the execution API answers. Its first call takes seconds, because the server then builds it."""
        return self._session.get(f"{self.url}/execution/health", timeout=TIMEOUT).ok

    def dags(self) -> list[Json]:
        """List all DAGs."""
        return self.every("/dags", "dags")

    def import_errors(self) -> list[Json]:
        """List the DAG files that cannot be read."""
        return self.every("/importErrors", "import_errors")

    def pause(self, dag_id: str, *, paused: bool) -> None:
        """Pause or unpause a DAG."""
        self.call("PATCH", f"/dags/{dag_id}", body={"is_paused": paused})

    def trigger(self, dag_id: str, conf: Json | None = None, run_id: str | None = None) -> str:
        """Unpause a DAG and start a run.

        :param run_id: id of the run; None: Airflow creates one
        :return: id of the run
        """
        self.pause(dag_id, paused=False)
        body = {"logical_date": None, "conf": conf or {}, **({"dag_run_id": run_id} if run_id else {})}
        run = self.call("POST", f"/dags/{dag_id}/dagRuns", body=body)
        return str(run["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> Json:
        """Read one DAG run."""
        run: Json = self.get(f"/dags/{dag_id}/dagRuns/{quote(run_id)}")
        return run

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """List the task instances of a run."""
        return self.every(f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances", "task_instances")

    def links(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Json:
        """Return extra link name -> address."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/links"
        links: Json = self.get(path, map_index=map_index)["extra_links"]
        return links

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """Read an XCom value."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.get(path, map_index=map_index, deserialize=True)["value"]

    def add_connection(self, conn_id: str, fields: Json) -> None:
        """Store a connection.

        :param fields: the connection's fields, as in an `AIRFLOW_CONN_...` variable in JSON
        """
        body = {"connection_id": conn_id, **fields}
        if isinstance(body.get("extra"), dict):
            body["extra"] = json.dumps(body["extra"])
        self.call("POST", "/connections", body=body)
