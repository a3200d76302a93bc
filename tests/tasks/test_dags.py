"""The example DAGs, and wiring, in Airflow's own ``dag.test()``; the live suite runs them under a scheduler."""

from __future__ import annotations

import email
import importlib.util
import socketserver
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from airflow.sdk import DAG, BaseOperator, task
from conftest import connect

from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePhotoRequestBatchOperator,
    VisionoCreatePhotoRequestOperator,
    VisionoDeletePhotoRequestOperator,
)
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor
from airflow_provider_visio.workflow import workflow_url

EXAMPLES = Path(__file__).parents[2] / "example_dags"


def example(name: str) -> DAG:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.dag


def outputs(run: Any) -> dict[str, Any]:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.query(XComModel).filter_by(run_id=run.run_id, key="return_value").all()
        return {f"{row.task_id}[{row.map_index}]": XComModel.deserialize_value(row) for row in rows}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_every_example_parses_without_a_warning(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert example(path.stem).tasks


def test_photos_to_dashboard(sandbox, run_dag, tmp_path):
    sandbox.person("submit", open_after=5, photo_every=5)
    run = run_dag(example("visio_photos_to_dashboard"), destination=f"file://{tmp_path}", claim="C-1")
    assert run.state == "success"
    assert sorted(path.suffix for path in tmp_path.rglob("*.*")) == [".jpg"] * 3 + [".json"] * 2 + [".pdf"]
    assert sandbox.control("GET", "/photo-requests")[0]["metadata"]["claim"] == "C-1"


def test_three_steps(sandbox, run_dag, tmp_path):
    sandbox.person("submit", open_after=5, photo_every=5)
    run = run_dag(example("visiono_three_steps"), destination=f"file://{tmp_path}")
    assert run.state == "success"
    assert len(list(tmp_path.rglob("*.jpg"))) == 2


def test_fan_out(sandbox, run_dag, tmp_path):
    sandbox.person("submit", open_after=5, photo_every=5)
    run = run_dag(example("visiono_fan_out"), destination=f"file://{tmp_path}")
    assert run.state == "success"
    assert sandbox.count("visiono", "POST /photo-requests") == 4
    assert len(list(tmp_path.glob("*/manifest.json"))) == 4
    assert len(list(tmp_path.rglob("*.jpg"))) == 8


def check_campaign(sandbox, run_dag, tmp_path, capfd, *, submitted: int, ended: int, waiting: int) -> None:
    dag = example("visiono_campaign")
    recipients = submitted + ended + waiting

    def people_behave(context: Any) -> None:
        behaviours = ["submit"] * submitted + ["expire"] * ended + ["never"] * waiting
        for request, behaviour in zip(sandbox.control("GET", "/photo-requests"), behaviours, strict=True):
            person = {"behaviour": behaviour, "open_after": 0, "photo_every": 1}
            sandbox.control("PUT", f"/photo-requests/{request['id']}/person", person)

    dag.get_task("wait").on_execute_callback = [people_behave]
    run = run_dag(dag, destination=f"file://{tmp_path}", recipients=recipients)
    assert run.state == "success"
    assert len(list(tmp_path.rglob("*.jpg"))) == submitted
    found = outputs(run)["wait[-1]"]
    assert [len(found[name]) for name in ("arrived", "ended", "waiting")] == [submitted, ended, waiting]
    printed = capfd.readouterr().out
    assert f"{submitted} of {recipients} have answered." in printed
    assert printed.count("has not answered yet.") == waiting
    assert printed.count("will not answer: the request is expired.") == ended


def test_campaign(sandbox, run_dag, tmp_path, capfd):
    check_campaign(sandbox, run_dag, tmp_path, capfd, submitted=30, ended=2, waiting=2)
    # More than a minute allows, and none of them refused.
    times = [call["at"] for call in sandbox.calls() if call["service"] == "visiono"]
    assert times[60] - times[0] >= 60
    assert times[-1] - times[0] < 3600
    assert sandbox.counters()["refused_429"]["visiono"] == 0


def test_a_campaign_that_nobody_answers_ends_well(sandbox, run_dag, tmp_path):
    sandbox.person("expire", open_after=5)
    run = run_dag(example("visiono_campaign"), destination=f"file://{tmp_path}", recipients=2)
    assert run.state == "success"
    assert list(tmp_path.iterdir()) == []


def test_a_campaign_goes_on_without_somebody_whom_the_service_refuses(sandbox, run_dag, tmp_path, capfd):
    sandbox.person("submit", open_after=5, photo_every=5)
    refused = {"error": {"code": "validation_error", "message": "The given data was invalid."}}
    sandbox.fault("visiono", "status", status=422, body=refused, method="POST", times=1, skip=2)
    run = run_dag(example("visiono_campaign"), destination=f"file://{tmp_path}", recipients=5)
    (refused,) = [ti for ti in run.get_task_instances() if ti.state != "success"]
    assert refused.task_id == "ask"
    assert len(list(tmp_path.rglob("*.jpg"))) == 4
    printed = capfd.readouterr().out
    assert "4 of 5 have answered." in printed
    assert f"K-{refused.map_index + 1:04} could not be asked." in printed


def test_on_submission(sandbox, run_dag, tmp_path, capfd, monkeypatch):
    dag = example("visiono_on_submission")
    request_id = VisionoHook().create_photo_request("x", items=["The meter", "The display"])["id"]
    sandbox.act(request_id, "submit")
    # There is no scheduler to start it.
    monkeypatch.setattr(sys.modules["visiono_on_submission"], "submitted_ids", lambda context: [request_id])
    run = run_dag(dag, destination=f"file://{tmp_path}")
    assert run.state == "success"
    assert len(list(tmp_path.glob(f"{request_id}/*.jpg"))) == 2
    assert f"2 photo(s) of {request_id} are stored" in capfd.readouterr().out
    assert outputs(run)["check[-1]"] == []


def test_on_submission_names_doubtful_photos(sandbox, run_dag, tmp_path, capfd, monkeypatch):
    dag = example("visiono_on_submission")
    sandbox.person("submit", open_after=0, photo_every=0, pictures="odd", photos=6)
    request_id = VisionoHook().create_photo_request("x")["id"]
    sandbox.advance(60)
    monkeypatch.setattr(sys.modules["visiono_on_submission"], "submitted_ids", lambda context: [request_id])
    run = run_dag(dag, destination=f"file://{tmp_path}")
    assert run.state == "success"
    doubtful = outputs(run)["check[-1]"]
    assert doubtful
    printed = capfd.readouterr().out
    assert all(f"Please look at {path}" in printed for path in doubtful)


def test_a_run_on_submission_that_nobody_has_started_does_nothing(sandbox, run_dag, tmp_path):
    run = run_dag(example("visiono_on_submission"), destination=f"file://{tmp_path}")
    assert {str(ti.state) for ti in run.get_task_instances()} == {"skipped"}
    assert sandbox.calls() == []


@pytest.fixture
def mailbox() -> Iterator[tuple[int, list[bytes]]]:
    """A mail server that keeps what it is given."""
    mails: list[bytes] = []

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 test\r\n")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    mails.append(b"".join(iter(self.rfile.readline, b".\r\n")))
                self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                if verb == b"QUIT":
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], mails
        server.shutdown()


def test_weekly_export(sandbox, run_dag, tmp_path, mailbox, monkeypatch):
    port, mails = mailbox
    extra = '{"disable_ssl": true, "disable_tls": true}'
    monkeypatch.setenv(
        "AIRFLOW_CONN_SMTP_DEFAULT",
        f'{{"conn_type": "smtp", "host": "127.0.0.1", "port": {port}, "extra": {extra}}}',
    )
    run = run_dag(example("vizdom_weekly_export"), destination=f"file://{tmp_path}", to="ops@example.com")
    assert run.state == "success"
    mail = email.message_from_bytes(mails[0])
    assert mail["To"] == "ops@example.com"
    words = next(part for part in mail.walk() if part.get_content_maintype() == "text").get_payload(
        decode=True
    )
    assert str(next(tmp_path.rglob("*.pdf"))) in words.decode()


def test_outputs_can_be_wired_by_key_and_whole(sandbox, run_dag):
    with DAG("wiring", schedule=None, start_date=None) as dag:
        ask = VisionoCreatePhotoRequestOperator(task_id="ask", instructions="x")

        @task
        def link(url: str, request_id: str) -> str:
            return f"{request_id} {url}"

        link(ask.output["request_url"], ask.output["id"]) >> VisionoDeletePhotoRequestOperator(
            task_id="delete", request_id=ask.output
        )
    run = run_dag(dag)
    assert run.state == "success"
    found = outputs(run)
    assert found["delete[-1]"] == {"id": found["ask[-1]"]["id"], "deleted": True}
    assert found["link[-1]"] == f"{found['ask[-1]']['id']} {found['ask[-1]']['request_url']}"


def test_mapped_outputs_can_be_mapped_over(sandbox, run_dag):
    with DAG("mapped", schedule=None, start_date=None) as dag:
        ask = VisionoCreatePhotoRequestOperator.partial(task_id="ask").expand(instructions=["a", "b", "c"])
        VisionoDeletePhotoRequestOperator.partial(task_id="delete").expand(request_id=ask.output)
    run = run_dag(dag)
    assert run.state == "success"
    assert sandbox.count("visiono", "DELETE /photo-requests/{id}") == 3


def test_a_wait_that_proceeds_is_wired_to_a_batch_that_made_nothing(sandbox, run_dag):
    refused = [{"instructions": f"{'y' * 6000}{{{{ run_id }}}}"}]
    with DAG("nobody", schedule=None, start_date=None) as dag:
        how: dict[str, Any] = {"on_item_error": "report"}
        one = VisionoCreatePhotoRequestBatchOperator(task_id="one", requests=refused, **how)
        two = VisionoCreatePhotoRequestBatchOperator.partial(task_id="two", **how).expand(
            requests=[refused, refused]
        )
        inputs = [one.output, one.output["ids"], two.output, two.output["ids"]]
        for number, request_id in enumerate(inputs):
            VisionoPhotoRequestSensor(
                task_id=f"wait_{number}", request_id=request_id, on_deadline="proceed", timeout=60
            )
    run = run_dag(dag)
    assert run.state == "success"
    found = outputs(run)
    nothing = {"arrived": [], "ended": {}, "waiting": []}
    assert [found[f"wait_{number}[-1]"] for number in range(len(inputs))] == [nothing] * len(inputs)


def test_a_recipient_s_address_stays_out_of_what_airflow_keeps(sandbox, run_dag):
    address = "marker-recipient-4711@example.com"
    with DAG("private", schedule=None, start_date=None) as dag:
        VisionoCreatePhotoRequestOperator(
            task_id="ask",
            instructions="x",
            recipient_email="{{ 'marker-recipient-' ~ '4711@' ~ 'example.com' }}",
            wait_for_photos=True,
            timeout=timedelta(minutes=2),
        )
    run = run_dag(dag)
    assert run.state == "failed"
    assert sandbox.control("GET", "/photo-requests")[0]["recipient_email"] == address
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session

    with create_session() as session:
        kept = session.query(RenderedTaskInstanceFields).filter_by(run_id=run.run_id, task_id="ask").all()
        assert kept
        assert address not in str([row.rendered_fields for row in kept])


def test_a_signed_link_is_rendered_for_whoever_sends_it(sandbox, run_dag, monkeypatch, tmp_path):
    connect(
        monkeypatch, "visiono_default", sandbox.visiono_url, sandbox.visiono_key, workflow_secret="s" * 64
    )
    link = VisionoHook().create_permanent_link("Each damage")
    sandbox.control("PUT", f"/permanent-links/{link['id']}/workflow", {"secret": "s" * 64})
    sent = tmp_path / "sent"

    class Send(BaseOperator):
        template_fields = ("message",)

        def __init__(self, message: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.message = message

        def execute(self, context: Any) -> None:
            sent.write_text(self.message)

    with DAG(
        "signed", schedule=None, start_date=None, user_defined_macros={"workflow_url": workflow_url}
    ) as dag:
        Send(
            task_id="send",
            message="Dear Zoë: {{ workflow_url(params.link, params.plate, dag.dag_id, run_id) }}",
            params={"link": link["request_url"], "plate": "W-1 & more"},
        )
    run = run_dag(dag)
    assert run.state == "success"
    url = sent.read_text().removeprefix("Dear Zoë: ")
    query = dict(parse_qsl(urlsplit(url).query))
    assert (query["uv"], query["src"], query["ref"]) == ("W-1 & more", "signed", run.run_id)
    assert requests.get(url, timeout=10).status_code == 200

    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session

    with create_session() as session:
        (kept,) = session.query(RenderedTaskInstanceFields).filter_by(run_id=run.run_id).all()
        assert kept.rendered_fields["message"] == f"Dear Zoë: {url.replace(query['sig'], '***')}"
