import json
import re
import signal
import socket

import pytest

from airflow_provider_visio.sandbox.__main__ import main
from airflow_provider_visio.sandbox.options import Person
from airflow_provider_visio.sandbox.server import bind

from .conftest import start, stop


def test_options_info_file_and_signals(tmp_path):
    info = tmp_path / "info.json"
    person = json.dumps({"behaviour": "submit", "open_after": 0, "photo_every": 0, "photos": 1})
    process, sandbox = start(
        tmp_path,
        "--info-file",
        str(info),
        "--visiono-key",
        "k",
        "--plan",
        "free",
        "--person",
        person,
        "--speed",
        "7",
    )
    try:
        assert json.loads(info.read_text()) == sandbox.info
        assert sandbox.info["pid"] == process.pid
        assert list(tmp_path.iterdir()) == [info]
        assert sandbox.visiono("GET", "/stats", key="k").json()["data"]["plan"]["email_enabled"] is False
        made = sandbox.visiono("POST", "/photo-requests", {"instructions": "x"}, key="k").json()["data"]
        assert made["status"] == "submitted"
        assert sandbox.control("GET", "/time")["speed"] == 7
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        stop(process)


def test_busy_port(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 2
    assert (
        capsys.readouterr().err.strip()
        == f"visio-sandbox: cannot listen on 127.0.0.1:{port}: Address already in use"
    )


@pytest.mark.parametrize(
    "options",
    [("--person", "{"), ("--person", '{"behaviour": "shy"}'), ("--plan", "gold"), ("--export-seconds", "-1")],
)
def test_bad_options(options, capsys):
    with pytest.raises(SystemExit) as end:
        main(["--port", "0", *options])
    assert end.value.code == 2
    assert "visio-sandbox: error:" in capsys.readouterr().err


def test_a_wrong_field_of_a_person_is_named_with_the_allowed_ones(capsys):
    with pytest.raises(SystemExit):
        main(["--port", "0", "--person", '{"mood": "good"}'])
    text = "argument --person: unknown field 'mood'. Allowed: " + ", ".join(Person.model_fields)
    assert text in capsys.readouterr().err


def test_help_names_the_fields_of_a_person(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    fields = capsys.readouterr().out.partition("fields of --person")[2]
    for name, field in Person.model_fields.items():
        assert re.search(rf"^  {name} +{field.description.split()[0]}", fields, re.MULTILINE), name


def test_listeners_name_their_protocol():
    """Else asyncio leaves Nagle's algorithm on, and each reply takes 40 ms."""
    with bind("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
