"""One book of calls for all processes of a host, that never stands in a call's way."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_visio.api import rate_limit as ledger
from airflow_provider_visio.api.call import Reply
from airflow_provider_visio.api.config import ServiceConfig
from airflow_provider_visio.api.rate_limit import SharedRateLimit
from airflow_provider_visio.api.visiono import VISIONO

NOW = 1767225600.0
KEY = "vsk_live_secret_1"
BOTH = ((60.0, 60), (3600.0, 1000))
# As it is outside of tests, where each has a folder of its own.
FOLDER = ledger._folder

FORK = multiprocessing.get_context("fork")


def config(conn_id: str = "my_visiono", **more: Any) -> ServiceConfig:
    return ServiceConfig(VISIONO, conn_id, "https://api.visio.now/v1", KEY, **{"limits": BOTH, **more})


def book_of_calls() -> Path:
    folder = ledger._folder()
    assert folder is not None
    (found,) = folder.iterdir()
    return found


@pytest.fixture
def beside() -> Iterator[Callable[..., Any]]:
    """Start processes, and end them in the end."""
    running: list[Any] = []

    def start(work: Callable[..., None], *args: Any) -> Any:
        running.append(FORK.Process(target=work, args=args, daemon=True))
        running[-1].start()
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.join(10)


@contextmanager
def locked() -> Iterator[None]:
    """Hold the lock, as another process does that was stopped in the middle of its work."""
    with book_of_calls().open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Watch:
    """A clock in place of the module ``time``; it moves when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def spend(calls: int, found: Any) -> None:
    mine = SharedRateLimit(config())
    found.put([mine.book(NOW, 1e9) for _ in range(calls)])


def hold_the_lock(ready: Any) -> None:
    mine = SharedRateLimit(config())
    mine.book(NOW, 0)
    with mine._open():
        ready.set()
        while True:
            signal.pause()


def test_processes_that_book_at_once_keep_to_the_limit_together(beside, monkeypatch):
    # Time enough for a machine that does something else, too.
    monkeypatch.setattr(ledger, "LONGEST_LOCK", 30.0)
    found = FORK.Queue()
    for _ in range(6):
        beside(spend, 30, found)
    turns = sorted(turn for _ in range(6) for turn in found.get(timeout=60))
    assert [turns.count(60.0 * minute) for minute in range(4)] == [60, 60, 60, 0]


def test_many_processes_that_start_at_once_get_their_turns_in_the_time_there_is(beside):
    before = SharedRateLimit(config())
    for n in range(900):
        before.book(NOW - 3500 + n * 3, 0)
    found, gate = FORK.Queue(), FORK.Barrier(32)

    def start_and_spend() -> None:
        gate.wait(30)
        spend(3, found)

    for _ in range(32):
        beside(start_and_spend)
    turns = [turn for _ in range(32) for turn in found.get(timeout=60)]
    assert turns.count(0.0) <= 60


def test_what_one_has_called_the_next_knows():
    for _ in range(3):
        assert [SharedRateLimit(config()).book(NOW, 0) for _ in range(20)] == [0.0] * 20
    assert SharedRateLimit(config()).book(NOW, 0) == 60.0
    assert SharedRateLimit(config()).ask(NOW, 0.25, 0.0) == (False, 60.0)
    assert SharedRateLimit(config()).left(NOW, 0.25) == ([0, 690], 690 / 750)


@pytest.mark.parametrize(
    "other",
    [config("another"), config(limits=((60.0, 30),)), config(limits=())],
    ids=["connection", "limits", "none"],
)
def test_another_connection_has_a_book_of_its_own(other):
    mine = SharedRateLimit(config())
    for _ in range(60):
        mine.book(NOW, 0)
    assert SharedRateLimit(other).book(NOW, 0) == 0.0


def test_a_turn_that_is_too_far_away_is_not_taken():
    mine = SharedRateLimit(config())
    for _ in range(60):
        mine.book(NOW, 0)
    for _ in range(5):
        assert mine.book(NOW, 59.0) == 60.0
    assert mine.left(NOW, 0.0)[0] == [0, 940]
    assert mine.book(NOW, 60.0) == 60.0
    assert mine.left(NOW, 0.0)[0] == [0, 939]


def test_what_a_reply_says_all_know():
    told = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW + 40)}
    SharedRateLimit(config()).learn(Reply(200, told, b""), sent=NOW, now=NOW)
    assert SharedRateLimit(config()).book(NOW, 0) == pytest.approx(40)


def test_a_refusal_is_known_to_all():
    SharedRateLimit(config()).learn(Reply(429, {"retry-after": "17"}, b""), sent=NOW, now=NOW)
    assert SharedRateLimit(config()).book(NOW, 0) == pytest.approx(17)


@pytest.mark.parametrize(
    ("reply", "closed_for"),
    [
        (Reply(429, {"retry-after": "17"}, b""), 17),
        (Reply(429, {"retry-after": "900"}, b""), 900),
        (Reply(429, {}, b""), 0),
        (Reply(200, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW + 40)}, b""), 0),
    ],
    ids=["refused", "refused for long", "refused, but not for how long", "told that nothing is left"],
)
def test_whether_the_service_refuses_calls_is_known_to_all(reply, closed_for):
    SharedRateLimit(config()).learn(reply, sent=NOW, now=NOW)
    moments = (NOW, NOW + closed_for - 0.1, NOW + closed_for)
    assert [SharedRateLimit(config()).is_closed(moment) for moment in moments] == [
        closed_for > 0,
        closed_for > 0,
        False,
    ]


def test_a_refusal_from_before_the_clock_was_set_back_is_over():
    SharedRateLimit(config()).learn(Reply(429, {"retry-after": "900"}, b""), sent=NOW, now=NOW)
    assert not SharedRateLimit(config()).is_closed(NOW - 600)


def test_a_reply_that_says_nothing_of_the_limit_changes_nothing():
    SharedRateLimit(config()).learn(Reply(200, {}, b""), sent=NOW, now=NOW)
    assert list(ledger._folder().iterdir()) == []


def test_the_file_is_for_this_user_and_holds_no_secret():
    mine = SharedRateLimit(config())
    mine.book(NOW, 0)
    mine.learn(Reply(429, {"retry-after": "17"}, KEY.encode()), sent=NOW, now=NOW)
    found = book_of_calls()
    text = found.read_text()
    for secret in (KEY, "my_visiono", "visio.now"):
        assert secret not in text + found.name
    assert found.stat().st_mode & 0o777 == 0o600


def test_a_process_that_is_killed_with_the_lock_leaves_it(beside):
    ready = FORK.Event()
    process = beside(hold_the_lock, ready)
    assert ready.wait(30)
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert SharedRateLimit(config()).book(NOW, 0) == 0.0
    assert SharedRateLimit(config()).left(NOW, 0.0)[0] == [58, 998]


def test_a_process_that_is_stopped_with_the_lock_holds_nobody_up(beside, monkeypatch):
    monkeypatch.setattr(ledger, "LONGEST_LOCK", 0.1)
    ready = FORK.Event()
    process = beside(hold_the_lock, ready)
    assert ready.wait(30)
    os.kill(process.pid, signal.SIGSTOP)
    mine = SharedRateLimit(config())
    started = time.monotonic()
    for _ in range(3):
        assert mine.book(NOW, 0) == 0.0
    assert time.monotonic() - started < 5
    # Meanwhile it keeps to a count of its own.
    assert mine.left(NOW, 0.0)[0] == [57, 997]


@pytest.mark.parametrize(("in_loop", "wait"), [(False, 2.0), (True, 0.02)], ids=["task", "loop"])
def test_a_lock_that_is_never_given_back_holds_up_a_call_for_a_moment(in_loop, wait, monkeypatch):
    mine, watch = SharedRateLimit(config(), in_loop=in_loop), Watch()
    mine.book(NOW, 0)
    monkeypatch.setattr(ledger, "time", watch)
    with locked():
        assert mine.book(NOW, 0) == 0.0
    assert watch.time == pytest.approx(wait, abs=0.003)
    assert mine.book(NOW, 0) == 0.0
    assert watch.time == pytest.approx(wait, abs=0.003), "once it is free, nothing is waited for"


def test_calls_made_while_another_has_the_lock_are_not_forgotten():
    limits = ((60.0, 5),)
    mine = SharedRateLimit(config(limits=limits), in_loop=True)
    mine.book(NOW, 0)
    with locked():
        assert [mine.book(NOW, 0) for _ in range(4)] == [0.0] * 4
    assert mine.book(NOW, 0) == 60.0
    assert SharedRateLimit(config(limits=limits)).book(NOW, 0) == 60.0, "and the others know of them, too"


def test_a_full_disk_fails_no_call(beside):
    found = FORK.Queue()

    def book_on_a_full_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5, 5))
        mine = SharedRateLimit(config())
        try:
            found.put([mine.book(NOW, 0) for _ in range(61)])
        except OSError as error:
            found.put(repr(error))

    beside(book_on_a_full_disk)
    assert found.get(timeout=30) == [0.0] * 60 + [60.0]


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000,
        b'{"calls":[' + b"9" * 400 + b"]}",
        b'{"windows":[[60.0,' + b"9" * 400 + b",5,1767225610]]}",
    ],
    ids=["too deep", "a time without measure", "a limit without measure"],
)
def test_json_beyond_all_measure_in_the_book_fails_no_call(content):
    SharedRateLimit(config()).book(NOW, 0)
    book_of_calls().write_bytes(content)
    assert SharedRateLimit(config()).book(NOW, 0) == 0.0
    assert SharedRateLimit(config()).ask(NOW, 0.25, 0.0)[0] in {True, False}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"{",
        b"[]",
        b'"text"',
        b"5",
        b"\xff\xfe\x00",
        b"\x00" * 5000,
        b'{"calls": [1767225',
        b"9" * 5000,
    ],
    ids=lambda content: str(content[:12]),
)
def test_a_book_that_cannot_be_read_is_begun_anew(content):
    SharedRateLimit(config()).book(NOW, 0)
    found = book_of_calls()
    found.write_bytes(content)
    assert [SharedRateLimit(config()).book(NOW, 0) for _ in range(60)] == [0.0] * 60
    assert SharedRateLimit(config()).book(NOW, 0) == 60.0


def test_a_book_that_was_cut_off_is_known_to_whom_it_was_known():
    mine = SharedRateLimit(config())
    for _ in range(60):
        mine.book(NOW, 0)
    found = book_of_calls()
    found.write_bytes(found.read_bytes()[:100])
    assert mine.book(NOW, 0) == 60.0
    assert SharedRateLimit(config()).book(NOW, 0) == 60.0


def test_a_book_that_is_gone_is_begun_anew():
    mine = SharedRateLimit(config())
    mine.book(NOW, 0)
    book_of_calls().unlink()
    assert mine.book(NOW, 0) == 0.0
    assert book_of_calls().exists()


def make_folder(path: Path) -> None:
    path.mkdir()


def link_elsewhere(path: Path) -> None:
    path.symlink_to("/dev/full")


@pytest.mark.parametrize("spoil", [make_folder, os.mkfifo, link_elsewhere])
def test_where_no_book_can_be_kept_each_keeps_its_own_count(spoil):
    SharedRateLimit(config()).book(NOW, 0)
    found = book_of_calls()
    found.unlink()
    spoil(found)
    mine = SharedRateLimit(config())
    assert [mine.book(NOW, 0) for _ in range(60)] == [0.0] * 60
    assert mine.book(NOW, 0) == 60.0
    assert SharedRateLimit(config()).book(NOW, 0) == 0.0


@pytest.mark.parametrize("where", [None, Path("/dev/null"), Path("/nowhere/at/all")], ids=str)
def test_without_a_folder_each_keeps_its_own_count(where, monkeypatch):
    monkeypatch.setattr(ledger, "_folder", lambda: where)
    mine = SharedRateLimit(config())
    assert [mine.book(NOW, 0) for _ in range(60)] == [0.0] * 60
    assert mine.book(NOW, 0) == 60.0
    mine.learn(Reply(429, {"retry-after": "90"}, b""), sent=NOW, now=NOW)
    assert mine.ask(NOW, 0.25, 0.0) == (False, pytest.approx(90))


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_is_this_user_s_alone(temporary):
    folder = FOLDER()
    assert folder is not None
    assert folder.parent == temporary
    assert folder.stat().st_mode & 0o777 == 0o700
    assert FOLDER() == folder


def test_a_folder_that_is_somebody_else_s_is_not_used(temporary, monkeypatch):
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    assert FOLDER() is None


def test_a_link_in_place_of_the_folder_is_not_followed(temporary):
    (temporary / "elsewhere").mkdir()
    (temporary / f"airflow-provider-visio-{os.getuid()}").symlink_to(temporary / "elsewhere")
    assert FOLDER() is None


def test_a_file_in_place_of_the_folder_is_left_alone(temporary):
    (temporary / f"airflow-provider-visio-{os.getuid()}").write_text("mine")
    assert FOLDER() is None


def test_no_folder_for_temporary_files_is_none(temporary, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "gone"))
    assert FOLDER() is None
