"""Whatever a request, an item or a photo is called, its file stays in its folder and meets no other."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from airflow_provider_visio.exceptions import InvalidRequestError, TransferError
from airflow_provider_visio.storage.destination import destination_problem, folder_at, safe_name
from airflow_provider_visio.storage.manifest import manifest_name
from airflow_provider_visio.storage.media_types import extension_of
from airflow_provider_visio.storage.remote_file import RemoteFile
from properties.cases import cases
from properties.values import text

ANY = st.text(st.characters(exclude_categories=[]), max_size=12) | text
PATHS = st.lists(
    st.sampled_from(["..", ".", "/", "\\", "a", "CON", "nul.txt", "\x00", "é", "~", "-", "x" * 200]),
    max_size=5,
)
name = ANY | PATHS.map("".join)
close = st.text("ab-", min_size=1, max_size=3)
titles = close | st.sampled_from(["front", "Front", "The whole car", ""]) | name
# Ids that are close to one another are the ones that could meet.
keys = close | st.text("ab1-_.~/ é", min_size=1, max_size=4) | name
ids = st.text("a-~", min_size=1, max_size=4) | st.from_regex(
    r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]{0,4}", fullmatch=True
)
types = st.sampled_from([None, "image/jpeg", "image/png", "text/csv", "image/jpg; q=1", "x/y"])


def check_name(found: str, longest: int) -> None:
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", found)
    assert ".." not in found
    assert len(found) <= longest


@cases(800, text=name, limit=st.integers(1, 120))
def test_any_text_becomes_a_part_of_a_file_name(text, limit):
    found = safe_name(text, limit=limit)
    check_name(found, max(12, limit))
    assert safe_name(found, limit=max(12, limit)) == found


@cases(800, keys=st.lists(keys, min_size=2, max_size=4, unique=True), title=titles, kind=types)
def test_no_two_photos_of_a_request_meet_under_one_title(keys, title, kind):
    found = [f"{RemoteFile(key, title).stem}{extension_of(kind)}" for key in keys]
    assert len(set(found)) == len(found)
    for each in found:
        check_name(each, 140)
        assert each != "manifest.json"


few = st.sampled_from(["a", "b", "a-b", "b-a"])


def check_titles(found: list[str]) -> None:
    assert len(set(found)) == len(found)


@cases(
    600,
    photos=st.dictionaries(keys, titles, min_size=2, max_size=4) | st.dictionaries(few, few, min_size=2),
    kind=types,
)
def test_no_two_photos_of_a_request_meet_under_any_titles(photos, kind):
    found = [f"{RemoteFile(key, title).stem}{extension_of(kind)}" for key, title in photos.items()]
    check_titles(found)


def check_folders(found: list[str]) -> None:
    assert len(set(found)) == len(found)


@cases(500, requests=st.lists(ids, min_size=2, max_size=4, unique=True))
def test_no_two_requests_meet_in_one_folder(requests):
    check_folders([str(folder_at("/data/photos", request)) for request in requests])
    check_folders([manifest_name(request, shared=True) for request in requests])


@cases(500, name=name)
def test_a_folder_is_right_below_its_destination(name):
    folder = folder_at("file:///data/photos", name)
    assert folder.parent.path.rstrip("/") == "/data/photos"
    check_name(folder.name, 120)


@cases(
    500,
    scheme=st.sampled_from(
        ["", "file://", "FILE://", "s3://", "memory://", "nope://", "http://", "file:/", "://"]
    ),
    rest=name,
)
def test_any_destination_is_taken_or_refused_with_a_word(scheme, rest):
    destination = scheme + rest
    try:
        folder = folder_at(destination, "req_1")
    except (InvalidRequestError, TransferError):
        return
    assert destination_problem(destination) is None
    assert folder.name == "req_1"
