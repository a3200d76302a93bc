import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests


def order(sandbox, kind, **more):
    return sandbox.control("POST", "/faults", {"service": "visiono", "kind": kind, **more})["id"]


def made(sandbox):
    return len(sandbox.control("GET", "/photo-requests"))


def post(sandbox):
    return sandbox.visiono("POST", "/photo-requests", {"instructions": "Show the dent"})


def test_status(sandbox):
    order(sandbox, "status", status=503, body={"oops": True}, headers={"X-Why": "test"})
    reply = post(sandbox)
    assert (reply.status_code, reply.json(), reply.headers["x-why"]) == (503, {"oops": True}, "test")
    assert made(sandbox) == 0
    assert post(sandbox).status_code == 201


def test_status_with_text(sandbox):
    order(sandbox, "status", status=502, body="Bad Gateway")
    assert post(sandbox).text == "Bad Gateway"


def test_drop_before(sandbox):
    order(sandbox, "drop_before")
    with pytest.raises(requests.ConnectionError):
        post(sandbox)
    assert made(sandbox) == 0


def test_drop_after(sandbox):
    order(sandbox, "drop_after")
    with pytest.raises(requests.ConnectionError):
        post(sandbox)
    assert made(sandbox) == 1


def test_truncate(sandbox):
    order(sandbox, "truncate")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        post(sandbox)
    assert made(sandbox) == 1


def test_short(sandbox):
    whole = len(sandbox.visiono("GET", "/status").content)
    order(sandbox, "short")
    reply = sandbox.visiono("GET", "/status")
    assert len(reply.content) == int(reply.headers["content-length"]) == whole // 2


def test_html(sandbox):
    order(sandbox, "html")
    order(sandbox, "html", status=502)
    replies = [sandbox.visiono("GET", "/status") for _ in range(2)]
    assert [reply.status_code for reply in replies] == [200, 502]
    assert replies[1].headers["content-type"].startswith("text/html")
    assert "<h1>502 Bad Gateway</h1>" in replies[1].text


def test_empty(sandbox):
    order(sandbox, "empty", status=500)
    reply = sandbox.visiono("GET", "/status")
    assert (reply.status_code, reply.content) == (500, b"")


def test_redirect(sandbox):
    order(sandbox, "redirect", location="https://elsewhere.example/")
    reply = sandbox.visiono("GET", "/status")
    assert (reply.status_code, reply.headers["location"]) == (302, "https://elsewhere.example/")


def test_body(sandbox):
    order(sandbox, "body", body='{"data": ', content_type="application/json")
    reply = sandbox.visiono("GET", "/status")
    assert (reply.status_code, reply.text, reply.headers["content-type"]) == (
        200,
        '{"data": ',
        "application/json",
    )


def test_slow(sandbox):
    order(sandbox, "slow", seconds=0.2)
    before = time.monotonic()
    assert sandbox.visiono("GET", "/status").json()["data"] == {"status": "ok"}
    assert time.monotonic() - before >= 0.2


@pytest.mark.parametrize(("after_work", "count"), [(False, 0), (True, 1)])
def test_delay(sandbox, after_work, count):
    order(sandbox, "delay", seconds=0.6, after_work=after_work)
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            sandbox.info["visiono_url"] + "/photo-requests",
            json={"instructions": "x"},
            headers={"X-API-Key": "vsk_live_test"},
            timeout=0.25,
        )
    assert made(sandbox) == count


def test_rate_limit(sandbox):
    order(sandbox, "rate_limit")
    order(sandbox, "rate_limit", retry_after=7, reset=1609459200)
    plain, told = (sandbox.visiono("GET", "/status") for _ in range(2))
    assert (plain.status_code, plain.json()) == (429, {"message": "Too Many Attempts."})
    assert "retry-after" not in plain.headers
    assert int(plain.headers["x-ratelimit-reset"]) > time.time()
    assert (told.headers["retry-after"], told.headers["x-ratelimit-reset"]) == ("7", "1609459200")


def test_rate_limit_of_vizdom(sandbox):
    sandbox.control("POST", "/faults", {"service": "vizdom", "kind": "rate_limit"})
    reply = sandbox.vizdom("GET", "/dashboards")
    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "rate_limited")


def test_storage_faults(sandbox):
    one = sandbox.ask()
    sandbox.act(one, "upload")
    url = sandbox.photos(one)[0]["download_url"]
    whole = sandbox.session.get(url).content
    sandbox.control("POST", "/faults", {"service": "storage", "kind": "truncate", "path": "^/photos/"})
    with requests.get(url, stream=True) as reply:
        assert int(reply.headers["content-length"]) == len(whole)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            assert reply.content
    sandbox.control("POST", "/faults", {"service": "storage", "kind": "short"})
    assert sandbox.session.get(url).content == whole[: len(whole) // 2]
    assert sandbox.session.get(url).content == whole


@pytest.fixture
def stored(sandbox):
    """The links of two stored photos, and the ids of both."""
    one = sandbox.ask()
    for _ in range(2):
        sandbox.act(one, "upload")
    return [(photo["download_url"], photo["id"]) for photo in sandbox.photos(one)]


@pytest.mark.parametrize(
    ("kind", "status", "sent", "content_type", "words"),
    [
        ("html", None, 200, "text/html", "<h1>200 OK</h1>"),
        ("html", 403, 403, "text/html", "<h1>403 Forbidden</h1>"),
        ("xml_error", None, 200, "application/xml", "<Error><Code>InternalError</Code>"),
        ("xml_error", 403, 403, "application/xml", "<Error><Code>AccessDenied</Code>"),
        ("json_error", None, 200, "application/json", '{"error": {"code": "InternalError"'),
        ("json_error", 403, 403, "application/json", '{"error": {"code": "AccessDenied"'),
        ("empty", None, 200, None, ""),
        ("rate_limit", None, 503, "application/xml", "<Error><Code>SlowDown</Code>"),
    ],
)
def test_replies_of_storage_that_are_no_file(sandbox, stored, kind, status, sent, content_type, words):
    (link, name), (other, _) = stored
    fault = {"service": "storage", "kind": kind, "status": status, "path": name}
    sandbox.control("POST", "/faults", fault)
    whole = sandbox.session.get(other)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "image/jpeg")
    reply = sandbox.session.get(link)
    assert (reply.status_code, reply.headers.get("content-type")) == (sent, content_type)
    assert words in reply.text
    assert bool(words) == bool(reply.content)
    assert sandbox.session.get(link).content.startswith(b"\xff\xd8\xff")


def test_a_content_length_that_is_too_large(sandbox, stored):
    link = stored[0][0]
    whole = sandbox.session.get(link).content
    sandbox.control("POST", "/faults", {"service": "storage", "kind": "long"})
    with requests.get(link, stream=True) as reply:
        assert int(reply.headers["content-length"]) == len(whole) + 1
        got: list[bytes] = []
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            got.extend(reply.iter_content(1))
    assert b"".join(got) == whole
    assert sandbox.session.get(link).content == whole


def test_a_slow_file_is_whole(sandbox, stored):
    link = stored[0][0]
    whole = sandbox.session.get(link).content
    sandbox.control("POST", "/faults", {"service": "storage", "kind": "slow", "seconds": 0.2})
    before = time.monotonic()
    assert sandbox.session.get(link).content == whole
    assert time.monotonic() - before >= 0.2


def test_an_expired_link_stays_expired_and_a_new_one_works(sandbox):
    one = sandbox.ask()
    sandbox.act(one, "upload")
    old = sandbox.photos(one)[0]["download_url"]
    sandbox.control("POST", "/faults", {"service": "storage", "kind": "expired_link"})
    for _ in range(2):
        reply = sandbox.session.get(old)
        assert (reply.status_code, "Request has expired" in reply.text) == (403, True)
    sandbox.advance(1)
    new = sandbox.photos(one)[0]["download_url"]
    assert sandbox.session.get(new).status_code == 200
    assert sandbox.session.get(old).status_code == 403


def test_only_links_of_storage_expire(sandbox):
    reply = sandbox.call(
        "control_url", "POST", "/faults", json={"service": "visiono", "kind": "expired_link"}
    )
    assert reply.status_code == 422
    assert "'expired_link' is allowed for the service 'storage' only" in reply.json()["error"]


def test_matching_skipping_and_counting(sandbox):
    order(sandbox, "status", status=500, method="GET", path="^/photo-requests/[^/]+$", skip=1, times=2)
    one = sandbox.ask()
    path = f"/photo-requests/{one['id']}"
    statuses = [sandbox.visiono("GET", path).status_code for _ in range(4)]
    assert statuses == [200, 500, 500, 200]
    assert sandbox.visiono("GET", "/photo-requests").status_code == 200
    (fault,) = sandbox.control("GET", "/faults")
    assert (fault["id"], fault["fired"], fault["skip"]) == (1, 2, 1)


def test_for_ever_and_cleared(sandbox):
    order(sandbox, "empty", status=500, times=None)
    assert {sandbox.visiono("GET", "/status").status_code for _ in range(5)} == {500}
    sandbox.control("DELETE", "/faults")
    assert sandbox.visiono("GET", "/status").status_code == 200


def test_faulty_calls_are_counted_and_logged(sandbox):
    number = order(sandbox, "empty", status=500)
    sandbox.visiono("GET", "/status")
    assert sandbox.control("GET", "/counters")["visiono"] == {"GET /status": 1}
    (call,) = sandbox.control("GET", "/calls")
    assert (call["status"], call["fault"]) == (500, number)


@pytest.mark.parametrize(
    "body",
    [
        {"service": "visiono"},
        {"service": "other", "kind": "empty"},
        {"service": "visiono", "kind": "explode"},
        {"service": "visiono", "kind": "empty", "path": "("},
        {"service": "visiono", "kind": "empty", "colour": "red"},
    ],
)
def test_nonsense_faults_are_refused(sandbox, body):
    assert sandbox.call("control_url", "POST", "/faults", json=body).status_code == 422


@contextmanager
def asking(sandbox):
    """Ask in a thread, and return the thread once the call is held."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(
            requests.post,
            sandbox.info["visiono_url"] + "/photo-requests",
            json={"instructions": "x"},
            headers={"X-API-Key": "vsk_live_test"},
            timeout=10,
        )
        until = time.monotonic() + 10
        while sandbox.control("GET", "/faults")[0]["held"] < 1:
            assert time.monotonic() < until
        yield future


@pytest.mark.parametrize(("after_work", "count"), [(False, 0), (True, 1)])
def test_hold_until_let_go(sandbox, after_work, count):
    number = order(sandbox, "hold", after_work=after_work)
    with asking(sandbox) as reply:
        assert (made(sandbox), reply.done()) == (count, False)
        sandbox.control("POST", f"/faults/{number}/let-go")
        assert reply.result().status_code == 201
    assert made(sandbox) == 1
    assert sandbox.control("GET", "/faults")[0]["held"] == 0


@pytest.mark.parametrize(("after_work", "count"), [(False, 0), (True, 1)])
def test_hold_and_drop(sandbox, after_work, count):
    number = order(sandbox, "hold", after_work=after_work)
    with asking(sandbox) as reply:
        sandbox.control("POST", f"/faults/{number}/let-go", {"drop": True})
        with pytest.raises(requests.ConnectionError):
            reply.result()
    assert made(sandbox) == count


def test_a_held_call_is_worked_on_after_its_caller_disconnects(sandbox):
    number = order(sandbox, "hold")
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            sandbox.info["visiono_url"] + "/photo-requests",
            json={"instructions": "x"},
            headers={"X-API-Key": "vsk_live_test"},
            timeout=0.25,
        )
    assert made(sandbox) == 0
    sandbox.control("POST", f"/faults/{number}/let-go")
    assert post(sandbox).status_code == 201
    assert made(sandbox) == 2


@pytest.mark.parametrize("path", ["/reset", "/faults"])
def test_clearing_faults_releases_held_calls(sandbox, path):
    order(sandbox, "hold")
    with asking(sandbox) as reply:
        sandbox.control("POST" if path == "/reset" else "DELETE", path)
        assert reply.result().status_code == 201


def test_a_fault_for_one_key(sandbox):
    sandbox.control("PUT", "/keys", {"visiono": ["vsk_live_test", "other"]})
    order(sandbox, "empty", status=500, key="other", times=None)
    assert sandbox.visiono("GET", "/status").status_code == 200
    assert sandbox.visiono("GET", "/status", key="other").status_code == 500


def test_letting_go_of_an_unknown_fault(sandbox):
    assert sandbox.call("control_url", "POST", "/faults/7/let-go").status_code == 404
