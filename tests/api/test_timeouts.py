"""No reply is waited for longer than the connection says."""

from __future__ import annotations

import pytest

from airflow_provider_visio.api import client
from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.exceptions import ConnectionFailedError, UnexpectedReplyError
from api.local_server import Answer

GET = api.get_status()
POST = api.create_photo_request("x")


def test_a_get_whose_reply_is_late_is_sent_again(driver, sandbox, visiono, config_at):
    from dataclasses import replace

    sandbox.fault("visiono", "delay", path="/status", seconds=2, times=1)
    assert driver.send(replace(visiono, read_timeout=0.2), GET)["data"] == {"status": "ok"}
    assert sandbox.count("visiono", "GET /status") == 2


def test_a_post_whose_reply_is_late_may_have_been_done(driver, sandbox, visiono):
    from dataclasses import replace

    sandbox.fault("visiono", "delay", method="POST", seconds=2, after_work=True, times=1)
    with pytest.raises(ConnectionFailedError) as caught:
        driver.send(replace(visiono, read_timeout=0.2), POST)
    assert caught.value.ambiguous
    assert "may or may not have done it" in str(caught.value)
    assert sandbox.count("visiono", "POST /photo-requests") == 1
    assert len(sandbox.control("GET", "/photo-requests")) == 1


def test_a_reply_inside_the_timeout_is_waited_for(driver, sandbox, visiono):
    sandbox.fault("visiono", "delay", path="/status", seconds=0.3, times=1)
    driver.send(visiono, GET)
    assert sandbox.count("visiono", "GET /status") == 1


def test_the_text_says_to_raise_the_timeout(driver, sandbox, visiono):
    from dataclasses import replace

    sandbox.fault("visiono", "delay", path="/status", seconds=2, times=None)
    with pytest.raises(ConnectionFailedError, match="raise the connection's timeout"):
        driver.send(replace(visiono, read_timeout=0.1, max_attempts=1), GET)


def test_a_reply_without_end_ends(driver, serve, config_at, monkeypatch):
    monkeypatch.setattr(client, "MAX_REPLY_BYTES", 2**20)
    server = serve(Answer(200, b" " * (2**20 + 1)))
    with pytest.raises(UnexpectedReplyError, match="more than 1 MiB"):
        driver.send(config_at(server.url, max_attempts=1), GET)


def test_a_compressed_reply_is_read(driver, serve, config_at):
    import gzip

    content = gzip.compress(b'{"data": {"id": "req_1"}}')
    server = serve(Answer(200, content, {"Content-Encoding": "gzip"}))
    assert driver.send(config_at(server.url), GET)["data"] == {"id": "req_1"}


def test_a_compressed_reply_that_is_broken_is_no_reply(driver, serve, config_at):
    server = serve(Answer(200, b"\x1f\x8bnonsense", {"Content-Encoding": "gzip"}))
    with pytest.raises((ConnectionFailedError, UnexpectedReplyError)) as caught:
        driver.send(config_at(server.url), POST)
    assert caught.value.ambiguous
    assert len(server.received) == 1
