"""A real Airflow, the sandbox and the hostile services, and what happens to them during the run."""

from __future__ import annotations

import hmac
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import kept
import requests
from deliveries import send_odd_deliveries, signature_of
from hostile import Hostile
from mailbox_server import MailboxServer
from markers import Markers, Secret
from search import Hit, Search

from airflow_provider_visio.webhooks.delivery import NEEDED_EVENTS
from dev.airflow_and_sandbox import WEBHOOK_URL
from dev.checkout import EXAMPLE_DAGS, WORK
from dev.polling import wait_for
from dev.processes import stop_all
from dev.run_watcher import RunWatcher
from dev.sandbox import Sandbox
from dev.stack import Stack

HERE = Path(__file__).resolve().parent
EXAMPLES = {
    "visio_photos_to_dashboard": {},
    "visiono_three_steps": {},
    "visiono_fan_out": {},
    "visiono_campaign": {"recipients": 3},
    "vizdom_weekly_export": {},
}
OURS = ("secrets_hostile", "secrets_people", "secrets_addresses", "secrets_literal", "secrets_workspace")
LEFT = ("secrets_left", "secrets_planted")
VISIONO_SCENES = (
    *(
        "echo_401",
        "echo_422",
        "echo_429",
        "echo_html",
        "echo_page",
        "echo_broken",
        "echo_odd",
        "echo_redirect",
    ),
    *("drop", "poll_echo", "poll_drop"),
    *("file_403", "file_drop", "file_redirect", "file_loop", "file_page", "file_cut", "file_header"),
    *("file_closed", "file_odd_url", "file_broken_url", "file_no_host"),
)
VIZDOM_SCENES = ("make_echo", "echo_401", "echo_html", "export_failed", "export_drop")
TESTED = ("default", "echo_401", "echo_html", "echo_page", "echo_redirect", "drop")
# What the link of secrets_workspace is signed for.
WORKFLOW = {"unique_value": "TN-123", "source": "ramp", "reference": "7"}
SUBMIT = {"behaviour": "submit", "open_after": 0.5, "photo_every": 0.2, "photos": 2}
LIMITS = {"calls_per_minute": 1000, "calls_per_hour": 10_000}
TIMEOUT = 300
LOOK_EVERY = 0.7
# A component that ends by itself is searched like all others, and started again.
RESTARTS = 2

T = TypeVar("T")


@dataclass
class Stage:
    """All that takes part, and what was found out."""

    home: Path
    markers: Markers
    hostile: Hostile
    sandbox: Sandbox
    stack: Stack
    endpoint_secret: Secret
    runs: dict[str, RunWatcher] = field(default_factory=dict)
    replies: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, bytes]] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    signatures: list[Secret] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    odd_deliveries: dict[str, int] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)

    def play(self) -> None:
        """Run everything to its end, take in all that is kept, and search it."""
        began = int(time.time())
        self._ask_outside_airflow()
        self._order_faults()
        for dag_id in (*EXAMPLES, *OURS, *LEFT):
            self.stack.wait_for_dag(dag_id)
        for dag_id in (*LEFT, *OURS, *EXAMPLES):
            conf = {"destination": f"file://{self.home / 'output' / dag_id}", **EXAMPLES.get(dag_id, {})}
            if dag_id == "secrets_addresses":
                conf["email"] = self.markers.conf_address.text
            run_id = insist(lambda i=dag_id, c=conf: self.stack.api.trigger(i, c))
            self.runs[dag_id] = RunWatcher(self.stack.api, dag_id, run_id, links=True)
        self._test_connections()
        self._send_odd_deliveries()
        until = time.monotonic() + TIMEOUT
        while not self._over() and time.monotonic() < until:
            for watcher in self.runs.values():
                if not watcher.ended:
                    watcher.look()
            self.stack.check_alive()
            self._act()
            time.sleep(LOOK_EVERY)
        self._take_in()
        self.signatures += self._workflow_signatures(began)
        self.signatures += [
            signature_of(value)
            for delivery in self.deliveries
            for name, value in delivery["headers"].items()
            if name.endswith("-Signature")
        ]
        self._search()

    def state(self, dag_id: str, task_id: str) -> str:
        """Return the state of a task, or of a mapped one's first."""
        tasks = self.runs[dag_id].tasks
        return next((str(task["state"]) for task in tasks if task["task_id"] == task_id), "not there")

    def log(self, dag_id: str, task_id: str) -> str:
        """Return all that a task has logged, in all tries."""
        folder = self.stack.logs / f"dag_id={dag_id}"
        return "\n".join(
            path.read_text() for path in sorted(folder.glob(f"run_id=*/task_id={task_id}/**/attempt=*"))
        )

    def found(self, *secrets: Secret) -> list[Hit]:
        """Return where some values were found."""
        return [hit for hit in self.hits if hit.secret in secrets]

    def _search(self) -> None:
        secrets = [*self.markers.everything, self.endpoint_secret]
        searches = (Search(secrets), Search(self.signatures, plain=True))
        self.hits = [
            hit for place, content in self.seen for search in searches for hit in search.look(place, content)
        ]

    def _ask_outside_airflow(self) -> None:
        """Create a request of which Airflow hears by webhooks, and `_act` has somebody answer it."""
        reply = requests.post(
            f"{self.sandbox.info['visiono_url']}/photo-requests",
            json={
                "instructions": self.markers.hook_instructions.text,
                "recipient_email": self.markers.hook_address.text,
                "metadata": {"customer": self.markers.hook_metadata.text},
            },
            headers={"X-API-Key": self.markers.visiono_key.text},
            timeout=30,
        )
        reply.raise_for_status()

    def _send_odd_deliveries(self) -> None:
        url = f"{self.stack.url}/visio/webhooks/visiono_drop"
        self.odd_deliveries, signatures = send_odd_deliveries(url, self.markers)
        self.signatures += signatures

    def _order_faults(self) -> None:
        link = f"{self.hostile.files.url}/echo.jpg?{self.markers.query}"
        echo = f"{self.markers.visiono_key.text} {self.markers.address.text} {link}"
        for fault in (
            {
                "service": "storage",
                "kind": "status",
                "status": 403,
                "body": f"<Error>{link}</Error>",
                "times": 2,
            },
            {"service": "storage", "kind": "truncate", "skip": 1},
            {
                "service": "visiono",
                "kind": "drop_after",
                "method": "POST",
                "path": "^/photo-requests$",
                "skip": 2,
            },
            {
                "service": "visiono",
                "kind": "status",
                "method": "GET",
                "path": "/photo-requests",
                "status": 500,
                "body": {"message": echo},
                "skip": 3,
                "times": 2,
            },
        ):
            self.sandbox.add_fault(**fault)

    def _over(self) -> bool:
        left = [task["state"] for dag_id in LEFT for task in self.runs[dag_id].tasks]
        return all(self.runs[dag_id].ended for dag_id in (*EXAMPLES, *OURS)) and (
            len(left) == 5 and set(left) <= {"deferred", "success", "failed"}
        )

    def _workflow_signatures(self, began: int) -> list[Secret]:
        """Return what the link in secrets_workspace can have been signed with, whenever that was."""
        key = self.markers.workflow_secret.text.encode()
        values = "|".join(WORKFLOW.values())
        texts = (
            hmac.new(key, f"{values}|{at}".encode(), "sha256").hexdigest()
            for at in range(began, int(time.time()) + 1)
        )
        return [Secret("a workflow link's signature", text, text) for text in texts]

    def _act(self) -> None:
        """Do what each person, and each user of Airflow, does once a task waits."""
        for request in self.sandbox.control("GET", "/photo-requests"):
            scene = (request["metadata"] or {}).get("scene", "example")
            if scene == "example":
                self._once(request["id"], lambda i=request["id"]: self._submit(i))
            elif scene == "killed" and not self._waits("waits"):
                continue  # what is planted must be there to be seen, too
            elif scene == "submitted_blocking" or self._waits(scene):
                self._once(scene, lambda s=scene, i=request["id"]: self._act_in(s, i))

    def _waits(self, scene: str) -> bool:
        return any(
            task["task_id"] == scene and task["state"] == "deferred" and task["triggerer_job"]
            for dag_id in ("secrets_people", *LEFT)
            for task in self.runs[dag_id].tasks
        )

    def _act_in(self, scene: str, request_id: str) -> None:
        if scene in {"submitted", "submitted_blocking"}:
            self._submit(request_id)
        elif scene in {"expired", "cancelled", "deleted"}:
            action = {"expired": "expire", "cancelled": "cancel", "deleted": "delete"}[scene]
            self.sandbox.control("POST", f"/photo-requests/{request_id}/{action}")
        elif scene == "killed":
            # What is stored of the waits is seen only while they wait.
            self.seen += kept.database(self.stack.home / "airflow.db", "database, while tasks wait")
            self._change(
                scene, "PATCH", f"dagRuns/{self._run_id}/taskInstances/killed", {"new_state": "failed"}
            )
        elif scene == "cleared":
            body = {"dry_run": False, "only_failed": False, "dag_run_id": self.runs["secrets_people"].run_id}
            self._change(scene, "POST", "clearTaskInstances", {**body, "task_ids": ["cleared"]})
            self._submit(request_id)

    @property
    def _run_id(self) -> str:
        return quote(self.runs["secrets_people"].run_id)

    def _change(self, scene: str, method: str, path: str, body: dict[str, Any]) -> None:
        self._call(scene, method, f"/dags/secrets_people/{path}", body)

    def _call(self, name: str, method: str, path: str, body: dict[str, Any]) -> Any:
        reply = insist(lambda: self.stack.api.call(method, path, body=body))
        self.replies[name] = json.dumps(reply)
        return reply

    def _submit(self, request_id: str) -> None:
        self.sandbox.control("PUT", f"/photo-requests/{request_id}/person", SUBMIT)

    def _once(self, what: str, act: Callable[[], None]) -> None:
        if what not in self._done:
            self._done.add(what)
            act()

    def _test_connections(self) -> None:
        for kind, scenes in (("visiono", TESTED), ("vizdom", ("default", "echo_401"))):
            for scene in scenes:
                name = f"{kind}_{scene}"
                self._call(name, "POST", "/connections/test", self._body(name))
        api, path = self.stack.api, "/connections/enqueue-test"
        queued = self._call("a queued test", "POST", path, self._body("visiono_echo_422"))
        token = {"Airflow-Connection-Test-Token": queued["token"]}

        def look() -> bool:
            self.stack.check_alive()
            found = api.call("GET", path, headers=token)
            self.replies["test on a worker"] = json.dumps(found)
            return found["state"] in {"success", "failed"}

        wait_for("the test of a connection on a worker", look, timeout=60)

    def _body(self, name: str) -> dict[str, Any]:
        fields = self.stack.connections[name]
        return {"connection_id": f"{name}_tried", **fields, "extra": json.dumps(fields["extra"])}

    def _take_in(self) -> None:
        given = self.sandbox.control("GET", "/signatures")
        self.signatures += [Secret("a signature of the sandbox", text, text) for text in given]
        self.deliveries = self.sandbox.control("GET", "/deliveries")
        self.faults = self.sandbox.control("GET", "/faults")
        self.seen += kept.replies(self.stack.api)
        self.seen += [(f"api, reply to {name}", reply.encode()) for name, reply in self.replies.items()]
        # What Airflow writes in the end belongs to it.
        self.stack.stop_all()
        home = self.stack.home
        self.seen += kept.database(home / "airflow.db", "database")
        self.seen += kept.files(home, "home")
        self.seen += kept.files(self.home / "tmp", "temporary")
        self.seen += kept.files(self.home / "output", "output")


def insist(what: Callable[[], T]) -> T:
    """Do something over the API, again where the database was busy with something else: it is SQLite."""

    def attempt() -> T | None:
        try:
            return what()
        except requests.HTTPError as error:
            if error.response is None or error.response.status_code < 500:
                raise
            return None

    return wait_for("an answer of the API server", attempt, timeout=60, every=1)


@contextmanager
def staged(home: Path) -> Iterator[Stage]:
    """Start everything in a folder."""
    markers = Markers()
    options = ("--visiono-key", markers.visiono_key.text, "--vizdom-key", markers.vizdom_key.text)
    sandbox = Sandbox(home / "sandbox", options=options)
    hostile = Hostile(markers)
    (home / "tmp").mkdir()
    shutil.copytree(HERE / "config", home / "airflow" / "config")
    stack = Stack(
        home / "airflow",
        EXAMPLE_DAGS,
        parallelism=8,
        restarts=RESTARTS,
        cache=WORK,
        config={
            "core": {"compress_serialized_dags": True},
            "dag_processor": {"dag_bundle_config_list": json.dumps(_bundles(home, markers))},
            # No webhook announces a cancelled request, and the next poll is to find it soon.
            "visio": {"webhooks": True, "webhook_poll_interval": 3},
        },
        environment={"TMPDIR": str(home / "tmp"), **_environment(markers, hostile)},
    )
    try:
        sandbox.start()
        stack.prepare()
        sandbox.wait_ready()
        settings = {"visiono_per_minute": 1000, "visiono_per_hour": 10_000, "webhook_gateway": stack.url}
        sandbox.control("PATCH", "/settings", settings)
        text = sandbox.create_webhook(WEBHOOK_URL, NEEDED_EVENTS)
        endpoint_secret = Secret("the endpoint's secret", text.removeprefix("whsec_"), text)
        connections = _connections(markers, hostile, sandbox)
        connections["visiono_default"]["extra"]["webhook_secret"] = text
        stack.connections.update(connections)
        stack.launch()
        stack.wait_ready()
        with MailboxServer() as mailbox:
            stack.add_connections({"smtp_default": mailbox.connection()})
            for key, secret in (("recipient", markers.address), ("told_recipient", markers.xcom_address)):
                stack.api.call("POST", "/variables", body={"key": key, "value": secret.text})
            yield Stage(home, markers, hostile, sandbox, stack, endpoint_secret)
    finally:
        stop_all([*sandbox.children, *stack.children])
        hostile.close()


def _bundles(home: Path, markers: Markers) -> list[dict[str, Any]]:
    dags = home / "dags"
    dags.mkdir()
    for file in (HERE / "dags").glob("*.py"):
        (dags / file.name).write_text(markers.into(file.read_text()))
    classpath = "airflow.dag_processing.bundles.local.LocalDagBundle"
    return [
        {"name": name, "classpath": classpath, "kwargs": {"path": str(folder)}}
        for name, folder in (("examples", EXAMPLE_DAGS), ("secrets", dags))
    ]


def _connections(markers: Markers, hostile: Hostile, sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    extra = {
        "webhook_secret": markers.webhook_secret.text,
        "workflow_secret": markers.workflow_secret.text,
        "max_attempts": 2,
        **LIMITS,
    }
    visiono = {"conn_type": "visiono", "password": markers.visiono_key.text, "extra": extra}
    vizdom = {"conn_type": "vizdom", "password": markers.vizdom_key.text, "extra": {"max_attempts": 2}}
    found = {
        f"visiono_{scene}": {**visiono, "host": f"{hostile.api.url}/{scene}"} for scene in VISIONO_SCENES
    }
    found |= {f"vizdom_{scene}": {**vizdom, "host": f"{hostile.api.url}/{scene}"} for scene in VIZDOM_SCENES}
    # Two of the sandbox's faults come in a row, and one call may meet both.
    patient = {**extra, "max_attempts": 3}
    found["visiono_default"] = {**visiono, "host": sandbox.info["visiono_url"], "extra": patient}
    found["vizdom_default"] = {**vizdom, "host": sandbox.info["vizdom_url"]}
    found["warehouse"] = {
        "conn_type": "generic",
        "host": "db.example.com",
        "schema": "sales",
        "login": "vizdom_readonly",
        "password": markers.source_password.text,
        "extra": {},
    }
    return found


def _environment(markers: Markers, hostile: Hostile) -> dict[str, str]:
    key, secret = markers.visiono_key.text, markers.webhook_secret.text
    uri = f"visiono://:{quote(key)}@127.0.0.1:{hostile.api.port}/echo_422?webhook_secret={quote(secret)}"
    broken = {
        "conn_type": "visiono",
        "password": key,
        "extra": f'{{"webhook_secret": {json.dumps(secret)},}}',
    }
    return {
        "AIRFLOW_CONN_VISIONO_IN_URI": uri,
        "AIRFLOW_CONN_VISIONO_BROKEN_EXTRA": json.dumps(broken),
    }
